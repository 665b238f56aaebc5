//! Any bytes as one of the small files of a published model, or as a packed one; the first byte says which.
#![no_main]

use hawk_nn::{Checkpoint, HawkConfig, ModelSource, TransformerConfig};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{"model_type":"chameleon","hidden_size":64,"intermediate_size":96,"num_hidden_layers":1,
"num_attention_heads":4,"vocab_size":400,"rms_norm_eps":1e-5,"mask_image_logits":false}"#;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, content)) = bytes.split_first() else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    let file = match kind % 3 {
        0 => "packed.safetensors",
        1 => "vqgan.yaml",
        _ => "tokenizer.json",
    };
    let files: [(&str, &[u8]); 3] = [("config.json", CONFIG.as_bytes()), ("vqgan.ckpt", b"PK"), (file, content)];
    if files.iter().any(|(name, content)| std::fs::write(dir.path().join(name), content).is_err()) {
        return;
    }
    let source = ModelSource::Dir(dir.path().to_owned());
    if let Ok(checkpoint) = Checkpoint::open(&source, "") {
        let _ = checkpoint.verify();
        for name in checkpoint.names() {
            if let Some(shape) = checkpoint.shape(name) {
                let _ = checkpoint.tensor(name, shape).map(|tensor| tensor.to_f32());
            }
        }
    }
    let _ = source.vq();
    if let Ok(transformer) = TransformerConfig::from_json(CONFIG.as_bytes()) {
        let _ = HawkConfig::of_model(&source, &transformer);
    }
});
