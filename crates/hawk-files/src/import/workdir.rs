//! New folders that appear complete or not at all. Unfinished work stays in a hidden folder beside
//! them.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::atomic;
use crate::error::{Error, Result};
use crate::lock::FolderLock;

/// What unfinished work is of.
const PLAN: &str = "plan.json";

/// Refuses a folder that there is something in.
pub fn check_new_folder(out: &Path) -> Result<()> {
    let empty = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if !out.exists() || empty {
        return Ok(());
    }
    Err(Error::input("there is something already")
        .at(out.display())
        .expected("the name of a new folder")
        .hint("nothing is overwritten; remove it or choose another name"))
}

/// A hidden folder of unfinished work, which no other process works on.
#[derive(Debug)]
pub struct WorkFolder {
    dir: PathBuf,
    lock: FolderLock,
}

impl Deref for WorkFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.dir
    }
}

/// The hidden folder beside `out` for unfinished work. Its content is kept if it was made by the
/// same plan, else removed.
///
/// # Errors
/// Another process works on the folder, or it cannot be written.
pub fn work_folder(out: &Path, doing: &str, plan: &Value) -> Result<WorkFolder> {
    let name = out.file_name().ok_or_else(|| Error::input("not a name for a folder").at(out.display()))?;
    let work = out.with_file_name(format!(".{}.{doing}", name.to_string_lossy()));
    let failed = |e: std::io::Error| Error::io("make the folder", &work, &e);
    let lock = FolderLock::take_for(&work, out)?;
    let same = fs::read(work.join(PLAN)).ok().and_then(|old| serde_json::from_slice::<Value>(&old).ok());
    if same.as_ref() != Some(plan) {
        for entry in fs::read_dir(&work).map_err(failed)? {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path())).map_err(failed)?;
            if lock.is(&path) {
                continue;
            }
            let is_dir = entry.map_err(failed)?.is_dir();
            if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.map_err(failed)?;
        }
        atomic::write(&work.join(PLAN), plan.to_string().as_bytes())?;
    }
    Ok(WorkFolder { dir: work, lock })
}

/// Puts finished work in place.
///
/// # Errors
/// There is something at `out` by now, or the folder above cannot be written.
pub fn finish(work: WorkFolder, out: &Path) -> Result<()> {
    let WorkFolder { dir: work, mut lock } = work;
    fs::remove_file(work.join(PLAN)).map_err(|e| Error::io("finish the folder", &work, &e))?;
    // An empty folder of that name may be there.
    let _ = fs::remove_dir(out);
    fs::rename(&work, out).map_err(|e| Error::io("put the new folder in place", out, &e))?;
    // The lock holds until here: another process would take the folder without its plan for its own.
    lock.moved(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_process_at_a_time_works_on_a_folder_and_the_next_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("model");
        let (first, second) = (json!({ "seed": 1 }), json!({ "seed": 2 }));
        let work = work_folder(&out, "synth", &first).unwrap();
        fs::write(work.join("half"), "half").unwrap();
        for plan in [&first, &second] {
            let error = work_folder(&out, "synth", plan).unwrap_err();
            assert!(error.to_string().contains("another process"), "{error}");
        }
        drop(work);
        let work = work_folder(&out, "synth", &first).unwrap();
        assert_eq!(fs::read_to_string(work.join("half")).unwrap(), "half");
        drop(work);
        let work = work_folder(&out, "synth", &second).unwrap();
        assert!(!work.join("half").exists());
        fs::write(work.join("whole"), "whole").unwrap();
        finish(work, &out).unwrap();
        let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["whole"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
