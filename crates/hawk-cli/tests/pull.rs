//! `hawk pull` against a hub of the tests, and models by the names they were pulled by.
#![allow(clippy::unwrap_used)]

#[path = "../../hawk-hub/tests/common/hub.rs"]
mod hub;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use hub::{COMMIT, File, Hub};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/built-in");

/// The hub, and a cache to pull into.
struct Place {
    hub: Hub,
    cache: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { hub: Hub::new(files()), cache: tempfile::tempdir().unwrap() }
    }

    /// A hub whose files are quickly sent.
    fn with_small_weights() -> Self {
        Self { hub: Hub::new(small_files()), cache: tempfile::tempdir().unwrap() }
    }

    fn hawk(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("hawk").unwrap();
        command
            .current_dir(&self.cache)
            .args(args)
            .env("HF_ENDPOINT", &self.hub.endpoint)
            .env("HF_HOME", self.cache.path());
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command
    }

    /// A process that pulls. It is ended when it is dropped.
    fn begin(&self, name: &str) -> Running {
        let command = self.hawk(&["pull", &format!("test/{name}")]);
        let mut begun = std::process::Command::new(command.get_program());
        begun.args(command.get_args()).current_dir(&self.cache).stderr(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => begun.env(name, value),
                None => begun.env_remove(name),
            };
        }
        Running(begun.spawn().unwrap())
    }

    /// Checks that the next pull succeeds and that every file is right.
    #[track_caller]
    fn completes(&self, name: &str) {
        self.hawk(&["pull", &format!("test/{name}")]).assert().success();
        for (file, content) in
            small_files().into_iter().filter(|(file, _)| !["README.md", "pytorch_model.bin"].contains(file))
        {
            assert!(std::fs::read(self.snapshot(name).join(file)).unwrap() == content, "{name}: {file}");
        }
        let blobs = std::fs::read_dir(self.cache.path().join(format!("hub/models--test--{name}/blobs"))).unwrap();
        let unfinished = blobs.map(|blob| blob.unwrap().path()).find(|blob| blob.extension().is_some());
        assert_eq!(unfinished, None);
    }

    fn snapshot(&self, name: &str) -> PathBuf {
        self.cache.path().join(format!("hub/models--test--{name}/snapshots/{COMMIT}"))
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], code: i32, words: &[&str]) {
        let message = String::from_utf8(self.hawk(args).assert().code(code).get_output().stderr.clone()).unwrap();
        assert!(words.iter().all(|words| message.contains(words)), "{message}");
    }
}

/// A process that is ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something has happened, or far too long.
#[track_caller]
fn wait_until(happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The files of every repository of the hub.
fn files() -> Vec<File> {
    let names =
        ["config.json", "hawk.json", "tokenizer.json", "model.safetensors", "vq/config.json", "vq/model.safetensors"];
    let mut files: Vec<File> =
        names.map(|name| (name, std::fs::read(PathBuf::from(MODEL).join(name)).unwrap())).to_vec();
    files.push(("README.md", b"not fetched".to_vec()));
    files.push(("pytorch_model.bin", b"not fetched".to_vec()));
    files
}

/// The same names with little content.
fn small_files() -> Vec<File> {
    let content = |name: &str| match name.ends_with(".safetensors") {
        true => (0..232_688_u64).map(|i| (i.wrapping_mul(i) % 251) as u8).collect(),
        false => format!("{{\"name\": {name:?}}}").into_bytes(),
    };
    files().into_iter().map(|(name, _)| (name, content(name))).collect()
}

#[test]
fn a_repository_is_pulled_once_and_used_by_its_name() {
    let place = Place::new();
    place.hawk(&["pull", "test/model"]).env("HF_TOKEN", "hf_secret").assert().success();
    for (name, content) in files() {
        let wanted = !["README.md", "pytorch_model.bin"].contains(&name);
        assert_eq!(std::fs::read(place.snapshot("model").join(name)).ok(), wanted.then_some(content), "{name}");
    }
    assert_eq!(place.hub.seen("/api/")[0].authorization.as_deref(), Some("Bearer hf_secret"));
    assert!(place.hub.seen("resolve").iter().all(|seen| seen.range.is_none()), "nothing was resumed");
    let fetched = place.hub.seen("resolve").len();
    place.hawk(&["pull", "test/model"]).assert().success();
    assert_eq!(place.hub.seen("resolve").len(), fetched, "what is there is not fetched again");
    // Another revision of the same files takes their content from the first.
    place.hawk(&["pull", "test/model", "--revision", "refs/pr/4"]).assert().success();
    assert_eq!(place.hub.seen("resolve").len(), fetched);
    assert!(place.hub.seen("refs%2Fpr%2F4").len() == 1);
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
fn two_processes_at_once_leave_a_whole_model_when_one_is_killed() {
    for name in ["race", "race-rangeless"] {
        for killed in 0..2 {
            let place = Place::with_small_weights();
            let mut both = [place.begin(name), place.begin(name)];
            // One of them fetches, and the other waits for it.
            let other = both.each_mut().map(|running| BufReader::new(running.0.stderr.take().unwrap()));
            wait_until(|| place.hub.sent() > 0 && !place.hub.seen("/store/").is_empty());
            let before = place.hub.sent();
            wait_until(|| place.hub.sent() > before);
            let [first, second] = both;
            let (killed, mut survivor) = if killed == 0 { (first, second) } else { (second, first) };
            drop(killed);
            assert!(survivor.0.wait().unwrap().success());
            let lines: Vec<String> = other.into_iter().flat_map(|lines| lines.lines().map_while(Result::ok)).collect();
            assert!(lines.iter().all(|line| !line.contains("error")), "{lines:?}");
            place.completes(name);
        }
    }
}

#[test]
fn a_pull_that_is_killed_at_any_moment_is_continued_by_the_next() {
    let place = Place::with_small_weights();
    // Every step of the way through all files.
    for kills in 1.. {
        let (mut running, begun) = (place.begin("drip"), place.hub.sent());
        let mut done = false;
        while place.hub.sent() < begun + 7919 * kills && !done {
            done = running.0.try_wait().unwrap().is_some();
            std::thread::sleep(Duration::from_millis(1));
        }
        if done {
            break;
        }
    }
    place.completes("drip");
    assert!(place.hub.seen("drip").iter().any(|seen| seen.range.is_some()), "what arrived is kept");
}

#[test]
fn a_blob_that_was_cut_is_fetched_again() {
    let place = Place::with_small_weights();
    place.completes("model");
    let blob = std::fs::canonicalize(place.snapshot("model").join("model.safetensors")).unwrap();
    std::fs::write(&blob, [7; 40_000]).unwrap();
    place.completes("model");
}

#[test]
fn a_snapshot_that_another_program_fetched_in_part_is_named() {
    let place = Place::with_small_weights();
    place.completes("model");
    std::fs::remove_file(place.snapshot("model").join("model.safetensors")).unwrap();
    std::fs::remove_dir_all(place.snapshot("model").join("vq")).unwrap();
    place.refuses(&["text", "hi", "--model", "test/model"], 2, &["without weights", "hawk pull test/model"]);
    place.completes("model");
}

#[test]
fn variables_of_the_environment_are_used_or_named() {
    let place = Place::with_small_weights();
    let refuses = |name: &str, value: &str, words: &[&str]| {
        let assert = place.hawk(&["pull", "test/model"]).env(name, value).assert().code(2);
        let message = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(message.contains(name) && words.iter().all(|words| message.contains(words)), "{message}");
    };
    refuses("HTTP_PROXY", "quic://127.0.0.1:1080", &["quic", "socks5://"]);
    refuses("ALL_PROXY", "a b", &["socks5://"]);
    refuses("HF_ENDPOINT", "ftp://x", &["https://HOST"]);
    refuses("HF_HOME", "~nobody/x", &["~nobody/x"]);
    let address = place.hub.endpoint.strip_prefix("http://").unwrap();
    let mut home = place.hawk(&["pull", "test/model"]);
    home.env("HOME", place.cache.path()).env("HF_HOME", "~/deep").env("HF_ENDPOINT", address).assert().success();
    assert!(place.cache.path().join("deep/hub/models--test--model/refs/main").is_file());
    let mut proxied = place.hawk(&["pull", "test/proxied"]);
    proxied.env("ALL_PROXY", address).env("HF_ENDPOINT", "http://hub.test").assert().success();
    assert!(!place.hub.seen("CONNECT hub.test:80").is_empty());
}

#[test]
fn refusals_say_what_to_do() {
    let place = Place::new();
    place.refuses(&["pull", "test/gated"], 3, &["gated", "accept them at", "HF_TOKEN"]);
    place.refuses(&["pull", "test/none"], 2, &["no such repository", "private"]);
    place.refuses(&["pull", "test/model", "--revision", "gone"], 2, &["no such revision", "gone"]);
    place.refuses(&["pull", "test/model", "--revision", "../x"], 2, &["revision"]);
    place.refuses(&["pull", "model"], 2, &["ORG/NAME"]);
    place.refuses(&["pull", "test/damaged"], 3, &["damaged", "hawk.json"]);
    assert!(!place.cache.path().join("hub/models--test--damaged/refs/main").exists());
    let offline = |args: &[&str]| place.hawk(args).env("HF_HUB_OFFLINE", "1").assert();
    let before = place.hub.seen("").len();
    let output = offline(&["pull", "test/model"]).code(3).get_output().stderr.clone();
    assert!(String::from_utf8(output).unwrap().contains("HF_HUB_OFFLINE"));
    assert_eq!(place.hub.seen("").len(), before);
}
