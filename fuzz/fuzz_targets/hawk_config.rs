//! Any bytes as a `hawk.json`: refused, or valid, and comparable with a transformer and a VQ tokenizer.
#![no_main]

use hawk_nn::{HawkConfig, ImageSize, TransformerConfig, VqConfig};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../models/built-in/config.json");
const VQ: &[u8] = include_bytes!("../../models/built-in/vq/config.json");

fuzz_target!(|bytes: &[u8]| {
    let Ok(hawk) = HawkConfig::from_json(bytes) else { return };
    let _ = TransformerConfig::from_json(CONFIG).map(|transformer| hawk.check(&transformer));
    let _ = VqConfig::from_json(VQ).map(|vq| hawk.check_decoder(&vq));
    let _ = hawk.resized(ImageSize { height: 512, width: 512 });
});
