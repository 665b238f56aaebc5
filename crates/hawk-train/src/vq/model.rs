//! The VQGAN of taming-transformers as burn sees it, with the tensor names that `hawk_nn::VqEncoder` and `VqDecoder` read.

use burn::module::{Module, Param};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::module::{conv2d, interpolate};
use burn::tensor::ops::PadMode;
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, FloatDType, Tensor};
use hawk_nn::{Result, VqConfig};

use crate::params;
use crate::precision::Precision;
use crate::random::{Purpose, Random};

const EPSILON: f64 = 1e-6;

/// A convolution that keeps the size, or halves it, computed in the numbers of its input.
#[derive(Module, Debug)]
pub(crate) struct Conv {
    /// `[outputs, inputs, window, window]`.
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Conv {
    fn zeros([outputs, inputs]: [usize; 2], window: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs, window, window], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let padding = self.weight.dims()[2] / 2;
        self.apply(x, 1, padding)
    }

    /// Half the size: one more row and column of zeros below and to the right, as taming-transformers.
    fn halve(&self, x: Tensor<4>) -> Tensor<4> {
        self.apply(x.pad((0, 1, 0, 1), PadMode::Constant(0.0)), 2, 0)
    }

    fn apply(&self, x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
        let (weight, bias) = (self.weight.val().cast(x.dtype()), self.bias.val().cast(x.dtype()));
        conv2d(x, weight, Some(bias), options)
    }
}

/// GroupNorm, computed in f32.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
}

impl Norm {
    fn zeros(channels: usize, groups: usize, device: &Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([channels], device));
        Self { weight: zeros(), bias: zeros(), groups }
    }

    /// One multiply-add over the planes: the mean, the spread, the weight and the bias are brought together first.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ([batch, channels, height, width], numbers) = (x.dims(), x.dtype());
        let x = x.cast(FloatDType::F32);
        let of_group = channels / self.groups;
        let grouped = x.clone().reshape([batch, self.groups, of_group * height * width]);
        let mean = grouped.clone().mean_dim(2);
        let variance = (grouped.square().mean_dim(2) - mean.clone().square()).clamp_min(0.0);
        let inverse = (variance + EPSILON).sqrt().recip();
        let of_channels = |x: Tensor<3>| x.expand([batch, self.groups, of_group]).reshape([batch, channels]);
        let scale = of_channels(inverse) * self.weight.val().unsqueeze();
        let shift = self.bias.val().unsqueeze() - of_channels(mean) * scale.clone();
        (x * scale.reshape([batch, channels, 1, 1]) + shift.reshape([batch, channels, 1, 1])).cast(numbers)
    }
}

#[derive(Module, Debug)]
pub(crate) struct ResBlock {
    norm1: Norm,
    conv1: Conv,
    norm2: Norm,
    conv2: Conv,
    nin_shortcut: Option<Conv>,
}

impl ResBlock {
    fn zeros(inputs: usize, outputs: usize, groups: usize, device: &Device) -> Self {
        Self {
            norm1: Norm::zeros(inputs, groups, device),
            conv1: Conv::zeros([outputs, inputs], 3, device),
            norm2: Norm::zeros(outputs, groups, device),
            conv2: Conv::zeros([outputs, outputs], 3, device),
            nin_shortcut: (inputs != outputs).then(|| Conv::zeros([outputs, inputs], 1, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = self.conv1.forward(silu(self.norm1.forward(x.clone())));
        let inner = self.conv2.forward(silu(self.norm2.forward(inner)));
        match &self.nin_shortcut {
            Some(shortcut) => shortcut.forward(x) + inner,
            None => x + inner,
        }
    }
}

#[derive(Module, Debug)]
pub(crate) struct Attention {
    norm: Norm,
    q: Conv,
    k: Conv,
    v: Conv,
    proj_out: Conv,
}

impl Attention {
    fn zeros(channels: usize, groups: usize, device: &Device) -> Self {
        let conv = || Conv::zeros([channels; 2], 1, device);
        Self { norm: Norm::zeros(channels, groups, device), q: conv(), k: conv(), v: conv(), proj_out: conv() }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let normal = self.norm.forward(x.clone());
        let flat = |conv: &Conv| conv.forward(normal.clone()).reshape([batch, channels, height * width]);
        let scores = flat(&self.q).swap_dims(1, 2).matmul(flat(&self.k)) * (channels as f64).powf(-0.5);
        let mixed = flat(&self.v).matmul(softmax(scores, 2).swap_dims(1, 2));
        x + self.proj_out.forward(mixed.reshape([batch, channels, height, width]))
    }
}

#[derive(Module, Debug)]
pub(crate) struct Mid {
    block_1: ResBlock,
    attn_1: Attention,
    block_2: ResBlock,
}

impl Mid {
    fn zeros(channels: usize, groups: usize, device: &Device) -> Self {
        let block = || ResBlock::zeros(channels, channels, groups, device);
        Self { block_1: block(), attn_1: Attention::zeros(channels, groups, device), block_2: block() }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.block_2.forward(self.attn_1.forward(self.block_1.forward(x)))
    }
}

#[derive(Module, Debug)]
pub(crate) struct Resample {
    conv: Conv,
}

/// Blocks of one resolution.
#[derive(Module, Debug)]
pub(crate) struct Down {
    block: Vec<ResBlock>,
    downsample: Option<Resample>,
}

/// Blocks of one resolution.
#[derive(Module, Debug)]
pub(crate) struct Up {
    block: Vec<ResBlock>,
    upsample: Option<Resample>,
}

#[derive(Module, Debug)]
pub(crate) struct Encoder {
    conv_in: Conv,
    /// Finest first.
    down: Vec<Down>,
    mid: Mid,
    norm_out: Norm,
    conv_out: Conv,
}

#[derive(Module, Debug)]
pub(crate) struct Decoder {
    conv_in: Conv,
    mid: Mid,
    /// Finest first, as they are named; applied from the last to the first.
    up: Vec<Up>,
    norm_out: Norm,
    conv_out: Conv,
}

#[derive(Module, Debug)]
pub(crate) struct Embedding {
    /// `[codes, E]`.
    pub(crate) weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
pub(crate) struct Quantize {
    pub(crate) embedding: Embedding,
}

/// Both halves and the codebook.
#[derive(Module, Debug)]
pub(crate) struct Tokenizer {
    encoder: Encoder,
    quant_conv: Conv,
    pub(crate) quantize: Quantize,
    post_quant_conv: Conv,
    decoder: Decoder,
    /// What the convolutions between the first and the last of each half are computed in; weights and all else are f32.
    #[module(skip)]
    numbers: FloatDType,
}

impl Encoder {
    fn zeros(config: &VqConfig, device: &Device) -> Self {
        let (mut down, mut inputs) = (Vec::new(), config.base_channels);
        for (level, &channels) in config.level_channels.iter().enumerate() {
            let block = |i| ResBlock::zeros(if i == 0 { inputs } else { channels }, channels, config.groups, device);
            let resample = || Resample { conv: Conv::zeros([channels; 2], 3, device) };
            let last = level + 1 == config.level_channels.len();
            down.push(Down { block: (0..config.res_blocks).map(block).collect(), downsample: (!last).then(resample) });
            inputs = channels;
        }
        Self {
            conv_in: Conv::zeros([config.base_channels, 3], 3, device),
            down,
            mid: Mid::zeros(inputs, config.groups, device),
            norm_out: Norm::zeros(inputs, config.groups, device),
            conv_out: Conv::zeros([config.latent_channels, inputs], 3, device),
        }
    }

    fn forward(&self, x: Tensor<4>, numbers: FloatDType) -> Tensor<4> {
        let mut x = self.conv_in.forward(x).cast(numbers);
        for level in &self.down {
            x = level.block.iter().fold(x, |x, block| block.forward(x));
            if let Some(downsample) = &level.downsample {
                x = downsample.conv.halve(x);
            }
        }
        self.conv_out.forward(silu(self.norm_out.forward(self.mid.forward(x).cast(FloatDType::F32))))
    }
}

impl Decoder {
    fn zeros(config: &VqConfig, device: &Device) -> Self {
        let coarsest = config.level_channels[config.level_channels.len() - 1];
        let level = |(level, &channels): (usize, &usize)| {
            let before = config.level_channels.get(level + 1).copied().unwrap_or(coarsest);
            let block = |i| ResBlock::zeros(if i == 0 { before } else { channels }, channels, config.groups, device);
            Up {
                block: (0..=config.res_blocks).map(block).collect(),
                upsample: (level > 0).then(|| Resample { conv: Conv::zeros([channels; 2], 3, device) }),
            }
        };
        let finest = config.level_channels[0];
        Self {
            conv_in: Conv::zeros([coarsest, config.latent_channels], 3, device),
            mid: Mid::zeros(coarsest, config.groups, device),
            up: config.level_channels.iter().enumerate().map(level).collect(),
            norm_out: Norm::zeros(finest, config.groups, device),
            conv_out: Conv::zeros([3, finest], 3, device),
        }
    }

    fn forward(&self, x: Tensor<4>, numbers: FloatDType) -> Tensor<4> {
        let mut x = self.mid.forward(self.conv_in.forward(x).cast(numbers));
        for level in self.up.iter().rev() {
            x = level.block.iter().fold(x, |x, block| block.forward(x));
            if let Some(upsample) = &level.upsample {
                let twice = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
                x = upsample.conv.forward(interpolate(x, twice));
            }
        }
        self.conv_out.forward(silu(self.norm_out.forward(x.cast(FloatDType::F32))))
    }
}

impl Tokenizer {
    /// Random weights, as torch begins: uniform within one over the root of a window's inputs; norms pass everything on.
    ///
    /// # Errors
    /// None that occur in practice.
    pub(crate) fn random(config: &VqConfig, precision: Precision, seed: u64, device: &Device) -> Result<Self> {
        let mut random = Random::new(seed, Purpose::Weights, 0);
        // A bias has the bound of the weight before it.
        let mut bound = 0.0;
        params::fill(Self::zeros(config, precision, device), &mut |name, shape| {
            let count = shape.iter().product();
            if name.contains("norm") {
                return Ok(vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count]);
            }
            if shape.len() > 1 {
                bound = (shape[1..].iter().product::<usize>() as f32).powf(-0.5);
            }
            Ok((0..count).map(|_| bound * (2.0 * random.uniform() - 1.0)).collect())
        })
    }

    pub(crate) fn zeros(config: &VqConfig, precision: Precision, device: &Device) -> Self {
        let (latent, embed) = (config.latent_channels, config.embed_dim);
        let table = Param::from_tensor(Tensor::zeros([config.codes, embed], device));
        Self {
            encoder: Encoder::zeros(config, device),
            quant_conv: Conv::zeros([embed, latent], 1, device),
            quantize: Quantize { embedding: Embedding { weight: table } },
            post_quant_conv: Conv::zeros([latent, embed], 1, device),
            decoder: Decoder::zeros(config, device),
            numbers: precision.numbers(),
        }
    }

    /// Colours `[B, 3, height, width]` in -1..=1 to latents `[B, E, rows, columns]` of length one.
    pub(crate) fn encode(&self, colours: Tensor<4>) -> Tensor<4> {
        unit(self.quant_conv.forward(self.encoder.forward(colours, self.numbers)))
    }

    /// The way back.
    pub(crate) fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(self.post_quant_conv.forward(latents), self.numbers)
    }
}

/// Vectors along the second dimension, at length one.
pub(crate) fn unit(x: Tensor<4>) -> Tensor<4> {
    let length = (x.clone().square().sum_dim(1) + 1e-12).sqrt();
    x / length
}

/// Multiply-adds of the convolutions for one picture, forwards.
pub(crate) fn multiply_adds(config: &VqConfig, side: usize) -> f64 {
    let conv = |window: usize, inputs: usize, outputs: usize, side: usize| {
        (window * window * inputs * outputs * side * side) as f64
    };
    let block = |inputs: usize, outputs: usize, side: usize| {
        let shortcut = if inputs == outputs { 0.0 } else { conv(1, inputs, outputs, side) };
        conv(3, inputs, outputs, side) + conv(3, outputs, outputs, side) + shortcut
    };
    let levels = config.level_channels.len();
    let coarsest = config.level_channels[levels - 1];
    let least = side >> (levels - 1);
    let mid = 2.0 * block(coarsest, coarsest, least) + 4.0 * conv(1, coarsest, coarsest, least);
    let ends = conv(3, 3, config.base_channels, side) + conv(3, config.level_channels[0], 3, side);
    let latents = 2.0 * conv(3, coarsest, config.latent_channels, least) + 2.0 * mid;
    let level = |(level, &channels): (usize, &usize)| {
        let (here, finer) = (side >> level, config.level_channels[level.saturating_sub(1)]);
        let before = if level == 0 { config.base_channels } else { finer };
        let coarser = config.level_channels.get(level + 1).copied().unwrap_or(coarsest);
        let more = config.res_blocks as f64;
        let encoder = block(before, channels, here) + (more - 1.0) * block(channels, channels, here);
        let decoder = block(coarser, channels, here) + more * block(channels, channels, here);
        let down = if level + 1 < levels { conv(3, channels, channels, here / 2) } else { 0.0 };
        let up = if level > 0 { conv(3, channels, channels, 2 * here) } else { 0.0 };
        encoder + decoder + down + up
    };
    ends + latents + config.level_channels.iter().enumerate().map(level).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use hawk_nn::kernels::Pool;
    use hawk_nn::{Checkpoint, VqDecoder};
    use hawk_spec::{Code, Grid};

    use super::*;
    use crate::params::{Stored, read};
    use crate::vq::VqSettings;

    #[test]
    fn the_trained_module_and_the_inference_decoder_give_equal_colours_on_one_file() {
        let settings = VqSettings { channels: 8, multipliers: vec![1, 3, 2], codes: 20, ..VqSettings::default() };
        let config = settings.config().unwrap();
        let device = Device::flex().autodiff();
        let tokenizer = Tokenizer::random(&config, Precision::F32, 3, &device).unwrap();
        let tokenizer = tokenizer.clone().with_codebook(tokenizer.codebook().unwrap());
        let file = params::serialize(&params::collect(&tokenizer).unwrap(), Stored::F32, &[], None).unwrap();
        let checkpoint = Checkpoint::from_bytes(file).unwrap();
        let decoder = VqDecoder::from_checkpoint(config, &checkpoint).unwrap();
        let codes: Vec<Code> = (0..16).map(|i| Code(i * 7 % 20)).collect();
        let image = decoder.decode(&Pool::new(1), &codes, Grid::new(4, 4).unwrap()).unwrap();

        let (table, width) = decoder.codebook();
        let latents: Vec<f32> =
            (0..width).flat_map(|e| codes.iter().map(move |c| table[c.index() * width + e])).collect();
        let latents = Tensor::from_data(burn::tensor::TensorData::new(latents, [1, width, 4, 4]), &device);
        let colours = read(tokenizer.decode(latents).permute([0, 2, 3, 1]).into_data()).unwrap();
        for (level, colour) in image.pixels.iter().zip(colours) {
            let exact = (colour.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0;
            assert!((f32::from(*level) - exact).abs() <= 1.0, "{level} {exact}");
        }
        assert!(image.pixels.iter().any(|level| *level != image.pixels[0]), "a picture of one colour proves nothing");
    }

    #[test]
    fn the_work_is_counted_as_the_layers_do_it() {
        // One level: conv_in, a block, mid (two blocks, four 1x1), conv_out; conv_in, mid, two blocks, conv_out.
        let settings = VqSettings { channels: 4, multipliers: vec![1], width: 2, ..VqSettings::default() };
        let config = settings.config().unwrap();
        let (block, mid) = (2.0 * 9.0 * 16.0, 4.0 * 9.0 * 16.0 + 4.0 * 16.0);
        let encoder = 9.0 * 12.0 + block + mid + 9.0 * 16.0;
        let decoder = 9.0 * 16.0 + mid + 2.0 * block + 9.0 * 12.0;
        assert_eq!(multiply_adds(&config, 8), 64.0 * (encoder + decoder));
    }
}
