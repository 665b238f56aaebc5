//! A hub of the tests: it speaks just enough HTTP, and the name of a repository says how it misbehaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

#[path = "manners.rs"]
mod manners;
use manners::{Body, Length, Manner, Ranges, Reply};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The file that the hub has elsewhere, as large files are.
const STORED: &str = "model.safetensors";
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(600);

/// Name and content of a file.
pub(crate) type File = (&'static str, Vec<u8>);

/// A request as the hub saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

/// What the hub has seen and sent.
#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    /// Bytes of contents.
    sent: usize,
}

/// A hub whose repositories all have the same files.
pub(crate) struct Hub {
    pub(crate) endpoint: String,
    log: Arc<Mutex<Log>>,
}

impl Hub {
    pub(crate) fn new(files: Vec<File>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::<Mutex<Log>>::default();
        let (files, shared) = (Arc::new(files), Arc::clone(&log));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (files, log) = (Arc::clone(&files), Arc::clone(&shared));
                std::thread::spawn(move || answer(stream, &files, &log));
            }
        });
        Self { endpoint, log }
    }

    /// The requests whose path contains `part`.
    pub(crate) fn seen(&self, part: &str) -> Vec<Seen> {
        self.log.lock().unwrap().seen.iter().filter(|seen| seen.path.contains(part)).cloned().collect()
    }

    /// The bytes of contents that were sent so far.
    #[allow(dead_code)]
    pub(crate) fn sent(&self) -> usize {
        self.log.lock().unwrap().sent
    }
}

/// The id of a file's content in git.
fn git_id(content: &[u8]) -> String {
    let digest = Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content);
    hawk_files::hex(&digest.finalize())
}

fn listing(repository: &str, files: &[File]) -> String {
    let sibling = |(name, content): &File| {
        let (mut sha256, mut id) = (hawk_files::hex(&Sha256::digest(content)), git_id(content));
        let (mut size, mut lfs_size, mut listed) = (content.len() as u64, content.len() as u64, *name);
        match (repository, *name) {
            ("damaged", "hawk.json") => id = "0".repeat(40),
            ("damaged-large", STORED) => sha256 = "0".repeat(64),
            ("leaving", "hawk.json") => listed = "../../hawk.json",
            ("contradicting", STORED) => size += 1,
            ("endless", STORED) => (size, lfs_size) = (u64::MAX, u64::MAX),
            ("longer", STORED) => (size, lfs_size) = (size + 1, size + 1),
            _ => {}
        }
        let sibling = json!({ "rfilename": listed, "size": size, "blobId": id });
        if !name.ends_with(".safetensors") {
            return sibling;
        }
        let lfs = json!({ "sha256": sha256, "size": lfs_size, "pointerSize": 130 });
        json!({ "rfilename": listed, "size": size, "blobId": id, "lfs": lfs })
    };
    json!({ "sha": COMMIT, "siblings": files.iter().map(sibling).collect::<Vec<_>>() }).to_string()
}

/// Reads a line byte by byte, so that the rest stays in the socket.
fn line(stream: &mut TcpStream) -> Option<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        line.extend(byte);
    }
    Some(String::from_utf8(line).ok()?.trim_end().to_owned()).filter(|line| !line.is_empty())
}

fn answer(mut stream: TcpStream, files: &[File], log: &Mutex<Log>) {
    let Some(first) = line(&mut stream) else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    // A proxy is asked for a connection, and lets the client go on as if it were the hub.
    if first.starts_with("CONNECT ") {
        while line(&mut stream).is_some() {}
        log.lock().unwrap().seen.push(Seen { path: first, range: None, authorization: None });
        if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok() {
            answer(stream, files, log);
        }
        return;
    }
    let before = log.lock().unwrap().seen.iter().filter(|seen| seen.path == path).count();
    let stored = path.starts_with("/store/");
    let whole = path.trim_start_matches("/api/models").trim_start_matches("/test/").trim_start_matches("/store/");
    let (repository, rest) = whole.split_once('/').unwrap_or((whole, ""));
    let wanted = manners::Request { repository, listing: rest.starts_with("revision/"), stored, before };
    let manner = manners::of(&wanted);
    // A socket that is closed before everything was read is reset.
    let unread = matches!(manner.reply, Reply::Content(Body::Reset(_)));
    let headers = if unread { Vec::new() } else { read_headers(&stream) };
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (range, authorization) = (header("range"), header("authorization"));
    log.lock().unwrap().seen.push(Seen { path: path.clone(), range: range.clone(), authorization });
    std::thread::sleep(manner.delay);
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let mut out = Out { stream, log };
    match manner.reply {
        Reply::Silence => std::thread::sleep(FOR_EVER),
        Reply::Status(status, headers) => out.head(status, headers, Some(0)),
        Reply::Page(page) => {
            out.head("200 OK", "", Some(page.len()));
            out.body(page.as_bytes());
        }
        Reply::Content(_) if wanted.listing && rest.starts_with("revision/gone") => {
            out.head("404 Not Found", "X-Error-Code: RevisionNotFound\r\n", Some(0));
        }
        Reply::Content(_) if wanted.listing => {
            let list = listing(repository, files);
            out.head("200 OK", "", Some(list.len()));
            out.body(list.as_bytes());
        }
        Reply::Content(_) if repository == "circle" => {
            out.head("302 Found", &format!("Location: {path}\r\n"), Some(0));
        }
        Reply::Content(_) if !stored && rest.ends_with(&format!("/{STORED}")) && !rest.contains("vq/") => {
            out.head("302 Found", &format!("Location: /store/{repository}/{STORED}\r\n"), Some(0));
        }
        Reply::Content(_) => {
            let name = rest.strip_prefix(&format!("resolve/{COMMIT}/")).unwrap_or(STORED);
            let content = &files.iter().find(|(known, _)| *known == name).unwrap().1;
            out.content(&manner, content, from);
        }
    }
}

/// Names in lower case, and values.
fn read_headers(stream: &TcpStream) -> Vec<(String, String)> {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let header = |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    lines.take_while(|line| !line.is_empty()).filter_map(header).collect()
}

/// The way to a client. What it does not take any more is lost.
struct Out<'a> {
    stream: TcpStream,
    log: &'a Mutex<Log>,
}

impl Out<'_> {
    fn head(&mut self, status: &str, headers: &str, length: Option<usize>) {
        let length = length.map_or(String::new(), |length| format!("Content-Length: {length}\r\n"));
        let _ = self
            .stream
            .write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}{length}\r\n").as_bytes());
    }

    fn body(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Answers with a file.
    fn content(&mut self, manner: &Manner, content: &[u8], asked: usize) {
        let from = if manner.ranges == Ranges::Ignored { 0 } else { asked.min(content.len()) };
        // A server that sends another part than it was asked for.
        let (first, total) = match manner.ranges {
            Ranges::Shifted => (0, content.len()),
            Ranges::OtherFile => (from, content.len() + 1),
            _ => (from, content.len()),
        };
        let range = format!("Content-Range: bytes {first}-{}/{total}\r\n", content.len() - 1);
        let (status, range) = if from > 0 { ("206 Partial Content", range.as_str()) } else { ("200 OK", "") };
        let length = (manner.length == Length::Told).then_some(content.len() - from);
        self.head(status, range, length);
        let rest = &content[from..];
        let (sent, step, pause) = match manner.reply {
            Reply::Content(Body::Half) => (rest.len() / 2, rest.len(), Duration::ZERO),
            Reply::Content(Body::Cut(bytes) | Body::Stall(bytes) | Body::Reset(bytes)) => {
                (bytes.min(rest.len()), rest.len(), Duration::ZERO)
            }
            Reply::Content(Body::Slow(step, pause)) => (rest.len(), step, pause),
            _ => (rest.len(), rest.len(), Duration::ZERO),
        };
        for piece in rest[..sent].chunks(step.max(1)) {
            if self.stream.write_all(piece).is_err() {
                return;
            }
            self.log.lock().unwrap().sent += piece.len();
            std::thread::sleep(pause);
        }
        if manner.length == Length::Exceeded {
            self.body(b"more");
        }
        if matches!(manner.reply, Reply::Content(Body::Stall(_))) {
            std::thread::sleep(FOR_EVER);
        }
    }
}
