//! Tiny random models in the built-in one's format.

use std::path::Path;

use hawk_spec::{Cell, ImageIndex, Noise, Purpose, Seed};
use safetensors::tensor::{Dtype, TensorView};

const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/built-in");
/// D of the tiny transformer.
const WIDTH: usize = 32;
const VOCABULARY: usize = 5144;

/// Channels of the tiny VQ decoder.
const CHANNELS: usize = 4;

/// What a tiny model draws.
#[derive(Clone, Copy)]
pub(crate) struct Tiny {
    /// Cells of a side.
    pub(crate) side: u32,
    pub(crate) codes: u32,
}

/// Numbers in -1..1 that depend on nothing but `stream`.
fn numbers(stream: u32, count: usize) -> impl Iterator<Item = f32> {
    let noise = Noise { seed: Seed(5), image: ImageIndex(stream) }.at(Cell(0), Purpose::Text);
    (0..count as u32).map(move |i| (2.0 * noise.uniform(i) - 1.0) as f32)
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

/// Tensors of a VQ decoder of one level: a cell is a pixel.
fn vq_tensors(codes: u32) -> Vec<(String, Vec<usize>, f32)> {
    let c = CHANNELS;
    let mut tensors = vec![("quantize.embedding.weight".to_owned(), vec![codes as usize, c], 1.0)];
    let mut add = |name: String, shape: &[usize]| {
        tensors.push((format!("{name}.weight"), shape.to_vec(), 0.5));
        tensors.push((format!("{name}.bias"), shape[..1].to_vec(), 0.1));
    };
    add("post_quant_conv".to_owned(), &[c, c, 1, 1]);
    add("decoder.conv_in".to_owned(), &[c, c, 3, 3]);
    for block in ["mid.block_1", "mid.block_2", "up.0.block.0", "up.0.block.1"] {
        for part in ["1", "2"] {
            add(format!("decoder.{block}.norm{part}"), &[c]);
            add(format!("decoder.{block}.conv{part}"), &[c, c, 3, 3]);
        }
    }
    add("decoder.mid.attn_1.norm".to_owned(), &[c]);
    ["q", "k", "v", "proj_out"].iter().for_each(|part| add(format!("decoder.mid.attn_1.{part}"), &[c, c, 1, 1]));
    add("decoder.norm_out".to_owned(), &[c]);
    add("decoder.conv_out".to_owned(), &[3, c, 3, 3]);
    tensors
}

/// Writes the model, with heads H1 H2 V1 D1-1 that say something else than the target.
pub(crate) fn write_tiny_model(dir: &Path, Tiny { side, codes }: Tiny) {
    for folder in ["vq", "heads"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    std::fs::copy(Path::new(BUILT_IN).join("tokenizer.json"), dir.join("tokenizer.json")).unwrap();
    let config = serde_json::json!({
        "model_type": "vqgan", "ch": CHANNELS, "ch_mult": [1], "num_res_blocks": 1, "z_channels": CHANNELS, "out_ch": 3,
        "embed_dim": CHANNELS, "n_embed": codes, "norm_num_groups": 2, "attn_resolutions": [], "double_z": false,
        "resolution": side,
    });
    std::fs::write(dir.join("vq/config.json"), config.to_string()).unwrap();
    write(&dir.join("vq/model.safetensors"), &vq_tensors(codes));
    let config = serde_json::json!({
        "model_type": "chameleon", "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5, "max_position_embeddings": 256,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let hawk = std::fs::read(Path::new(BUILT_IN).join("hawk.json")).unwrap();
    let mut hawk: serde_json::Value = serde_json::from_slice(&hawk).unwrap();
    hawk["grid"] = serde_json::json!([side, side]);
    hawk["image_size"] = serde_json::json!([side, side]);
    hawk["codes"] = codes.into();
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
        "hidden_size": WIDTH, "target": { "name": "tiny", "digest": digest }, "grid": [side, side], "heads": heads,
    });
    std::fs::write(dir.join("heads/config.json"), config.to_string()).unwrap();
    let tensors: Vec<_> = (0..heads.len())
        .flat_map(|i| {
            [(format!("heads.{i}.weight"), vec![WIDTH, WIDTH], 0.4), (format!("heads.{i}.bias"), vec![WIDTH], 0.5)]
        })
        .collect();
    write(&dir.join("heads/model.safetensors"), &tensors);
}
