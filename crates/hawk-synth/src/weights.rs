//! Random weights: numbers are a function of the seed and a tensor's name.

use std::fs;
use std::io::Write;
use std::path::Path;

use hawk_files::{Error, Planned, Result, write_checkpoint};
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use crate::random::SplitMix64;

/// Files of a folder to be written.
pub(crate) struct Part {
    /// `""` or `"vq/"`.
    pub(crate) folder: &'static str,
    pub(crate) dtype: Dtype,
    pub(crate) tensors: Vec<(String, Vec<usize>)>,
}

impl Part {
    pub(crate) fn plan(&self) -> Vec<Planned> {
        let tensor = |(name, shape): &(String, Vec<usize>)| Planned {
            name: name.clone(),
            dtype: self.dtype,
            shape: shape.clone(),
        };
        self.tensors.iter().map(tensor).collect()
    }
}

pub(crate) fn write_random(dir: &Path, plan: &[Planned], seed: u64, progress: &dyn Fn(u64)) -> Result<()> {
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

/// The random numbers of a tensor.
pub(crate) fn stream(seed: u64, name: &str) -> SplitMix64 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
    SplitMix64(digest.first_chunk().map_or(seed, |bytes| u64::from_le_bytes(*bytes)))
}

/// The numbers of a tensor.
struct Random(SplitMix64);

impl Random {
    fn new(seed: u64, name: &str) -> Self {
        Self(stream(seed, name))
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
