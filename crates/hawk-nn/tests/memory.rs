//! Loading a model takes little more memory than the packed weights.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use hawk_nn::kernels::Precision;
use hawk_nn::{Checkpoint, ModelSource, Target, TransformerConfig};

/// 57 M weights.
const CONFIG: &str = r#"{"model_type":"llama","hidden_size":1024,"intermediate_size":2816,"num_hidden_layers":4,
    "num_attention_heads":8,"vocab_size":3072,"rms_norm_eps":1e-5}"#;

/// Writes an f32 checkpoint without ever having it in memory.
fn write(config: &TransformerConfig, file: &Path) {
    let mut at = 0;
    let mut header = serde_json::Map::new();
    for tensor in config.tensors() {
        let end = at + 4 * tensor.shape.iter().product::<usize>();
        let entry = serde_json::json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, end]});
        header.insert(tensor.name, entry);
        at = end;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut out = BufWriter::with_capacity(1 << 16, File::create(file).unwrap());
    out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    out.write_all(&header).unwrap();
    let block: Vec<u8> = (0..1024_u32).flat_map(|i| (i as f32 / 1e4).to_le_bytes()).collect();
    for start in (0..at).step_by(block.len()) {
        out.write_all(&block[..block.len().min(at - start)]).unwrap();
    }
    out.flush().unwrap();
}

/// A line of this process's status in bytes.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    1024 * line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<usize>().unwrap()
}

// One test: the peak is the process's.
#[test]
fn loading_takes_the_packed_weights_and_a_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let config = TransformerConfig::from_json(CONFIG.as_bytes()).unwrap();
    write(&config, &dir.path().join("model.safetensors"));
    let largest = config.tensors().iter().map(|tensor| 4 * tensor.shape.iter().product::<usize>()).max().unwrap();
    let before = status("VmRSS");
    let checkpoint = Checkpoint::open(&ModelSource::Dir(dir.path().to_owned()), "").unwrap();
    let target = Target::load(config, &checkpoint, Precision::Int8).unwrap();
    let (peak, packed) = (status("VmHWM") - before, target.memory_bytes());
    println!("peak {} MB, packed {} MB, largest tensor {} MB", peak >> 20, packed >> 20, largest >> 20);
    assert!(10 * peak < 13 * packed + 10 * largest);
}
