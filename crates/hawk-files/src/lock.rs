//! One process at a time works on a folder.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::atomic;
use crate::error::{Error, Result};

/// The file of the lock, in the folder.
const LOCK: &str = ".lock";

/// A folder that no other process works on. The lock ends when this is dropped, or with the process,
/// however that ends.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    /// None where there are no locks: the file system has none, or the folder is read-only.
    file: Option<File>,
}

impl FolderLock {
    /// Makes the folder where it is not there, and locks it. What processes that were killed left in it
    /// half written is removed.
    ///
    /// # Errors
    /// Another process has the lock, or the folder cannot be made.
    pub fn take(dir: &Path) -> Result<Self> {
        Self::take_for(dir, dir)
    }

    /// As [`take`](Self::take). The error names the folder `shown`, which the work is for.
    pub(crate) fn take_for(dir: &Path, shown: &Path) -> Result<Self> {
        let path = dir.join(LOCK);
        loop {
            fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
            let file = match File::options().create(true).truncate(false).write(true).open(&path) {
                Ok(file) => file,
                // The other process may have put the folder in place in between.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                // Nobody can write here, and nobody must.
                Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                    return Ok(Self { path, file: None });
                }
                Err(error) => return Err(Error::io("lock the folder", dir, &error)),
            };
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    remove_temporary(dir, Below::Subfolders);
                    return Ok(Self { path, file: Some(file) });
                }
                // The other process has ended in between, and its file is gone.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::environment("another process works on this folder")
                        .at(shown.display())
                        .hint("wait for it, or choose another folder"));
                }
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(TryLockError::Error(_)) => return Ok(Self { path, file: None }),
            }
        }
    }

    /// The folder was moved.
    pub(crate) fn moved(&mut self, dir: &Path) {
        self.path = dir.join(LOCK);
    }

    /// Whether an entry of the folder is the file of the lock.
    pub(crate) fn is(&self, entry: &Path) -> bool {
        entry == self.path
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if self.file.as_ref().is_some_and(|file| is_at(file, &self.path)) {
            // A file that stays is taken by the next process.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How far below a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Subfolders,
    Nothing,
}

/// Removes the temporary files of a folder that nobody else works on. What stays does no harm.
fn remove_temporary(dir: &Path, below: Below) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_file() && atomic::is_temporary(&path) => drop(fs::remove_file(&path)),
            Ok(kind) if kind.is_dir() && below == Below::Subfolders => remove_temporary(&path, Below::Nothing),
            _ => {}
        }
    }
}

/// Whether a file has this path still.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    let (file, path) = (file.metadata().map(id), fs::metadata(path).map(id));
    file.is_ok() && file.ok() == path.ok()
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new/run");
        let lock = FolderLock::take(&folder).unwrap();
        let error = FolderLock::take(&folder).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("new/run: another process") && message.contains("hint: wait"), "{message}");
        assert_eq!(error.fault(), crate::error::Fault::Environment);
        drop(lock);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        // What a process that was killed left.
        fs::create_dir(folder.join("images")).unwrap();
        for name in [LOCK, ".hawk-a1B2c3", "images/.hawk-a1B2c3", "images/.hawk-kept"] {
            fs::write(folder.join(name), "").unwrap();
        }
        drop(FolderLock::take(&folder).unwrap());
        let names = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!((names(&folder), names(&folder.join("images"))), (vec!["images".into()], vec![".hawk-kept".into()]));
        fs::write(folder.join("file"), "").unwrap();
        FolderLock::take(&folder.join("file")).unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn the_file_of_another_lock_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = FolderLock::take(dir.path()).unwrap();
        fs::remove_file(dir.path().join(LOCK)).unwrap();
        let second = FolderLock::take(dir.path()).unwrap();
        drop(first);
        FolderLock::take(dir.path()).unwrap_err();
        drop(second);
    }
}
