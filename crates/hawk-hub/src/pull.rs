//! A revision of a repository into the cache: files that are there are kept, interrupted downloads resume.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hawk_files::{Error, Result};

use crate::client::Client;
use crate::digest::{is_whole, length};
use crate::download::{Target, fetch, partial, shared};
use crate::event::Event;
use crate::listing::Sibling;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::settings::Settings;
use crate::snapshot::{PICKLES, SAFE, link_to_blob};

/// Endings of all other files that Hawk reads.
const OTHERS: [&str; 4] = [".json", ".yaml", ".model", ".txt"];

/// Pulls a revision into the cache and returns the folder of its files. Files that are in the cache are not fetched
/// again, and a cache that has everything is only read.
///
/// It takes configs, tokenizers, and weights: safetensors, else pickles. It compares the size of every file with the
/// hub's list, also of those that are there, the SHA-256 of large ones that it fetches, and the git blob id of small
/// ones. Several processes may pull into one cache at once. Offline, it returns what was pulled before.
///
/// # Errors
/// [`Fault::Environment`](hawk_files::Fault::Environment): no connection, a gated repository, a hub's answer that is
/// invalid, a file that arrived damaged, a cache that cannot be written, offline without a copy.
/// [`Fault::Input`](hawk_files::Fault::Input): no such repository or revision, or one without files of a model.
pub fn pull(repository: &Repository, settings: &Settings, progress: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
    if settings.offline {
        let found = repository.whole(&settings.cache)?;
        return found.ok_or_else(|| {
            Error::environment("the network is off, and the repository was not pulled before")
                .at(repository)
                .hint("unset HF_HUB_OFFLINE, or copy the cache from a machine that has it")
        });
    }
    let client = Client::new(repository, settings);
    let listing = client.listing(progress)?;
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
    let locks = repository.folder(&settings.cache.join(".locks"));
    for (number, file) in files.iter().enumerate() {
        let (blob, link) = (blobs.join(file.blob()?), snapshot.join(file.path()?));
        let (files, name, bytes) = (files.len(), file.rfilename.as_str(), file.bytes()?);
        // Where there are no symbolic links, a program may have put the file itself there.
        let there = is_whole(file, &blob)?;
        let itself = !there && !link.is_symlink() && is_whole(file, &link)?;
        let cached_bytes = if there || itself { bytes } else { length(&partial(&blob)).min(bytes) };
        progress(Event::FileStarted { number: number + 1, files, name, bytes, cached_bytes });
        if itself {
            continue;
        }
        if !there {
            let lock = locks.join(format!("{}.lock", file.blob()?));
            let lock = Lock::wait(&lock, &mut || progress(Event::WaitingForAnother { name }))?;
            // Another process may have fetched it in the meantime.
            if !is_whole(file, &blob)? {
                let address = client.file(name, commit);
                fetch(&client, &Target { file, address: &address, blob: &blob }, &lock, progress)?;
            }
        }
        link_to_blob(&link, &blob)?;
    }
    if repository.revision() != commit {
        let path = folder.join("refs").join(repository.revision());
        if repository.commit(&settings.cache).as_deref() != Some(commit) {
            write_whole(&path, commit)?;
        }
    }
    Ok(snapshot)
}

/// The files that a model is read from: configs, tokenizers, and weights, as pickles only in folders without safetensors.
/// Weights come last: a snapshot that has them has the rest.
fn wanted(all: &[Sibling]) -> Vec<&Sibling> {
    let safe = |name: &str| name.ends_with(SAFE);
    let has_safe = |dir: &str| all.iter().any(|file| safe(&file.rfilename) && folder_of(&file.rfilename) == dir);
    let keep = |name: &str| {
        let pickle = PICKLES.iter().any(|ending| name.ends_with(ending)) || name.ends_with(".bin.index.json");
        let hidden = name.split('/').any(|part| part.starts_with('.'));
        let weights = if pickle { !has_safe(folder_of(name)) } else { safe(name) };
        !hidden && (weights || !pickle && OTHERS.iter().any(|ending| name.ends_with(ending)))
    };
    let mut kept: Vec<&Sibling> = all.iter().filter(|file| keep(&file.rfilename)).collect();
    kept.sort_by_key(|file| safe(&file.rfilename) || PICKLES.iter().any(|ending| file.rfilename.ends_with(ending)));
    kept
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Writes a small file whole or not at all.
fn write_whole(path: &Path, content: &str) -> Result<()> {
    let dir = path.parent().unwrap_or(path);
    let write = || {
        fs::create_dir_all(dir)?;
        let mut file = shared(&mut tempfile::Builder::new()).tempfile_in(dir)?;
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
        assert_eq!(kept, ["config.json", "vq/vqgan.yaml", "a.safetensors", "vq/vqgan.ckpt"]);
    }
}
