//! LlamaGen as it is published: weights of the transformer and of the VQ tokenizer in one file
//! each, without configs. Sizes are read off the shapes of the tensors. The rest comes from the
//! name of the file or from the caller.
//!
//! Sources: FoundationVision/LlamaGen (commit 5a50452) `autoregressive/models/gpt.py` and
//! `tokenizer/tokenizer_image/vq_model.py`. The names of the same tensors in transformers' Llama:
//! jadohu/LANTERN (commit 3a56e45) `models/kv_variants/modeling_llamagen_kv.py`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::tensor::LazyTensor;
use crate::config::image::ImageSize;
use crate::config::vq::VqConfig;
use crate::error::{Error, Result};
use crate::family::llamagen::SIZES as LLAMAGEN_SIZES;
use crate::json::size;

/// What the weights of a LlamaGen do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LlamaGenExtras {
    /// The VQ tokenizer's file, if it is not the published one beside the transformer's.
    pub vq: Option<PathBuf>,
    /// The size of the images, if the file's name does not say it.
    pub size: Option<ImageSize>,
    /// Attention heads of a layer, if width and layers are of no published size.
    pub heads: Option<usize>,
}

/// Sides of images that names of files tell, in pixels.
const SIDES: [u32; 3] = [256, 384, 512];
const CODES: &str = "tok_embeddings.weight";
const CLASSES: &str = "cls_embedding.embedding_table.weight";
const CAPTIONS: &str = "cls_embedding.cap_proj.fc1.weight";
const NO_CAPTION: &str = "cls_embedding.uncond_embedding";
/// Most layers that are counted.
const MAX_LAYERS: usize = 1 << 10;

/// Whether the tensors are those of a LlamaGen's transformer.
pub(crate) fn is_transformer(checkpoint: &Checkpoint) -> bool {
    checkpoint.contains(CODES) && checkpoint.names().any(|name| name.starts_with("cls_embedding."))
}

/// Whether the tensors are those of a LlamaGen's VQ tokenizer.
pub(crate) fn is_vq(checkpoint: &Checkpoint) -> bool {
    checkpoint.contains("quantize.embedding.weight") && checkpoint.contains("decoder.conv_blocks.0.res.0.conv1.weight")
}

/// Gives the tensors of a LlamaGen that is stored under the names of transformers' Llama their own
/// names. Any other checkpoint is returned unchanged.
pub(crate) fn under_own_names(checkpoint: Checkpoint, place: &str) -> Result<Checkpoint> {
    if !checkpoint.names().any(|name| name.starts_with("model.cls_embedding.")) {
        return Ok(checkpoint);
    }
    let checkpoint = Arc::new(checkpoint);
    let layers = layers(&checkpoint, "model.layers.", ".self_attn.q_proj.weight")?;
    let mut wanted = vec![
        (CODES.to_owned(), vec!["model.embed_tokens.weight".to_owned()]),
        ("norm.weight".to_owned(), vec!["model.norm.weight".to_owned()]),
        ("output.weight".to_owned(), vec!["lm_head.weight".to_owned()]),
    ];
    let conditions = checkpoint.names().filter(|name| name.starts_with("model.cls_embedding."));
    wanted.extend(conditions.map(|name| (name["model.".len()..].to_owned(), vec![name.to_owned()])));
    for layer in 0..layers {
        let (own, theirs) = (format!("layers.{layer}."), format!("model.layers.{layer}."));
        let parts = [
            ("attention.wqkv", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"][..]),
            ("attention.wo", &["self_attn.o_proj"]),
            ("feed_forward.w1", &["mlp.gate_proj"]),
            ("feed_forward.w3", &["mlp.up_proj"]),
            ("feed_forward.w2", &["mlp.down_proj"]),
            ("attention_norm", &["input_layernorm"]),
            ("ffn_norm", &["post_attention_layernorm"]),
        ];
        wanted.extend(parts.map(|(name, from)| {
            (format!("{own}{name}.weight"), from.iter().map(|part| format!("{theirs}{part}.weight")).collect())
        }));
    }
    let tensors = wanted.into_iter().map(|(name, from)| Ok((name, joined(&checkpoint, from)?)));
    Checkpoint::from_lazy(place, tensors.collect::<Result<Vec<_>>>().map_err(|e| e.at(place))?)
}

/// Tensors one below the other; q, k and v turn the same pairs in both layouts.
fn joined(checkpoint: &Arc<Checkpoint>, from: Vec<String>) -> Result<LazyTensor> {
    let first = checkpoint.raw(&from[0])?;
    let (dtype, mut shape) = (first.dtype, first.shape.to_vec());
    for name in &from[1..] {
        let more = checkpoint.raw(name)?;
        if more.dtype != dtype || more.shape.len() != shape.len() || more.shape[1..] != shape[1..] {
            let error = Error::input("a tensor does not fit the one that it is joined with").at(name);
            return Err(error
                .expected(format!("{dtype:?} [.., {:?}]", &shape[1..]))
                .got(format!("{:?} {:?}", more.dtype, more.shape)));
        }
        shape[0] += more.shape[0];
    }
    let checkpoint = Arc::clone(checkpoint);
    let read = move || {
        let mut bytes = Vec::new();
        for name in &from {
            bytes.extend_from_slice(&checkpoint.raw(name)?.bytes);
        }
        checkpoint.release();
        Ok(bytes)
    };
    Ok(LazyTensor { dtype, shape, read: Box::new(read) })
}

/// The `config.json` of the transformer in `checkpoint`, which was read from `source`. `told` is
/// the config of a Llama beside the weights, or null.
///
/// # Errors
/// Tensors contradict each other, or a size cannot be found.
pub(crate) fn config(
    checkpoint: &Checkpoint,
    source: &Path,
    extras: &LlamaGenExtras,
    told: &Value,
    vq: &VqConfig,
) -> Result<Value> {
    let [codes, dim] = shape(checkpoint, CODES)?;
    let dim = size("dim", dim as u64, 1 << 17)?;
    let layers = layers(checkpoint, "layers.", ".attention.wqkv.weight")?;
    let heads = heads(extras, told, layers, dim)?;
    let [rows, _] = shape(checkpoint, "layers.0.attention.wqkv.weight")?;
    let head_dim = dim / heads;
    // Queries, keys and values one below the other.
    let keys = rows.checked_sub(dim).filter(|rest| head_dim > 0 && rest.is_multiple_of(2 * head_dim));
    let kv_heads = keys.map(|rest| rest / 2 / head_dim).filter(|kv_heads| *kv_heads > 0).ok_or_else(|| {
        Error::input("the projection of queries, keys and values has rows for no number of heads")
            .at("layers.0.attention.wqkv.weight")
            .expected(format!("{dim} + 2 * {head_dim} * n_kv_head"))
            .got(rows)
    })?;
    let mut config = json!({
        "model_type": "llamagen", "dim": dim, "n_layer": layers, "n_head": heads, "n_kv_head": kv_heads,
        "multiple_of": multiple(checkpoint, dim)?, "vocab_size": codes,
    });
    match (checkpoint.contains(CLASSES), checkpoint.contains(CAPTIONS)) {
        (true, false) => {
            let [rows, _] = shape(checkpoint, CLASSES)?;
            // The last row stands for no class.
            config["gpt_type"] = json!("c2i");
            config["num_classes"] = json!(rows.saturating_sub(1));
            config["cls_token_num"] = json!(1);
        }
        (false, true) => {
            let ([_, width], [most, _]) = (shape(checkpoint, CAPTIONS)?, shape(checkpoint, NO_CAPTION)?);
            config["gpt_type"] = json!("t2i");
            config["caption_dim"] = json!(width);
            config["cls_token_num"] = json!(most);
        }
        (both, _) => {
            let got = if both { "both" } else { "neither" };
            return Err(Error::input("a LlamaGen reads either classes or captions")
                .at(source.display())
                .expected(format!("{CLASSES} or {CAPTIONS}"))
                .got(got));
        }
    }
    for (own, theirs) in [("norm_eps", "rms_norm_eps"), ("rope_base", "rope_base")] {
        if let Some(value) = told.get(theirs) {
            config[own] = value.clone();
        }
    }
    config["block_size"] = json!(cells(source, extras.size, told["block_size"].as_u64(), vq.pixels_per_cell())?);
    Ok(config)
}

/// How many layers there are, without a gap.
fn layers(checkpoint: &Checkpoint, before: &str, behind: &str) -> Result<usize> {
    let number = |name: &str| name.strip_prefix(before)?.strip_suffix(behind)?.parse::<usize>().ok();
    let layers = checkpoint.names().filter_map(number).max().map_or(0, |last| last.saturating_add(1));
    if layers == 0 || layers > MAX_LAYERS {
        let expected = format!("{before}N{behind}, N up to {}", MAX_LAYERS - 1);
        return Err(Error::input("no number of layers that a LlamaGen has").expected(expected).got(layers));
    }
    match (0..layers).map(|n| format!("{before}{n}{behind}")).find(|name| !checkpoint.contains(name)) {
        Some(missing) => Err(Error::input("a layer is missing").expected(missing)),
        None => Ok(layers),
    }
}

fn heads(extras: &LlamaGenExtras, told: &Value, layers: usize, dim: usize) -> Result<usize> {
    let published = |(_, [l, h, d]): &(&str, [u64; 3])| {
        let sizes = [layers as u64, dim as u64];
        ([*l, *d] == sizes).then_some(*h as usize)
    };
    let told = told["num_attention_heads"].as_u64().map(|heads| heads as usize);
    let known = extras.heads.or(told).or_else(|| LLAMAGEN_SIZES.iter().find_map(published));
    let heads = known.ok_or_else(|| {
        Error::input("weights do not tell the number of attention heads, and this is no published size")
            .at("n_head")
            .got(format!("{layers} layers of width {dim}"))
            .hint("--n-head N")
    })?;
    if heads == 0 || !dim.is_multiple_of(heads) {
        let error = Error::input("heads do not share the width").at("n_head");
        return Err(error.expected(format!("a divisor of {dim}")).got(heads));
    }
    Ok(heads)
}

/// What the inner width was rounded up to a multiple of.
fn multiple(checkpoint: &Checkpoint, dim: usize) -> Result<usize> {
    let name = "layers.0.feed_forward.w1.weight";
    let [inner, _] = shape(checkpoint, name)?;
    let own = 8 * dim / 3;
    // The published one first.
    let multiples = [256, 512, 1024, 2048, 4096, 128, 64, 32, 16, 8, 4, 2, 1];
    multiples.into_iter().find(|multiple| own.next_multiple_of(*multiple) == inner).ok_or_else(|| {
        Error::input("the inner width follows from no rounding of the width")
            .at(name)
            .expected(format!(
                "{own} rounded up to a multiple of a power of two, such as {}",
                own.next_multiple_of(256)
            ))
            .got(inner)
    })
}

/// Cells of the grid.
fn cells(source: &Path, size: Option<ImageSize>, told: Option<u64>, per_cell: usize) -> Result<u64> {
    let wrong = |what: &str| Error::input(what).at(source.display());
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let words = || stem.split(|c: char| !c.is_ascii_alphanumeric());
    let named: Vec<u32> = SIDES.into_iter().filter(|side| words().any(|word| word == side.to_string())).collect();
    let side = match (size, &named[..]) {
        (Some(size), _) if size.width != size.height => {
            let got = format!("{}x{}", size.width, size.height);
            return Err(wrong("a LlamaGen draws squares").expected("WxH with W = H").got(got));
        }
        (Some(size), named) if named.is_empty() || named == [size.width] => size.width,
        (Some(size), named) => {
            return Err(wrong("the name of the file tells another size than --size")
                .expected(format!("{named:?} pixels"))
                .got(size.width)
                .hint("a grid of another size than that of the training draws noise; rename the file if its name is wrong"));
        }
        (None, [side]) if told.is_none() => *side,
        (None, _) => match told {
            Some(cells) => return Ok(cells),
            None => {
                return Err(wrong("the size of the images is told neither by the weights nor by the file's name")
                    .expected("one of 256, 384 and 512 as a word of the name")
                    .got(format!("{stem:?}"))
                    .hint("--size 256x256: the side of the images that the model was trained on"));
            }
        },
    };
    let cells = (side as usize / per_cell).pow(2) as u64;
    if !(side as usize).is_multiple_of(per_cell) || told.is_some_and(|told| told != cells) {
        let expected = told
            .map_or(format!("a multiple of {per_cell} pixels, as the VQ tokenizer has a cell"), |told| {
                format!("{told} cells, as config.json says")
            });
        return Err(wrong("images of this size have no such grid").expected(expected).got(format!("{side} pixels")));
    }
    Ok(cells)
}

/// The `config.json` of a VQ tokenizer.
///
/// # Errors
/// Not the tensors of a LlamaGen's VQ tokenizer, or some that contradict each other.
pub(crate) fn vq_config(checkpoint: &Checkpoint) -> Result<Value> {
    let [codes, embed] = shape(checkpoint, "quantize.embedding.weight")?;
    let [latent, _, _, _] = shape(checkpoint, "post_quant_conv.weight")?;
    // The decoder's levels are stored in the order in which they are run, coarsest first.
    let mut channels = Vec::new();
    while checkpoint.contains(&block(channels.len(), 0)) {
        let [outputs, ..] = shape::<4>(checkpoint, &block(channels.len(), 0))?;
        channels.insert(0, outputs);
    }
    let blocks = (0..).take_while(|n| checkpoint.contains(&block(0, *n))).count();
    let base = match checkpoint.contains("encoder.conv_in.weight") {
        true => shape::<4>(checkpoint, "encoder.conv_in.weight")?[0],
        false => channels.iter().copied().fold(0, greatest_common_divisor),
    };
    if blocks < 2 || base == 0 || channels.iter().any(|channels| !channels.is_multiple_of(base)) {
        return Err(Error::input("the levels of the VQ tokenizer do not fit each other")
            .expected("two blocks a level or more, channels that are multiples of the encoder's first")
            .got(format!("{blocks} blocks, channels {channels:?}, encoder {base}")));
    }
    Ok(json!({
        "model_type": "llamagen_vq", "ch": base, "ch_mult": channels.iter().map(|c| c / base).collect::<Vec<_>>(),
        "num_res_blocks": blocks - 1, "z_channels": latent, "embed_dim": embed, "n_embed": codes,
    }))
}

fn block(level: usize, block: usize) -> String {
    format!("decoder.conv_blocks.{level}.res.{block}.conv1.weight")
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The shape of a tensor of N dimensions.
fn shape<const N: usize>(checkpoint: &Checkpoint, name: &str) -> Result<[usize; N]> {
    let got = checkpoint.shape(name);
    got.and_then(|shape| shape.try_into().ok()).ok_or_else(|| {
        let error = Error::input("a tensor is missing or has another shape").at(name);
        error.expected(format!("{N} dimensions")).got(got.map_or("nothing".to_owned(), |shape| format!("{shape:?}")))
    })
}

/// The VQ tokenizer that was published for a transformer, beside it.
pub(crate) fn vq_beside(source: &Path, checkpoint: &Checkpoint) -> Result<PathBuf> {
    let kind = if checkpoint.contains(CLASSES) { "c2i" } else { "t2i" };
    let folder = if source.is_dir() { source } else { source.parent().unwrap_or(Path::new("")) };
    let path = folder.join(format!("vq_ds16_{kind}.pt"));
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::input("a LlamaGen needs its VQ tokenizer to turn codes into pixels")
        .at(source.display())
        .expected(format!("vq_ds16_{kind}.pt beside it, or --vq FILE"))
        .hint("it is published with the model: vq_ds16_c2i.pt for classes, vq_ds16_t2i.pt for captions"))
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;

    use super::*;

    type Shapes = Vec<(String, Vec<usize>)>;

    /// A checkpoint of shapes alone.
    fn shapes(tensors: &[(String, Vec<usize>)]) -> Checkpoint {
        let lazy = |shape: &Vec<usize>| LazyTensor {
            dtype: Dtype::F32,
            shape: shape.clone(),
            read: Box::new(|| Err(Error::input("shapes alone"))),
        };
        Checkpoint::from_lazy("shapes", tensors.iter().map(|(name, shape)| (name.clone(), lazy(shape)))).unwrap()
    }

    fn transformer([layers, dim, inner]: [usize; 3], condition: &[(&str, [usize; 2])]) -> Shapes {
        let mut tensors = vec![(CODES.to_owned(), vec![16384, dim]), ("output.weight".to_owned(), vec![16384, dim])];
        for layer in 0..layers {
            tensors.push((format!("layers.{layer}.attention.wqkv.weight"), vec![3 * dim, dim]));
            tensors.push((format!("layers.{layer}.feed_forward.w1.weight"), vec![inner, dim]));
        }
        tensors.extend(condition.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())));
        tensors
    }

    fn vq(factors: &[usize]) -> Shapes {
        let mut tensors = vec![
            ("quantize.embedding.weight".to_owned(), vec![16384, 8]),
            ("post_quant_conv.weight".to_owned(), vec![256, 8, 1, 1]),
        ];
        for (level, factor) in factors.iter().rev().enumerate() {
            tensors.extend((0..3).map(|n| (block(level, n), vec![128 * factor, 128, 3, 3])));
        }
        tensors
    }

    fn vq_of(factors: &[usize]) -> VqConfig {
        VqConfig::from_json(vq_config(&shapes(&vq(factors))).unwrap().to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_published_files_tell_their_sizes() {
        let ([sixteen, eight], classes) = ([vq_of(&[1, 1, 2, 2, 4]), vq_of(&[1, 2, 2, 4])], 1001);
        assert_eq!((sixteen.pixels_per_cell(), eight.pixels_per_cell()), (16, 8));
        let default = |json: &str| VqConfig::from_json(json.as_bytes()).unwrap();
        assert_eq!(sixteen, default(r#"{"model_type": "llamagen_vq"}"#));
        assert_eq!(eight, default(r#"{"model_type": "llamagen_vq", "ch_mult": [1, 2, 2, 4]}"#));
        let captions = |dim| [(CAPTIONS, [dim, 2048]), (NO_CAPTION, [120, 2048])];
        for (name, sizes, heads, cells) in [
            ("c2i_B_256.pt", [12, 768, 2048], 12, 256),
            ("c2i_L_384.pt", [24, 1024, 2816], 16, 576),
            ("c2i_XXL_384.pt", [48, 1536, 4096], 24, 576),
            ("c2i_3B_384.pt", [24, 3200, 8704], 32, 576),
            ("t2i_XL_stage1_256.pt", [36, 1280, 3584], 20, 256),
            ("t2i_XL_stage2_512.pt", [36, 1280, 3584], 20, 1024),
        ] {
            let condition = match name.starts_with("c2i") {
                true => vec![(CLASSES, [classes, sizes[1]])],
                false => captions(sizes[1]).to_vec(),
            };
            let checkpoint = shapes(&transformer(sizes, &condition));
            let extras = LlamaGenExtras::default();
            let config = config(&checkpoint, Path::new(name), &extras, &Value::Null, &sixteen).unwrap();
            let expected = [heads, heads, 256, cells, sizes[0], sizes[1]].map(Value::from);
            let keys = ["n_head", "n_kv_head", "multiple_of", "block_size", "n_layer", "dim"];
            assert_eq!(keys.map(|key| config[key].clone()), expected, "{name}");
            match name.starts_with("c2i") {
                true => assert_eq!((&config["gpt_type"], &config["num_classes"]), (&"c2i".into(), &1000.into())),
                false => assert_eq!((&config["caption_dim"], &config["cls_token_num"]), (&2048.into(), &120.into())),
            }
        }
    }

    #[test]
    fn what_nobody_tells_is_asked_for_and_contradictions_are_named() {
        let sixteen = vq_of(&[1, 1, 2, 2, 4]);
        let b = [12, 768, 2048];
        let classes = [(CLASSES, [1001, 768])];
        let square = |side| Some(ImageSize { height: side, width: side });
        let size = |size| LlamaGenExtras { size, ..LlamaGenExtras::default() };
        let heads = |heads| LlamaGenExtras { heads: Some(heads), ..LlamaGenExtras::default() };
        let cells_of = |name: &str, extras: &LlamaGenExtras, told: Option<u64>| {
            let told = json!({ "block_size": told });
            config(&shapes(&transformer(b, &classes)), Path::new(name), extras, &told, &sixteen)
        };
        assert_eq!(cells_of("weights.pt", &size(square(384)), None).unwrap()["block_size"], 576);
        assert_eq!(cells_of("model_256/", &size(None), Some(576)).unwrap()["block_size"], 576);
        assert_eq!(cells_of("c2i_256.pt", &heads(24), None).unwrap()["n_head"], 24);
        let with = |change: &dyn Fn(&mut Shapes)| {
            let mut tensors = transformer(b, &classes);
            change(&mut tensors);
            config(&shapes(&tensors), Path::new("c2i_256.pt"), &LlamaGenExtras::default(), &Value::Null, &sixteen)
        };
        let reshape = |name: &'static str, shape: &'static [usize]| {
            with(&move |tensors| tensors.iter_mut().find(|(own, _)| own == name).unwrap().1 = shape.to_vec())
        };
        for (got, words) in [
            (cells_of("weights.pt", &size(None), None), "--size"),
            (cells_of("c2i_256_384.pt", &size(None), None), "--size"),
            (cells_of("c2i_256.pt", &size(square(384)), None), "[256] pixels"),
            (cells_of("c2i.pt", &size(square(100)), None), "multiple of 16"),
            (cells_of("c2i.pt", &size(square(256)), Some(576)), "576 cells"),
            (cells_of("c2i.pt", &size(Some(ImageSize { height: 256, width: 512 })), None), "squares"),
            (cells_of("c2i_256.pt", &heads(7), None), "divisor of 768"),
            (with(&|tensors| tensors.retain(|(name, _)| !name.starts_with("layers.5."))), "layers.5."),
            (with(&|tensors| tensors.retain(|(name, _)| !name.starts_with("layers."))), "layers.N"),
            (with(&|tensors| tensors.retain(|(name, _)| !name.starts_with("layers.11"))), "--n-head"),
            (
                with(&|tensors| tensors.push(("layers.18446744073709551615.attention.wqkv.weight".into(), vec![1]))),
                "1023",
            ),
            (with(&|tensors| tensors.push((CAPTIONS.into(), vec![768, 2048]))), "both"),
            (with(&|tensors| drop(tensors.pop())), "neither"),
            (reshape(CODES, &[16384]), "2 dimensions"),
            (reshape(CODES, &[16384, usize::MAX]), "131072"),
            (reshape(CODES, &[16384, 0]), "131072"),
            (reshape("layers.0.attention.wqkv.weight", &[768, 768]), "n_kv_head"),
            (reshape("layers.0.attention.wqkv.weight", &[2305, 768]), "n_kv_head"),
            (reshape("layers.0.feed_forward.w1.weight", &[2047, 768]), "2048"),
        ] {
            let error = got.unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        type Change = fn(&mut Shapes);
        let changes: [Change; 6] = [
            |tensors| tensors.truncate(2),
            |tensors| tensors[2].1 = vec![130, 128, 3, 3],
            |tensors| tensors[2].1 = vec![0, 128, 3, 3],
            |tensors| tensors[0].1 = vec![16384],
            |tensors| tensors.retain(|(name, _)| !name.contains("res.1") && !name.contains("res.2")),
            |tensors| tensors.push(("encoder.conv_in.weight".into(), vec![0, 3, 3, 3])),
        ];
        for change in changes {
            let mut tensors = vq(&[1, 2]);
            change(&mut tensors);
            let config = vq_config(&shapes(&tensors));
            let read = config.and_then(|config| VqConfig::from_json(config.to_string().as_bytes()));
            println!("{}", read.unwrap_err());
        }
    }
}
