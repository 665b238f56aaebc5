//! Operations of a transformer that are limited by memory bandwidth.
//!
//! libtorch computes each in one pass over memory. Other backends compose them from single
//! operations.

use burn::tensor::activation::silu;
use burn::tensor::{FloatDType, Int, Tensor};

use crate::transformer::centre::Centre;

#[cfg(feature = "tch")]
use crate::transformer::fused;

/// Values of the attention mask, which are added to the scores before `exp`.
///
/// Softmax does not change if a constant is added to all scores. Scores of normed queries and keys
/// are far below 30 (at most 8 with heads of 64 and norms that start as the identity), so `SEEN`
/// replaces the search for the maximum. `UNSEEN` is e^-50 times smaller, which is zero in f32.
/// Below e^-87, `exp` becomes slow.
pub(super) const SEEN: f32 = -30.0;
pub(super) const UNSEEN: f32 = -80.0;

/// Causal attention of `[B, H, T, E]` in the number format of `q`.
/// `mask` `[1, 1, T, T]` is [`SEEN`] where a row may look, and [`UNSEEN`] elsewhere.
pub(super) fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "tch")]
    if let Some(mixed) = fused::attention(&q, &k, &v) {
        return mixed;
    }
    let dtype = q.dtype();
    let scale = (q.dims()[3] as f64).powf(-0.5);
    let scores = (q * scale).matmul(k.swap_dims(2, 3)).cast(FloatDType::F32);
    let weights = (scores + mask.clone()).exp();
    // The output is smaller than the weights, so the output is divided by their sum.
    let sum = weights.clone().sum_dim(3);
    (weights.cast(dtype).matmul(v).cast(FloatDType::F32) / sum).cast(dtype)
}

/// `silu(gate) * up`.
pub(super) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "tch")]
    if let Some(gated) = fused::swiglu(&gate, &up) {
        return gated;
    }
    silu(gate) * up
}

/// Scales the last dimension to mean square 1.
pub(super) fn normed<const D: usize>(x: Tensor<D>, centre: Centre, epsilon: f64) -> Tensor<D> {
    #[cfg(feature = "tch")]
    if let Some(normed) = fused::normed(&x, centre, epsilon) {
        return normed;
    }
    let x = match centre {
        Centre::Mean => x.clone() - x.mean_dim(D - 1),
        Centre::Zero => x,
    };
    let scale = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt().recip();
    x * scale
}

/// Cross-entropies `[N]` of labels `[N]` with logits `[N, C]`.
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
    use crate::run::device::device;
    use crate::run::params::read;
    use crate::run::random::{Random, RandomPurpose};

    /// The output of an operation, and the gradients of its inputs for a weighted sum of the
    /// output.
    fn output_and_gradients<const D: usize, const E: usize, const N: usize>(
        device: &Device,
        shape: [usize; D],
        operation: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    ) -> Vec<Vec<f32>> {
        let device = device.clone().autodiff();
        let inputs = std::array::from_fn(|number| {
            let mut random = Random::new(3, RandomPurpose::Noise, number);
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal()).collect();
            Tensor::<D>::from_data(TensorData::new(values, shape), &device).require_grad()
        });
        let out = operation(inputs.clone());
        let weights = (0..out.shape().num_elements()).map(|i| (i % 7) as f32 - 3.0).collect::<Vec<_>>();
        let weights = Tensor::<E>::from_data(TensorData::new(weights, out.dims()), &device);
        let gradients = (out.clone() * weights).sum().backward();
        let of_inputs = inputs.iter().map(|input| input.grad(&gradients).unwrap().into_data());
        std::iter::once(out.into_data()).chain(of_inputs).map(|data| read(data).unwrap()).collect()
    }

    fn assert_same<const D: usize, const E: usize, const N: usize>(
        shape: [usize; D],
        operation: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    ) {
        let fused = output_and_gradients(&device(), shape, &operation);
        let composed = output_and_gradients(&Device::flex(), shape, &operation);
        for (a, b) in fused.iter().flatten().zip(composed.iter().flatten()) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn a_fused_operation_and_its_gradients_are_those_of_the_composed_one() {
        let length = 11;
        assert_same([2, 3, length, 8], |inputs: [Tensor<4>; 3]| {
            let seen = |n: usize| if n % length <= n / length { SEEN } else { UNSEEN };
            let mask = TensorData::new((0..length * length).map(seen).collect::<Vec<_>>(), [1, 1, length, length]);
            let mask = Tensor::from_data(mask, &inputs[0].device());
            let [q, k, v] = inputs;
            attention(q, k, v, &mask)
        });
        assert_same([4, 5], |[gate, up]: [Tensor<2>; 2]| swiglu(gate, up));
        assert_same([2, 3, 6], |[x]: [Tensor<3>; 1]| normed(x, Centre::Mean, 1e-5));
        assert_same([2, 3, 6], |[x]: [Tensor<3>; 1]| normed(x, Centre::Zero, 1e-5));
        assert_same([4, 9], |[logits]: [Tensor<2>; 1]| {
            let labels = Tensor::from_data(TensorData::new(vec![0i64, 8, 3, 3], [4]), &logits.device());
            cross_entropy(logits, labels)
        });
    }
}
