//! Any bytes as the `config.json` of spatial heads: refused, or read again from what it writes.
#![no_main]

use hawk_nn::SpatialConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = SpatialConfig::from_json(bytes) else { return };
    let again = SpatialConfig::from_json(config.to_json().to_string().as_bytes());
    assert_eq!(again.ok().map(|again| again.rank), Some(config.rank));
});
