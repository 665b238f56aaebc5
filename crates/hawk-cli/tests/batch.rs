//! `hawk batch`: every image is there once, whatever stops the program.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use place::Place;
use serde_json::Value;

const PROMPTS: &str = "red apple, fluent 3d style\nfrog\n\nrocket, fluent flat style\nwhale\n";
/// With a fixed tree a record does not depend on the machine's times.
const OPTIONS: &str = "--n 3 --seed 5 --tree 3 --batch 3";

impl Place {
    fn batch(&self, out: &str) -> Child {
        let options = OPTIONS.split(' ');
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("hawk"));
        command.current_dir(&self.0).env("XDG_CACHE_HOME", "/dev/null").args(["batch", "p.txt", "--out", out]);
        command.args(options).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn finished(&self, out: &str) -> String {
        let output = self.batch(out).wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        message
    }

    /// The files of a folder with their bytes.
    fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.path(out)).unwrap().map(|entry| entry.unwrap());
        let file =
            |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
        entries.map(file).collect()
    }

    /// The images of a folder with the numbers of their files: a file that is written again has another.
    fn images(&self, out: &str) -> BTreeMap<String, u64> {
        let entries = std::fs::read_dir(self.path(out)).into_iter().flatten().map(|entry| entry.unwrap());
        let images = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".png"));
        images.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino())).collect()
    }
}

#[test]
fn killed_at_any_moment_every_image_is_there_once() {
    let place = Place::new();
    std::fs::write(place.path("p.txt"), PROMPTS).unwrap();
    place.finished("whole");
    let whole = place.files("whole");
    assert_eq!(whole.len(), 12 + 2);
    let list = String::from_utf8(whole["images.jsonl"].clone()).unwrap();
    let lines: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let order: Vec<_> =
        lines.iter().map(|line| (line["line"].as_u64().unwrap(), line["index"].as_u64().unwrap())).collect();
    assert_eq!(order, [1, 2, 4, 5].iter().flat_map(|&line| (0..3).map(move |index| (line, index))).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| whole.contains_key(line["file"].as_str().unwrap())));

    let (mut state, mut kills) = (7_u64, 0);
    for attempt in 0.. {
        assert!(attempt < 200, "no end");
        let before = place.images("killed");
        let mut child = place.batch("killed");
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Longer and longer, so that a slow machine comes to an end.
        let longest = 900 * (1 + attempt / 10);
        let end = Instant::now() + Duration::from_millis(150 + (state >> 33) % longest);
        while Instant::now() < end && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        let after = place.images("killed");
        assert!(before.iter().all(|(name, number)| after[name] == *number), "an image was drawn again");
        if ended.is_some_and(|status| status.success()) {
            break;
        }
    }
    assert!(kills > 0);
    assert_eq!(place.files("killed"), whole);
    assert!(place.finished("killed").contains("12 of 12 images are there already"));
}

#[test]
fn damaged_and_missing_images_are_drawn_again_and_torn_lists_mended() {
    let place = Place::new();
    std::fs::write(place.path("p.txt"), PROMPTS).unwrap();
    place.finished("whole");
    let whole = place.files("whole");
    let file = |name: &str| place.path(&format!("whole/{name}"));
    let names: Vec<&String> = whole.keys().filter(|name| name.ends_with(".png")).collect();
    std::fs::remove_file(file(names[0])).unwrap();
    std::fs::write(file(names[1]), &whole[names[1]][..100]).unwrap();
    std::fs::copy(file(names[3]), file(names[2])).unwrap();
    let list = &whole["images.jsonl"];
    std::fs::write(file("images.jsonl"), &list[..list.len() / 2]).unwrap();
    assert!(place.finished("whole").contains("9 of 12 images are there already"));
    assert_eq!(place.files("whole"), whole);
}

#[test]
fn another_batch_another_process_and_other_files_are_refused() {
    let place = Place::new();
    std::fs::write(place.path("p.txt"), PROMPTS).unwrap();
    std::fs::write(place.path("bad.csv"), "prompt,seed\nfrog,1\nfrog,-1\n").unwrap();
    std::fs::create_dir(place.path("other")).unwrap();
    std::fs::write(place.path("other/notes"), "kept").unwrap();
    place.finished("mine");
    let refused = |args: &str, code: i32, words: &str| {
        let output = place.command().args(args.split(' ')).assert().code(code).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(words), "{args}: {message}");
    };
    refused("batch p.txt --out other", 2, "got notes");
    refused("batch bad.csv --out new", 2, "line 3");
    refused(&format!("batch p.txt --out mine {OPTIONS} --cfg 4"), 2, "sampling");
    refused("batch p.txt --out mine --n 3 --seed 6 --tree 3", 2, "seed: the folder belongs to a batch");
    let mut first = place.batch("shared");
    let start = Instant::now();
    while !place.path("shared/.lock").exists() {
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    refused(&format!("batch p.txt --out shared {OPTIONS}"), 3, "another process");
    // A signal ends it; what is finished is kept.
    assert!(Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap().success());
    assert!(!first.wait().unwrap().success());
    place.finished("shared");
    assert_eq!(place.images("shared").len(), 12);
}
