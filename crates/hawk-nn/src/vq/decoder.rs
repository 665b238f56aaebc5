//! From codes to pixels: the decoder of a VQGAN.

use hawk_files::{Checkpoint, Error, Levels, ModelSource, Result, VqConfig, VqLayout};
use hawk_kernels::Threads;
use hawk_spec::{Code, Grid};

use super::blocks::{Level, Mid};
use super::image::{Image, MAX_PIXELS};
use super::layers::{CpuLayers, CpuMaps};
use super::load::Loader;
use super::maps::{Then, VqLayers, VqMaps, Window, Zoom};
use super::plane::Plane;
use crate::memory::Demand;

/// The decoder half of a VQGAN with its codebook, on any device: `post_quant_conv` and `Decoder` of
/// taming-transformers.
pub struct DecoderNet<L: VqLayers> {
    config: VqConfig,
    /// `[codes, embed_dim]`.
    codebook: Vec<f32>,
    post_quant: L::Conv,
    conv_in: L::Conv,
    mid: Mid<L>,
    /// Coarsest first.
    levels: Vec<Level<L>>,
    norm_out: L::Norm,
    conv_out: L::Conv,
}

/// The decoder half of a VQGAN on CPUs, in f32.
pub struct VqDecoder(DecoderNet<CpuLayers>);

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
        DecoderNet::load(&CpuLayers, config, checkpoint).map(Self)
    }

    /// The vectors of the codes, `[codes, embed_dim]`, and `embed_dim`.
    pub fn codebook(&self) -> (&[f32], usize) {
        (&self.0.codebook, self.0.config.embed_dim)
    }

    /// Its sizes.
    pub fn config(&self) -> &VqConfig {
        &self.0.config
    }

    /// The image of a whole grid of codes, in raster order. The same bits for any number of
    /// threads.
    ///
    /// # Errors
    /// The codes do not fill the grid or are not in the codebook, the image is too large for the
    /// decoder or for this machine's memory, or the weights give non-finite colours.
    pub fn decode(&self, pool: &Threads, codes: &[Code], grid: Grid) -> Result<Image> {
        let demand = Demand::default().with("feature maps", &[4, size_of::<f32>(), self.0.widest(grid)]);
        demand.check().map_err(|e| e.at("VQ decoder"))?;
        let (height, width) = (grid.rows() as usize, grid.cols() as usize);
        let latents = Plane { height, width, channels: self.0.config.embed_dim, data: self.0.latents(codes, grid)? };
        let colours = self.0.colours(&CpuMaps(pool), latents);
        self.0.image(&colours.data, grid)
    }
}

impl<L: VqLayers> DecoderNet<L> {
    /// Takes the decoder's tensors from a checkpoint.
    ///
    /// # Errors
    /// A tensor that is missing or does not fit the config.
    pub fn load(layers: &L, config: VqConfig, checkpoint: &Checkpoint) -> Result<Self> {
        load(layers, config, checkpoint)
    }

    /// Its sizes.
    pub fn config(&self) -> &VqConfig {
        &self.config
    }

    /// The vectors of the codes, `[codes, embed_dim]`.
    pub fn codebook(&self) -> &[f32] {
        &self.codebook
    }

    /// The colours of latents, `[cells, embed_dim]`: three channels, mostly in -1..=1.
    pub fn colours<M: VqMaps<Layers = L>>(&self, maps: &M, latents: M::Map) -> M::Map {
        let map = maps.convolve(&self.post_quant, &latents, Zoom::Same);
        let map = self.mid.apply(maps, maps.convolve(&self.conv_in, &map, Zoom::Same));
        let map = self.levels.iter().fold(map, |map, level| level.apply(maps, map, Zoom::Twice));
        maps.convolve(&self.conv_out, &maps.normalize(&self.norm_out, &map, Then::Silu), Zoom::Same)
    }

    /// The image of [`colours`](Self::colours), `[pixels, 3]`, of a grid.
    ///
    /// # Errors
    /// A colour is not finite.
    pub fn image(&self, colours: &[f32], grid: Grid) -> Result<Image> {
        if colours.iter().any(|x| !x.is_finite()) {
            return Err(Error::input("the decoder gives colours that are no numbers")
                .at("VQ decoder")
                .hint("are the weights damaged?"));
        }
        let per_cell = self.config.pixels_per_cell() as u32;
        Ok(Image {
            width: grid.cols() * per_cell,
            height: grid.rows() * per_cell,
            pixels: colours.iter().map(|&x| level_of(x, self.config.levels)).collect(),
        })
    }

    /// Numbers of the widest feature map of a grid. A block keeps its input and has three more maps.
    pub fn widest(&self, grid: Grid) -> usize {
        let (levels, cells) = (&self.config.level_channels, grid.cells() as usize);
        let numbers = |level: usize| {
            let (zoom, coarser) = (levels.len() - 1 - level, levels.get(level + 1).copied().unwrap_or(0));
            cells.saturating_mul(levels[level].max(coarser)).saturating_mul(1 << (2 * zoom))
        };
        (0..levels.len()).map(numbers).max().unwrap_or(0)
    }

    /// The vectors that the codes of a whole grid stand for, `[cells, embed_dim]`.
    ///
    /// # Errors
    /// The codes do not fill the grid or are not in the codebook, or the image is too large.
    pub fn latents(&self, codes: &[Code], grid: Grid) -> Result<Vec<f32>> {
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
        let mut latents = Vec::with_capacity(cells * width);
        for code in codes {
            if code.index() >= self.config.codes {
                let expected = format!("below {}", self.config.codes);
                return Err(Error::input("a code is not in the codebook").expected(expected).got(code));
            }
            latents.extend_from_slice(&self.codebook[code.index() * width..][..width]);
        }
        Ok(latents)
    }
}

fn load<L: VqLayers>(layers: &L, config: VqConfig, checkpoint: &Checkpoint) -> Result<DecoderNet<L>> {
    let loader = Loader::new(layers, &config, checkpoint);
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
    let decoder = DecoderNet {
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
