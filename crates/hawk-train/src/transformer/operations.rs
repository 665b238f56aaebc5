//! The pieces of a decoder whose memory is read most often. libtorch has each in one pass; elsewhere they are composed.

use burn::tensor::activation::silu;
use burn::tensor::{FloatDType, Int, Tensor};

#[cfg(feature = "tch")]
use super::fused;

/// What is added to scores. Softmax gives the same whatever is added to all, and scores of normed queries and keys are far from 30 (8 with
/// norms that pass on and heads of 64), so that no maximum need be looked for. A share of e^-50 is none in f32; below e^-87 `exp` gets slow.
pub(super) const SEEN: f32 = -30.0;
pub(super) const UNSEEN: f32 = -80.0;

/// Attention of `[B, H, T, E]` in the numbers of `q` over the places so far. `mask` `[1, 1, T, T]` is [`SEEN`] there and [`UNSEEN`] elsewhere.
pub(super) fn attention([q, k, v]: [Tensor<4>; 3], mask: &Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "tch")]
    if let Some(mixed) = fused::attention(&q, &k, &v) {
        return mixed;
    }
    let numbers = q.dtype();
    let scale = (q.dims()[3] as f64).powf(-0.5);
    let scores = (q * scale).matmul(k.swap_dims(2, 3)).cast(FloatDType::F32);
    let shares = (scores + mask.clone()).exp();
    // What is mixed is smaller than the shares: it is what is divided by their sum.
    let sum = shares.clone().sum_dim(3);
    (shares.cast(numbers).matmul(v).cast(FloatDType::F32) / sum).cast(numbers)
}

/// `silu(gate) * up`.
pub(super) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "tch")]
    if let Some(gated) = fused::swiglu(&gate, &up) {
        return gated;
    }
    silu(gate) * up
}

/// Mean square 1 over the last dimension, about the mean or about zero.
pub(super) fn normed<const D: usize>(x: Tensor<D>, about_mean: bool, epsilon: f64) -> Tensor<D> {
    #[cfg(feature = "tch")]
    if let Some(normed) = fused::normed(&x, about_mean, epsilon) {
        return normed;
    }
    let x = if about_mean { x.clone() - x.mean_dim(D - 1) } else { x };
    let scale = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt().recip();
    x * scale
}

/// Cross-entropies `[N]` of labels `[N]` under logits `[N, C]`.
pub(super) fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    #[cfg(feature = "tch")]
    if let Some(losses) = fused::cross_entropy(&logits, &labels) {
        return losses;
    }
    let logits = logits.cast(FloatDType::F32);
    let largest = logits.clone().detach().max_dim(1);
    let sum = (logits.clone() - largest.clone()).exp().sum_dim(1).log() + largest;
    (sum - logits.gather(1, labels.unsqueeze_dim(1))).squeeze_dim(1)
}

#[cfg(feature = "tch")]
#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::device::device;
    use crate::params::read;
    use crate::random::{Purpose, Random};

    /// What a piece gives, and the gradients of its inputs under a sum that weighs every number by its place.
    fn there_and_back<const D: usize, const E: usize, const N: usize>(
        device: &Device,
        shape: [usize; D],
        piece: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    ) -> Vec<Vec<f32>> {
        let device = device.clone().autodiff();
        let inputs = std::array::from_fn(|number| {
            let mut random = Random::new(3, Purpose::Noise, number);
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal()).collect();
            Tensor::<D>::from_data(TensorData::new(numbers, shape), &device).require_grad()
        });
        let out = piece(inputs.clone());
        let weights = (0..out.shape().num_elements()).map(|i| (i % 7) as f32 - 3.0).collect::<Vec<_>>();
        let weights = Tensor::<E>::from_data(TensorData::new(weights, out.dims()), &device);
        let gradients = (out.clone() * weights).sum().backward();
        let of_inputs = inputs.iter().map(|input| input.grad(&gradients).unwrap().into_data());
        std::iter::once(out.into_data()).chain(of_inputs).map(|data| read(data).unwrap()).collect()
    }

    fn assert_same<const D: usize, const E: usize, const N: usize>(
        shape: [usize; D],
        piece: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    ) {
        let fused = there_and_back(&device(), shape, &piece);
        let composed = there_and_back(&Device::flex(), shape, &piece);
        for (a, b) in fused.iter().flatten().zip(composed.iter().flatten()) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn a_fused_piece_and_its_gradients_are_those_of_the_composed_one() {
        let length = 11;
        assert_same([2, 3, length, 8], |inputs: [Tensor<4>; 3]| {
            let seen = |n: usize| if n % length <= n / length { SEEN } else { UNSEEN };
            let mask = TensorData::new((0..length * length).map(seen).collect::<Vec<_>>(), [1, 1, length, length]);
            let mask = Tensor::from_data(mask, &inputs[0].device());
            attention(inputs, &mask)
        });
        assert_same([4, 5], |[gate, up]: [Tensor<2>; 2]| swiglu(gate, up));
        assert_same([2, 3, 6], |[x]: [Tensor<3>; 1]| normed(x, true, 1e-5));
        assert_same([2, 3, 6], |[x]: [Tensor<3>; 1]| normed(x, false, 1e-5));
        assert_same([4, 9], |[logits]: [Tensor<2>; 1]| {
            let labels = Tensor::from_data(TensorData::new(vec![0i64, 8, 3, 3], [4]), &logits.device());
            cross_entropy(logits, labels)
        });
    }
}
