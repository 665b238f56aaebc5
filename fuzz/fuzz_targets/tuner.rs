//! Any bytes as the memory of the autotuner: what is left of them can be written and read again.
#![no_main]

use hawk::TunerMemory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let memory = || TunerMemory::new("a processor", 20_000);
    let kept = memory().from_json(bytes);
    // Numbers may lose their last bit on the way, so the memories need not be equal.
    assert_eq!(kept == memory(), memory().from_json(&kept.to_json()) == memory());
});
