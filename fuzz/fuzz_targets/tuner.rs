//! Any bytes as the memory of the autotuner: left out, or written and read again as the same.
#![no_main]

use hawk::TunerMemory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let memory = || TunerMemory::new("a processor", 20_000);
    let found = memory().from_json(bytes);
    assert_eq!(memory().from_json(&found.to_json()), found);
});
