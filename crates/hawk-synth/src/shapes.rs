//! Names and shapes of the public models' tensors.

use hawk_files::{Error, Result, TransformerConfig};
use safetensors::Dtype;
use serde_json::json;

use crate::config::{CAPTION, CAPTION_TOKENS, Kind, Sizes, VqSizes, files};
use crate::model::SynthModel;
use crate::weights::Part;

type Tensors = Vec<(String, Vec<usize>)>;

/// Everything that a model's folder holds.
pub(crate) fn parts(model: SynthModel) -> Result<Vec<Part>> {
    let weights = |tensors| Part { folder: "", dtype: Dtype::BF16, tensors };
    let vq = |tensors| Part { folder: "vq/", dtype: Dtype::F32, tensors };
    let transformer = || {
        let (_, config) = files(model).swap_remove(0);
        TransformerConfig::from_json(config.to_string().as_bytes())
    };
    Ok(match model.kind() {
        Kind::Lumina(vq_sizes) | Kind::Anole(vq_sizes) => {
            let tensors = transformer()?.tensors().into_iter().map(|tensor| {
                // Lumina-mGPT stores one norm for all heads, Hugging Face's conversions one per
                // head.
                let shared = tensor.name.contains("q_norm") || tensor.name.contains("k_norm");
                let lumina = matches!(model.kind(), Kind::Lumina(_));
                let mut shape = tensor.shape;
                if shared && lumina {
                    shape[0] = 1;
                }
                (tensor.name, shape)
            });
            vec![weights(tensors.collect()), vq(taming(vq_sizes))]
        }
        Kind::Janus(sizes) if model.is_tiny() => vec![weights(janus(model, sizes)?), vq(vq16(sizes, ""))],
        Kind::Janus(sizes) => {
            let among = vq16(sizes, "gen_vision_model.");
            vec![weights([janus(model, sizes)?, among].concat())]
        }
        Kind::LlamaGen(sizes) => vec![weights(llamagen(model.sizes())), vq(vq16(sizes, ""))],
        Kind::Llama => {
            vec![weights(transformer()?.tensors().into_iter().map(|tensor| (tensor.name, tensor.shape)).collect())]
        }
    })
}

/// Names with one shape each.
fn push(tensors: &mut Tensors, name: impl Into<String>, shape: &[usize]) {
    tensors.push((name.into(), shape.to_vec()));
}

fn janus(model: SynthModel, vq: VqSizes) -> Result<Tensors> {
    let sizes = model.sizes();
    let (d, e, codes) = (sizes.hidden, vq.embed, vq.codes);
    let llama = json!({
        "model_type": "llama", "hidden_size": d, "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers, "num_attention_heads": sizes.heads, "vocab_size": sizes.vocab,
        "rms_norm_eps": 1e-6,
    });
    let llama = TransformerConfig::from_json(llama.to_string().as_bytes())?;
    let mut tensors: Tensors =
        llama.tensors().into_iter().map(|tensor| (format!("language_model.{}", tensor.name), tensor.shape)).collect();
    push(&mut tensors, "gen_embed.weight", &[codes, e]);
    for (name, outputs, inputs) in [
        ("gen_aligner.layers.0", d, e),
        ("gen_aligner.layers.2", d, d),
        ("gen_head.output_mlp_projector", d, d),
        ("gen_head.vision_head", codes, d),
    ] {
        push(&mut tensors, format!("{name}.weight"), &[outputs, inputs]);
        push(&mut tensors, format!("{name}.bias"), &[outputs]);
    }
    match tensors.iter().find(|(_, shape)| shape.contains(&0)) {
        Some((name, shape)) => Err(Error::input("a tensor without numbers").at(name).got(format!("{shape:?}"))),
        None => Ok(tensors),
    }
}

fn llamagen(sizes: Sizes) -> Tensors {
    let (d, inner, mut tensors) = (sizes.hidden, sizes.intermediate, Vec::new());
    push(&mut tensors, "tok_embeddings.weight", &[sizes.vocab, d]);
    push(&mut tensors, "cls_embedding.cap_proj.fc1.weight", &[d, CAPTION]);
    push(&mut tensors, "cls_embedding.cap_proj.fc2.weight", &[d, d]);
    push(&mut tensors, "cls_embedding.uncond_embedding", &[CAPTION_TOKENS, CAPTION]);
    for layer in 0..sizes.layers {
        for (name, shape) in [
            ("attention.wqkv", &[3 * d, d][..]),
            ("attention.wo", &[d, d]),
            ("feed_forward.w1", &[inner, d]),
            ("feed_forward.w2", &[d, inner]),
            ("feed_forward.w3", &[inner, d]),
            ("attention_norm", &[d]),
            ("ffn_norm", &[d]),
        ] {
            push(&mut tensors, format!("layers.{layer}.{name}.weight"), shape);
        }
    }
    push(&mut tensors, "norm.weight", &[d]);
    push(&mut tensors, "output.weight", &[sizes.vocab, d]);
    tensors
}

/// Layers of a VQ tokenizer under names that begin alike.
struct Layers(Tensors);

impl Layers {
    fn conv(&mut self, name: &str, outputs: usize, inputs: usize, side: usize) {
        push(&mut self.0, format!("{name}.weight"), &[outputs, inputs, side, side]);
        push(&mut self.0, format!("{name}.bias"), &[outputs]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        push(&mut self.0, format!("{name}.weight"), &[channels]);
        push(&mut self.0, format!("{name}.bias"), &[channels]);
    }

    fn block(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.norm(&format!("{name}.norm1"), inputs);
        self.conv(&format!("{name}.conv1"), outputs, inputs, 3);
        self.norm(&format!("{name}.norm2"), outputs);
        self.conv(&format!("{name}.conv2"), outputs, outputs, 3);
        if inputs != outputs {
            self.conv(&format!("{name}.nin_shortcut"), outputs, inputs, 1);
        }
    }

    fn attention(&mut self, name: &str, channels: usize) {
        self.norm(&format!("{name}.norm"), channels);
        for part in ["q", "k", "v", "proj_out"] {
            self.conv(&format!("{name}.{part}"), channels, channels, 1);
        }
    }

    fn mid(&mut self, [first, attention, second]: [&str; 3], channels: usize) {
        self.block(first, channels, channels);
        self.attention(attention, channels);
        self.block(second, channels, channels);
    }
}

/// How the two families of code name the same layers.
struct Naming {
    mid: [&'static str; 3],
    /// Name of a level of `encoder` or `decoder`, from the number of finer levels and of all
    /// levels.
    level: fn(&str, usize, usize) -> String,
    block: &'static str,
    /// Attention follows the blocks of the coarsest level.
    coarse_attention: bool,
}

fn taming(vq: VqSizes) -> Tensors {
    let level = |half: &str, level: usize, _: usize| match half {
        "encoder" => format!("encoder.down.{level}"),
        _ => format!("decoder.up.{level}"),
    };
    let naming = Naming { mid: ["block_1", "attn_1", "block_2"], level, block: "block", coarse_attention: false };
    tokenizer(vq, &naming)
}

/// VQ-16 of LlamaGen and Janus-Pro.
fn vq16(vq: VqSizes, prefix: &str) -> Tensors {
    // The decoder counts its levels from the coarsest.
    let level = |half: &str, level: usize, levels: usize| match half {
        "encoder" => format!("encoder.conv_blocks.{level}"),
        _ => format!("decoder.conv_blocks.{}", levels - 1 - level),
    };
    let naming = Naming { mid: ["0", "1", "2"], level, block: "res", coarse_attention: true };
    tokenizer(vq, &naming).into_iter().map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect()
}

fn tokenizer(vq: VqSizes, naming: &Naming) -> Tensors {
    let (mut layers, levels) = (Layers(Vec::new()), vq.factors.len());
    let channels = vq.factors.map(|factor| vq.base * factor);
    let coarsest = channels[levels - 1];
    push(&mut layers.0, "quantize.embedding.weight", &[vq.codes, vq.embed]);
    layers.conv("quant_conv", vq.embed, vq.latent, 1);
    layers.conv("post_quant_conv", vq.latent, vq.embed, 1);
    layers.conv("encoder.conv_in", vq.base, 3, 3);
    layers.conv("decoder.conv_in", coarsest, vq.latent, 3);
    let mut inputs = vq.base;
    for (level, &outputs) in channels.iter().enumerate() {
        let place = Place { half: "encoder", level, levels };
        half_level(&mut layers, naming, place, &mut inputs, outputs);
        if level + 1 < levels {
            layers.conv(&format!("{}.downsample.conv", place.name(naming)), inputs, inputs, 3);
        }
    }
    inputs = coarsest;
    for level in (0..levels).rev() {
        let place = Place { half: "decoder", level, levels };
        half_level(&mut layers, naming, place, &mut inputs, channels[level]);
        if level > 0 {
            layers.conv(&format!("{}.upsample.conv", place.name(naming)), inputs, inputs, 3);
        }
    }
    for (half, last, outputs) in [("encoder", coarsest, vq.latent), ("decoder", channels[0], 3)] {
        let mid = naming.mid.map(|part| format!("{half}.mid.{part}"));
        layers.mid([&mid[0], &mid[1], &mid[2]], coarsest);
        layers.norm(&format!("{half}.norm_out"), last);
        layers.conv(&format!("{half}.conv_out"), outputs, last, 3);
    }
    layers.0
}

/// A level of the encoder or of the decoder.
#[derive(Clone, Copy)]
struct Place {
    /// `encoder` or `decoder`.
    half: &'static str,
    /// Number of finer levels.
    level: usize,
    /// Number of all levels.
    levels: usize,
}

impl Place {
    fn name(self, naming: &Naming) -> String {
        (naming.level)(self.half, self.level, self.levels)
    }
}

/// The blocks of a level: two in the encoder, three in the decoder.
fn half_level(layers: &mut Layers, naming: &Naming, place: Place, inputs: &mut usize, channels: usize) {
    let name = place.name(naming);
    for block in 0..if place.half == "encoder" { 2 } else { 3 } {
        layers.block(&format!("{name}.{}.{block}", naming.block), *inputs, channels);
        if naming.coarse_attention && place.level + 1 == place.levels {
            layers.attention(&format!("{name}.attn.{block}"), channels);
        }
        *inputs = channels;
    }
}
