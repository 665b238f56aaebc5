//! Where the images of a command go, and how their files are named.

use std::path::{Path, PathBuf};

use hawk::{Error, Result, read_png};
use hawk_files::atomic::{self, Created};

use super::files::{Files, is_png, named};
use super::note;

/// The largest file that is compared with an image.
const MAX_COMPARED_BYTES: u64 = 1 << 30;

/// Where images go.
pub(crate) enum Destination {
    /// One file. Several images get numbers.
    File(PathBuf),
    /// A folder. Its files are named by prompt and seed.
    Dir(PathBuf),
}

/// What is at the place of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// Nothing, or what is no file: a pipe, a device.
    Nothing,
    /// The same image: its pixels and its prompt.
    Same,
    /// Something else, which would be lost.
    Other,
}

/// The parts of an image's file name.
pub(crate) struct Name<'a> {
    pub(crate) prompt: &'a str,
    /// The prompt's number, if there are several.
    pub(crate) prompt_number: Option<usize>,
    pub(crate) seed: u64,
    pub(crate) index: u32,
    /// The image's number by prompt and index, if there are several.
    pub(crate) number: Option<u64>,
}

impl Destination {
    /// The value of `--out`, for so many images. A name that ends in `.png` is a file; anything else
    /// is a folder, which is made here.
    ///
    /// # Errors
    /// It cannot be written, is another file of the command, or has the ending of another kind of
    /// picture.
    pub(crate) fn new(files: &mut Files, out: Option<&Path>, images: u64) -> Result<Self> {
        let destination = match out {
            None => Self::Dir(PathBuf::from(".")),
            Some(out) => Self::of(out, images)?,
        };
        match &destination {
            Self::File(file) if images == 1 => files.writes("--out", file).map(drop)?,
            Self::File(file) => atomic::check(&numbered(file, 0)).map_err(|e| e.at("--out"))?,
            Self::Dir(dir) => {
                std::fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
                atomic::check_parent(&dir.join("x")).map_err(|e| e.at("--out"))?;
            }
        }
        Ok(destination)
    }

    fn of(out: &Path, images: u64) -> Result<Self> {
        named("--out", out)?;
        let slash = out.as_os_str().as_encoded_bytes().last().is_some_and(|&last| std::path::is_separator(last.into()));
        if slash || out.is_dir() {
            return Ok(Self::Dir(out.to_owned()));
        }
        if is_png("--out", out)? {
            return Ok(Self::File(out.to_owned()));
        }
        let wrong = |got: &str| {
            Err(Error::input("--out is neither a folder nor a PNG file")
                .at(out.display())
                .expected("a folder, or a name that ends in .png")
                .got(got))
        };
        match std::fs::metadata(out) {
            Ok(found) if found.is_file() => wrong("another file"),
            Ok(_) if images == 1 => Ok(Self::File(out.to_owned())),
            Ok(_) => wrong("a pipe or a device for several images"),
            Err(_) if out.file_name().is_some_and(|name| name.eq_ignore_ascii_case(".png")) => wrong("an ending alone"),
            Err(_) => Ok(Self::Dir(out.to_owned())),
        }
    }

    /// Writes an image and returns its path. In a folder no image takes the place of another one: it
    /// gets the next free name. The file that the user named is replaced, with a note.
    ///
    /// # Errors
    /// It cannot be written, or is another file of the command.
    pub(crate) fn write(&self, files: &Files, name: &Name<'_>, png: &[u8]) -> Result<PathBuf> {
        match self {
            Self::File(file) => {
                let path = name.number.map_or_else(|| file.clone(), |number| numbered(file, number));
                if name.number.is_some() {
                    files.check_apart("--out", &path)?;
                }
                write_image(&path, png)?;
                Ok(path)
            }
            Self::Dir(dir) => (1..)
                .find_map(|copy| try_name(files, dir.join(name.file(copy)), png).transpose())
                .unwrap_or_else(|| Err(Error::input("no name for the image is free").at(dir.display()))),
        }
    }
}

/// Writes an image to a path that the user named. If another image was there, a note says so.
pub(crate) fn write_image(path: &Path, png: &[u8]) -> Result<()> {
    if there(path, png) == There::Other {
        note(format_args!("note: {} was another image, which is replaced", path.display()));
    }
    atomic::write(path, png)
}

/// Writes an image to a path that the program chose; none where something else is there.
fn try_name(files: &Files, path: PathBuf, png: &[u8]) -> Result<Option<PathBuf>> {
    match there(&path, png) {
        There::Nothing => Ok((atomic::create(&path, png)? == Created::Written).then_some(path)),
        There::Same => {
            files.check_apart("--out", &path)?;
            atomic::write(&path, png)?;
            Ok(Some(path))
        }
        There::Other => Ok(None),
    }
}

fn there(path: &Path, png: &[u8]) -> There {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => There::Nothing,
        Ok(found) if found.len() > MAX_COMPARED_BYTES => There::Other,
        Ok(_) => {
            let same = std::fs::read(path).is_ok_and(|old| old == png || same_image(&old, png));
            if same { There::Same } else { There::Other }
        }
        Err(_) => There::Nothing,
    }
}

fn same_image(old: &[u8], new: &[u8]) -> bool {
    match (read_png(old), read_png(new)) {
        (Ok((old, old_record)), Ok((new, new_record))) => old == new && old_record.prompt == new_record.prompt,
        _ => false,
    }
}

fn numbered(file: &Path, number: u64) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}.png"));
    file.with_file_name(name)
}

impl Name<'_> {
    /// The name in a folder. The first copy has none of the numbers that keep images apart.
    fn file(&self, copy: u64) -> String {
        let number = self.prompt_number.map(|number| format!("{number:03}-")).unwrap_or_default();
        let copy = if copy > 1 { format!(".{copy}") } else { String::new() };
        format!("{number}{}-s{}-{}{copy}.png", slug(self.prompt), self.seed, self.index)
    }
}

/// Letters and digits of a prompt, everything else as single dashes, short enough for any file system.
pub(crate) fn slug(prompt: &str) -> String {
    let words: Vec<String> =
        prompt.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let slug: String = words.join("-").chars().take(48).collect();
    if slug.is_empty() { "image".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(slug("A red apple, fluent 3d style"), "a-red-apple-fluent-3d-style");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug(" ,;"), "image");
        assert!(slug(&"é".repeat(300)).len() < 100);
    }

    fn name(i: u32) -> Name<'static> {
        Name { prompt: "same", prompt_number: Some(i as usize / 2), seed: 1, index: i % 2, number: Some(i.into()) }
    }

    #[test]
    fn several_images_never_share_a_name() {
        let dir = tempfile::tempdir().unwrap();
        for out in [dir.path().join("a.png"), dir.path().join("sheet")] {
            let mut files = Files::default();
            let destination = Destination::new(&mut files, Some(&out), 4).unwrap();
            let mut paths: Vec<PathBuf> =
                (0..4).map(|i| destination.write(&files, &name(i), &[i as u8]).unwrap()).collect();
            paths.dedup();
            assert_eq!(paths.len(), 4);
            assert!((0..4).all(|i| std::fs::read(&paths[i]).unwrap() == [i as u8]));
        }
    }

    #[test]
    fn an_image_in_a_folder_takes_no_other_images_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::default();
        let destination = Destination::new(&mut files, Some(dir.path()), 1).unwrap();
        let write = |png: &[u8]| {
            let path = destination.write(&files, &name(0), png).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(write(b"one"), "000-same-s1-0.png");
        assert_eq!(write(b"two"), "000-same-s1-0.2.png");
        assert_eq!(write(b"three"), "000-same-s1-0.3.png");
        assert_eq!([write(b"one"), write(b"two")], ["000-same-s1-0.png", "000-same-s1-0.2.png"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn other_kinds_of_pictures_and_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("notes.txt"), b"kept").unwrap();
        for (out, words) in [
            (path("a.jpg"), ".png, got .jpg"),
            (path("a.WebP"), ".png, got .webp"),
            (path("notes.txt"), "neither a folder nor a PNG"),
            (path("none/a.png"), "none"),
            (path(".png"), "an ending alone"),
            (PathBuf::from("-"), "- does not name a file"),
        ] {
            let error = Destination::new(&mut Files::default(), Some(&out), 1).err().unwrap().to_string();
            assert!(error.contains(words), "{out:?}: {error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
