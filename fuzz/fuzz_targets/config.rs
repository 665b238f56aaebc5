//! Any bytes as each of a model's configs: refused, or valid, together or not.
#![no_main]

use hawk_nn::{HawkConfig, TransformerConfig, VqConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // One input can hold all of them: keys that a file does not know are left alone.
    let (transformer, vq) = (TransformerConfig::from_json(bytes), VqConfig::from_json(bytes));
    let _ = VqConfig::from_model_json(bytes);
    if let Ok(hawk) = HawkConfig::from_json(bytes) {
        let _ = transformer.map(|transformer| hawk.check(&transformer));
        let _ = vq.map(|vq| hawk.check_decoder(&vq));
    }
});
