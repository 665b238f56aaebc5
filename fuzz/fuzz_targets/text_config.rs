//! Any bytes as the `generation_config.json` beside a Llama.
#![no_main]

use hawk_files::{ModelSource, TextConfig, TransformerConfig};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../crates/hawk-nn/tests/golden/llama-gqa/config.json");

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let files: [(&str, &[u8]); 2] = [("config.json", CONFIG), ("generation_config.json", bytes)];
    if files.iter().any(|(name, content)| std::fs::write(dir.path().join(name), content).is_err()) {
        return;
    }
    let Ok(transformer) = TransformerConfig::from_json(CONFIG) else { return };
    let Ok(text) = TextConfig::of_model(&ModelSource::Dir(dir.path().to_owned()), &transformer) else { return };
    assert!(text.bos.iter().chain(&text.eos).all(|id| transformer.text().contains(&(id.0 as usize))));
});
