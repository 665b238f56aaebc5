//! Pulling from a hub of the tests, as a library.
#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hawk_files::{Fault, Result};
use hawk_hub::{Event, Patience, Proxy, Repository, Settings, pull};
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

/// Quick where servers fail, and generous to a machine that is busy.
const PATIENCE: Patience = Patience {
    stall: Duration::from_secs(60),
    attempts: 4,
    pause: Duration::from_millis(1),
    longest_pause: Duration::from_secs(60),
};

/// The hub, and a cache to pull into.
struct Place {
    hub: Hub,
    cache: tempfile::TempDir,
    patience: Patience,
}

impl Place {
    fn new() -> Self {
        Self { hub: Hub::new(files()), cache: tempfile::tempdir().unwrap(), patience: PATIENCE }
    }

    /// A place where silence is borne with for so long.
    fn with_stall(stall: Duration) -> Self {
        Self { patience: Patience { stall, ..PATIENCE }, ..Self::new() }
    }

    fn settings(&self) -> Settings {
        let cache = self.cache.path().to_owned();
        let endpoint = self.hub.endpoint.clone();
        Settings { endpoint, cache, token: None, offline: false, proxy: None, patience: self.patience }
    }

    /// The folder, and what was told on the way.
    fn pull(&self, name: &str) -> Result<(PathBuf, Vec<String>)> {
        let mut told = Vec::new();
        let repository: Repository = name.parse()?;
        let folder = pull(&repository, &self.settings(), &mut |event| told.push(format!("{event:?}")))?;
        Ok((folder, told))
    }

    /// Pulls, and checks the content of every file. Returns how often an attempt failed.
    #[track_caller]
    fn pulls(&self, name: &str) -> usize {
        let (folder, told) = self.pull(&format!("test/{name}")).unwrap();
        for (file, content) in files().into_iter().take(3) {
            assert!(std::fs::read(folder.join(file)).unwrap() == content, "{name}: {file}");
        }
        let cache = self.cache.path().join(format!("models--test--{name}"));
        assert_eq!(std::fs::read_to_string(cache.join("refs/main")).unwrap(), COMMIT);
        let blobs = std::fs::read_dir(cache.join("blobs")).unwrap().map(|blob| blob.unwrap().path());
        assert!(blobs.into_iter().all(|blob| blob.extension().is_none()), "{name}: an unfinished file is left");
        told.iter().filter(|event| event.starts_with("Retrying")).count()
    }

    fn blob(&self, name: &str, file: &str) -> PathBuf {
        let link = self.cache.path().join(format!("models--test--{name}/snapshots/{COMMIT}")).join(file);
        std::fs::canonicalize(link).unwrap()
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
    assert_eq!(place.pulls("broken"), 2);
    let (first, second) = (WEIGHTS / 2, WEIGHTS / 2 + (WEIGHTS - WEIGHTS / 2) / 2);
    let ranges = [None, Some(format!("bytes={first}-")), Some(format!("bytes={second}-"))];
    assert_eq!(place.ranges("/store/broken"), ranges);
}

#[test]
fn a_part_that_begins_elsewhere_is_fetched_anew() {
    let place = Place::new();
    for name in ["shifted", "replaced"] {
        assert_eq!(place.pulls(name), 2);
        let half = Some(format!("bytes={}-", WEIGHTS / 2));
        assert_eq!(place.ranges(&format!("/store/{name}")), [None, half, None]);
    }
}

#[test]
fn silent_servers_are_left_and_asked_again() {
    let place = Place::with_stall(Duration::from_millis(700));
    // On a busy machine other attempts may seem to stall, too.
    assert!(place.pulls("stall") >= 2);
    let ranges = [None, Some("bytes=20000-".to_owned()), Some("bytes=40000-".to_owned())];
    assert_eq!(place.ranges("/store/stall")[..3], ranges);
    // The list, three files, and the store.
    assert!(place.pulls("mute") >= 5);
    place.refuses("test/mute-list", Fault::Environment, &["cannot be reached", "no byte for 0.7 s"]);
    assert_eq!(place.hub.seen("mute-list").len(), 4);
}

#[test]
fn slow_servers_are_borne_with() {
    // Shorter than the whole transfer.
    let place = Place::with_stall(Duration::from_secs(3));
    assert_eq!(place.pulls("slow"), 0);
}

#[test]
fn attempts_that_bring_bytes_do_not_count() {
    let place = Place::new();
    assert_eq!(place.pulls("drop"), WEIGHTS / 20_000 - 1);
    assert_eq!(place.pulls("reset"), 3);
    place.refuses("test/nothing", Fault::Environment, &["cannot be reached", "the same command resumes"]);
    assert_eq!(place.hub.seen("/store/nothing").len(), 4);
}

#[test]
fn servers_without_ranges_are_used_and_given_up_when_they_bring_nothing_new() {
    let place = Place::new();
    assert_eq!(place.pulls("rangeless"), 2);
    place.refuses("test/rangeless-drop", Fault::Environment, &["cannot be reached"]);
    // The first brought something.
    assert_eq!(place.hub.seen("/store/rangeless-drop").len(), 5);
}

#[test]
fn answers_without_a_length_are_read_to_the_length_of_the_list() {
    let place = Place::new();
    assert_eq!(place.pulls("untold"), 0);
    assert_eq!(place.pulls("exceeded"), 0);
}

#[test]
fn what_arrived_survives_the_page_of_a_network_that_asks_for_a_login() {
    let place = Place::new();
    assert_eq!(place.pulls("portal"), 2);
    let half = Some(format!("bytes={}-", WEIGHTS / 2));
    assert_eq!(place.ranges("/store/portal"), [None, half.clone(), half]);
}

#[test]
fn refusals_that_may_pass_are_tried_again() {
    let place = Place::new();
    // The list and three files, one of which is asked for at two places.
    assert_eq!(place.pulls("tired"), 5);
    assert_eq!(place.pulls("crowded"), 5);
    assert_eq!(place.pulls("late"), 5);
    assert_eq!(place.pulls("expired"), 1);
    place.refuses("test/refused", Fault::Environment, &["the server refuses model.safetensors (403)"]);
    assert_eq!(place.hub.seen("/store/refused").len(), 2);
    place.refuses("test/limit", Fault::Environment, &["limits requests", "3600 s", "HF_TOKEN raises the limit"]);
    assert_eq!(place.hub.seen("limit").len(), 1, "nobody waits for an hour");
}

#[test]
fn blobs_are_compared_with_the_list() {
    let place = Place::new();
    place.pulls("model");
    let (weights, config) = (place.blob("model", "model.safetensors"), place.blob("model", "hawk.json"));
    let fetched = place.hub.seen("/store/model").len();
    // Cut, too long, and changed.
    std::fs::write(&weights, &files()[2].1[..40_000]).unwrap();
    std::fs::write(&config, b"{\"a\": 2}").unwrap();
    place.pulls("model");
    assert_eq!(place.hub.seen("/store/model").len(), fetched + 1);
    std::fs::write(&weights, [&files()[2].1[..], b"more"].concat()).unwrap();
    place.pulls("model");
    std::fs::remove_file(&weights).unwrap();
    place.pulls("model");
    assert_eq!(place.hub.seen("/store/model").len(), fetched + 3);
}

#[test]
fn parts_that_do_not_fit_are_fetched_anew_once() {
    let place = Place::new();
    let part = |name: &str, sha: &str| {
        let blobs = place.cache.path().join(format!("models--test--{name}/blobs"));
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(format!("{sha}.incomplete")), vec![7; WEIGHTS / 2]).unwrap();
    };
    place.pulls("model");
    let blob = place.blob("model", "model.safetensors");
    part("garbage", blob.file_name().unwrap().to_str().unwrap());
    assert_eq!(place.pulls("garbage"), 1);
    assert_eq!(place.ranges("/store/garbage"), [Some(format!("bytes={}-", WEIGHTS / 2)), None]);
    part("damaged-large", &"0".repeat(64));
    place.refuses("test/damaged-large", Fault::Environment, &["damaged", "model.safetensors"]);
    assert_eq!(place.hub.seen("/store/damaged-large").len(), 2);
}

#[test]
fn two_pulls_at_once_fetch_each_file_once() {
    let place = Place::new();
    for name in ["race", "race-rangeless"] {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| place.pull(&format!("test/{name}")).unwrap());
            }
        });
        place.pulls(name);
        assert_eq!(place.hub.seen(&format!("/store/{name}/")).len(), 1);
        let locks = place.cache.path().join(format!(".locks/models--test--{name}"));
        assert_eq!(std::fs::read_dir(locks).unwrap().count(), 3);
    }
}

#[test]
fn proxies_are_asked_for_the_hub() {
    let place = Place::new();
    let proxied = |proxy: Proxy| {
        let endpoint = "http://hub.test".to_owned();
        let settings = Settings { endpoint, proxy: Some(proxy), ..place.settings() };
        pull(&"test/model".parse().unwrap(), &settings, &mut |_| {})
    };
    let address = place.hub.endpoint.strip_prefix("http://").unwrap();
    proxied(Proxy::new(address, "").unwrap()).unwrap();
    assert!(place.hub.seen("CONNECT hub.test:80").len() > 1);
    let message = proxied(Proxy::new(address, "hub.test").unwrap()).unwrap_err().to_string();
    assert!(message.contains("cannot be reached:"), "{message}");
    // Nobody listens there.
    for nobody in ["127.0.0.1:1", "socks5h://127.0.0.1:1"] {
        let message = proxied(Proxy::new(nobody, "").unwrap()).unwrap_err().to_string();
        assert!(message.contains("by the proxy 127.0.0.1:1"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_cache_that_has_everything_is_not_written() {
    let place = Place::new();
    place.pulls("model");
    let written = |dir: &Path| std::fs::metadata(dir).unwrap().modified().unwrap();
    let folder = place.cache.path().join("models--test--model");
    let dirs = ["refs", "blobs", "snapshots", "", "../.locks/models--test--model"].map(|dir| folder.join(dir));
    let reference = folder.join("refs/main");
    let before: Vec<_> = dirs.iter().map(|dir| written(dir)).chain([written(&reference)]).collect();
    place.pulls("model");
    let after: Vec<_> = dirs.iter().map(|dir| written(dir)).chain([written(&reference)]).collect();
    assert_eq!(before, after);
}

#[test]
fn a_part_of_a_repository_is_no_model() {
    let place = Place::new();
    let (folder, _) = place.pull("test/model").unwrap();
    let offline = Settings { offline: true, ..place.settings() };
    let repository: Repository = "test/model".parse().unwrap();
    // As another program does that wants the config alone.
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    let message = pull(&repository, &offline, &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("without weights") && message.contains("hawk pull test/model"), "{message}");
    place.pulls("model");
    assert_eq!(pull(&repository, &offline, &mut |_| {}).unwrap(), folder);
    // A name of a commit that leads elsewhere.
    std::fs::write(place.cache.path().join("models--test--model/refs/main"), "../..").unwrap();
    assert_eq!(repository.pulled(&offline), None);
}

#[test]
fn refusals_say_whose_fault_it_is() {
    let place = Place::new();
    place.refuses("test/gated", Fault::Environment, &["gated"]);
    place.refuses("test/forbidden", Fault::Environment, &["the server refuses the list of files (403)"]);
    assert_eq!(place.hub.seen("forbidden").len(), 2);
    place.refuses("test/banned", Fault::Environment, &["the hub refuses the list of files (403)", "it is disabled"]);
    assert_eq!(place.hub.seen("banned").len(), 1);
    place.refuses("test/none", Fault::Input, &["no such repository", "private"]);
    place.refuses("test/lost", Fault::Environment, &["config.json", "no such file"]);
    place.refuses("test/model@gone", Fault::Input, &["no such revision", "gone"]);
    place.refuses("test/page", Fault::Environment, &["HF_ENDPOINT"]);
    place.refuses("test/ill", Fault::Environment, &["500"]);
    assert_eq!(place.hub.seen("ill").len(), 4);
    place.refuses("test/damaged", Fault::Environment, &["damaged", "hawk.json"]);
    assert!(!place.cache.path().join("models--test--damaged/refs/main").exists());
    place.refuses("test/leaving", Fault::Environment, &["../../hawk.json"]);
    place.refuses("test/contradicting", Fault::Environment, &["model.safetensors", "lfs.size"]);
    place.refuses("test/endless", Fault::Environment, &["model.safetensors", "18446744073709551615"]);
    place.refuses("test/longer", Fault::Environment, &["300000 bytes", "300001"]);
    place.refuses("test/circle", Fault::Environment, &["redirect"]);
    place.refuses("model", Fault::Input, &["ORG/NAME"]);
}
