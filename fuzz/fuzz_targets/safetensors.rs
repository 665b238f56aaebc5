//! Any bytes as a safetensors file: refused, or all of it can be read.
#![no_main]

use hawk_nn::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes.to_vec()) else { return };
    for name in checkpoint.names() {
        let Some(shape) = checkpoint.shape(name) else { continue };
        let Ok(tensor) = checkpoint.tensor(name, shape) else { continue };
        let count: usize = shape.iter().product();
        assert_eq!(tensor.to_f32().len(), count);
    }
});
