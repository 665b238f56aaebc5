//! A lock per blob, so that two processes never write one file: `.locks/models--ORG--NAME/BLOB.lock` in the cache, as the
//! `huggingface_hub` package has it.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use hawk_files::{Error, Result};

/// Time between two looks at a lock that another process holds.
const LOOK: Duration = Duration::from_millis(200);

/// Permission to write a blob.
#[derive(Debug)]
pub(crate) enum Lock {
    /// No other process has the lock. It ends when this is dropped, or with the process, however that ends.
    Held { _file: File },
    /// The cache's file system has no locks: use a temporary file that no other process knows.
    Unavailable,
}

impl Lock {
    /// Waits for the lock at `path`. `waiting` is called once where another process holds it.
    ///
    /// # Errors
    /// The file of the lock cannot be made.
    pub(crate) fn wait(path: &Path, waiting: &mut dyn FnMut()) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io("make the lock of the file", path, &e);
        fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self::Held { _file: file }),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        waiting();
                        told = true;
                    }
                    std::thread::sleep(LOOK);
                }
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Interrupted => {}
                Err(TryLockError::Error(_)) => return Ok(Self::Unavailable),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.lock");
        let first = Lock::wait(&path, &mut || panic!("nobody has it")).unwrap();
        std::thread::scope(|scope| {
            let (send, told) = std::sync::mpsc::channel();
            let path = &path;
            let waiter = scope.spawn(move || Lock::wait(path, &mut || send.send(()).unwrap()).unwrap());
            told.recv().unwrap();
            drop(first);
            assert!(matches!(waiter.join().unwrap(), Lock::Held { .. }));
            assert!(told.recv().is_err(), "it is told once");
        });
    }
}
