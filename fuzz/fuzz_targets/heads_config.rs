//! Any bytes as the `config.json` of draft heads: refused, or read again from what it writes.
#![no_main]

use hawk_nn::HeadsConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = HeadsConfig::from_json(bytes) else { return };
    let again = HeadsConfig::from_json(config.to_json().to_string().as_bytes());
    assert_eq!(again.ok().map(|again| again.heads.len()), Some(config.heads.len()));
});
