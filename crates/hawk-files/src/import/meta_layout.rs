//! The layout in which Meta published Chameleon and LLaMA: `consolidated.pth`, or parts
//! `consolidated.NN.pth`, and `params.json`. Anole-7B has it too. It is read as a checkpoint of the
//! Hugging Face layout, tensor by tensor.
//!
//! Beside the names, two things differ:
//!
//! - Rotary positions turn neighbouring pairs here and halves there. So the rows of the query and
//!   key projections are permuted inside each head, and the weights and biases of the norms on
//!   queries and keys with them.
//! - A model in parts is split along outputs or along inputs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::tensor::LazyTensor;
use crate::config::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::{from_json, from_value, size};

/// Most parts that a model is cut into.
const MAX_PARTS: usize = 64;

/// How the parts of a tensor make the whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Each part has some of the outputs.
    Rows,
    /// Each part has some of the inputs.
    Columns,
    /// Every part has all of it; the mean, as the reference's conversion takes it.
    Mean,
}

/// Whether the rotary pairs of each head become halves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pairs {
    Keep,
    /// Of the rows of each head of a matrix.
    Rows {
        head_dim: usize,
    },
    /// Of the numbers of each row: norms over a head.
    Columns {
        head_dim: usize,
    },
}

/// One tensor of the Hugging Face layout.
struct Wanted {
    name: String,
    from: String,
    join: Join,
    pairs: Pairs,
}

#[derive(Deserialize)]
struct Params {
    dim: u64,
    n_layers: u64,
    n_heads: u64,
    n_kv_heads: Option<u64>,
    #[serde(default = "default_eps")]
    norm_eps: f64,
    #[serde(default = "default_theta")]
    rope_theta: f64,
    #[serde(default)]
    swin_norm: bool,
    /// Rotary positions of LLaMA 3.1.
    #[serde(default)]
    use_scaled_rope: bool,
    /// Weights in few bits, and what was trained beside them.
    quantization_args: Option<Value>,
    lora_args: Option<Value>,
}

fn default_eps() -> f64 {
    1e-5
}

fn default_theta() -> f64 {
    10000.0
}

/// The folder with `params.json` and the weights: `dir` itself, or one below `models/` as in Meta's
/// download.
pub(crate) fn folder(dir: &Path) -> Option<PathBuf> {
    let is = |dir: &Path| dir.join("params.json").is_file() && part_files(dir).is_some();
    if is(dir) {
        return Some(dir.to_owned());
    }
    let mut below: Vec<PathBuf> =
        std::fs::read_dir(dir.join("models")).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    below.sort();
    below.into_iter().find(|dir| is(dir))
}

/// The files of the weights in order.
pub(crate) fn part_files(dir: &Path) -> Option<Vec<PathBuf>> {
    let whole = dir.join("consolidated.pth");
    if whole.is_file() {
        return Some(vec![whole]);
    }
    let parts = (0..MAX_PARTS).map(|part| dir.join(format!("consolidated.{part:02}.pth")));
    let parts: Vec<PathBuf> = parts.take_while(|part| part.is_file()).collect();
    (!parts.is_empty()).then_some(parts)
}

/// The model in `dir` as `config.json` and a checkpoint of the Hugging Face layout.
///
/// # Errors
/// A file that is missing or damaged, parts that do not fit each other.
pub(crate) fn open(dir: &Path) -> Result<(Value, Checkpoint)> {
    let params = params(&dir.join("params.json"))?;
    let files = part_files(dir).ok_or_else(|| {
        Error::input("there are no weights").at(dir.display()).expected("consolidated.pth or consolidated.00.pth")
    })?;
    let parts: Vec<Checkpoint> = files.iter().map(|file| Checkpoint::open_file(file)).collect::<Result<_>>()?;
    let parts = Arc::new(parts);
    let size = |field, value, most| size(field, value, most).map_err(|e| e.at(dir.join("params.json").display()));
    let heads = size("n_heads", params.n_heads, 1 << 10)?;
    let dim = size("dim", params.dim, 1 << 17)?;
    let layers = size("n_layers", params.n_layers, 1 << 10)?;
    let kv_heads = params.n_kv_heads.map_or(Ok(heads), |n| size("n_kv_heads", n, 1 << 10))?;
    if !dim.is_multiple_of(heads) || !(dim / heads).is_multiple_of(2) {
        let error = Error::input("heads do not share the hidden state in pairs").at("n_heads").at(dir.display());
        return Err(error.expected(format!("a divisor of dim = {dim} with even heads")).got(heads));
    }
    if let Some(name) = parts[0].names().find(|name| layer_of(name).is_some_and(|layer| layer >= layers)) {
        let error = Error::input("the weights have more layers than params.json says").at("n_layers").at(dir.display());
        return Err(error.expected(format!("at most {layers} layers")).got(name));
    }
    let with_norms = parts[0].contains("layers.0.attention.q_normalization.weight");
    let wanted = wanted(layers, dim / heads, with_norms);
    let place = dir.display().to_string();
    let tensors = wanted
        .iter()
        .map(|tensor| Ok((tensor.name.clone(), join(&parts, tensor).map_err(|e| e.at(&place))?)))
        .collect::<Result<Vec<_>>>()?;
    let checkpoint = Checkpoint::from_lazy(&place, tensors)?;
    let of = |name: &str| checkpoint.shape(name).map_or(0, |shape| shape[0]);
    let family =
        if with_norms { ("chameleon", "ChameleonForConditionalGeneration") } else { ("llama", "LlamaForCausalLM") };
    let config = json!({
        "model_type": family.0, "architectures": [family.1], "hidden_act": "silu",
        "hidden_size": dim, "intermediate_size": of("model.layers.0.mlp.gate_proj.weight"),
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "vocab_size": of("lm_head.weight"), "rms_norm_eps": params.norm_eps, "rope_theta": params.rope_theta,
        "max_position_embeddings": if params.rope_theta > 10000.0 { 16384 } else { 4096 },
        "swin_norm": params.swin_norm, "model_parallel_size": parts.len(),
        "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": false,
    });
    let transformer = TransformerConfig::from_json(config.to_string().as_bytes()).map_err(|e| e.at(&place))?;
    match transformer.tensors().iter().find_map(|tensor| tensor.fault(&checkpoint)) {
        Some(fault) => Err(Error::input("params.json and the weights contradict each other").at(place).got(fault)),
        None => Ok((config, checkpoint)),
    }
}

/// The layer that a tensor belongs to, if it does to one.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("layers.")?.split('.').next()?.parse().ok()
}

/// `params.json`, whose model may stand below a key of its own.
fn params(path: &Path) -> Result<Params> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read the sizes of the model", path, &e))?;
    let what = "the params.json of a model";
    let mut json: Value = from_json(what, &bytes).map_err(|e| e.at(path.display()))?;
    if json.get("model").is_some_and(Value::is_object) {
        json = json["model"].take();
    }
    let params: Params = from_value(what, json).map_err(|e| e.at(path.display()))?;
    let scaled = params.use_scaled_rope.then_some(("use_scaled_rope", "false"));
    let quantized = params.quantization_args.as_ref().map(|_| ("quantization_args", "null"));
    match scaled.or(quantized).or(params.lora_args.as_ref().map(|_| ("lora_args", "null"))) {
        None => Ok(params),
        Some((field, expected)) => {
            Err(Error::input("a setting that is not supported").at(field).at(path.display()).expected(expected))
        }
    }
}

fn wanted(layers: usize, head_dim: usize, with_norms: bool) -> Vec<Wanted> {
    let tensor =
        |name: &str, from: &str, join, pairs| Wanted { name: name.to_owned(), from: from.to_owned(), join, pairs };
    let mut all = vec![
        tensor("model.embed_tokens.weight", "tok_embeddings.weight", Join::Columns, Pairs::Keep),
        tensor("model.norm.weight", "norm.weight", Join::Mean, Pairs::Keep),
        tensor("lm_head.weight", "output.weight", Join::Rows, Pairs::Keep),
    ];
    for layer in 0..layers {
        for (name, from, join, pairs) in [
            ("self_attn.q_proj", "attention.wq", Join::Rows, Pairs::Rows { head_dim }),
            ("self_attn.k_proj", "attention.wk", Join::Rows, Pairs::Rows { head_dim }),
            ("self_attn.v_proj", "attention.wv", Join::Rows, Pairs::Keep),
            ("self_attn.o_proj", "attention.wo", Join::Columns, Pairs::Keep),
            ("mlp.gate_proj", "feed_forward.w1", Join::Rows, Pairs::Keep),
            ("mlp.down_proj", "feed_forward.w2", Join::Columns, Pairs::Keep),
            ("mlp.up_proj", "feed_forward.w3", Join::Rows, Pairs::Keep),
            ("input_layernorm", "attention_norm", Join::Mean, Pairs::Keep),
            ("post_attention_layernorm", "ffn_norm", Join::Mean, Pairs::Keep),
        ] {
            let (name, from) = (format!("model.layers.{layer}.{name}.weight"), format!("layers.{layer}.{from}.weight"));
            all.push(tensor(&name, &from, join, pairs));
        }
        for part in if with_norms { &["q", "k"][..] } else { &[] } {
            for kind in ["weight", "bias"] {
                let name = format!("model.layers.{layer}.self_attn.{part}_norm.{kind}");
                let from = format!("layers.{layer}.attention.{part}_normalization.{kind}");
                all.push(tensor(&name, &from, Join::Rows, Pairs::Columns { head_dim }));
            }
        }
    }
    all
}

/// A tensor that is put together when it is asked for.
fn join(parts: &Arc<Vec<Checkpoint>>, wanted: &Wanted) -> Result<LazyTensor> {
    let (join, pairs, from) = (wanted.join, wanted.pairs, wanted.from.clone());
    let first = parts[0].shape(&from).ok_or_else(|| Error::input("a tensor is missing").expected(&from))?;
    let dtype = parts[0].dtype(&from).filter(|dtype| matches!(dtype, Dtype::F32 | Dtype::BF16 | Dtype::F16));
    let Some(dtype) = dtype else {
        let error = Error::input("a tensor has a number format that is not supported").at(&from);
        return Err(error.expected("F32, BF16 or F16").got(format!("{:?}", parts[0].dtype(&from))));
    };
    for part in &parts[1..] {
        if (part.shape(&from), part.dtype(&from)) != (Some(first), Some(dtype)) {
            let error = Error::input("the parts of a tensor do not fit each other").at(&from);
            return Err(error.expected(format!("{dtype:?} {first:?}")).got(format!("{:?}", part.shape(&from))));
        }
    }
    // Norms over a head come as one row, with or without a dimension of its own.
    let mut shape = match (pairs, first) {
        (Pairs::Columns { .. }, [width]) => vec![1, *width],
        _ => first.to_vec(),
    };
    let (dimensions, width) = if join == Join::Mean { (1, 0) } else { (2, *shape.last().unwrap_or(&0)) };
    let head = match pairs {
        Pairs::Keep => None,
        Pairs::Rows { head_dim } => Some((shape[0], head_dim)),
        Pairs::Columns { head_dim } => Some((width, head_dim)),
    };
    if shape.len() != dimensions || head.is_some_and(|(size, head_dim)| !size.is_multiple_of(head_dim)) {
        let error = Error::input("a tensor has the wrong shape").at(&from);
        return Err(error.expected(format!("{dimensions} dimensions of whole heads")).got(format!("{first:?}")));
    }
    if shape.contains(&0) {
        return Err(Error::input("a tensor has no numbers").at(&from).got(format!("{first:?}")));
    }
    match join {
        Join::Rows => shape[0] *= parts.len(),
        Join::Columns => shape[1] *= parts.len(),
        Join::Mean => {}
    }
    let parts = Arc::clone(parts);
    let read = move || {
        let pieces = parts.iter().map(|part| part.raw(&from)).collect::<Result<Vec<_>>>()?;
        let bytes: Vec<&[u8]> = pieces.iter().map(|piece| &*piece.bytes).collect();
        let number = dtype.bitsize() / 8;
        let joined = match join {
            Join::Rows => bytes.concat(),
            Join::Columns => columns(&bytes, width * number),
            Join::Mean => mean(&bytes, dtype),
        };
        Ok(match pairs {
            Pairs::Keep => joined,
            Pairs::Rows { head_dim } => halves(&joined, head_dim, width * number),
            Pairs::Columns { head_dim } => halves(&joined, head_dim, number),
        })
    };
    Ok(LazyTensor { dtype, shape, read: Box::new(read) })
}

/// The rows of all parts side by side.
fn columns(parts: &[&[u8]], row_bytes: usize) -> Vec<u8> {
    let rows = parts[0].len() / row_bytes.max(1);
    (0..rows)
        .flat_map(|row| parts.iter().flat_map(move |part| &part[row * row_bytes..][..row_bytes]))
        .copied()
        .collect()
}

/// The mean of parts that are alike; where they are the same, the very numbers.
fn mean(parts: &[&[u8]], dtype: Dtype) -> Vec<u8> {
    if parts.iter().all(|part| part == &parts[0]) {
        return parts[0].to_vec();
    }
    let (number, count) = (dtype.bitsize() / 8, parts.len() as f32);
    let value = |bytes: &[u8]| match dtype {
        Dtype::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Dtype::BF16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        _ => half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
    };
    (0..parts[0].len() / number)
        .flat_map(|i| {
            let mean = parts.iter().map(|part| value(&part[i * number..][..number])).sum::<f32>() / count;
            match dtype {
                Dtype::F32 => mean.to_le_bytes().to_vec(),
                Dtype::BF16 => half::bf16::from_f32(mean).to_le_bytes().to_vec(),
                _ => half::f16::from_f32(mean).to_le_bytes().to_vec(),
            }
        })
        .collect()
}

/// Inside each head of `head_dim` items, the first of all pairs and then the second of all pairs.
fn halves(items: &[u8], head_dim: usize, item_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len());
    for head in items.chunks(head_dim * item_bytes) {
        for half in 0..2 {
            for pair in 0..head_dim / 2 {
                out.extend_from_slice(&head[(2 * pair + half) * item_bytes..][..item_bytes]);
            }
        }
    }
    out
}
