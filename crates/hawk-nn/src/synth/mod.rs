//! Models of the public shapes with random weights: to measure full size, and to test every layout, where the weights themselves cannot be had.
//!
//! Numbers are a function of the seed and a tensor's name, so that a file can be written in any order and again. They are spread so that
//! states keep their size from layer to layer and laws are neither flat nor certain; what such a model draws means nothing.

mod config;
mod shapes;
mod tokenizer;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde_json::Value;
use sha2::{Digest, Sha256};

use hawk_files::{
    Arrangement, Error, Family, HawkConfig, HeadConfig, HeadOffset, HeadsConfig, ModelSource, Planned, Progress,
    Result, TransformerConfig, check_new_folder, finish, put, unsupported, work_folder, write_checkpoint,
};

use crate::random::SplitMix64;

/// A public model, or a tiny one of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthModel {
    /// Lumina-mGPT 7B: 512, 768 and 1024 alike.
    Lumina7b,
    /// Anole 7B.
    Anole7b,
    /// Janus-Pro 1B, without what only reads images.
    JanusPro1b,
    /// Janus-Pro 7B, without what only reads images.
    JanusPro7b,
    /// LlamaGen XL for text, 775 M.
    LlamaGenXl,
    /// LLaMA 2 7B: text alone.
    Llama2,
    /// Two layers in Lumina-mGPT's layout.
    TinyLumina,
    /// Two layers in Anole's layout.
    TinyAnole,
    /// Two layers in Janus-Pro's layout.
    TinyJanusPro,
    /// Two layers in LlamaGen's layout.
    TinyLlamaGen,
    /// Two layers in LLaMA 2's layout.
    TinyLlama,
}

impl SynthModel {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Lumina7b,
        Self::Anole7b,
        Self::JanusPro1b,
        Self::JanusPro7b,
        Self::LlamaGenXl,
        Self::Llama2,
        Self::TinyLumina,
        Self::TinyAnole,
        Self::TinyJanusPro,
        Self::TinyLlamaGen,
        Self::TinyLlama,
    ];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lumina7b => "lumina-mgpt-7b",
            Self::Anole7b => "anole-7b",
            Self::JanusPro1b => "janus-pro-1b",
            Self::JanusPro7b => "janus-pro-7b",
            Self::LlamaGenXl => "llamagen-xl",
            Self::Llama2 => "llama-2-7b",
            Self::TinyLumina => "tiny-lumina-mgpt",
            Self::TinyAnole => "tiny-anole",
            Self::TinyJanusPro => "tiny-janus-pro",
            Self::TinyLlamaGen => "tiny-llamagen",
            Self::TinyLlama => "tiny-llama",
        }
    }
}

impl std::str::FromStr for SynthModel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| unsupported("model", &known, name))
    }
}

/// Files of a folder to be written.
struct Part {
    /// `""` or `"vq/"`.
    folder: &'static str,
    dtype: Dtype,
    tensors: Vec<(String, Vec<usize>)>,
}

/// Writes a model into the new folder `out`: configs, a text tokenizer of bytes, and bf16 weights in the public layout, in shards.
/// The same call again goes on where one was broken off.
///
/// # Errors
/// There is something at `out`, or it cannot be written.
pub fn synthesize(model: SynthModel, seed: u64, out: &Path, progress: &Progress) -> Result<()> {
    check_new_folder(out)?;
    let work = work_folder(out, "synth", &serde_json::json!({ "model": model.name(), "seed": seed }))?;
    for (name, content) in config::files(model) {
        put_below(&work, name, content.to_string().as_bytes())?;
    }
    let parts = shapes::parts(model)?;
    let plans: Vec<(PathBuf, Vec<Planned>)> =
        parts.into_iter().map(|part| (work.join(part.folder), part.plan())).collect();
    let total = plans.iter().flat_map(|(_, plan)| plan).map(Planned::bytes).sum();
    let mut before = 0;
    for (folder, plan) in &plans {
        write_random(folder, plan, seed, &|done| progress(before + done, total))?;
        before += plan.iter().map(Planned::bytes).sum::<u64>();
    }
    finish(&work, out)
}

/// Offsets of a model of images: two to the right, two down, one diagonal, as the built-in model has.
const IMAGE_HEADS: [(u32, i32); 5] = [(0, 1), (0, 2), (1, 0), (2, 0), (1, -1)];
/// Offsets of a model of text.
const TEXT_HEADS: [(u32, i32); 4] = [(0, 1), (0, 2), (0, 3), (0, 4)];

/// Writes random draft heads for a model into the new folder `out`: for an image model two to the right, two down, one diagonal, for a Llama
/// that draws no images four to the right.
///
/// # Errors
/// The model cannot be read or does not say what its images look like; `out` cannot be written.
pub fn synthesize_heads(model: &ModelSource, name: &str, seed: u64, out: &Path, progress: &Progress) -> Result<()> {
    check_new_folder(out)?;
    let config =
        TransformerConfig::from_json(&model.read("config.json")?).map_err(|e| e.at(model.describe("config.json")))?;
    let (arrangement, offsets): (Arrangement, &[(u32, i32)]) = match HawkConfig::of_model(model, &config)? {
        Some(image_side) => (image_side.layout.grid().into(), &IMAGE_HEADS),
        None if config.family == Family::Llama => (Arrangement::Line, &TEXT_HEADS),
        None => {
            let error = Error::input("the model does not say what its images look like");
            let error = error.expected("hawk.json, or a public model with its text tokenizer");
            return Err(error.at(model.describe("hawk.json")));
        }
    };
    let head = |&(down, right): &(u32, i32)| Ok(HeadConfig { offset: HeadOffset::new(down, right)?, validation: None });
    let heads = HeadsConfig {
        hidden: config.hidden,
        target_name: name.to_owned(),
        target_digest: model.digest()?,
        arrangement,
        heads: offsets.iter().map(head).collect::<Result<_>>()?,
    };
    let work = work_folder(out, "synth", &serde_json::json!({ "heads": heads.to_json(), "seed": seed }))?;
    put(&work.join("config.json"), heads.to_json().to_string().as_bytes())?;
    let d = config.hidden;
    let part = Part {
        folder: "",
        dtype: Dtype::BF16,
        tensors: (0..heads.heads.len())
            .flat_map(|head| [(format!("heads.{head}.weight"), vec![d, d]), (format!("heads.{head}.bias"), vec![d])])
            .collect(),
    };
    let plan = part.plan();
    let total = plan.iter().map(Planned::bytes).sum();
    write_random(&work, &plan, seed, &|done| progress(done, total))?;
    finish(&work, out)
}

impl Part {
    fn plan(&self) -> Vec<Planned> {
        let tensor = |(name, shape): &(String, Vec<usize>)| Planned {
            name: name.clone(),
            dtype: self.dtype,
            shape: shape.clone(),
        };
        self.tensors.iter().map(tensor).collect()
    }
}

fn put_below(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io("make the folder", parent, &e))?;
    }
    put(&path, bytes)
}

fn write_random(dir: &Path, plan: &[Planned], seed: u64, progress: &dyn Fn(u64)) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
    let source = &mut |tensor: &Planned, out: &mut dyn Write| {
        Random::new(seed, &tensor.name).write(tensor, out).map_err(|e| Error::io("write the weights", dir, &e))
    };
    write_checkpoint(dir, plan, source, progress)
}

/// Where a tensor's numbers lie, even in `centre` plus or minus `spread`.
fn range_of(name: &str, shape: &[usize]) -> (f32, f32) {
    // Numbers even in -1..1 have the variance 1/3.
    let unit = |inputs: usize| (3.0 / inputs as f32).sqrt();
    let ends = |ending: &str| name.ends_with(ending);
    if ends("embed_tokens.weight")
        || ends("embedding.weight")
        || ends("embedding_table.weight")
        || name.contains("tok_embeddings")
        || ends("gen_embed.weight")
        || ends("uncond_embedding")
    {
        (0.0, unit(1))
    } else if ends("lm_head.weight") || ends("output.weight") || ends("vision_head.weight") {
        // Laws that know what they want, yet not for certain.
        (0.0, 3.0 * unit(shape[1]))
    } else if name.starts_with("heads.") {
        (0.0, if shape.len() == 2 { 0.1 * unit(shape[1]) } else { 0.01 })
    } else if ends(".bias") {
        (0.0, 0.1)
    } else if name.contains("norm") && shape.len() <= 2 {
        (1.0, 0.1)
    } else {
        (0.0, unit(shape[1..].iter().product::<usize>().max(1)))
    }
}

/// The numbers of a tensor.
struct Random(SplitMix64);

impl Random {
    fn new(seed: u64, name: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
        Self(SplitMix64(digest.first_chunk().map_or(seed, |bytes| u64::from_le_bytes(*bytes))))
    }

    fn write(&mut self, tensor: &Planned, out: &mut dyn Write) -> std::io::Result<()> {
        let (centre, spread) = range_of(&tensor.name, &tensor.shape);
        let (mut left, mut buffer) = (tensor.shape.iter().product::<usize>(), Vec::with_capacity(1 << 16));
        while left > 0 {
            buffer.clear();
            for _ in 0..left.div_ceil(4).min(1 << 13) {
                let bits = self.0.bits();
                // Sixteen bits are more than bf16 keeps.
                for part in 0..4 {
                    let even = f32::from((bits >> (16 * part)) as i16) / 32768.0;
                    let number = centre + spread * even;
                    match tensor.dtype {
                        Dtype::BF16 => buffer.extend(half::bf16::from_f32(number).to_le_bytes()),
                        _ => buffer.extend(number.to_le_bytes()),
                    }
                }
            }
            let width = if tensor.dtype == Dtype::BF16 { 2 } else { 4 };
            let count = left.min(buffer.len() / width);
            out.write_all(&buffer[..count * width])?;
            left -= count;
        }
        Ok(())
    }
}

/// A small file: name and content.
type SmallFile = (&'static str, Value);
