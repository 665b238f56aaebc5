//! The layers from a checkpoint, by the tensor names of taming-transformers and of LlamaGen.

use hawk_files::{Checkpoint, Codebook, Error, Result, VQ_PREFIXES, VqConfig, VqLayout};

use super::blocks::{Attention, Block, Mid, ResBlock};
use super::maps::{VqLayers, Window};

/// Codes shorter than this are divided by it instead of by their length, as torch's `normalize`.
const SHORTEST: f32 = 1e-12;
/// How far from one the length of a normalized code may be after rounding to 16 bits.
const ROUNDING: f32 = 1.0 / 256.0;

/// Takes layers from a checkpoint.
pub(super) struct Loader<'a, L> {
    layers: &'a L,
    config: &'a VqConfig,
    checkpoint: &'a Checkpoint,
    prefix: &'static str,
}

impl<'a, L: VqLayers> Loader<'a, L> {
    pub(super) fn new(layers: &'a L, config: &'a VqConfig, checkpoint: &'a Checkpoint) -> Self {
        let holds_codes = |prefix: &&str| checkpoint.contains(&format!("{prefix}quantize.embedding.weight"));
        let prefix = VQ_PREFIXES.into_iter().find(holds_codes).unwrap_or_default();
        Self { layers, config, checkpoint, prefix }
    }

    /// Refuses tensors of a part that the config does not mention: with them the tokenizer would be
    /// another one.
    pub(super) fn nothing_left(&self, part: &str) -> Result<()> {
        let own = format!("{}{part}", self.prefix);
        match self.checkpoint.left_over().into_iter().find(|name| name.starts_with(&own)) {
            None => Ok(()),
            Some(name) => Err(Error::input("the VQ tokenizer has a tensor that its config does not know")
                .at("num_res_blocks, ch_mult, attn_resolutions or resolution")
                .at(self.checkpoint.place())
                .got(name)),
        }
    }

    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.checkpoint.tensor(&format!("{}{name}", self.prefix), shape)?.to_f32())
    }

    pub(super) fn codebook(&self) -> Result<Vec<f32>> {
        let config = self.config;
        let mut codes = self.numbers("quantize.embedding.weight", &[config.codes, config.embed_dim])?;
        // A table that was normalized before it was stored is used unchanged: the reference read
        // these numbers, and normalizing them again would change pixels. LlamaGen and Janus
        // normalize whatever they read.
        let normalized = |code: &[f32]| config.layout == VqLayout::Taming && (length(code) - 1.0).abs() <= ROUNDING;
        if config.codebook == Codebook::Normalized && !codes.chunks_exact(config.embed_dim).all(normalized) {
            for code in codes.chunks_exact_mut(config.embed_dim) {
                let length = length(code).max(SHORTEST);
                code.iter_mut().for_each(|x| *x /= length);
            }
        }
        Ok(codes)
    }

    pub(super) fn conv(&self, name: &str, window: Window, inputs: usize, outputs: usize) -> Result<L::Conv> {
        let shape = [outputs, inputs, window.side(), window.side()];
        let weights = self.numbers(&format!("{name}.weight"), &shape)?;
        self.layers.conv(window, inputs, &weights, self.numbers(&format!("{name}.bias"), &[outputs])?)
    }

    pub(super) fn norm(&self, name: &str, channels: usize) -> Result<L::Norm> {
        let weight = self.numbers(&format!("{name}.weight"), &[channels])?;
        self.layers.norm(self.config.groups, weight, self.numbers(&format!("{name}.bias"), &[channels])?)
    }

    fn block(&self, name: &str, inputs: usize, outputs: usize) -> Result<ResBlock<L>> {
        let wide = format!("{name}.conv_shortcut");
        let shortcut = if inputs == outputs {
            None
        } else if self.checkpoint.contains(&format!("{}{wide}.weight", self.prefix)) {
            Some(self.conv(&wide, Window::Three, inputs, outputs)?)
        } else {
            Some(self.conv(&format!("{name}.nin_shortcut"), Window::One, inputs, outputs)?)
        };
        Ok(ResBlock {
            norm1: self.norm(&format!("{name}.norm1"), inputs)?,
            conv1: self.conv(&format!("{name}.conv1"), Window::Three, inputs, outputs)?,
            norm2: self.norm(&format!("{name}.norm2"), outputs)?,
            conv2: self.conv(&format!("{name}.conv2"), Window::Three, outputs, outputs)?,
            shortcut,
        })
    }

    fn attention(&self, name: &str, channels: usize) -> Result<Attention<L>> {
        let conv = |part: &str| self.conv(&format!("{name}.{part}"), Window::One, channels, channels);
        Ok(Attention {
            norm: self.norm(&format!("{name}.norm"), channels)?,
            q: conv("q")?,
            k: conv("k")?,
            v: conv("v")?,
            out: conv("proj_out")?,
        })
    }

    pub(super) fn mid(&self, name: &str, channels: usize) -> Result<Mid<L>> {
        let [first, attention, last] = match self.config.layout {
            VqLayout::Taming | VqLayout::Janus => ["block_1", "attn_1", "block_2"],
            VqLayout::LlamaGen => ["0", "1", "2"],
        };
        Ok(Mid {
            block_1: self.block(&format!("{name}.{first}"), channels, channels)?,
            attention: self.attention(&format!("{name}.{attention}"), channels)?,
            block_2: self.block(&format!("{name}.{last}"), channels, channels)?,
        })
    }

    /// `count` blocks of a level, each with its attention where the level has any.
    pub(super) fn blocks(&self, name: &str, level: usize, inputs: usize, count: usize) -> Result<Vec<Block<L>>> {
        let channels = self.config.level_channels[level];
        let with_attention = self.config.attention_levels.contains(&level);
        let word = if self.config.layout == VqLayout::LlamaGen { "res" } else { "block" };
        (0..count)
            .map(|block| {
                let inputs = if block == 0 { inputs } else { channels };
                let attention = match with_attention {
                    true => Some(self.attention(&format!("{name}.attn.{block}"), channels)?),
                    false => None,
                };
                Ok((self.block(&format!("{name}.{word}.{block}"), inputs, channels)?, attention))
            })
            .collect()
    }
}

fn length(code: &[f32]) -> f32 {
    code.iter().map(|x| x * x).sum::<f32>().sqrt()
}
