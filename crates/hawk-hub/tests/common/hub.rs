//! A hub of the tests: a thread that speaks just enough HTTP. The name of a repository says how it misbehaves.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha2::{Digest, Sha256};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Name and content of a file.
pub(crate) type File = (&'static str, Vec<u8>);

/// A request as the hub saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

/// A hub whose repositories all have the same files.
pub(crate) struct Hub {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Hub {
    pub(crate) fn new(files: Vec<File>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let log = Arc::clone(&seen);
        // It ends with the test's process.
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &files, &log)));
        Self { endpoint, seen }
    }

    /// The requests whose path contains `part`.
    pub(crate) fn seen(&self, part: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.contains(part)).cloned().collect()
    }
}

fn listing(repository: &str, files: &[File]) -> String {
    let sibling = |(name, content): &File| {
        let mut sha256 = hawk_files::hex(&Sha256::digest(content));
        let (mut size, mut lfs_size) = (content.len() as u64, content.len() as u64);
        let mut listed = *name;
        if *name == "hawk.json" {
            match repository {
                "damaged" => sha256 = "0".repeat(64),
                "leaving" => listed = "../../hawk.json",
                "contradicting" => size += 1,
                "endless" => (size, lfs_size) = (u64::MAX, u64::MAX),
                "longer" => (size, lfs_size) = (size + 1, size + 1),
                _ => {}
            }
        }
        let lfs = json!({ "sha256": sha256, "size": lfs_size, "pointerSize": 130 });
        json!({ "rfilename": listed, "size": size, "blobId": "ab".repeat(20), "lfs": lfs })
    };
    json!({ "sha": COMMIT, "siblings": files.iter().map(sibling).collect::<Vec<_>>() }).to_string()
}

fn answer(mut stream: TcpStream, files: &[File], log: &Mutex<Vec<Seen>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (range, before) = (header("range"), log.lock().unwrap().iter().filter(|seen| seen.path == path).count());
    log.lock().unwrap().push(Seen { path: path.clone(), range: range.clone(), authorization: header("authorization") });
    let mut say = |status: &str, headers: &str, length: usize, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    };
    let whole = path.trim_start_matches("/api/models").trim_start_matches("/test/");
    let (repository, rest) = whole.split_once('/').unwrap_or((whole, ""));
    match (repository, rest) {
        ("gated", _) => say("401 Unauthorized", "X-Error-Code: GatedRepo\r\n", 0, b""),
        ("forbidden", _) => say("403 Forbidden", "", 0, b""),
        ("none", _) => say("401 Unauthorized", "X-Error-Code: RepoNotFound\r\n", 0, b""),
        (_, rest) if rest.starts_with("revision/gone") => {
            say("404 Not Found", "X-Error-Code: RevisionNotFound\r\n", 0, b"")
        }
        ("page", _) => say("200 OK", "", 6, b"<html>"),
        ("ill", _) => say("500 Internal Server Error", "", 0, b""),
        (repository, rest) if rest.starts_with("revision/") => {
            let body = listing(repository, files);
            say("200 OK", "", body.len(), body.as_bytes());
        }
        (repository, rest) => {
            let name = rest.strip_prefix(&format!("resolve/{COMMIT}/")).unwrap_or(rest);
            if repository == "circle" {
                return say("302 Found", &format!("Location: {path}\r\n"), 0, b"");
            }
            // As the real hub: large files are elsewhere.
            if name == "model.safetensors" && !path.starts_with("/store/") {
                return say("302 Found", &format!("Location: /store/{repository}/{name}\r\n"), 0, b"");
            }
            let name = name.rsplit_once("store/").map_or(name, |_| "model.safetensors");
            let name = if path.starts_with("/store/") { "model.safetensors" } else { name };
            let content = &files.iter().find(|(known, _)| *known == name).unwrap().1;
            let from: usize =
                range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
            let broken = (path.contains("broken") || path.contains("shifted") && before < 1)
                && name == "model.safetensors"
                && before < 2;
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let sent = if broken { (content.len() - from) / 2 } else { content.len() - from };
            // A server that sends another part than it was asked for.
            let first = if path.contains("shifted") && from > 0 && before < 2 { 0 } else { from };
            let range = format!("Content-Range: bytes {first}-{}/{}\r\n", content.len() - 1, content.len());
            say(status, if from > 0 { &range } else { "" }, content.len() - from, &content[from..from + sent]);
        }
    }
}
