//! Any bytes as the `config.json` of a transformer of any family: refused, or all its tensors can be listed.
#![no_main]

use hawk_nn::TransformerConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = TransformerConfig::from_json(bytes).map(|config| config.tensors());
});
