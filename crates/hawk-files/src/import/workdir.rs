//! New folders that appear complete or not at all. Unfinished work stays in a hidden folder beside
//! them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::atomic;
use crate::error::{Error, Result};

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

/// The hidden folder beside `out` for unfinished work. Its content is kept if it was made by the
/// same plan, else removed.
pub fn work_folder(out: &Path, doing: &str, plan: &Value) -> Result<PathBuf> {
    let name = out.file_name().ok_or_else(|| Error::input("not a name for a folder").at(out.display()))?;
    let work = out.with_file_name(format!(".{}.{doing}", name.to_string_lossy()));
    let failed = |e: std::io::Error| Error::io("make the folder", &work, &e);
    let same = fs::read(work.join(PLAN)).ok().and_then(|old| serde_json::from_slice::<Value>(&old).ok());
    if same.as_ref() != Some(plan) {
        if work.exists() {
            fs::remove_dir_all(&work).map_err(failed)?;
        }
        fs::create_dir_all(&work).map_err(failed)?;
        atomic::write(&work.join(PLAN), plan.to_string().as_bytes())?;
    }
    Ok(work)
}

/// Puts finished work in place.
pub fn finish(work: &Path, out: &Path) -> Result<()> {
    fs::remove_file(work.join(PLAN)).map_err(|e| Error::io("finish the folder", work, &e))?;
    // An empty folder of that name may be there.
    let _ = fs::remove_dir(out);
    fs::rename(work, out).map_err(|e| Error::io("put the new folder in place", out, &e))
}
