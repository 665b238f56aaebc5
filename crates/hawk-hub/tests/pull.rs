//! Pulling from a hub of the tests, as a library.
#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;

use std::path::PathBuf;

use hawk_files::{Fault, Result};
use hawk_hub::{Event, Repository, Settings, pull};
use hub::{COMMIT, File, Hub};

/// The bytes of the weights. Larger than the buffers on the way.
const WEIGHTS: usize = 300_000;

fn files() -> Vec<File> {
    let weights = (0..WEIGHTS as u64).map(|i| (i.wrapping_mul(i) % 251) as u8).collect();
    vec![
        ("config.json", b"{}".to_vec()),
        ("hawk.json", b"{\"a\": 1}".to_vec()),
        ("model.safetensors", weights),
        ("README.md", b"not fetched".to_vec()),
        ("pytorch_model.bin", b"not fetched".to_vec()),
    ]
}

/// The hub, and a cache to pull into.
struct Place {
    hub: Hub,
    cache: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { hub: Hub::new(files()), cache: tempfile::tempdir().unwrap() }
    }

    fn settings(&self) -> Settings {
        let cache = self.cache.path().to_owned();
        Settings { endpoint: self.hub.endpoint.clone(), cache, token: None, offline: false }
    }

    /// The folder, and what was told on the way.
    fn pull(&self, name: &str) -> Result<(PathBuf, Vec<String>)> {
        let mut told = Vec::new();
        let repository: Repository = name.parse()?;
        let folder = pull(&repository, &self.settings(), &mut |event| told.push(format!("{event:?}")))?;
        Ok((folder, told))
    }

    fn ranges(&self, part: &str) -> Vec<Option<String>> {
        self.hub.seen(part).into_iter().map(|seen| seen.range).collect()
    }

    #[track_caller]
    fn refuses(&self, name: &str, fault: Fault, words: &[&str]) {
        let error = self.pull(name).unwrap_err();
        let message = error.to_string();
        assert!(words.iter().all(|words| message.contains(words)), "{name}: {message}");
        assert_eq!(error.fault(), fault, "{name}: {message}");
    }
}

#[test]
fn progress_names_every_file_and_counts_every_byte() {
    let place = Place::new();
    let mut names = Vec::new();
    let (mut announced, mut received, mut cached) = (0, 0, 0);
    let repository: Repository = "test/model".parse().unwrap();
    let settings = Settings { token: Some("hf_secret".to_owned()), ..place.settings() };
    for _ in 0..2 {
        pull(&repository, &settings, &mut |event| match event {
            Event::FileStarted { number, files, name, bytes, cached_bytes } => {
                assert_eq!((number - 1) % files, names.len() % files);
                names.push(name.to_owned());
                announced += bytes;
                cached += cached_bytes;
            }
            Event::BytesReceived(bytes) => received += bytes,
            other => panic!("{other:?}"),
        })
        .unwrap();
    }
    assert_eq!(names, [["config.json", "hawk.json", "model.safetensors"]; 2].concat());
    let all: u64 = files()[..3].iter().map(|(_, content)| content.len() as u64).sum();
    assert_eq!((announced, received, cached), (2 * all, all, all));
    assert_eq!(place.hub.seen("/api/")[0].authorization.as_deref(), Some("Bearer hf_secret"));
}

#[test]
fn what_was_pulled_is_found_offline() {
    let place = Place::new();
    let offline = Settings { offline: true, ..place.settings() };
    let repository: Repository = "test/model".parse().unwrap();
    assert_eq!(repository.pulled(&offline), None);
    let message = pull(&repository, &offline, &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("HF_HUB_OFFLINE"), "{message}");
    let (folder, _) = place.pull("test/model").unwrap();
    assert_eq!(folder, place.cache.path().join(format!("models--test--model/snapshots/{COMMIT}")));
    let before = place.hub.seen("").len();
    assert_eq!(pull(&repository, &offline, &mut |_| {}).unwrap(), folder);
    assert_eq!(place.hub.seen("").len(), before);
    let other = repository.with_revision("v2").unwrap();
    assert_eq!((repository.pulled(&offline), other.pulled(&offline)), (Some(folder), None));
}

#[test]
fn an_interrupted_pull_resumes() {
    let place = Place::new();
    let (folder, told) = place.pull("test/broken").unwrap();
    let (first, second) = (WEIGHTS / 2, WEIGHTS / 2 + (WEIGHTS - WEIGHTS / 2) / 2);
    let ranges = [None, Some(format!("bytes={first}-")), Some(format!("bytes={second}-"))];
    assert_eq!(place.ranges("/store/broken"), ranges);
    assert_eq!(told.iter().filter(|event| event.starts_with("Retrying")).count(), 2);
    assert!(std::fs::read(folder.join("model.safetensors")).unwrap() == files()[2].1);
    let blobs = std::fs::read_dir(place.cache.path().join("models--test--broken/blobs")).unwrap();
    assert!(blobs.into_iter().all(|blob| blob.unwrap().path().extension().is_none()));
}

#[test]
fn a_part_that_begins_elsewhere_is_fetched_anew() {
    let place = Place::new();
    let (folder, _) = place.pull("test/shifted").unwrap();
    assert_eq!(place.ranges("/store/shifted"), [None, Some(format!("bytes={}-", WEIGHTS / 2)), None]);
    assert!(std::fs::read(folder.join("model.safetensors")).unwrap() == files()[2].1);
}

#[test]
fn refusals_say_whose_fault_it_is() {
    let place = Place::new();
    place.refuses("test/forbidden", Fault::Environment, &["gated"]);
    place.refuses("test/none", Fault::Input, &["no such repository", "private"]);
    place.refuses("test/model@gone", Fault::Input, &["no such revision", "gone"]);
    place.refuses("test/page", Fault::Environment, &["HF_ENDPOINT"]);
    place.refuses("test/ill", Fault::Environment, &["500"]);
    place.refuses("test/damaged", Fault::Environment, &["damaged", "hawk.json"]);
    assert!(!place.cache.path().join("models--test--damaged/refs/main").exists());
    place.refuses("test/leaving", Fault::Environment, &["../../hawk.json"]);
    place.refuses("test/contradicting", Fault::Environment, &["hawk.json", "lfs.size"]);
    place.refuses("test/endless", Fault::Environment, &["hawk.json", "18446744073709551615"]);
    place.refuses("test/longer", Fault::Environment, &["after"]);
    place.refuses("test/circle", Fault::Environment, &["redirect"]);
    place.refuses("model", Fault::Input, &["ORG/NAME"]);
}
