//! `hawk pull` against a hub of the tests, and models by the names they were pulled by.
#![allow(clippy::unwrap_used)]

#[path = "../../hawk-hub/tests/common/hub.rs"]
mod hub;

use std::path::PathBuf;

use assert_cmd::Command;
use hub::{COMMIT, File, Hub};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/emoji-v1");

/// The hub, and a cache to pull into.
struct Place {
    hub: Hub,
    cache: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { hub: Hub::new(files()), cache: tempfile::tempdir().unwrap() }
    }

    fn hawk(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("hawk").unwrap();
        command
            .current_dir(&self.cache)
            .args(args)
            .env("HF_ENDPOINT", &self.hub.endpoint)
            .env("HF_HOME", self.cache.path());
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"] {
            command.env_remove(name);
        }
        command
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
fn refusals_say_what_to_do() {
    let place = Place::new();
    place.refuses(&["pull", "test/gated"], 3, &["gated", "accept them at", "HF_TOKEN"]);
    place.refuses(&["pull", "test/none"], 2, &["no such repository", "private"]);
    place.refuses(&["pull", "test/model", "--revision", "gone"], 2, &["no such revision", "gone"]);
    place.refuses(&["pull", "test/model", "--revision", "../x"], 2, &["revision"]);
    place.refuses(&["pull", "model"], 2, &["ORG/NAME"]);
    place.refuses(&["pull", "test/ill"], 3, &["500"]);
    place.refuses(&["pull", "test/damaged"], 3, &["damaged", "hawk.json"]);
    assert!(!place.cache.path().join("hub/models--test--damaged/refs/main").exists());
    let offline = |args: &[&str]| place.hawk(args).env("HF_HUB_OFFLINE", "1").assert();
    let before = place.hub.seen("").len();
    let output = offline(&["pull", "test/model"]).code(3).get_output().stderr.clone();
    assert!(String::from_utf8(output).unwrap().contains("HF_HUB_OFFLINE"));
    assert_eq!(place.hub.seen("").len(), before);
    let mut nobody = place.hawk(&["pull", "test/model"]);
    let output = nobody.env("HF_ENDPOINT", "http://127.0.0.1:1").assert().code(3).get_output().stderr.clone();
    assert!(String::from_utf8(output).unwrap().contains("cannot be reached"));
}
