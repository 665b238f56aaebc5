//! Any bytes as a `tokenizer.json`: the names of its tokens, and ids of a text.
#![no_main]

use hawk_nn::{HawkConfig, ModelSource, TextTokenizer, TransformerConfig};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = br#"{"model_type":"chameleon","hidden_size":64,"intermediate_size":96,"num_hidden_layers":1,
"num_attention_heads":4,"vocab_size":400,"rms_norm_eps":1e-5,"mask_image_logits":false}"#;

/// The tokenizers library panics on some damaged files, and `TextTokenizer` makes an error of that. Any other panic is
/// a finding.
fn expect_panics_of_the_library() {
    let finding = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|place| place.file().contains("/tokenizers-")) {
            finding(info);
        }
    }));
}

fuzz_target!(init: expect_panics_of_the_library(), |bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let files: [(&str, &[u8]); 2] = [("config.json", CONFIG), ("tokenizer.json", bytes)];
    if files.iter().any(|(name, content)| std::fs::write(dir.path().join(name), content).is_err()) {
        return;
    }
    let source = ModelSource::Dir(dir.path().to_owned());
    if let Ok(transformer) = TransformerConfig::from_json(CONFIG) {
        let _ = HawkConfig::of_model(&source, &transformer);
    }
    let _ = TextTokenizer::from_bytes(bytes).map(|tokenizer| tokenizer.encode("a red apple"));
});
