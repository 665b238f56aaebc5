//! The whole recipe over tiny packages, without a network.

use std::num::NonZero;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hawk_files::Fault;
use hawk_hub::{Patience, Server};
use sha2::Sha512;

use super::*;
use crate::emoji::archive::tests::tgz;
use crate::emoji::concepts::tests::{DATA, MESSAGES};

const LISTS: &str = r#"{"version":1,"skip":{"groups":[],"subgroups":["keycap"],"label_starts":[],"drawings":["noto/refused"]},
    "families":{},"irregular_plurals":{},"backgrounds":{"blue":[80,130,220]},"objects":["red apple","dog"]}"#;
const CHARS: &str = r#"{"1f34e":"red-apple","1f415":"dog","1f45e":"mans-shoe","23-20e3":"keycap","1f468-1f3ff-200d-1f680":"dark",
    "1f468-200d-1f680":"refused"}"#;

fn icons(fill: &str) -> String {
    let rect = |attributes: &str| format!(r##"{{"body":"<rect {attributes} fill='{fill}'/>"}}"##);
    format!(
        r#"{{"prefix":"x","width":10,"height":10,"icons":{{"red-apple":{},"dog":{},"mans-shoe":{},"keycap":{},"dark":{},"refused":{},
        "empty":{{"body":""}},"broken":{{"body":"<g>"}},"old":{{"body":"<p/>","hidden":true}}}}}}"#,
        rect("width='4' height='4'"),
        rect("width='2' height='8'"),
        rect("width='8' height='8'"),
        rect("width='6' height='1'"),
        rect("width='8' height='3'"),
        rect("width='9' height='3'"),
    )
}

/// The recipe over two styles, and the folder that holds its packages.
fn recipe(cache: &Path) -> Recipe {
    let names: Vec<(&str, &[u8])> = vec![("en/data.json", DATA.as_bytes()), ("en/messages.json", MESSAGES.as_bytes())];
    let (blue, green) = (icons("#0000ff"), icons("#00aa00"));
    let noto: Vec<(&str, &[u8])> = vec![("icons.json", blue.as_bytes()), ("chars.json", CHARS.as_bytes())];
    // Knows names alone: finds its pictures by what the other set calls them.
    let firefox: Vec<(&str, &[u8])> = vec![("icons.json", green.as_bytes()), ("chars.json", b"{}")];
    let pictures = |style: &str| {
        format!(r#"{{"kind":"pictures","style":"{style}","drawings":"{style}","format":"iconify","scenes":true}}"#)
    };
    let packages = [
        ("names", tgz(&names), r#"{"kind":"names"}"#.to_owned()),
        ("noto", tgz(&noto), pictures("noto")),
        ("firefox", tgz(&firefox), pictures("firefox")),
    ];
    let lock: Vec<String> = packages
        .iter()
        .map(|(name, bytes, holds)| {
            std::fs::write(cache.join(format!("{name}-1.0.0.tgz")), bytes).unwrap();
            let integrity = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(bytes)));
            format!(
                r#"{{"name":"{name}","version":"1.0.0","path":"{name}/-/{name}-1.0.0.tgz","bytes":{},"integrity":"{integrity}",
                "licence":"MIT","work":"Work of {name}","home":"https://example.org","holds":{holds}}}"#,
                bytes.len()
            )
        })
        .collect();
    Recipe::parse(&format!(r#"{{"packages":[{}]}}"#, lock.join(",")), LISTS).unwrap()
}

/// A server that cannot be reached.
fn nowhere() -> Server {
    let pause = Duration::from_millis(1);
    let patience = Patience { pause, longest_pause: pause, ..Patience::default() };
    Server { address: "http://127.0.0.1:1".into(), proxy: None, patience }
}

fn settings(dir: &Path, out: &str, threads: usize) -> EmojiSettings {
    EmojiSettings {
        out: dir.join(out),
        cache: dir.to_owned(),
        registry: nowhere(),
        scenes: 30,
        styles: Vec::new(),
        things: false,
        limit: None,
        threads: NonZero::new(threads).unwrap(),
    }
}

fn lines(out: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(out.join("captions.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn packages_become_captioned_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let settings = settings(dir.path(), "out", 2);
    let manifest = make(&recipe, &settings, &mut |_| {}).unwrap();
    let lines = lines(&settings.out);
    let emoji: Vec<(&str, &str)> = lines
        .iter()
        .filter(|line| line["kind"] == "emoji")
        .map(|line| (line["style"].as_str().unwrap(), line["captions"][0].as_str().unwrap()))
        .collect();
    assert_eq!(
        emoji,
        [
            ("noto", "red apple, noto style"),
            ("noto", "dog, noto style"),
            // A shoe that is the apple's square again is left out.
            ("noto", "man astronaut with dark skin, noto style"),
            ("firefox", "red apple, firefox style"),
            ("firefox", "dog, firefox style"),
            ("firefox", "man astronaut, firefox style"),
            ("firefox", "man astronaut with dark skin, firefox style"),
        ]
    );
    assert_eq!(manifest.near_duplicates, 2);
    assert_eq!(manifest.pictures, lines.len());
    assert_eq!(lines.len(), emoji.len() + 30);
    for line in &lines {
        let picture =
            Canvas::from_png(&std::fs::read(settings.out.join(line["file"].as_str().unwrap())).unwrap()).unwrap();
        assert_eq!(line["pixels"], hex(&Sha256::digest(&picture.0)));
    }
    let text = std::fs::read(settings.out.join("captions.jsonl")).unwrap();
    assert_eq!(manifest.digest, hex(&Sha256::digest(text)));
    let attribution = std::fs::read_to_string(settings.out.join("ATTRIBUTION")).unwrap();
    assert!(attribution.contains("Work of noto") && attribution.contains("Work of names"));
    assert!(settings.out.join("sheet.png").exists());
    let objects = std::fs::read_to_string(settings.out.join("objects.jsonl")).unwrap();
    let objects: Vec<serde_json::Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), emoji.len());
    let (apple, astronaut) = (&objects[0], &objects[2]);
    let named = ["phrase", "one", "several", "style"].map(|field| apple[field].as_str().unwrap());
    assert_eq!(named, ["red apple", "a red apple", "red apples", "noto"]);
    assert!(astronaut["one"].is_null() && astronaut["split"].is_string() && apple["mirror"] == true);
    assert!(objects.iter().all(|object| settings.out.join(object["file"].as_str().unwrap()).exists()));
}

#[test]
fn the_digest_is_the_same_on_any_threads_and_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let made = |out: &str, threads| make(&recipe, &settings(dir.path(), out, threads), &mut |_| {}).unwrap().digest;
    let digest = made("one", 1);
    assert_eq!(made("two", 3), digest);
    let out = dir.path().join("two");
    std::fs::remove_file(out.join("captions.jsonl")).unwrap();
    std::fs::remove_file(out.join("images/000003.png")).unwrap();
    std::fs::write(out.join("images/000004.png"), b"cut off").unwrap();
    std::fs::write(out.join("objects/noto-dog.png"), b"cut off").unwrap();
    assert_eq!(made("two", 2), digest);
    for file in ["images/000003.png", "images/000004.png", "objects/noto-dog.png", "captions.jsonl", "sheet.png"] {
        let [a, b] = ["one", "two"].map(|run| std::fs::read(dir.path().join(run).join(file)).unwrap());
        assert!(a == b, "{file}");
    }
}

#[test]
fn a_folder_keeps_its_settings_and_a_limit_thins_evenly() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let limited = EmojiSettings { limit: NonZero::new(3), scenes: 0, ..settings(dir.path(), "out", 1) };
    assert_eq!(make(&recipe, &limited, &mut |_| {}).unwrap().pictures, 3);
    let error = make(&recipe, &settings(dir.path(), "out", 1), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("other settings"), "{error}");
    let styles: BTreeSet<String> = lines(&limited.out).iter().map(|line| line["style"].to_string()).collect();
    assert_eq!(styles.len(), 2);
}

#[test]
fn styles_that_are_not_wanted_are_left_out_and_unknown_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let only = |style: &str| EmojiSettings { styles: vec![style.to_owned()], ..settings(dir.path(), "out", 1) };
    let error = make(&recipe, &only("notes"), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("noto, firefox"), "{error}");
    make(&recipe, &only("firefox"), &mut |_| {}).unwrap();
    assert!(lines(&dir.path().join("out")).iter().all(|line| line["style"] == "firefox"));
    let attribution = std::fs::read_to_string(dir.path().join("out/ATTRIBUTION")).unwrap();
    assert!(attribution.contains("Work of firefox") && !attribution.contains("Work of noto"));
}

#[test]
fn things_are_what_scenes_are_composed_of() {
    let dir = tempfile::tempdir().unwrap();
    let settings = EmojiSettings { things: true, ..settings(dir.path(), "out", 1) };
    make(&recipe(dir.path()), &settings, &mut |_| {}).unwrap();
    let lines = lines(&settings.out);
    let emoji = lines.iter().filter(|line| line["kind"] == "emoji").map(|line| line["concept"].as_str().unwrap());
    assert_eq!(emoji.collect::<BTreeSet<_>>(), ["dog", "red apple"].into());
}

#[test]
fn packages_that_are_missing_or_wrong_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let path = dir.path().join("noto-1.0.0.tgz");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = make(&recipe, &settings(dir.path(), "out", 1), &mut |_| {}).unwrap_err();
    assert_eq!(error.fault(), Fault::Input);
    assert!(error.to_string().contains("noto@1.0.0"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let mut heard = Vec::new();
    let error = make(&recipe, &settings(dir.path(), "out", 1), &mut |progress| heard.push(format!("{progress:?}")));
    let error = error.unwrap_err();
    assert_eq!(error.fault(), Fault::Environment);
    assert!(error.to_string().contains("npm pack noto@1.0.0"), "{error}");
    assert!(heard.iter().any(|event| event.contains("noto@1.0.0")), "{heard:?}");
}
