//! A tiny random model in the built-in one's format: 2 x 2 cells of 4 codes, so that whole images can be enumerated.

use std::path::Path;

use hawk_spec::{Cell, ImageIndex, Purpose, Seed, uniform};
use safetensors::tensor::{Dtype, TensorView};

const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/emoji-v1");
/// D of the tiny transformer.
const WIDTH: usize = 32;
const VOCABULARY: usize = 5144;

/// Codes of the tiny model.
pub(crate) const CODES: u32 = 4;
/// Its cells.
pub(crate) const CELLS: usize = 4;

/// Numbers in -1..1 that depend on nothing but `stream`.
fn numbers(stream: u32, count: usize) -> impl Iterator<Item = f32> {
    (0..count as u32).map(move |i| (2.0 * uniform(Seed(5), ImageIndex(stream), Cell(0), i, Purpose::Text) - 1.0) as f32)
}

fn write(path: &Path, tensors: &[(String, Vec<usize>, f32)]) {
    let data: Vec<Vec<u8>> = (0..)
        .zip(tensors)
        .map(|(stream, (name, shape, scale))| {
            let one = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
            numbers(stream, shape.iter().product()).flat_map(|x| (one + x * scale).to_le_bytes()).collect()
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape, _), data)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Writes the model, with heads H1 H2 V1 V2 that say something else than the target.
pub(crate) fn write_tiny_model(dir: &Path) {
    for folder in ["vq", "heads"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    for file in ["tokenizer.json", "vq/config.json", "vq/model.safetensors"] {
        std::fs::copy(Path::new(BUILT_IN).join(file), dir.join(file)).unwrap();
    }
    let config = serde_json::json!({
        "model_type": "chameleon", "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let hawk = std::fs::read(Path::new(BUILT_IN).join("hawk.json")).unwrap();
    let mut hawk: serde_json::Value = serde_json::from_slice(&hawk).unwrap();
    hawk["grid"] = serde_json::json!([2, 2]);
    hawk["image_size"] = serde_json::json!([16, 16]);
    hawk["codes"] = CODES.into();
    hawk["defaults"] = serde_json::json!({ "cfg": 3.0, "temperature": 1.0, "top_k": 0, "top_p": 1.0 });
    std::fs::write(dir.join("hawk.json"), hawk.to_string()).unwrap();
    let config = hawk_nn::TransformerConfig::from_json(config.to_string().as_bytes()).unwrap();
    let scale = |name: &str| if name.contains("norm") { 0.1 } else { 0.5 };
    let tensors: Vec<_> =
        config.tensors().into_iter().map(|tensor| (tensor.name.clone(), tensor.shape, scale(&tensor.name))).collect();
    write(&dir.join("model.safetensors"), &tensors);
    let heads = [("H1", [0, 1]), ("H2", [0, 2]), ("V1", [1, 0]), ("D1-1", [1, -1])];
    let heads: Vec<_> =
        heads.iter().map(|(name, offset)| serde_json::json!({ "name": name, "offset": offset })).collect();
    let digest = hawk_nn::ModelSource::Dir(dir.to_owned()).digest().unwrap();
    let config = serde_json::json!({
        "architectures": ["HawkHeads"], "speculators_model_type": "hawk", "block": "residual_silu",
        "hidden_size": WIDTH, "target": { "name": "tiny", "digest": digest }, "grid": [2, 2], "heads": heads,
    });
    std::fs::write(dir.join("heads/config.json"), config.to_string()).unwrap();
    let tensors: Vec<_> = (0..heads.len())
        .flat_map(|i| {
            [(format!("heads.{i}.weight"), vec![WIDTH, WIDTH], 0.4), (format!("heads.{i}.bias"), vec![WIDTH], 0.5)]
        })
        .collect();
    write(&dir.join("heads/model.safetensors"), &tensors);
}
