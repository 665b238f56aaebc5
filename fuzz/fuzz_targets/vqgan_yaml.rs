//! Any bytes as the `vqgan.yaml` of taming-transformers.
#![no_main]

use hawk_nn::ModelSource;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let files: [(&str, &[u8]); 2] = [("vqgan.yaml", bytes), ("vqgan.ckpt", b"PK")];
    if files.iter().any(|(name, content)| std::fs::write(dir.path().join(name), content).is_err()) {
        return;
    }
    let source = ModelSource::Dir(dir.path().to_owned());
    let _ = source.vq();
});
