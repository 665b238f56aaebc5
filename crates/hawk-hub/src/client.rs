//! The hub's HTTP interface: a revision's list of files, and the files themselves.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawk_files::{Error, Result};
use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::listing::{Listing, Sibling, begins_at};
use crate::repository::Repository;
use crate::settings::Settings;

/// Seconds until a server must have answered.
const ANSWER_SECONDS: u64 = 30;
/// Attempts at one file. Each resumes where the one before stopped.
const ATTEMPTS: usize = 5;
/// The largest list of files that is read.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// The file of an unfinished download.
pub(crate) fn partial(blob: &Path) -> PathBuf {
    blob.with_extension("incomplete")
}

/// The bytes of a file, 0 where there is none.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

pub(crate) struct Client<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    agent: ureq::Agent,
}

/// How an attempt at a file ended.
enum Attempt {
    Done,
    /// It failed for this reason; what arrived is kept.
    Interrupted(String),
}

impl<'a> Client<'a> {
    pub(crate) fn new(repository: &'a Repository, settings: &'a Settings) -> Self {
        let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
        let answer = Some(Duration::from_secs(ANSWER_SECONDS));
        let proxy = if is_local(&settings.endpoint) { None } else { ureq::Proxy::try_from_env() };
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .timeout_connect(answer)
            .timeout_recv_response(answer)
            // The hub gives the reason of a refusal in a header.
            .http_status_as_error(false)
            // A token is for the hub and not for the stores that it redirects to.
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

    /// The files of the revision.
    pub(crate) fn listing(&self) -> Result<Listing> {
        let (name, revision) = (self.repository.name(), self.repository.revision().replace('/', "%2F"));
        let address = format!("{}/api/models/{name}/revision/{revision}?blobs=true", self.settings.endpoint);
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
    pub(crate) fn fetch(
        &self,
        file: &Sibling,
        commit: &str,
        blob: &Path,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let name: Vec<String> = file.rfilename.split('/').map(percent_encoded).collect();
        let address =
            format!("{}/{}/resolve/{commit}/{}", self.settings.endpoint, self.repository.name(), name.join("/"));
        let part = partial(blob);
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(file, &address, &part, progress)? {
                Attempt::Done => {
                    verify(file, &part)?;
                    return fs::rename(&part, blob).map_err(|e| Error::io("put the file in place", blob, &e));
                }
                Attempt::Interrupted(why) => {
                    progress(Event::Retrying(&why));
                    failure = why;
                }
            }
        }
        Err(self.unreachable(&failure).hint("the same command resumes"))
    }

    fn attempt(
        &self,
        file: &Sibling,
        address: &str,
        part: &Path,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Attempt> {
        let failed = |e: std::io::Error| Error::io("write the file", part, &e);
        let mut out = File::options().create(true).truncate(false).write(true).open(part).map_err(failed)?;
        let (mut from, bytes) = (length(part), file.bytes()?);
        if from > bytes {
            out.set_len(0).map_err(failed)?;
            from = 0;
        }
        if from == bytes && from > 0 {
            return Ok(Attempt::Done);
        }
        let answer = match self.get(address, from) {
            Ok(answer) => answer,
            Err(e) => return Ok(Attempt::Interrupted(e.to_string())),
        };
        match answer.status().as_u16() {
            206 if from > 0 => {
                let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok());
                if !begins_at(range, from) {
                    // The bytes that are there may come from such an answer, too.
                    out.set_len(0).map_err(failed)?;
                    return Ok(Attempt::Interrupted(format!("the server sent {range:?} instead of byte {from} on")));
                }
            }
            // The server knows no ranges: from the beginning.
            200 => {
                out.set_len(0).map_err(failed)?;
                from = 0;
            }
            status @ 500.. => return Ok(Attempt::Interrupted(format!("the server answered {status}"))),
            _ => return Err(self.refusal(&answer).at(&file.rfilename)),
        }
        out.seek(SeekFrom::Start(from)).map_err(failed)?;
        // One byte more than announced is enough to be refused.
        let mut body = answer.into_body().into_reader().take(bytes - from + 1);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    out.write_all(&buffer[..read]).map_err(failed)?;
                    progress(Event::BytesReceived(read as u64));
                }
                Err(e) => return Ok(Attempt::Interrupted(e.to_string())),
            }
        }
        out.sync_all().map_err(failed)?;
        let arrived = length(part);
        if arrived < bytes {
            return Ok(Attempt::Interrupted(format!("the connection ended after {arrived} of {bytes} bytes")));
        }
        Ok(Attempt::Done)
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::environment(format!("the hub cannot be reached: {why}"))
            .at(&self.settings.endpoint)
            .hint("HF_ENDPOINT names another hub; HF_HUB_OFFLINE=1 uses what was pulled before")
    }

    /// The error for a status other than success. A header holds the hub's own code.
    fn refusal(&self, answer: &ureq::http::Response<ureq::Body>) -> Error {
        let reason = answer.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let (repository, endpoint) = (self.repository, &self.settings.endpoint);
        let page = format!("{endpoint}/{}", repository.name());
        let login = if self.settings.token.is_some() {
            "with the account of your token"
        } else {
            "and set HF_TOKEN to a token of your account"
        };
        match (answer.status().as_u16(), reason) {
            (401 | 403, "GatedRepo") | (403, _) => {
                Error::environment("the repository is gated: its owner asks you to accept its terms")
                    .at(repository)
                    .hint(format!("accept them at {page} {login}"))
            }
            (404, "RevisionNotFound") => {
                Error::input("the repository has no such revision").at(repository).got(repository.revision())
            }
            (401 | 404, _) => Error::input("no such repository, or it is private")
                .at(repository)
                .hint(format!("look at {page}; for a private one set HF_TOKEN to a token of your account")),
            (status, _) => Error::environment(format!("the hub answered {status}")).at(&page),
        }
    }
}

/// Whether the hub is on this machine, where no proxy finds it.
fn is_local(endpoint: &str) -> bool {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    ["127.0.0.1", "[::1]", "localhost"]
        .iter()
        .any(|local| host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}

/// Compares a whole file with the size that the list gives, and a large one with its SHA-256.
fn verify(file: &Sibling, part: &Path) -> Result<()> {
    let damaged = |expected: &str, got: &str| {
        let _ = fs::remove_file(part);
        let error = Error::environment("a file arrived damaged and was deleted").at(&file.rfilename);
        Err(error.expected(expected).got(got).hint("the same command fetches it again"))
    };
    let (bytes, expected) = (length(part), file.bytes()?);
    if bytes != expected {
        return damaged(&format!("{expected} bytes"), &bytes.to_string());
    }
    let Some(lfs) = &file.lfs else { return Ok(()) };
    let failed = |e: std::io::Error| Error::io("read the file", part, &e);
    let (mut sha, mut content) = (Sha256::new(), File::open(part).map_err(failed)?);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match content.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => sha.update(&buffer[..read]),
        }
    }
    let got = hawk_files::hex(&sha.finalize());
    if got.eq_ignore_ascii_case(&lfs.sha256) { Ok(()) } else { damaged(&lfs.sha256, &got) }
}

/// A part of an address, every byte but letters, digits and `-_.~` as `%XX`.
fn percent_encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
