//! Any bytes as an index of shards beside one shard.
#![no_main]

use hawk_nn::{Checkpoint, ModelSource};
use libfuzzer_sys::fuzz_target;

const SHARD: &[u8] = include_bytes!("../../crates/hawk-nn/tests/golden/llamagen-t2i/features.safetensors");

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let files: [(&str, &[u8]); 2] = [("model.safetensors.index.json", bytes), ("a.safetensors", SHARD)];
    if files.iter().any(|(name, content)| std::fs::write(dir.path().join(name), content).is_err()) {
        return;
    }
    let source = ModelSource::Dir(dir.path().to_owned());
    let _ = Checkpoint::open(&source, "").map(|checkpoint| checkpoint.names().count());
    let _ = source.digest();
});
