//! A revision of a repository into the cache: files that are there are kept, interrupted downloads resume.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hawk_files::{Error, Result};

use crate::client::{Client, length, partial};
use crate::event::Event;
use crate::listing::Sibling;
use crate::repository::Repository;
use crate::settings::Settings;

/// Endings of weights as pickles. They are pulled only into folders without safetensors.
const PICKLES: [&str; 4] = [".bin", ".pth", ".pt", ".ckpt"];
/// Endings of all other files that Hawk reads.
const OTHERS: [&str; 4] = [".json", ".yaml", ".model", ".txt"];

/// Pulls a revision into the cache and returns the folder of its files. Files that are in the cache are not fetched
/// again.
///
/// It takes configs, tokenizers, and weights: safetensors, else pickles. It compares the size of every file with the
/// hub's list, and the SHA-256 of large ones. Offline, it returns what was pulled before.
///
/// # Errors
/// [`Fault::Environment`](hawk_files::Fault::Environment): no connection, a gated repository, a hub's answer that is
/// invalid, a file that arrived damaged, a cache that cannot be written, offline without a copy.
/// [`Fault::Input`](hawk_files::Fault::Input): no such repository or revision, or one without files of a model.
pub fn pull(repository: &Repository, settings: &Settings, progress: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
    if settings.offline {
        return repository.pulled(settings).ok_or_else(|| {
            Error::environment("the network is off, and the repository was not pulled before")
                .at(repository)
                .hint("unset HF_HUB_OFFLINE, or copy the cache from a machine that has it")
        });
    }
    let client = Client::new(repository, settings);
    let listing = client.listing()?;
    let commit = listing.sha.as_str();
    let folder = repository.folder(&settings.cache);
    let (blobs, snapshot) = (folder.join("blobs"), folder.join("snapshots").join(commit));
    for dir in [&blobs, &snapshot] {
        fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
    }
    let files = wanted(&listing.siblings);
    if files.is_empty() {
        return Err(Error::input("the repository holds no files of a model").at(repository));
    }
    for (number, file) in files.iter().enumerate() {
        let (blob, link) = (blobs.join(file.blob()?), snapshot.join(file.path()?));
        let (files, name, bytes) = (files.len(), file.rfilename.as_str(), file.bytes()?);
        let cached_bytes = if blob.is_file() { bytes } else { length(&partial(&blob)) };
        progress(Event::FileStarted { number: number + 1, files, name, bytes, cached_bytes });
        if !blob.is_file() {
            client.fetch(file, commit, &blob, progress)?;
        }
        link_to_blob(&link, &blob)?;
    }
    if repository.revision() != commit {
        write_whole(&folder.join("refs").join(repository.revision()), commit)?;
    }
    Ok(snapshot)
}

/// The files that a model is read from: configs, tokenizers, and weights, as pickles only in folders without safetensors.
fn wanted(all: &[Sibling]) -> Vec<&Sibling> {
    let safe = |name: &str| name.ends_with(".safetensors");
    let has_safe = |dir: &str| all.iter().any(|file| safe(&file.rfilename) && folder_of(&file.rfilename) == dir);
    let keep = |name: &str| {
        let pickle = PICKLES.iter().any(|ending| name.ends_with(ending)) || name.ends_with(".bin.index.json");
        let hidden = name.split('/').any(|part| part.starts_with('.'));
        let weights = if pickle { !has_safe(folder_of(name)) } else { safe(name) };
        !hidden && (weights || !pickle && OTHERS.iter().any(|ending| name.ends_with(ending)))
    };
    all.iter().filter(|file| keep(&file.rfilename)).collect()
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Makes a file of the snapshot: a symbolic link to its content where the system has them, else a hard link or a copy.
fn link_to_blob(link: &Path, blob: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("link the file", link, &e);
    if link.exists() {
        return Ok(());
    }
    let dir = link.parent().unwrap_or(link);
    fs::create_dir_all(dir).map_err(failed)?;
    // A link whose blob was deleted by hand.
    let _ = fs::remove_file(link);
    #[cfg(unix)]
    {
        let depth = link.components().rev().position(|part| part.as_os_str() == "snapshots").unwrap_or(0);
        let mut target: PathBuf = std::iter::repeat_n("..", depth).collect();
        target.extend(["blobs".as_ref(), blob.file_name().unwrap_or_default()]);
        std::os::unix::fs::symlink(target, link).map_err(failed)
    }
    #[cfg(not(unix))]
    fs::hard_link(blob, link).or_else(|_| fs::copy(blob, link).map(drop)).map_err(failed)
}

/// Writes a small file whole or not at all.
fn write_whole(path: &Path, content: &str) -> Result<()> {
    let dir = path.parent().unwrap_or(path);
    let mut builder = tempfile::Builder::new();
    // Users may share a cache.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let write = || {
        fs::create_dir_all(dir)?;
        let mut file = builder.tempfile_in(dir)?;
        file.write_all(content.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)
    };
    write().map(drop).map_err(|e| Error::io("write the file", path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_wanted_once_and_pages_not_at_all() {
        let sibling = |name: &&str| Sibling { rfilename: (*name).to_owned(), size: None, blob: None, lfs: None };
        let names = [
            "config.json",
            "README.md",
            "a.bin",
            "a.safetensors",
            ".gitattributes",
            "vq/vqgan.ckpt",
            "vq/vqgan.yaml",
            "onnx/x.onnx",
            "pytorch_model.bin.index.json",
        ];
        let all: Vec<Sibling> = names.iter().map(sibling).collect();
        let kept: Vec<&str> = wanted(&all).into_iter().map(|file| file.rfilename.as_str()).collect();
        assert_eq!(kept, ["config.json", "a.safetensors", "vq/vqgan.ckpt", "vq/vqgan.yaml"]);
    }
}
