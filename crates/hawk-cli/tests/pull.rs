//! `hawk pull` against a hub of this test: a thread that speaks just enough HTTP.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use assert_cmd::Command;
use serde_json::json;
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/emoji-v1");

/// A request as the hub saw it.
#[derive(Clone, Debug)]
struct Seen {
    path: String,
    range: Option<String>,
    authorization: Option<String>,
}

/// The hub, and a cache to pull into.
struct Place {
    endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    cache: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        LazyLock::force(&FILES);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let log = Arc::clone(&seen);
        // It ends with the test's process.
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &log)));
        Self { endpoint, seen, cache: tempfile::tempdir().unwrap() }
    }

    fn hawk(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("hawk").unwrap();
        command
            .current_dir(&self.cache)
            .args(args)
            .env("HF_ENDPOINT", &self.endpoint)
            .env("HF_HOME", self.cache.path());
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"]
        {
            command.env_remove(name);
        }
        command
    }

    fn snapshot(&self, name: &str) -> PathBuf {
        self.cache.path().join(format!("hub/models--test--{name}/snapshots/{COMMIT}"))
    }

    fn seen(&self, part: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.contains(part)).cloned().collect()
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], code: i32, words: &[&str]) {
        let message = String::from_utf8(self.hawk(args).assert().code(code).get_output().stderr.clone()).unwrap();
        assert!(words.iter().all(|words| message.contains(words)), "{message}");
    }
}

struct Stored {
    name: &'static str,
    content: Vec<u8>,
    sha256: String,
}

/// The files of every repository of the hub. Read once: the program waits 30 seconds for an answer, also on a busy machine.
static FILES: LazyLock<Vec<Stored>> = LazyLock::new(|| {
    let names =
        ["config.json", "hawk.json", "tokenizer.json", "model.safetensors", "vq/config.json", "vq/model.safetensors"];
    let read = names.map(|name| (name, std::fs::read(PathBuf::from(MODEL).join(name)).unwrap()));
    let others = ["README.md", "pytorch_model.bin"].map(|name| (name, b"not fetched".to_vec()));
    let stored = |(name, content)| Stored { name, sha256: hawk_nn::hex(&Sha256::digest(&content)), content };
    read.into_iter().chain(others).map(stored).collect()
});

fn listing(repository: &str) -> String {
    let sibling = |Stored { name, content, sha256 }: &Stored| {
        let damaged = repository == "damaged" && *name == "hawk.json";
        let sha256 = if damaged { "0".repeat(64) } else { sha256.clone() };
        let name = if repository == "leaving" && *name == "hawk.json" { "../../hawk.json" } else { name };
        let (mut size, mut lfs_size) = (content.len() as u64, content.len() as u64);
        match repository {
            "contradicting" => size += 1,
            "endless" => (size, lfs_size) = (u64::MAX, u64::MAX),
            "longer" => (size, lfs_size) = (size + 1, size + 1),
            _ => {}
        }
        let (size, lfs_size) =
            if name.ends_with("hawk.json") { (size, lfs_size) } else { (content.len() as u64, content.len() as u64) };
        json!({ "rfilename": name, "size": size, "blobId": "ab".repeat(20), "lfs": { "sha256": sha256, "size": lfs_size, "pointerSize": 130 } })
    };
    json!({ "sha": COMMIT, "siblings": FILES.iter().map(sibling).collect::<Vec<_>>() }).to_string()
}

fn answer(mut stream: TcpStream, log: &Mutex<Vec<Seen>>) {
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
            let body = listing(repository);
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
            let content = &FILES.iter().find(|file| file.name == name).unwrap().content;
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

#[test]
fn a_repository_is_pulled_once_and_used_by_its_name() {
    let place = Place::new();
    place.hawk(&["pull", "test/model"]).env("HF_TOKEN", "hf_secret").assert().success();
    for Stored { name, content, .. } in &*FILES {
        let wanted = !["README.md", "pytorch_model.bin"].contains(name);
        let there = std::fs::read(place.snapshot("model").join(name)).ok();
        assert!(there.as_ref() == wanted.then_some(content), "{name}");
    }
    assert_eq!(place.seen("/api/")[0].authorization.as_deref(), Some("Bearer hf_secret"));
    let fetched = place.seen("resolve").len();
    place.hawk(&["pull", "test/model"]).assert().success();
    assert_eq!(place.seen("resolve").len(), fetched, "what is there is not fetched again");
    // Another revision of the same files takes their content from the first.
    place.hawk(&["pull", "test/model", "--revision", "refs/pr/4"]).assert().success();
    assert_eq!(place.seen("resolve").len(), fetched);
    assert!(place.seen("refs%2Fpr%2F4").len() == 1);
    for offline in ["1", "0"] {
        let mut command = place.hawk(&["inspect", "test/model@refs/pr/4"]);
        command.env("HF_HUB_OFFLINE", offline).assert().success();
    }
    place.hawk(&["generate", "octopus", "--model", "test/model", "--seed", "1", "--out", "a.png"]).assert().success();
    place.hawk(&["again", "a.png"]).assert().success();
    place.hawk(&["convert", "test/model", "--out", "packed", "--precision", "int8"]).assert().success();
    place.refuses(&["generate", "octopus", "--model", "test/other", "--out", "b.png"], 2, &["hawk pull test/other"]);
    place.refuses(&["generate", "octopus", "--model", "no/such/dir", "--out", "b.png"], 2, &["no/such/dir"]);
}

#[test]
fn a_pull_that_was_broken_off_goes_on() {
    let place = Place::new();
    place.hawk(&["pull", "test/broken"]).assert().success();
    let length = std::fs::metadata(PathBuf::from(MODEL).join("model.safetensors")).unwrap().len();
    let ranges: Vec<Option<String>> = place.seen("/store/broken").into_iter().map(|seen| seen.range).collect();
    assert_eq!(
        ranges,
        [
            None,
            Some(format!("bytes={}-", length / 2)),
            Some(format!("bytes={}-", length / 2 + (length - length / 2) / 2))
        ]
    );
    let [want, got] = [PathBuf::from(MODEL), place.snapshot("broken")]
        .map(|dir| std::fs::read(dir.join("model.safetensors")).unwrap());
    assert!(want == got);
    assert!(
        std::fs::read_dir(place.cache.path().join("hub/models--test--broken/blobs"))
            .unwrap()
            .all(|blob| { blob.unwrap().path().extension().is_none() })
    );
}

#[test]
fn a_part_that_begins_elsewhere_is_fetched_anew() {
    let place = Place::new();
    place.hawk(&["pull", "test/shifted"]).assert().success();
    let ranges: Vec<Option<String>> = place.seen("/store/shifted").into_iter().map(|seen| seen.range).collect();
    let length = std::fs::metadata(PathBuf::from(MODEL).join("model.safetensors")).unwrap().len();
    assert_eq!(ranges, [None, Some(format!("bytes={}-", length / 2)), None]);
    let [want, got] = [PathBuf::from(MODEL), place.snapshot("shifted")]
        .map(|dir| std::fs::read(dir.join("model.safetensors")).unwrap());
    assert!(want == got);
}

#[test]
fn refusals_say_what_to_do() {
    let place = Place::new();
    place.refuses(&["pull", "test/gated"], 3, &["gated", "accept them at", "HF_TOKEN"]);
    place.refuses(&["pull", "test/forbidden"], 3, &["gated"]);
    place.refuses(&["pull", "test/none"], 2, &["no such repository", "private"]);
    place.refuses(&["pull", "test/model", "--revision", "gone"], 2, &["no such revision", "gone"]);
    place.refuses(&["pull", "test/model", "--revision", "../x"], 2, &["revision"]);
    place.refuses(&["pull", "model"], 2, &["ORG/NAME"]);
    place.refuses(&["pull", "test/page"], 3, &["HF_ENDPOINT"]);
    place.refuses(&["pull", "test/ill"], 3, &["500"]);
    place.refuses(&["pull", "test/damaged"], 3, &["damaged", "hawk.json"]);
    assert!(!place.cache.path().join("hub/models--test--damaged/refs/main").exists());
    place.refuses(&["pull", "test/leaving"], 3, &["../../hawk.json"]);
    place.refuses(&["pull", "test/contradicting"], 3, &["hawk.json", "lfs.size"]);
    place.refuses(&["pull", "test/endless"], 3, &["hawk.json", "18446744073709551615"]);
    place.refuses(&["pull", "test/longer"], 3, &["after"]);
    place.refuses(&["pull", "test/circle"], 3, &["redirect"]);
    let offline = |args: &[&str]| place.hawk(args).env("HF_HUB_OFFLINE", "1").assert();
    let before = place.seen("").len();
    let output = offline(&["pull", "test/model"]).code(3).get_output().stderr.clone();
    assert!(String::from_utf8(output).unwrap().contains("HF_HUB_OFFLINE"));
    assert_eq!(place.seen("").len(), before);
    let mut nobody = place.hawk(&["pull", "test/model"]);
    let output = nobody.env("HF_ENDPOINT", "http://127.0.0.1:1").assert().code(3).get_output().stderr.clone();
    assert!(String::from_utf8(output).unwrap().contains("cannot be reached"));
}
