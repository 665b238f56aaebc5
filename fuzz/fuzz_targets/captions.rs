//! Any bytes as the `captions.jsonl` of a folder of pictures, and as one of its pictures.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/hawk-train/src/pictures"]
mod pictures {
    pub(crate) mod corpus;
    pub(crate) mod entry;
}

#[allow(dead_code, unused_imports)]
#[path = "../../crates/hawk-train/src/run"]
mod run {
    pub(crate) mod files;
}

/// The width and height of the pictures.
const SIDE: usize = 8;
/// The list of one picture.
const LIST: &str = r#"{"file":"a.png","captions":["a"],"style":"s","concept":"c","family":"f","kind":"emoji",
"split":"train","weight":1.0,"mirror":false}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let list = dir.path().join("captions.jsonl");
    if std::fs::write(&list, bytes).is_err() {
        return;
    }
    if let Ok(corpus) = pictures::corpus::Corpus::open(dir.path()) {
        let _ = (corpus.training(), corpus.validation());
        let _ = corpus.entries.iter().map(|entry| entry.group().len()).sum::<usize>();
    }
    let written =
        std::fs::write(&list, LIST.replace('\n', "")).and_then(|()| std::fs::write(dir.path().join("a.png"), bytes));
    if written.is_ok()
        && let Ok(corpus) = pictures::corpus::Corpus::open(dir.path())
        && let Ok(picture) = corpus.picture(0, SIDE)
    {
        assert_eq!(picture.pixels.len(), SIDE * SIDE * 3);
    }
});
