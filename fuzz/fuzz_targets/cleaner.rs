//! Any text as a caption that is cleaned for a T5.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/hawk-t5/src/clean.rs"]
#[allow(dead_code)]
mod clean;

static CLEANER: LazyLock<Option<clean::Cleaner>> = LazyLock::new(|| clean::Cleaner::new().ok());

fuzz_target!(|text: &str| {
    let _ = CLEANER.as_ref().map(|cleaner| cleaner.clean(text));
});
