//! Any text as a header of a server, as a commit, as the address of a hub or of a proxy.
#![no_main]

use std::path::{Component, Path};
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/hawk-hub/src/address.rs"]
mod address;
#[allow(dead_code)]
#[path = "../../crates/hawk-hub/src/answer.rs"]
mod answer;

fuzz_target!(|text: &str| {
    let _ = answer::retry_after(text, SystemTime::UNIX_EPOCH);
    let _ = answer::continues(Some(text), 100, 200);
    if answer::is_commit(text) {
        assert!(matches!(Path::new(text).components().collect::<Vec<_>>()[..], [Component::Normal(_)]));
    }
    if let Ok(address) = address::endpoint(text) {
        assert!(address::endpoint(&address).is_ok_and(|again| again == address), "{address}");
    }
    let _ = address::Proxy::new(text, text);
    assert!(address::percent_encoded(text).is_ascii());
});
