//! Any bytes as the `params.json` of Meta's layout beside weights, converted.
#![no_main]

use std::sync::Arc;

use hawk_nn::{Conversion, ConvertTo, CpuLoader, LlamaGenExtras, Progress};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/hawk-files/tests/common/torch.rs"]
mod torch;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let source = dir.path().join("meta");
    let weights = torch::save(&[torch::Saved::f32("norm.weight", &[8], &[1.0; 8])], None, &[]);
    let write = |name: &str, content: &[u8]| std::fs::write(source.join(name), content);
    let made = std::fs::create_dir(&source).and_then(|()| write("params.json", bytes));
    if made.and_then(|()| write("consolidated.00.pth", &weights)).is_err() {
        return;
    }
    let (out, to) = (dir.path().join("out"), ConvertTo::Safetensors);
    let conversion = Conversion { source, tokenizer: None, out, to, llamagen: LlamaGenExtras::default() };
    let _ = conversion.run(&CpuLoader, &(Arc::new(|_, _| ()) as Progress));
});
