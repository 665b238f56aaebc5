//! The folder of a revision's files in the cache: links to blobs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use hawk_files::{Error, Result};
use serde::Deserialize;

use crate::digest::length;

/// Endings of weights as pickles. They are pulled only into folders without safetensors.
pub(crate) const PICKLES: [&str; 4] = [".bin", ".pth", ".pt", ".ckpt"];
/// The ending of other weights.
pub(crate) const SAFE: &str = ".safetensors";
/// The ending of a list of the files that weights are spread over.
const INDEX: &str = ".index.json";
/// The largest such list that is read.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// Folders inside each other that are looked into.
const MAX_DEPTH: usize = 8;

/// Makes a file of the snapshot: a symbolic link to its content where the file system has them, else a hard link or a
/// copy. A link that is right stays.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn link_to_blob(link: &Path, blob: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("link the file", link, &e);
    let right = match fs::read_link(link) {
        Ok(target) => target.file_name() == blob.file_name() && link.exists(),
        Err(_) => link.is_file() && length(link) == length(blob),
    };
    if right {
        return Ok(());
    }
    let dir = link.parent().unwrap_or(link);
    fs::create_dir_all(dir).map_err(failed)?;
    // In place at once, so that no other process sees the file missing.
    let made = tempfile::Builder::new().prefix(".hawk-").make_in(dir, |path| make_link(path, link, blob));
    made.map_err(failed)?.into_temp_path().persist(link).map_err(|e| failed(e.error))
}

/// Makes at `path` what belongs at `link`.
fn make_link(path: &Path, link: &Path, blob: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let depth = link.components().rev().position(|part| part.as_os_str() == "snapshots").unwrap_or(0);
        let mut target: PathBuf = std::iter::repeat_n("..", depth).collect();
        target.extend(["blobs".as_ref(), blob.file_name().unwrap_or_default()]);
        match std::os::unix::fs::symlink(target, path) {
            // Some file systems have no symbolic links.
            Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {}
            made => return made,
        }
    }
    let _ = link;
    match fs::hard_link(blob, path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(e),
        Err(_) => fs::copy(blob, path).map(drop),
        Ok(()) => Ok(()),
    }
}

/// What a snapshot lacks that every model has: another program fetched a part of it, or a pull was interrupted.
pub(crate) fn lack(snapshot: &Path) -> Option<String> {
    let mut files = BTreeMap::new();
    list(snapshot, String::new(), MAX_DEPTH, &mut files);
    if let Some((name, _)) = files.iter().find(|(_, there)| !**there) {
        return Some(format!("the content of {name}"));
    }
    for name in files.keys().filter(|name| name.ends_with(INDEX)) {
        let folder = name.rfind('/').map_or("", |at| &name[..=at]);
        let missing =
            parts(&snapshot.join(name)).into_iter().find(|part| !files.contains_key(&format!("{folder}{part}")));
        // Pickles are not pulled where safetensors are, and their index may be there all the same.
        let replaced = PICKLES.iter().any(|ending| name.ends_with(&format!("{ending}{INDEX}")))
            && files.keys().any(|file| file.starts_with(folder) && file.ends_with(SAFE));
        if let Some(missing) = missing.filter(|_| !replaced) {
            return Some(format!("{folder}{missing}, which {name} names"));
        }
    }
    let weights = |name: &String| name.ends_with(SAFE) || PICKLES.iter().any(|ending| name.ends_with(ending));
    if files.keys().any(weights) { None } else { Some("weights".to_owned()) }
}

/// The files below a folder with their paths in it, and whether their content is there.
fn list(dir: &Path, prefix: String, depth: usize, files: &mut BTreeMap<String, bool>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        if name.rsplit('/').next().is_some_and(|name| name.starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                list(&path, name + "/", depth - 1, files);
            }
        } else {
            files.insert(name, path.exists());
        }
    }
}

/// The files that an index names; none where it is no index.
fn parts(index: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(index).and_then(|file| file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes));
    let index = read.ok().and_then(|_| hawk_files::from_json::<Index>("an index", &bytes).ok());
    let mut parts: Vec<String> = index.into_iter().flat_map(|index| index.weight_map.into_values()).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_model_is_told_from_a_model() {
        let dir = tempfile::tempdir().unwrap();
        let lacks = |files: &[(&str, &str)]| {
            let snapshot = dir.path().join("x");
            let _ = fs::remove_dir_all(&snapshot);
            for (name, content) in files {
                let path = snapshot.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            lack(&snapshot)
        };
        let index = r#"{"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}"#;
        let config = ("config.json", "{}");
        assert_eq!(lacks(&[config]).as_deref(), Some("weights"));
        assert_eq!(lacks(&[config, ("model.safetensors", "")]), None);
        assert_eq!(lacks(&[("models/7b/params.json", "{}"), ("models/7b/consolidated.pth", "")]), None);
        let part = [("x/model.safetensors.index.json", index), ("x/a.safetensors", ""), ("b.safetensors", "")];
        assert_eq!(lacks(&part).as_deref(), Some("x/b.safetensors, which x/model.safetensors.index.json names"));
        let whole = [("model.safetensors.index.json", index), ("a.safetensors", ""), ("b.safetensors", "")];
        assert_eq!(lacks(&whole), None);
        let pickles = [("pytorch_model.bin.index.json", r#"{"weight_map": {"a": "a.bin"}}"#), ("m.safetensors", "")];
        assert_eq!(lacks(&pickles), None);
        assert_eq!(lacks(&[("broken.index.json", "{"), ("m.safetensors", "")]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_made_right_and_one_that_is_right_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (dir.path().join("blobs"), dir.path().join("snapshots/abc"));
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        let (blob, link) = (blobs.join("b1"), snapshot.join("vq/x.json"));
        fs::write(&blob, "right").unwrap();
        link_to_blob(&link, &blob).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("../../../blobs/b1"));
        assert_eq!(lack(&snapshot).as_deref(), Some("weights"));
        fs::remove_file(&blob).unwrap();
        assert_eq!(lack(&snapshot).as_deref(), Some("the content of vq/x.json"));
        fs::write(&blob, "right").unwrap();
        for wrong in ["../../../blobs/b2", "nowhere"] {
            fs::remove_file(&link).unwrap();
            std::os::unix::fs::symlink(wrong, &link).unwrap();
            link_to_blob(&link, &blob).unwrap();
            assert_eq!(fs::read_to_string(&link).unwrap(), "right");
        }
        // A program that knows no links put the file itself there.
        for (content, kept) in [("other", true), ("cut", false)] {
            fs::remove_file(&link).unwrap();
            fs::write(&link, content).unwrap();
            link_to_blob(&link, &blob).unwrap();
            assert_eq!(link.is_symlink(), !kept);
        }
        assert_eq!(fs::read_dir(link.parent().unwrap()).unwrap().count(), 1, "a temporary file is left");
    }
}
