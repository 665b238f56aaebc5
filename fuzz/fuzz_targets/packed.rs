//! Any bytes as a packed file: refused, or all of it can be read and compared with its digest.
#![no_main]

use hawk_nn::kernels::Precision;
use hawk_nn::{Checkpoint, ModelSource, Target, TransformerConfig};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../crates/hawk-nn/tests/golden/llama-gqa/config.json");

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let files: [(&str, &[u8]); 1] = [("packed.safetensors", bytes)];
    if files.iter().any(|(name, content)| std::fs::write(dir.path().join(name), content).is_err()) {
        return;
    }
    let source = ModelSource::Dir(dir.path().to_owned());
    let Ok(checkpoint) = Checkpoint::open(&source, "") else { return };
    let _ = checkpoint.verify();
    for name in checkpoint.names() {
        if let Some(shape) = checkpoint.shape(name) {
            let _ = checkpoint.tensor(name, shape).map(|tensor| tensor.to_f32());
        }
    }
    let Ok(config) = TransformerConfig::from_json(CONFIG) else { return };
    for precision in [Precision::Bf16, Precision::Int8] {
        let _ = Target::load(config.clone(), &checkpoint, precision);
    }
});
