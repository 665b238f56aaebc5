//! Any bytes as the features of a caption: refused, or there is at least one.
#![no_main]

use hawk_nn::CaptionFeatures;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(CaptionFeatures::from_bytes(bytes.to_vec()).map_or(1, |features| features.count()) > 0);
});
