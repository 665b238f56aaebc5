//! Any bytes as a checkpoint of PyTorch: refused, or all of it can be read.
#![no_main]

use std::io::Write;

use hawk_nn::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The reader takes a path; put the folder of temporary files into memory for speed.
    let Ok(mut file) = tempfile::Builder::new().suffix(".pt").tempfile() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let Ok(checkpoint) = Checkpoint::open_file(file.path()) else { return };
    for name in checkpoint.names() {
        let Some(shape) = checkpoint.shape(name) else { continue };
        // A view may stand for far more numbers than the file has bytes.
        let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        if count.is_none_or(|count| count > 1 << 20) {
            continue;
        }
        let Ok(tensor) = checkpoint.tensor(name, shape) else { continue };
        assert_eq!(tensor.to_f32().len(), shape.iter().product::<usize>());
    }
});
