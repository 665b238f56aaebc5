//! Fetching the files of a repository: what is there is kept, what was broken off goes on, what arrives is compared with its digest.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawk::{Error, Result};
use sha2::{Digest, Sha256};

use super::listing::{Listing, Sibling, begins_at};
use super::{Repository, Settings};

/// Seconds until a server must have answered.
const ANSWER_SECONDS: u64 = 30;
/// Attempts for one file before it is given up; each goes on where the one before broke off.
const ATTEMPTS: usize = 5;
/// Largest list of files that is read.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Endings of weights as pickles; not fetched where there are safetensors.
const PICKLES: [&str; 4] = [".bin", ".pth", ".pt", ".ckpt"];
/// Endings of all other files that Hawk reads.
const OTHERS: [&str; 4] = [".json", ".yaml", ".model", ".txt"];

/// What a pull does.
pub(crate) enum Event<'a> {
    /// A file begins: its number, how many there are, its name and bytes, and how many of them are there already.
    File { number: usize, files: usize, name: &'a str, bytes: u64, there: u64 },
    /// So many more bytes have arrived.
    Bytes(u64),
    /// An attempt broke off; the next one goes on.
    Again(&'a str),
}

/// Brings a repository into the cache; returns the folder of its files. What is there is not fetched again.
pub(crate) fn pull(repository: &Repository, settings: &Settings, hear: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
    if settings.offline {
        return repository.pulled(settings).ok_or_else(|| {
            Error::environment("the network is not to be used, and the repository was not pulled before")
                .at(repository)
                .hint("unset HF_HUB_OFFLINE, or copy the cache from a machine that has it")
        });
    }
    let hub = Hub::new(repository, settings);
    let listing = hub.listing()?;
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
        let (blob, pointer) = (blobs.join(file.blob()?), snapshot.join(file.path()?));
        let (files, name, bytes) = (files.len(), file.rfilename.as_str(), file.bytes()?);
        let there = if blob.is_file() { bytes } else { length(&incomplete(&blob)) };
        hear(Event::File { number: number + 1, files, name, bytes, there });
        if !blob.is_file() {
            hub.fetch(file, commit, &blob, hear)?;
        }
        point(&pointer, &blob)?;
    }
    let reference = folder.join("refs").join(&repository.revision);
    if repository.revision != commit {
        if let Some(dir) = reference.parent() {
            fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
        }
        crate::files::write(&reference, commit.as_bytes())?;
    }
    Ok(snapshot)
}

/// The files that a model is read from: configs, tokenizers, and weights as safetensors where there are any, else as pickles.
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

fn incomplete(blob: &Path) -> PathBuf {
    blob.with_extension("incomplete")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Makes a name in the snapshot for a content, as a link where links are known.
fn point(pointer: &Path, blob: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("name the file", pointer, &e);
    if pointer.exists() {
        return Ok(());
    }
    let dir = pointer.parent().unwrap_or(pointer);
    fs::create_dir_all(dir).map_err(failed)?;
    // A link whose content was deleted by hand.
    let _ = fs::remove_file(pointer);
    #[cfg(unix)]
    {
        let depth = pointer.components().rev().position(|part| part.as_os_str() == "snapshots").unwrap_or(0);
        let mut target: PathBuf = std::iter::repeat_n("..", depth).collect();
        target.extend(["blobs".as_ref(), blob.file_name().unwrap_or_default()]);
        std::os::unix::fs::symlink(target, pointer).map_err(failed)
    }
    #[cfg(not(unix))]
    fs::hard_link(blob, pointer).or_else(|_| fs::copy(blob, pointer).map(drop)).map_err(failed)
}

struct Hub<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    agent: ureq::Agent,
}

/// How an attempt at a file ended.
enum Attempt {
    Done,
    /// The connection broke; what arrived is kept.
    Broken(String),
}

impl<'a> Hub<'a> {
    fn new(repository: &'a Repository, settings: &'a Settings) -> Self {
        let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
        let answer = Some(Duration::from_secs(ANSWER_SECONDS));
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(answer)
            .timeout_recv_response(answer)
            // The refusals of the hub say why in their headers.
            .http_status_as_error(false)
            // A token is for the hub and not for the stores that it sends us to.
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .user_agent(concat!("hawk/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { repository, settings, agent: config.new_agent() }
    }

    fn get(&self, address: &str, from: u64) -> std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = self.agent.get(address);
        if let Some(token) = &self.settings.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        request.call()
    }

    fn listing(&self) -> Result<Listing> {
        let Repository { name, revision } = self.repository;
        let address = format!(
            "{}/api/models/{name}/revision/{}?blobs=true",
            self.settings.endpoint,
            revision.replace('/', "%2F")
        );
        let answer = self.get(&address, 0).map_err(|e| self.unreachable(&e.to_string()))?;
        if !answer.status().is_success() {
            return Err(self.refusal(&answer));
        }
        let mut bytes = Vec::new();
        let mut body = answer.into_body().into_reader().take(MAX_LIST_BYTES);
        body.read_to_end(&mut bytes).map_err(|e| self.unreachable(&e.to_string()))?;
        Listing::from_json(&bytes).map_err(|e| e.at(address))
    }

    /// Fetches a file into its blob.
    fn fetch(&self, file: &Sibling, commit: &str, blob: &Path, hear: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let name: Vec<String> = file.rfilename.split('/').map(encoded).collect();
        let address =
            format!("{}/{}/resolve/{commit}/{}", self.settings.endpoint, self.repository.name, name.join("/"));
        let part = incomplete(blob);
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(file, &address, &part, hear)? {
                Attempt::Done => {
                    verify(file, &part)?;
                    return fs::rename(&part, blob).map_err(|e| Error::io("put the file in place", blob, &e));
                }
                Attempt::Broken(why) => {
                    hear(Event::Again(&why));
                    failure = why;
                }
            }
        }
        Err(self.unreachable(&failure).hint("the same command again goes on where this one stopped"))
    }

    fn attempt(&self, file: &Sibling, address: &str, part: &Path, hear: &mut dyn FnMut(Event<'_>)) -> Result<Attempt> {
        let failed = |e: std::io::Error| Error::io("write the file", part, &e);
        let mut out = File::options().create(true).truncate(false).write(true).open(part).map_err(failed)?;
        let (mut there, bytes) = (length(part), file.bytes()?);
        if there > bytes {
            out.set_len(0).map_err(failed)?;
            there = 0;
        }
        if there == bytes && there > 0 {
            return Ok(Attempt::Done);
        }
        let answer = match self.get(address, there) {
            Ok(answer) => answer,
            Err(e) => return Ok(Attempt::Broken(e.to_string())),
        };
        match answer.status().as_u16() {
            206 if there > 0 => {
                let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok());
                if !begins_at(range, there) {
                    // What is there may be from such an answer, too.
                    out.set_len(0).map_err(failed)?;
                    return Ok(Attempt::Broken(format!("the server sends {range:?} and not from byte {there}")));
                }
            }
            // The server knows no ranges: from the beginning.
            200 => {
                out.set_len(0).map_err(failed)?;
                there = 0;
            }
            status @ 500.. => return Ok(Attempt::Broken(format!("the server answers {status}"))),
            _ => return Err(self.refusal(&answer).at(&file.rfilename)),
        }
        out.seek(SeekFrom::Start(there)).map_err(failed)?;
        // One byte more than announced is enough to be refused.
        let mut body = answer.into_body().into_reader().take(bytes - there + 1);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    out.write_all(&buffer[..read]).map_err(failed)?;
                    hear(Event::Bytes(read as u64));
                }
                Err(e) => return Ok(Attempt::Broken(e.to_string())),
            }
        }
        out.sync_all().map_err(failed)?;
        let arrived = length(part);
        if arrived < bytes {
            return Ok(Attempt::Broken(format!("the connection ended after {arrived} of {bytes} bytes")));
        }
        Ok(Attempt::Done)
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::environment(format!("the hub cannot be reached: {why}"))
            .at(&self.settings.endpoint)
            .hint("HF_ENDPOINT names another hub; HF_HUB_OFFLINE=1 uses what was pulled before")
    }

    /// What a status other than success means; the hub's own word for it stands in a header.
    fn refusal(&self, answer: &ureq::http::Response<ureq::Body>) -> Error {
        let reason = answer.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let (repository, endpoint) = (self.repository, &self.settings.endpoint);
        let page = format!("{endpoint}/{}", repository.name);
        let login = if self.settings.token.is_some() {
            "with the account of your token"
        } else {
            "and set HF_TOKEN to a token of your account"
        };
        match (answer.status().as_u16(), reason) {
            (401 | 403, "GatedRepo") | (403, _) => {
                Error::environment("the repository is gated: its owner wants its terms accepted first")
                    .at(repository)
                    .hint(format!("accept them at {page} {login}"))
            }
            (404, "RevisionNotFound") => {
                Error::input("the repository has no such revision").at(repository).got(&repository.revision)
            }
            (401 | 404, _) => Error::input("there is no such repository, or it is private")
                .at(repository)
                .hint(format!("look at {page}; for a private one set HF_TOKEN to a token of your account")),
            (status, _) => Error::environment(format!("the hub answers {status}")).at(&page),
        }
    }
}

/// Compares a whole file with what the list said of it.
fn verify(file: &Sibling, part: &Path) -> Result<()> {
    let damaged = |expected: &str, got: &str| {
        let _ = fs::remove_file(part);
        let error = Error::environment("a file arrived damaged and was thrown away").at(&file.rfilename);
        Err(error.expected(expected).got(got).hint("the same command again fetches it anew"))
    };
    let (bytes, expected) = (length(part), file.bytes()?);
    if bytes != expected {
        return damaged(&format!("{expected} bytes"), &bytes.to_string());
    }
    let Some(lfs) = &file.lfs else { return Ok(()) };
    let failed = |e: std::io::Error| Error::io("read the file again", part, &e);
    let (mut sha, mut content) = (Sha256::new(), File::open(part).map_err(failed)?);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match content.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => sha.update(&buffer[..read]),
        }
    }
    let got = hawk_nn::hex(&sha.finalize());
    if got.eq_ignore_ascii_case(&lfs.sha256) { Ok(()) } else { damaged(&lfs.sha256, &got) }
}

/// A part of an address with everything but plain letters as `%XX`.
fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
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
