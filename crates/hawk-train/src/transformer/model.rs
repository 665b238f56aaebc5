//! The Chameleon transformer as a burn module. Field names are the tensor names that
//! `hawk_nn::Target` reads. The output projection is the embedding table.

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use hawk_files::Result;

use crate::run::params;
use crate::run::random::{Random, RandomPurpose};
use crate::transformer::centre::Centre;
use crate::transformer::operations::{SEEN, UNSEEN, attention, normed, swiglu};
use crate::transformer::settings::{EPSILON, ROPE_BASE, TargetSettings};

/// Standard deviation of random weights.
const SIGMA: f32 = 0.02;

/// `y = x W^T` without bias, computed in the number format of `x`.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[outputs, inputs]`.
    weight: Param<Tensor<2>>,
}

impl Linear {
    fn zeros(outputs: usize, inputs: usize, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([outputs, inputs], device)) }
    }

    /// Maps `[B, T, inputs]` to `[B, T, outputs]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, inputs] = x.dims();
        let weight = self.weight.val().cast(x.dtype());
        let rows = x.reshape([batch * length, inputs]).matmul(weight.transpose());
        let outputs = rows.dims()[1];
        rows.reshape([batch, length, outputs])
    }
}

/// RMSNorm.
#[derive(Module, Debug)]
pub(crate) struct RmsNorm {
    weight: Param<Tensor<1>>,
}

impl RmsNorm {
    fn zeros(width: usize, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([width], device)) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        normed(x, Centre::Zero, EPSILON) * self.weight.val().unsqueeze()
    }
}

/// The norm of queries and keys: LayerNorm over each head.
#[derive(Module, Debug)]
pub(crate) struct HeadNorm {
    /// `[H, E]`.
    weight: Param<Tensor<2>>,
    /// `[H, E]`.
    bias: Param<Tensor<2>>,
}

impl HeadNorm {
    fn zeros(heads: usize, width: usize, device: &Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([heads, width], device));
        Self { weight: zeros(), bias: zeros() }
    }

    /// Maps `[B, T, H, E]` to the same shape in f32.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = normed(x.cast(FloatDType::F32), Centre::Mean, EPSILON);
        x * self.weight.val().unsqueeze() + self.bias.val().unsqueeze()
    }
}

#[derive(Module, Debug)]
pub(crate) struct SelfAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: HeadNorm,
    k_norm: HeadNorm,
}

impl SelfAttention {
    /// Matrix products are in the number format of `x`; norms and rotation are in f32.
    fn forward(&self, x: Tensor<3>, positions: &Positions) -> Tensor<3> {
        let ([batch, length, width], dtype) = (x.dims(), x.dtype());
        let [heads, head] = self.q_norm.weight.dims();
        let split = |linear: &Linear| linear.forward(x.clone()).reshape([batch, length, heads, head]);
        let q = positions.turn(self.q_norm.forward(split(&self.q_proj))).swap_dims(1, 2);
        let k = positions.turn(self.k_norm.forward(split(&self.k_proj))).swap_dims(1, 2);
        let v = split(&self.v_proj).swap_dims(1, 2);
        let mixed = attention(q.cast(dtype), k.cast(dtype), v, &positions.mask);
        self.o_proj.forward(mixed.swap_dims(1, 2).reshape([batch, length, width]))
    }
}

#[derive(Module, Debug)]
pub(crate) struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

#[derive(Module, Debug)]
pub(crate) struct Layer {
    input_layernorm: RmsNorm,
    self_attn: SelfAttention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

#[derive(Module, Debug)]
pub(crate) struct TokenEmbedding {
    /// `[V, D]`.
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
pub(crate) struct Body {
    embed_tokens: TokenEmbedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

/// The whole transformer.
#[derive(Module, Debug)]
pub(crate) struct Transformer {
    model: Body,
    /// Number format of the matrix products. Weights and everything else are f32.
    #[module(skip)]
    product_dtype: FloatDType,
}

/// The constants of attention for one sequence length.
pub(crate) struct Positions {
    /// Cosines and sines of the rotary embedding, `[1, T, 1, E]`.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// `[E, E]`: rotates each pair (one value from each half of a head) by 90 degrees.
    quarter_turn: Tensor<2>,
    /// `[1, 1, T, T]`: [`SEEN`] up to the row's own position, [`UNSEEN`] after it.
    mask: Tensor<4>,
}

impl Positions {
    /// `head` is the width of a head, E.
    pub(crate) fn new(length: usize, head: usize, device: &Device) -> Self {
        let angle = |at: usize, i: usize| at as f64 * ROPE_BASE.powf(-2.0 * (i % (head / 2)) as f64 / head as f64);
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = (0..length * head).map(|n| of(angle(n / head, n % head)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, length, 1, head]), device)
        };
        let seen = |n: usize| if n % length <= n / length { SEEN } else { UNSEEN };
        let mask = TensorData::new((0..length * length).map(seen).collect::<Vec<_>>(), [1, 1, length, length]);
        let turned = |n: usize| match (n / head, n % head) {
            (from, to) if from == to + head / 2 => -1.0f32,
            (from, to) if from + head / 2 == to => 1.0,
            _ => 0.0,
        };
        let quarter_turn = TensorData::new((0..head * head).map(turned).collect::<Vec<_>>(), [head, head]);
        Self {
            cos: table(f64::cos),
            sin: table(f64::sin),
            quarter_turn: Tensor::from_data(quarter_turn, device),
            mask: Tensor::from_data(mask, device),
        }
    }

    /// Rotary embedding over the two halves of each head, `[B, T, H, E]`.
    fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let shape = x.dims();
        let rows = x.clone().reshape([shape[0] * shape[1] * shape[2], shape[3]]);
        let turned = rows.matmul(self.quarter_turn.clone()).reshape(shape);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}

impl Transformer {
    /// Normal weights. Matrices that write to the residual stream are smaller by the square root of
    /// twice the layers. Norms start as the identity.
    ///
    /// # Errors
    /// None that occur in practice.
    pub(crate) fn random(settings: &TargetSettings, vocabulary: usize, device: &Device) -> Result<Self> {
        let mut random = Random::new(settings.seed, RandomPurpose::Weights, 0);
        let residual_sigma = SIGMA / ((2 * settings.layers) as f32).sqrt();
        params::fill(Self::zeros(settings, vocabulary, device), &mut |name, shape| {
            let count = shape.iter().product();
            if name.contains("norm") {
                return Ok(vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count]);
            }
            let writes_residual = name.contains("o_proj") || name.contains("down_proj");
            let sigma = if writes_residual { residual_sigma } else { SIGMA };
            Ok((0..count).map(|_| sigma * random.normal()).collect())
        })
    }

    /// Number of ids.
    pub(crate) fn vocabulary(&self) -> usize {
        self.model.embed_tokens.weight.dims()[0]
    }

    /// The device of the weights.
    pub(crate) fn device(&self) -> Device {
        self.model.embed_tokens.weight.val().device()
    }

    /// All weights are zero.
    pub(crate) fn zeros(settings: &TargetSettings, vocabulary: usize, device: &Device) -> Self {
        let (width, inner, heads) = (settings.width, settings.inner, settings.heads);
        let layer = |_| Layer {
            input_layernorm: RmsNorm::zeros(width, device),
            self_attn: SelfAttention {
                q_proj: Linear::zeros(width, width, device),
                k_proj: Linear::zeros(width, width, device),
                v_proj: Linear::zeros(width, width, device),
                o_proj: Linear::zeros(width, width, device),
                q_norm: HeadNorm::zeros(heads, width / heads, device),
                k_norm: HeadNorm::zeros(heads, width / heads, device),
            },
            post_attention_layernorm: RmsNorm::zeros(width, device),
            mlp: Mlp {
                gate_proj: Linear::zeros(inner, width, device),
                up_proj: Linear::zeros(inner, width, device),
                down_proj: Linear::zeros(width, inner, device),
            },
        };
        let embed_tokens = TokenEmbedding { weight: Param::from_tensor(Tensor::zeros([vocabulary, width], device)) };
        let layers = (0..settings.layers).map(layer).collect();
        let model = Body { embed_tokens, layers, norm: RmsNorm::zeros(width, device) };
        Self { model, product_dtype: settings.precision.dtype() }
    }

    /// The logits `[rows, codes.len()]` of the ids `codes` at the positions `rows`, counted through
    /// all sequences. `tokens` is `[B, T]`.
    pub(crate) fn logits(
        &self,
        tokens: Tensor<2, Int>,
        positions: &Positions,
        rows: Tensor<1, Int>,
        codes: std::ops::Range<usize>,
    ) -> Tensor<2> {
        let body = &self.model;
        let table = body.embed_tokens.weight.val();
        let [batch, length] = tokens.dims();
        let width = table.dims()[1];
        let mut x = table.clone().select(0, tokens.reshape([batch * length])).reshape([batch, length, width]);
        for layer in &body.layers {
            let inner = layer.input_layernorm.forward(x.clone()).cast(self.product_dtype);
            x = x + layer.self_attn.forward(inner, positions).cast(FloatDType::F32);
            let inner = layer.post_attention_layernorm.forward(x.clone()).cast(self.product_dtype);
            let gated = swiglu(layer.mlp.gate_proj.forward(inner.clone()), layer.mlp.up_proj.forward(inner));
            x = x + layer.mlp.down_proj.forward(gated).cast(FloatDType::F32);
        }
        let chosen = body.norm.forward(x.reshape([1, batch * length, width]).select(1, rows));
        let rows = chosen.dims()[1];
        let projection = table.narrow(0, codes.start, codes.len()).cast(self.product_dtype);
        chosen.reshape([rows, width]).cast(self.product_dtype).matmul(projection.transpose())
    }
}

#[cfg(test)]
mod tests {
    use hawk::{LoadOptions, Precision};
    use hawk_files::ModelSource;
    use hawk_spec::TokenId;

    use super::*;
    use crate::run::params::{Storage, read};

    #[test]
    fn the_trained_module_and_inference_give_equal_logits_on_one_file() {
        let settings = TargetSettings { layers: 2, width: 24, heads: 3, inner: 40, ..TargetSettings::default() };
        let (vocabulary, device) = (50, Device::flex().autodiff());
        let mut random = Random::new(5, RandomPurpose::Noise, 0);
        let transformer = Transformer::random(&settings, vocabulary, &device).unwrap();
        let transformer = params::fill(transformer, &mut |name, shape| {
            let mean = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
            Ok((0..shape.iter().product()).map(|_| mean + 0.3 * random.normal()).collect())
        });
        let transformer = transformer.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = params::serialize(&params::collect(&transformer).unwrap(), Storage::F32).unwrap();
        std::fs::write(dir.path().join("model.safetensors"), file).unwrap();
        std::fs::write(dir.path().join("config.json"), settings.config_json(vocabulary).to_string()).unwrap();
        let tokens: Vec<u32> = (0..30).map(|i| i * 17 % 50).collect();
        let ids: Vec<TokenId> = tokens.iter().copied().map(TokenId).collect();
        let options = LoadOptions { precision: Precision::F32, ..LoadOptions::default() };
        let (inference, _) = hawk::logits(&ModelSource::Dir(dir.path().to_owned()), options, &ids).unwrap();

        let sequence: Vec<i64> = tokens.iter().copied().map(i64::from).collect();
        let sequence = Tensor::from_data(TensorData::new(sequence, [1, 30]), &device);
        let rows = Tensor::from_data(TensorData::new((0..30i64).collect::<Vec<_>>(), [30]), &device);
        let positions = Positions::new(30, 8, &device);
        let trained = read(transformer.logits(sequence, &positions, rows, 0..vocabulary).into_data()).unwrap();
        for (a, b) in trained.iter().zip(&inference) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}
