//! Writes files whole or not at all, and names the files of images.

use std::path::{Path, PathBuf};

use hawk::{Error, Result};
use hawk_files::atomic;

pub(crate) use hawk_files::atomic::{check_parent as check_folder_can_be_made, write, write_json};

/// Fails before the work where [`write`] would fail after it.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::input("the path is a folder").at(path.display()).expected("the path of a file"));
    }
    atomic::check_parent(path)
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
}
