//! Any bytes as the journal of a packed file that is not finished: its writer goes on.
#![no_main]

use hawk_files::PackedWriter;
use hawk_nn::kernels::Precision;
use libfuzzer_sys::fuzz_target;

/// More than the room for the header of a packed file.
const PACKED_BYTES: u64 = (1 << 20) + 4096;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let packed = dir.path().join("packed.safetensors");
    let made = std::fs::File::create(packed).and_then(|file| file.set_len(PACKED_BYTES));
    if made.and_then(|()| std::fs::write(dir.path().join("packed.journal"), bytes)).is_err() {
        return;
    }
    let _ = PackedWriter::new(dir.path(), Precision::Int8, Box::new(|_| ()));
});
