//! From codes to pixels: the decoder of a VQGAN.

use hawk_files::{Checkpoint, Error, Levels, ModelSource, Result, VqConfig, VqLayout};
use hawk_kernels::Threads;
use hawk_spec::{Code, Grid};

use super::blocks::{Level, Mid};
use super::image::{Image, MAX_PIXELS};
use super::layers::{Conv, GroupNorm, Then, Window, Zoom};
use super::load::Loader;
use super::plane::Plane;
use crate::memory::Demand;

/// The decoder half of a VQGAN with its codebook, in f32: `post_quant_conv` and `Decoder` of
/// taming-transformers.
pub struct VqDecoder {
    config: VqConfig,
    /// `[codes, embed_dim]`.
    codebook: Vec<f32>,
    post_quant: Conv,
    conv_in: Conv,
    mid: Mid,
    /// Coarsest first.
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv,
}

impl VqDecoder {
    /// The decoder of a model, wherever its folder keeps it.
    ///
    /// # Errors
    /// There is none, or a file of it is damaged.
    pub fn of_model(source: &ModelSource) -> Result<Self> {
        let vq = source.vq_tokenizer()?;
        Self::from_checkpoint(vq.config, &vq.checkpoint)
    }

    /// Reads `config.json` and the checkpoint in `folder` of the model (`"vq/"`). An encoder in the
    /// same file is ignored.
    ///
    /// # Errors
    /// A missing or wrong file, a tensor that is missing or does not fit the config.
    pub fn load(source: &ModelSource, folder: &str) -> Result<Self> {
        let name = format!("{folder}config.json");
        let config = VqConfig::from_json(&source.read(&name)?).map_err(|e| e.at(source.describe(&name)))?;
        Self::from_checkpoint(config, &Checkpoint::open(source, folder)?)
    }

    /// Takes the decoder's tensors from a checkpoint.
    ///
    /// # Errors
    /// A tensor that is missing or does not fit the config.
    pub fn from_checkpoint(config: VqConfig, checkpoint: &Checkpoint) -> Result<Self> {
        load(config, checkpoint)
    }

    /// The vectors of the codes, `[codes, embed_dim]`, and `embed_dim`.
    pub fn codebook(&self) -> (&[f32], usize) {
        (&self.codebook, self.config.embed_dim)
    }

    /// Its sizes.
    pub fn config(&self) -> &VqConfig {
        &self.config
    }

    /// The image of a whole grid of codes, in raster order. The same bits for any number of
    /// threads.
    ///
    /// # Errors
    /// The codes do not fill the grid or are not in the codebook, the image is too large for the
    /// decoder or for this machine's memory, or the weights give non-finite colours.
    pub fn decode(&self, pool: &Threads, codes: &[Code], grid: Grid) -> Result<Image> {
        self.demand(grid).check().map_err(|e| e.at("VQ decoder"))?;
        let plane = self.conv_in.apply(pool, &self.post_quant.apply(pool, &self.look_up(codes, grid)?));
        let plane =
            self.levels.iter().fold(self.mid.apply(pool, plane), |plane, level| level.apply(pool, plane, Zoom::Twice));
        let colours = self.conv_out.apply(pool, &self.norm_out.apply(pool, &plane, Then::Silu));
        if colours.data.iter().any(|x| !x.is_finite()) {
            return Err(Error::input("the decoder gives colours that are no numbers")
                .at("VQ decoder")
                .hint("are the weights damaged?"));
        }
        Ok(Image {
            width: colours.width as u32,
            height: colours.height as u32,
            pixels: colours.data.iter().map(|&x| level_of(x, self.config.levels)).collect(),
        })
    }

    /// The memory of the widest feature maps: a block keeps its input and has three more.
    fn demand(&self, grid: Grid) -> Demand {
        let (levels, cells) = (&self.config.level_channels, grid.cells() as usize);
        let numbers = |level: usize| {
            let (zoom, coarser) = (levels.len() - 1 - level, levels.get(level + 1).copied().unwrap_or(0));
            cells.saturating_mul(levels[level].max(coarser)).saturating_mul(1 << (2 * zoom))
        };
        let widest = (0..levels.len()).map(numbers).max().unwrap_or(0);
        Demand::default().with("feature maps", &[4, size_of::<f32>(), widest])
    }

    /// Codes to the vectors that they stand for.
    fn look_up(&self, codes: &[Code], grid: Grid) -> Result<Plane> {
        let cells = grid.cells() as usize;
        if codes.len() != cells {
            return Err(Error::input("the codes do not fill the grid")
                .expected(format!("{cells} codes"))
                .got(codes.len()));
        }
        let per_cell = self.config.pixels_per_cell();
        if cells * per_cell * per_cell > MAX_PIXELS {
            return Err(Error::input("the image is too large")
                .at("grid")
                .expected(format!("at most {} cells", MAX_PIXELS / (per_cell * per_cell)))
                .got(cells));
        }
        let width = self.config.embed_dim;
        let mut plane = Plane::zeros(grid.rows() as usize, grid.cols() as usize, width);
        for (code, out) in codes.iter().zip(plane.data.chunks_exact_mut(width)) {
            if code.index() >= self.config.codes {
                let expected = format!("below {}", self.config.codes);
                return Err(Error::input("a code is not in the codebook").expected(expected).got(code));
            }
            out.copy_from_slice(&self.codebook[code.index() * width..][..width]);
        }
        Ok(plane)
    }
}

fn load(config: VqConfig, checkpoint: &Checkpoint) -> Result<VqDecoder> {
    let loader = Loader::new(&config, checkpoint);
    let coarsest = config.level_channels[config.level_channels.len() - 1];
    let mut levels = Vec::new();
    let mut inputs = coarsest;
    for (level, &channels) in config.level_channels.iter().enumerate().rev() {
        let run = config.level_channels.len() - 1 - level;
        let name = match config.layout {
            VqLayout::Taming => format!("decoder.up.{level}"),
            VqLayout::Janus => format!("decoder.up.{run}"),
            VqLayout::LlamaGen => format!("decoder.conv_blocks.{run}"),
        };
        levels.push(Level {
            blocks: loader.blocks(&name, level, inputs, config.res_blocks + 1)?,
            resample: match level {
                0 => None,
                _ => Some(loader.conv(&format!("{name}.upsample.conv"), Window::Three, channels, channels)?),
            },
        });
        inputs = channels;
    }
    let decoder = VqDecoder {
        codebook: loader.codebook()?,
        post_quant: loader.conv("post_quant_conv", Window::One, config.embed_dim, config.latent_channels)?,
        conv_in: loader.conv("decoder.conv_in", Window::Three, config.latent_channels, coarsest)?,
        mid: loader.mid("decoder.mid", coarsest)?,
        levels,
        norm_out: loader.norm("decoder.norm_out", inputs)?,
        conv_out: loader.conv("decoder.conv_out", Window::Three, inputs, 3)?,
        config: config.clone(),
    };
    loader.nothing_left("decoder.")?;
    Ok(decoder)
}

/// A colour in -1..=1 as 0..=255, rounded as the reference does.
fn level_of(x: f32, levels: Levels) -> u8 {
    let level = (x.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0;
    match levels {
        Levels::Below => level as u8,
        Levels::Nearest => (level + 0.5) as u8,
    }
}
