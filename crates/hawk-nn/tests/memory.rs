//! Loading a model takes little more memory than the packed weights, and a stream little more than its
//! tokens.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{Checkpoint, ModelSource, PassLimits, Readout, Target, TransformerConfig};
use hawk_spec::TokenId;

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
fn loading_takes_the_packed_weights_and_a_tensor_and_streams_take_memory_as_they_grow() {
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
    // Keys and values take memory when tokens come.
    let before = status("VmRSS");
    let mut streams = [target.stream(50_000).unwrap()];
    let limits = PassLimits { rows: 8, readouts: 1, tokens: 50_000, vocabulary: 16 };
    let grown = status("VmRSS").saturating_sub(before);
    assert!(streams[0].bytes() > 8 * grown, "{} MB of {} MB", grown >> 20, streams[0].bytes() >> 20);
    let mut workspace = target.workspace(limits).unwrap();
    streams[0].rows.push_chain((0..8).map(TokenId), None, Readout::Nothing);
    target.forward(&Threads::new(1), &mut workspace, &mut streams, 0..16).unwrap().commit(&[Some(7)]);
    let used = status("VmRSS").saturating_sub(before);
    assert!(streams[0].bytes() > 4 * used, "{} MB of {} MB for 8 tokens", used >> 20, streams[0].bytes() >> 20);
}
