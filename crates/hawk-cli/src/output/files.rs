//! Writes files whole or not at all, and names the files of images.

use std::io::Write;
use std::path::{Path, PathBuf};

use hawk::{Error, Result};
use serde::Serialize;

/// Writes a whole file, or leaves what was there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_through(path, bytes).map_err(|e| Error::io("write the file", path, &e))
}

/// Writes indented JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::input(format!("cannot write JSON: {e}")).at(path.display()))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

fn write_through(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn temporary_beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hawk-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Fails before the work where [`write`] would fail after it.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::input("the path is a folder").at(path.display()).expected("the path of a file"));
    }
    temporary_beside(path).map(drop).map_err(|e| Error::io("write into the folder", folder_of(path), &e))
}

/// Fails before the work where a new folder could not be made after it.
pub(crate) fn check_folder_can_be_made(path: &Path) -> Result<()> {
    let parent = folder_of(path);
    temporary_beside(path).map(drop).map_err(|e| Error::io("write into the folder", parent, &e))
}

/// Where images go.
pub(crate) enum Destination {
    /// One file. Several images get numbers.
    File(PathBuf),
    /// A folder. Its files are named by prompt and seed.
    Dir(PathBuf),
}

impl Destination {
    /// The value of `--out`. A name that ends in `.png` is a file; anything else is a folder, which is made here.
    pub(crate) fn new(out: Option<&Path>) -> Result<Self> {
        let Some(out) = out else { return Ok(Self::Dir(PathBuf::from("."))) };
        let png = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        let destination = if png && !out.is_dir() {
            Self::File(out.to_owned())
        } else {
            std::fs::create_dir_all(out).map_err(|e| Error::io("make the folder", out, &e))?;
            Self::Dir(out.to_owned())
        };
        check_writable(&destination.path(&Name { prompt: "x", prompt_number: None, seed: 0, index: 0, number: None }))?;
        Ok(destination)
    }

    pub(crate) fn path(&self, name: &Name<'_>) -> PathBuf {
        match (self, name.number) {
            (Self::File(file), None) => file.clone(),
            (Self::File(file), Some(number)) => {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                file.with_file_name(format!("{stem}-{number}.png"))
            }
            (Self::Dir(dir), _) => {
                let number = name.prompt_number.map(|number| format!("{number:03}-")).unwrap_or_default();
                dir.join(format!("{number}{}-s{}-{}.png", slug(name.prompt), name.seed, name.index))
            }
        }
    }
}

/// The parts of an image's file name.
pub(crate) struct Name<'a> {
    pub(crate) prompt: &'a str,
    /// The prompt's number, if there are several.
    pub(crate) prompt_number: Option<usize>,
    pub(crate) seed: u64,
    pub(crate) index: u32,
    /// The image's number, if there are several.
    pub(crate) number: Option<usize>,
}

/// Letters and digits of a prompt, everything else as single dashes, short enough for any file system.
fn slug(prompt: &str) -> String {
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

    #[test]
    fn several_images_never_share_a_name() {
        let dir = tempfile::tempdir().unwrap();
        for out in [dir.path().join("a.png"), dir.path().join("sheet")] {
            let destination = Destination::new(Some(&out)).unwrap();
            let mut paths: Vec<PathBuf> = (0..4)
                .map(|i| {
                    let number = Some(i);
                    let name =
                        Name { prompt: "same", prompt_number: Some(i / 2), seed: 1, index: i as u32 % 2, number };
                    destination.path(&name)
                })
                .collect();
            paths.dedup();
            assert_eq!(paths.len(), 4);
        }
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(write(&dir.path().join("none/x.json"), b"").is_err());
        assert!(write(dir.path(), b"").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
