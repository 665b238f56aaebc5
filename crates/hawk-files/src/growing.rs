//! Large files that are written piece by piece.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::atomic::{self, Durability};
use crate::error::{Error, Result};

/// Bytes that are kept before they are written.
const BUFFER: usize = 1 << 20;

/// A file that grows as `NAME.part` and gets its name when it is whole. Links are followed. What an
/// interrupted run leaves is taken up or overwritten by the next one. Only one process may write it:
/// [`FolderLock`](crate::FolderLock) is for that.
#[derive(Debug)]
pub struct GrowingFile {
    out: BufWriter<File>,
    /// Where it grows, and where it goes.
    part: PathBuf,
    file: PathBuf,
    /// As the caller named it.
    path: PathBuf,
}

impl GrowingFile {
    /// Begins the file anew.
    ///
    /// # Errors
    /// The file cannot be written, or is no regular file.
    pub fn begin(path: &Path) -> Result<Self> {
        Self::open(path, |part, _| OpenOptions::new().write(true).create(true).truncate(true).open(part))
    }

    /// Goes on behind the first `bytes` bytes: those of the part, or of the whole file where there is
    /// no part.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn resume(path: &Path, bytes: u64) -> Result<Self> {
        Self::open(path, |part, file| {
            if !part.exists() && file.exists() {
                let copy = with_ending(part);
                fs::copy(file, &copy)?;
                fs::rename(&copy, part)?;
            }
            let part = OpenOptions::new().create(true).append(true).open(part)?;
            part.set_len(bytes)?;
            Ok(part)
        })
    }

    /// Where a file grows. The file may be read-only.
    ///
    /// # Errors
    /// The path is that of a folder, a pipe or a device, or its folder does not exist.
    pub fn part_of(path: &Path) -> Result<PathBuf> {
        match fs::canonicalize(path) {
            Ok(file) if file.is_file() => Ok(with_ending(&file)),
            _ => Ok(with_ending(&regular(path)?)),
        }
    }

    fn open(path: &Path, open: impl FnOnce(&Path, &Path) -> io::Result<File>) -> Result<Self> {
        let file = regular(path)?;
        let part = with_ending(&file);
        let out = open(&part, &file).map_err(|e| Error::io("write the file", path, &e))?;
        Ok(Self { out: BufWriter::with_capacity(BUFFER, out), part, file, path: path.to_owned() })
    }

    /// Puts the file in place.
    ///
    /// # Errors
    /// What was written does not reach the disk.
    pub fn finish(self, durability: Durability) -> Result<()> {
        let Self { out, part, file, path } = self;
        let finish = || {
            let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            if durability == Durability::Synced {
                out.sync_all()?;
            }
            if let Ok(old) = fs::metadata(&file) {
                out.set_permissions(old.permissions())?;
            }
            fs::rename(&part, &file)
        };
        finish().map_err(|e| Error::io("write the file", &path, &e))
    }
}

impl Write for GrowingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The regular file that a write to `path` replaces.
fn regular(path: &Path) -> Result<PathBuf> {
    let device = || {
        let error = Error::input("a large file cannot be written into a pipe or a device").at(path.display());
        error.expected("the path of a file")
    };
    atomic::replaced_file(path)?.ok_or_else(device)
}

fn with_ending(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_has_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, part) = (dir.path().join("x"), dir.path().join("x.part"));
        fs::write(&path, "old").unwrap();
        assert_eq!(fs::canonicalize(dir.path()).unwrap().join("x.part"), GrowingFile::part_of(&path).unwrap());
        let mut file = GrowingFile::begin(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&part).unwrap()), (b"old".to_vec(), b"new".to_vec()));
        drop(file);
        // The part goes on before the file does.
        let mut file = GrowingFile::resume(&path, 2).unwrap();
        file.write_all(b"w one").unwrap();
        file.finish(Durability::Synced).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new one");
        GrowingFile::resume(&path, 3).unwrap().finish(Durability::Fast).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        GrowingFile::part_of(&path).unwrap();
        assert!(GrowingFile::begin(&path).unwrap_err().to_string().contains("read-only"));
        GrowingFile::begin(&dir.path().join("none/x")).unwrap_err();
        GrowingFile::begin(dir.path()).unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_pipes_refused() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("inner")).unwrap();
        symlink("inner/real", path("link")).unwrap();
        for _ in 0..2 {
            let mut file = GrowingFile::begin(&path("link")).unwrap();
            file.write_all(b"new").unwrap();
            file.finish(Durability::Fast).unwrap();
            assert!(path("link").is_symlink());
            assert_eq!(fs::read(path("inner/real")).unwrap(), b"new");
            assert_eq!(fs::read_dir(path("inner")).unwrap().count(), 1);
        }
        assert!(std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        assert!(GrowingFile::begin(&path("fifo")).unwrap_err().to_string().contains("pipe"));
    }
}
