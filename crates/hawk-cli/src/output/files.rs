//! The files of a command: what it reads, and what it may write.
//!
//! A command names both before its work. A destination that cannot be written, or that is another
//! file of the command, is refused then.

use std::path::{Path, PathBuf};

use hawk::{Error, ModelSource, Result};
use hawk_files::atomic;
use serde::Serialize;

/// Endings of pictures, of which only the first is written.
const PICTURES: [&str; 15] =
    ["png", "jpg", "jpeg", "jpe", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "jxl", "ppm", "qoi", "svg"];

/// What a model's folder and its subfolders hold: a new file of such a name changes the model.
const NAMES_IN_MODELS: [&str; 13] = [
    "config.json",
    "consolidated.00.pth",
    "consolidated.pth",
    "generation_config.json",
    "hawk.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "packed.safetensors",
    "params.json",
    "pytorch_model.bin",
    "tokenizer.json",
    "vqgan.ckpt",
    "vqgan.yaml",
];

/// The files of a command.
#[derive(Default)]
pub(crate) struct Files(Vec<Known>);

/// A file with the option that names it.
struct Known {
    option: &'static str,
    file: PathBuf,
}

/// A destination that was checked.
#[must_use]
pub(crate) struct Output(PathBuf);

impl Files {
    /// Names a file that the command reads.
    pub(crate) fn reads(&mut self, option: &'static str, path: &Path) {
        // What is not there is reported by whoever reads it.
        if let Ok(file) = std::fs::canonicalize(path) {
            self.0.push(Known { option, file });
        }
    }

    /// Names the files of a folder of a model: those that are there, and those that would be read if they
    /// were.
    fn reads_folder(&mut self, option: &'static str, dir: &Path) {
        let Ok(dir) = std::fs::canonicalize(dir) else { return };
        for name in NAMES_IN_MODELS {
            let file = dir.join(name);
            self.0.push(Known { option, file: std::fs::canonicalize(&file).unwrap_or(file) });
        }
    }

    /// Names the files of a model that the command reads.
    pub(crate) fn reads_model(&mut self, option: &'static str, model: &ModelSource) {
        if let ModelSource::Dir(dir) = model {
            for name in model.files().unwrap_or_default() {
                self.reads(option, &dir.join(name));
            }
            for folder in ["", "vq", "heads", "spatial"] {
                self.reads_folder(option, &dir.join(folder));
            }
        }
    }

    /// Names the files of draft heads that the command reads.
    pub(crate) fn reads_heads(&mut self, option: &'static str, dir: Option<&Path>) {
        dir.into_iter().for_each(|dir| self.reads_folder(option, dir));
    }

    /// Names a file that the command writes.
    ///
    /// # Errors
    /// It cannot be written, or it is another file of the command.
    pub(crate) fn writes(&mut self, option: &'static str, path: &Path) -> Result<Output> {
        named(option, path)?;
        atomic::check(path).map_err(|e| e.at(option))?;
        self.check_apart(option, path)?;
        if let Some(file) = atomic::replaced_file(path)? {
            self.0.push(Known { option, file });
        }
        Ok(Output(path.to_owned()))
    }

    /// Names a report that the command may write.
    ///
    /// # Errors
    /// As [`writes`](Self::writes), or it has the name of a picture.
    pub(crate) fn writes_report(&mut self, option: &'static str, path: Option<&PathBuf>) -> Result<Option<Output>> {
        let Some(path) = path else { return Ok(None) };
        if picture_ending(path).is_some() {
            return Err(Error::input("a report is no picture")
                .at(option)
                .expected("a name that ends in .json, or .html for --html")
                .got(path.display()));
        }
        self.writes(option, path).map(Some)
    }

    /// Checks that a destination is no other file of the command.
    ///
    /// # Errors
    /// It is.
    pub(crate) fn check_apart(&self, option: &str, path: &Path) -> Result<()> {
        let Some(file) = atomic::replaced_file(path)? else { return Ok(()) };
        match self.0.iter().find(|known| known.file == file) {
            Some(known) => Err(Error::input(format!("{option} and {} are the same file", known.option))
                .at(path.display())
                .hint("name another file, so that neither is lost")),
            None => Ok(()),
        }
    }
}

impl Output {
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        atomic::write(&self.0, bytes)
    }

    pub(crate) fn write_json(&self, value: &impl Serialize) -> Result<()> {
        atomic::write_json(&self.0, value)
    }
}

/// Checks that a folder can be made.
///
/// # Errors
/// The folder above it does not exist or cannot be written.
pub(crate) fn check_folder_can_be_made(path: &Path) -> Result<()> {
    named("--out", path)?;
    atomic::check_parent(path).map_err(|e| e.at("--out"))
}

/// Checks that a path is the name of a file.
pub(crate) fn named(option: &str, path: &Path) -> Result<()> {
    if path.as_os_str() == "-" {
        return Err(Error::input("- does not name a file")
            .at(option)
            .expected("the path of a file")
            .got("-")
            .hint("/dev/stdout is standard output, ./- is a file called -"));
    }
    Ok(())
}

/// The ending of a picture's name in lower case.
fn picture_ending(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?;
    PICTURES.into_iter().find(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a file of this name holds a PNG.
///
/// # Errors
/// It has the ending of another kind of picture.
pub(crate) fn is_png(option: &str, path: &Path) -> Result<bool> {
    match picture_ending(path) {
        None => Ok(false),
        Some("png") => Ok(true),
        Some(other) => Err(Error::input("images are written as PNG files")
            .at(option)
            .expected("a name that ends in .png")
            .got(format!(".{other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_role_in_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("in.json"), b"{}").unwrap();
        std::fs::create_dir(path("inner")).unwrap();
        let mut files = Files::default();
        files.reads("--codes", &path("in.json"));
        files.reads("--prompts", Path::new("-"));
        let report = files.writes_report("--stats", Some(&path("s.json"))).unwrap().unwrap();
        for (bad, words) in [
            (path("in.json"), "--tokens-out and --codes are the same file"),
            (path("s.json"), "--tokens-out and --stats are the same file"),
            (path("inner/../s.json"), "--tokens-out and --stats"),
            (path("x.PNG"), "a report is no picture"),
            (path("none/x.json"), "--tokens-out"),
            (path("inner"), "--tokens-out"),
            (PathBuf::from("-"), "/dev/stdout"),
            (PathBuf::new(), "empty"),
        ] {
            let error = files.writes_report("--tokens-out", Some(&bad)).err().unwrap().to_string();
            assert!(error.contains(words), "{bad:?}: {error}");
        }
        std::fs::create_dir(path("vq")).unwrap();
        std::fs::write(path("config.json"), b"{}").unwrap();
        files.reads_model("--model", &ModelSource::Dir(dir.path().to_owned()));
        for name in ["config.json", "hawk.json", "generation_config.json", "vq/config.json", "vq/model.safetensors"] {
            let error = files.writes("--out", &path(name)).err().unwrap().to_string();
            assert!(error.contains("--out and --model are the same file"), "{name}: {error}");
        }
        assert!(files.check_apart("--out", &path("s.json")).is_err());
        files.check_apart("--out", &path("t.json")).unwrap();
        report.write_json(&1).unwrap();
        assert_eq!(std::fs::read(path("s.json")).unwrap(), b"1\n");
        assert!(files.writes_report("--tokens-out", None).unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_names_to_come_are_seen_and_devices_shared() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink("s.json", path("link")).unwrap();
        let mut files = Files::default();
        let _ = files.writes("--stats", &path("s.json")).unwrap();
        assert!(files.writes("--tokens-out", &path("link")).is_err());
        assert!(std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        for option in ["--json", "--html"] {
            let _ = files.writes(option, &path("fifo")).unwrap();
        }
    }
}
