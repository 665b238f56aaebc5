//! Any bytes as a file of codes, of tokens or of prompts.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/hawk-cli/src/inputs.rs"]
#[allow(dead_code)]
mod inputs;

fuzz_target!(|bytes: &[u8]| {
    let _ = inputs::codes(bytes);
    let _ = inputs::tokens(bytes);
    let _ = inputs::prompts(bytes.to_vec());
});
