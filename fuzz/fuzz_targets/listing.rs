//! Any bytes as a hub's list of files: refused, or every file has a place inside, a size and a digest, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/hawk-hub/src/answer.rs"]
mod answer;
#[allow(dead_code)]
#[path = "../../crates/hawk-hub/src/listing.rs"]
mod listing;

fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = listing::Listing::from_json(bytes) else { return };
    for file in &list.siblings {
        assert!(file.path().is_ok_and(|path| path.is_relative()));
        let _ = (file.bytes(), file.blob().map(str::len));
    }
});
