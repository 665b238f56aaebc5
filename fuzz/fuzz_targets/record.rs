//! Any bytes as a PNG of ours: refused, or its record makes a request or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((image, record)) = hawk::read_png(bytes) else { return };
    assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3);
    let _ = record.precision();
    let _ = record.request();
});
