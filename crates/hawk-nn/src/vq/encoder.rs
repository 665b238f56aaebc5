//! From pixels to codes: the encoder of a VQGAN and the search for the nearest code.

use hawk_files::{Checkpoint, Codebook, Error, ModelSource, Result, VqConfig, VqLayout, VqTokenizer};
use hawk_kernels::{Matrix, Precision, Threads, matmul};
use hawk_spec::{Code, Grid};

use super::blocks::{Level, Mid};
use super::image::{Image, MAX_PIXELS};
use super::layers::{Conv, CpuLayers, CpuMaps, GroupNorm};
use super::load::Loader;
use super::maps::{Then, VqMaps, Window, Zoom};
use super::plane::Plane;

/// The encoder half of a VQGAN with its codebook, in f32: `Encoder` of taming-transformers and
/// `quant_conv`.
pub struct VqEncoder {
    config: VqConfig,
    conv_in: Conv,
    /// Finest first.
    levels: Vec<Level<CpuLayers>>,
    mid: Mid<CpuLayers>,
    norm_out: GroupNorm,
    conv_out: Conv,
    quant: Conv,
    /// `[codes, embed_dim]`.
    codebook: Vec<f32>,
}

impl VqEncoder {
    /// The encoder of a model: in `vq/`, or among the tensors of the model itself.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn of_model(source: &ModelSource) -> Result<Self> {
        let Some(VqTokenizer { config, checkpoint, .. }) = source.vq()? else {
            return Err(Error::input("the model has no VQ tokenizer").at(source.describe("vq/")));
        };
        load(config, &checkpoint)
    }

    /// Reads `config.json` and the checkpoint in `folder` of the model (`"vq/"`). A decoder in the
    /// same file is ignored.
    ///
    /// # Errors
    /// A file or tensor is missing or does not fit. Some models come without their encoder.
    pub fn load(source: &ModelSource, folder: &str) -> Result<Self> {
        let name = format!("{folder}config.json");
        let config = VqConfig::from_json(&source.read(&name)?).map_err(|e| e.at(source.describe(&name)))?;
        load(config, &Checkpoint::open(source, folder)?)
    }

    /// Its sizes.
    pub fn config(&self) -> &VqConfig {
        &self.config
    }

    /// The codes of an image that fills a grid. The same for any number of threads.
    ///
    /// # Errors
    /// The image has another size than the grid asks for or is too large, or the weights give
    /// non-finite numbers.
    pub fn encode(&self, pool: &Threads, image: &Image, grid: Grid) -> Result<Vec<Code>> {
        let (maps, last) = (CpuMaps(pool), self.maps(pool, image, grid)?);
        let latents = maps.convolve(&self.quant, &maps.convolve(&self.conv_out, &last, Zoom::Same), Zoom::Same);
        Ok(self.nearest(pool, finite(latents)?))
    }

    /// Number of [`features`](Self::features).
    pub fn feature_count(&self) -> usize {
        self.config.level_channels.last().copied().unwrap_or(self.config.base_channels)
    }

    /// What the encoder sees of an image: its last feature maps, before they become latents, as means over the
    /// cells. The same for any number of threads.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn features(&self, pool: &Threads, image: &Image, grid: Grid) -> Result<Vec<f32>> {
        let maps = finite(self.maps(pool, image, grid)?)?;
        let mut sums = vec![0.0_f64; maps.channels];
        for cell in maps.data.chunks_exact(maps.channels) {
            sums.iter_mut().zip(cell).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        Ok(sums.into_iter().map(|sum| (sum / maps.pixels() as f64) as f32).collect())
    }

    /// The last feature maps.
    fn maps(&self, pool: &Threads, image: &Image, grid: Grid) -> Result<Plane> {
        let maps = CpuMaps(pool);
        let plane = maps.convolve(&self.conv_in, &self.colours(image, grid)?, Zoom::Same);
        let plane = self.levels.iter().fold(plane, |plane, level| level.apply(&maps, plane, Zoom::Half));
        Ok(maps.normalize(&self.norm_out, &self.mid.apply(&maps, plane), Then::Silu))
    }

    /// The image as numbers in -1..=1.
    fn colours(&self, image: &Image, grid: Grid) -> Result<Plane> {
        let per_cell = self.config.pixels_per_cell();
        let (height, width) = (grid.rows() as usize * per_cell, grid.cols() as usize * per_cell);
        let size = (image.height as usize, image.width as usize);
        if size != (height, width) || image.pixels.len() != 3 * height * width {
            return Err(Error::input("the image does not fill the grid")
                .expected(format!("{width} x {height} pixels"))
                .got(format!("{} x {}", image.width, image.height)));
        }
        if height * width > MAX_PIXELS {
            let expected = format!("at most {MAX_PIXELS} pixels");
            return Err(Error::input("the image is too large").expected(expected).got(height * width));
        }
        let data = image.pixels.iter().map(|&level| f32::from(level) / 127.5 - 1.0).collect();
        Ok(Plane { height, width, channels: 3, data })
    }

    /// The code nearest to each latent, ties to the lower one.
    ///
    /// `|z - e|^2` is smallest where `z e - |e|^2 / 2` is largest. For codes of length one the
    /// length of a latent does not matter, so it is not normalized as in the reference.
    fn nearest(&self, pool: &Threads, latents: Plane) -> Vec<Code> {
        let (width, codes) = (self.config.embed_dim, self.config.codes);
        let code = |code: usize| &self.codebook[code * width..][..width];
        let table = Matrix::pack(Precision::F32, codes, width, &mut |row, out| out.copy_from_slice(code(row)));
        let half_square = |number: usize| code(number).iter().map(|x| x * x).sum::<f32>() / 2.0;
        let bias: Vec<f32> = match self.config.codebook {
            Codebook::AsStored => (0..codes).map(half_square).collect(),
            Codebook::Normalized => vec![0.0; codes],
        };
        let mut scores = vec![0.0; codes];
        let mut nearest = |latent: &[f32]| {
            matmul(pool, &table, latent, 1, &mut scores);
            let mut best = (0, f32::NEG_INFINITY);
            for (code, (score, bias)) in (0..).zip(scores.iter().zip(&bias)) {
                if score - bias > best.1 {
                    best = (code, score - bias);
                }
            }
            Code(best.0)
        };
        latents.data.chunks_exact(width).map(&mut nearest).collect()
    }
}

fn finite(plane: Plane) -> Result<Plane> {
    if plane.data.iter().any(|x| !x.is_finite()) {
        return Err(Error::input("the encoder gives latents that are no numbers")
            .at("VQ encoder")
            .hint("are the weights damaged?"));
    }
    Ok(plane)
}

fn load(config: VqConfig, checkpoint: &Checkpoint) -> Result<VqEncoder> {
    let loader = Loader::new(&CpuLayers, &config, checkpoint);
    let (mut levels, mut inputs) = (Vec::new(), config.base_channels);
    if !inputs.is_multiple_of(config.groups) {
        return Err(Error::input("channels do not fall into equal groups")
            .at("norm_num_groups")
            .expected(format!("a divisor of ch = {inputs}"))
            .got(config.groups));
    }
    for (level, &channels) in config.level_channels.iter().enumerate() {
        let name = match config.layout {
            VqLayout::Taming | VqLayout::Janus => format!("encoder.down.{level}"),
            VqLayout::LlamaGen => format!("encoder.conv_blocks.{level}"),
        };
        let last = level + 1 == config.level_channels.len();
        levels.push(Level {
            blocks: loader.blocks(&name, level, inputs, config.res_blocks)?,
            resample: match last {
                true => None,
                false => Some(loader.conv(&format!("{name}.downsample.conv"), Window::Three, channels, channels)?),
            },
        });
        inputs = channels;
    }
    let encoder = VqEncoder {
        conv_in: loader.conv("encoder.conv_in", Window::Three, 3, config.base_channels)?,
        levels,
        mid: loader.mid("encoder.mid", inputs)?,
        norm_out: loader.norm("encoder.norm_out", inputs)?,
        conv_out: loader.conv("encoder.conv_out", Window::Three, inputs, config.latent_channels)?,
        quant: loader.conv("quant_conv", Window::One, config.latent_channels, config.embed_dim)?,
        codebook: loader.codebook()?,
        config: config.clone(),
    };
    loader.nothing_left("encoder.")?;
    Ok(encoder)
}
