//! The VQGAN of taming-transformers as a burn module.
//! Field names are the tensor names that `hawk_nn::VqEncoder` and `VqDecoder` read.

use burn::module::{Module, Param};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::module::{conv2d, interpolate};
use burn::tensor::ops::PadMode;
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, FloatDType, Tensor};
use hawk_files::{Result, VqConfig};

use crate::run::params;
use crate::run::precision::TrainingPrecision;
use crate::run::random::{Random, RandomPurpose};

const EPSILON: f64 = 1e-6;

/// A convolution that keeps or halves the resolution, computed in the number format of its input.
#[derive(Module, Debug)]
pub(crate) struct Conv {
    /// `[outputs, inputs, window, window]`.
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Conv {
    fn zeros(outputs: usize, inputs: usize, window: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs, window, window], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let padding = self.weight.dims()[2] / 2;
        self.apply(x, 1, padding)
    }

    /// Halves the resolution. As in taming-transformers, a row and a column of zeros are added
    /// below and to the right.
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
pub(crate) struct GroupNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
}

impl GroupNorm {
    fn zeros(channels: usize, groups: usize, device: &Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([channels], device));
        Self { weight: zeros(), bias: zeros(), groups }
    }

    /// Mean, variance, weight and bias are folded into one multiply-add over the planes.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ([batch, channels, height, width], dtype) = (x.dims(), x.dtype());
        let x = x.cast(FloatDType::F32);
        let of_group = channels / self.groups;
        let grouped = x.clone().reshape([batch, self.groups, of_group * height * width]);
        let mean = grouped.clone().mean_dim(2);
        let variance = (grouped.square().mean_dim(2) - mean.clone().square()).clamp_min(0.0);
        let inverse = (variance + EPSILON).sqrt().recip();
        let of_channels = |x: Tensor<3>| x.expand([batch, self.groups, of_group]).reshape([batch, channels]);
        let scale = of_channels(inverse) * self.weight.val().unsqueeze();
        let shift = self.bias.val().unsqueeze() - of_channels(mean) * scale.clone();
        (x * scale.reshape([batch, channels, 1, 1]) + shift.reshape([batch, channels, 1, 1])).cast(dtype)
    }
}

#[derive(Module, Debug)]
pub(crate) struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv,
    norm2: GroupNorm,
    conv2: Conv,
    nin_shortcut: Option<Conv>,
}

impl ResBlock {
    fn zeros(inputs: usize, outputs: usize, groups: usize, device: &Device) -> Self {
        Self {
            norm1: GroupNorm::zeros(inputs, groups, device),
            conv1: Conv::zeros(outputs, inputs, 3, device),
            norm2: GroupNorm::zeros(outputs, groups, device),
            conv2: Conv::zeros(outputs, outputs, 3, device),
            nin_shortcut: (inputs != outputs).then(|| Conv::zeros(outputs, inputs, 1, device)),
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
pub(crate) struct AttentionBlock {
    norm: GroupNorm,
    q: Conv,
    k: Conv,
    v: Conv,
    proj_out: Conv,
}

impl AttentionBlock {
    fn zeros(channels: usize, groups: usize, device: &Device) -> Self {
        let conv = || Conv::zeros(channels, channels, 1, device);
        Self { norm: GroupNorm::zeros(channels, groups, device), q: conv(), k: conv(), v: conv(), proj_out: conv() }
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
    attn_1: AttentionBlock,
    block_2: ResBlock,
}

impl Mid {
    fn zeros(channels: usize, groups: usize, device: &Device) -> Self {
        let block = || ResBlock::zeros(channels, channels, groups, device);
        Self { block_1: block(), attn_1: AttentionBlock::zeros(channels, groups, device), block_2: block() }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.block_2.forward(self.attn_1.forward(self.block_1.forward(x)))
    }
}

#[derive(Module, Debug)]
pub(crate) struct Resample {
    conv: Conv,
}

/// Encoder blocks of one resolution.
#[derive(Module, Debug)]
pub(crate) struct Down {
    block: Vec<ResBlock>,
    downsample: Option<Resample>,
}

/// Decoder blocks of one resolution.
#[derive(Module, Debug)]
pub(crate) struct Up {
    block: Vec<ResBlock>,
    upsample: Option<Resample>,
}

#[derive(Module, Debug)]
pub(crate) struct VqganEncoder {
    conv_in: Conv,
    /// Finest first.
    down: Vec<Down>,
    mid: Mid,
    norm_out: GroupNorm,
    conv_out: Conv,
}

#[derive(Module, Debug)]
pub(crate) struct VqganDecoder {
    conv_in: Conv,
    mid: Mid,
    /// Finest first, as in the tensor names; applied from last to first.
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv,
}

#[derive(Module, Debug)]
pub(crate) struct CodebookTable {
    /// `[codes, E]`.
    pub(crate) weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
pub(crate) struct Quantize {
    pub(crate) embedding: CodebookTable,
}

/// Encoder, codebook and decoder.
#[derive(Module, Debug)]
pub(crate) struct Vqgan {
    encoder: VqganEncoder,
    quant_conv: Conv,
    pub(crate) quantize: Quantize,
    post_quant_conv: Conv,
    decoder: VqganDecoder,
    /// Number format of the convolutions, except the first and the last of encoder and decoder.
    /// Weights and everything else are f32.
    #[module(skip)]
    inner_dtype: FloatDType,
}

impl VqganEncoder {
    fn zeros(config: &VqConfig, device: &Device) -> Self {
        let (mut down, mut inputs) = (Vec::new(), config.base_channels);
        for (level, &channels) in config.level_channels.iter().enumerate() {
            let block = |i| ResBlock::zeros(if i == 0 { inputs } else { channels }, channels, config.groups, device);
            let resample = || Resample { conv: Conv::zeros(channels, channels, 3, device) };
            let last = level + 1 == config.level_channels.len();
            down.push(Down { block: (0..config.res_blocks).map(block).collect(), downsample: (!last).then(resample) });
            inputs = channels;
        }
        Self {
            conv_in: Conv::zeros(config.base_channels, 3, 3, device),
            down,
            mid: Mid::zeros(inputs, config.groups, device),
            norm_out: GroupNorm::zeros(inputs, config.groups, device),
            conv_out: Conv::zeros(config.latent_channels, inputs, 3, device),
        }
    }

    fn forward(&self, x: Tensor<4>, inner_dtype: FloatDType) -> Tensor<4> {
        let mut x = self.conv_in.forward(x).cast(inner_dtype);
        for level in &self.down {
            x = level.block.iter().fold(x, |x, block| block.forward(x));
            if let Some(downsample) = &level.downsample {
                x = downsample.conv.halve(x);
            }
        }
        self.conv_out.forward(silu(self.norm_out.forward(self.mid.forward(x).cast(FloatDType::F32))))
    }
}

impl VqganDecoder {
    fn zeros(config: &VqConfig, device: &Device) -> Self {
        let coarsest = config.level_channels[config.level_channels.len() - 1];
        let level = |(level, &channels): (usize, &usize)| {
            let before = config.level_channels.get(level + 1).copied().unwrap_or(coarsest);
            let block = |i| ResBlock::zeros(if i == 0 { before } else { channels }, channels, config.groups, device);
            Up {
                block: (0..=config.res_blocks).map(block).collect(),
                upsample: (level > 0).then(|| Resample { conv: Conv::zeros(channels, channels, 3, device) }),
            }
        };
        let finest = config.level_channels[0];
        Self {
            conv_in: Conv::zeros(coarsest, config.latent_channels, 3, device),
            mid: Mid::zeros(coarsest, config.groups, device),
            up: config.level_channels.iter().enumerate().map(level).collect(),
            norm_out: GroupNorm::zeros(finest, config.groups, device),
            conv_out: Conv::zeros(3, finest, 3, device),
        }
    }

    fn forward(&self, x: Tensor<4>, inner_dtype: FloatDType) -> Tensor<4> {
        let mut x = self.mid.forward(self.conv_in.forward(x).cast(inner_dtype));
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

impl Vqgan {
    /// Random weights with the defaults of torch: uniform in plus or minus one over the square root
    /// of the fan-in. Norms start as the identity.
    ///
    /// # Errors
    /// None that occur in practice.
    pub(crate) fn random(config: &VqConfig, precision: TrainingPrecision, seed: u64, device: &Device) -> Result<Self> {
        let mut random = Random::new(seed, RandomPurpose::Weights, 0);
        // A bias has the bound of the preceding weight.
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

    /// All weights are zero.
    pub(crate) fn zeros(config: &VqConfig, precision: TrainingPrecision, device: &Device) -> Self {
        let (latent, embed) = (config.latent_channels, config.embed_dim);
        let table = Param::from_tensor(Tensor::zeros([config.codes, embed], device));
        Self {
            encoder: VqganEncoder::zeros(config, device),
            quant_conv: Conv::zeros(embed, latent, 1, device),
            quantize: Quantize { embedding: CodebookTable { weight: table } },
            post_quant_conv: Conv::zeros(latent, embed, 1, device),
            decoder: VqganDecoder::zeros(config, device),
            inner_dtype: precision.dtype(),
        }
    }

    /// Encodes pictures `[B, 3, height, width]` in `-1..=1` as latents `[B, E, rows, columns]` of
    /// unit length.
    pub(crate) fn encode(&self, colours: Tensor<4>) -> Tensor<4> {
        unit(self.quant_conv.forward(self.encoder.forward(colours, self.inner_dtype)))
    }

    /// Decodes latents `[B, E, rows, columns]` as pictures `[B, 3, height, width]`.
    pub(crate) fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(self.post_quant_conv.forward(latents), self.inner_dtype)
    }
}

/// Scales the vectors along the second dimension to unit length.
pub(crate) fn unit(x: Tensor<4>) -> Tensor<4> {
    let length = (x.clone().square().sum_dim(1) + 1e-12).sqrt();
    x / length
}

#[cfg(test)]
mod tests {
    use hawk_files::Checkpoint;
    use hawk_kernels::Threads;
    use hawk_nn::VqDecoder;
    use hawk_spec::{Code, Grid};

    use super::*;
    use crate::run::params::{Storage, read};
    use crate::vq::settings::VqSettings;

    #[test]
    fn the_trained_module_and_the_inference_decoder_give_equal_colours_on_one_file() {
        let settings = VqSettings { channels: 8, multipliers: vec![1, 3, 2], codes: 20, ..VqSettings::default() };
        let config = settings.config().unwrap();
        let device = Device::flex().autodiff();
        let tokenizer = Vqgan::random(&config, TrainingPrecision::F32, 3, &device).unwrap();
        let tokenizer = tokenizer.clone().with_codebook(tokenizer.codebook().unwrap());
        let file = params::serialize(&params::collect(&tokenizer).unwrap(), Storage::F32).unwrap();
        let checkpoint = Checkpoint::from_bytes(file).unwrap();
        let decoder = VqDecoder::from_checkpoint(config, &checkpoint).unwrap();
        let codes: Vec<Code> = (0..16).map(|i| Code(i * 7 % 20)).collect();
        let image = decoder.decode(&Threads::new(1), &codes, Grid::new(4, 4).unwrap()).unwrap();

        let (table, width) = decoder.codebook();
        let latents: Vec<f32> =
            (0..width).flat_map(|e| codes.iter().map(move |c| table[c.index() * width + e])).collect();
        let latents = Tensor::from_data(burn::tensor::TensorData::new(latents, [1, width, 4, 4]), &device);
        let colours = read(tokenizer.decode(latents).permute([0, 2, 3, 1]).into_data()).unwrap();
        for (level, colour) in image.pixels.iter().zip(colours) {
            let exact = (colour.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0;
            assert!((f32::from(*level) - exact).abs() <= 1.0, "{level} {exact}");
        }
        assert!(
            image.pixels.iter().any(|level| *level != image.pixels[0]),
            "a picture of one colour does not test the decoder"
        );
    }
}
