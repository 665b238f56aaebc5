//! Any bytes as the `config.json` of a VQ tokenizer, or of a model that tells of one.
#![no_main]

use hawk_nn::VqConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = VqConfig::from_json(bytes).map(|config| config.pixels_per_cell());
    let _ = VqConfig::from_model_json(bytes).map(|config| config.map(|config| config.pixels_per_cell()));
});
