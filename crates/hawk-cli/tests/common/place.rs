//! The program in a folder of its own. Each test file adds what it asks of it.

use std::path::PathBuf;

use assert_cmd::Command;

pub(crate) struct Place(pub(crate) tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `hawk`, in the folder. What it learns about this machine it keeps nowhere.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::cargo_bin("hawk").unwrap();
        command.current_dir(&self.0).env("XDG_CACHE_HOME", "/dev/null");
        command
    }
}
