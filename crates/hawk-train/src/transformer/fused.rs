//! Fused operations of libtorch, forward and backward: one pass over memory where burn's single
//! operations take many.
//!
//! Each function returns `None` for tensors of another backend. The caller then composes single
//! operations.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::libtorch::TchTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, LibTorch, backend_extension};
use burn::tensor::{Int, Tensor};
use tch::{Kind, Tensor as Torch};

use crate::run::device::device;
use crate::transformer::centre::Centre;

/// The operations that burn's dispatch forwards to libtorch; see the functions of the same names.
#[backend_extension(LibTorch, Autodiff)]
pub(super) trait Fused: Backend {
    /// Causal attention.
    fn attention(q: FloatTensor<Self>, k: FloatTensor<Self>, v: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `silu(gate) * up`.
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Scales the last dimension to mean square 1.
    fn normed(x: FloatTensor<Self>, centre: Centre, epsilon: f64) -> FloatTensor<Self>;
    /// Cross-entropies.
    fn cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self>;
}

/// Causal attention of `[B, H, T, E]`; scores are divided by the root of E.
pub(super) fn attention(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Option<Tensor<4>> {
    let [q, k, v] = [on_libtorch(q)?, on_libtorch(k)?, on_libtorch(v)?].map(Tensor::into_dispatch);
    Some(Tensor::from_dispatch(<Dispatch as Fused>::attention(q, k, v)))
}

/// `silu(gate) * up`, for any shape.
pub(super) fn swiglu<const D: usize>(gate: &Tensor<D>, up: &Tensor<D>) -> Option<Tensor<D>> {
    let [gate, up] = [on_libtorch(gate)?, on_libtorch(up)?].map(Tensor::into_dispatch);
    Some(Tensor::from_dispatch(<Dispatch as Fused>::swiglu(gate, up)))
}

/// Scales the last dimension to mean square 1.
pub(super) fn normed<const D: usize>(x: &Tensor<D>, centre: Centre, epsilon: f64) -> Option<Tensor<D>> {
    let x = on_libtorch(x)?.into_dispatch();
    Some(Tensor::from_dispatch(<Dispatch as Fused>::normed(x, centre, epsilon)))
}

/// Cross-entropies `[N]` of labels `[N]` with logits `[N, C]`.
pub(super) fn cross_entropy(logits: &Tensor<2>, labels: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let logits = on_libtorch(logits)?.into_dispatch();
    Some(Tensor::from_dispatch(<Dispatch as Fused>::cross_entropy(logits, labels.clone().into_dispatch())))
}

fn on_libtorch<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    (x.device().inner() == device()).then(|| x.clone())
}

/// The output, and the logarithms of the softmax denominators.
fn attend(q: &TchTensor, k: &TchTensor, v: &TchTensor) -> [TchTensor; 2] {
    let (mixed, sums) = Torch::internal_scaled_dot_product_flash_attention_for_cpu(
        &q.tensor,
        &k.tensor,
        &v.tensor,
        0.0,
        true,
        None::<Torch>,
        None,
    );
    [mixed, sums].map(TchTensor::new)
}

fn gated(gate: &TchTensor, up: &TchTensor) -> TchTensor {
    TchTensor::new(gate.tensor.silu() * &up.tensor)
}

/// The output, and the scale factors.
fn norm(x: &TchTensor, centre: Centre, epsilon: f64) -> [TchTensor; 2] {
    let [normed, scales] = if centre == Centre::Mean {
        let width = x.tensor.size().last().copied().unwrap_or(1);
        let (normed, _, scales) = x.tensor.native_layer_norm(width, None::<Torch>, None::<Torch>, epsilon);
        [normed, scales]
    } else {
        let square = x.tensor.square().mean_dim(-1, true, None);
        let scales = (square + epsilon).rsqrt();
        [&x.tensor * &scales, scales]
    };
    [normed, scales].map(TchTensor::new)
}

/// The losses, and the log-probabilities.
fn losses(logits: &TchTensor, labels: &TchTensor) -> [TchTensor; 2] {
    let log_law = logits.tensor.log_softmax(1, Kind::Float);
    let losses = -log_law.gather(1, &labels.tensor.unsqueeze(1), false).squeeze_dim(1);
    [losses, log_law].map(TchTensor::new)
}

impl Fused for LibTorch {
    fn attention(q: TchTensor, k: TchTensor, v: TchTensor) -> TchTensor {
        let [mixed, _] = attend(&q, &k, &v);
        mixed
    }

    fn swiglu(gate: TchTensor, up: TchTensor) -> TchTensor {
        gated(&gate, &up)
    }

    fn normed(x: TchTensor, centre: Centre, epsilon: f64) -> TchTensor {
        let [normed, _] = norm(&x, centre, epsilon);
        normed
    }

    fn cross_entropy(logits: TchTensor, labels: TchTensor) -> TchTensor {
        let [losses, _] = losses(&logits, &labels);
        losses
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<LibTorch, C> {
    fn attention(q: FloatTensor<Self>, k: FloatTensor<Self>, v: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((q, of_q), (k, of_k), (v, of_v)) = (q.into_parts(), k.into_parts(), v.into_parts());
        let [mixed, sums] = attend(&q, &k, &v);
        match Attention.prepare::<C>([of_q, of_k, of_v]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish([q, k, v, mixed.clone(), sums], mixed),
            OpsKind::UnTracked(step) => step.finish(mixed),
        }
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((gate, of_gate), (up, of_up)) = (gate.into_parts(), up.into_parts());
        let gated = gated(&gate, &up);
        match Swiglu.prepare::<C>([of_gate, of_up]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish([gate, up], gated),
            OpsKind::UnTracked(step) => step.finish(gated),
        }
    }

    fn normed(x: FloatTensor<Self>, centre: Centre, epsilon: f64) -> FloatTensor<Self> {
        let (x, of_x) = x.into_parts();
        let [normed, scales] = norm(&x, centre, epsilon);
        match Normed.prepare::<C>([of_x]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(([normed.clone(), scales], centre), normed),
            OpsKind::UnTracked(step) => step.finish(normed),
        }
    }

    fn cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        let (logits, of_logits) = logits.into_parts();
        let ([losses, log_law], kind) = (losses(&logits, &labels), logits.tensor.kind());
        match CrossEntropy.prepare::<C>([of_logits]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(([log_law, labels], kind), losses),
            OpsKind::UnTracked(step) => step.finish(losses),
        }
    }
}

/// Registers the gradients of an operation's inputs.
fn register_gradients<S, const N: usize>(
    ops: Ops<S, N>,
    gradients: &mut Gradients,
    of_inputs: impl FnOnce(&Torch, &S) -> [Torch; N],
) {
    let gradient = gradients.consume::<LibTorch>(&ops.node);
    for (input, gradient) in ops.parents.into_iter().zip(of_inputs(&gradient.tensor, &ops.state)) {
        if let Some(input) = input {
            gradients.register::<LibTorch>(input.id, TchTensor::new(gradient));
        }
    }
}

#[derive(Debug)]
struct Attention;

impl Backward<LibTorch, 3> for Attention {
    type State = [TchTensor; 5];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        register_gradients(ops, gradients, |gradient, [q, k, v, mixed, sums]| {
            Torch::internal_scaled_dot_product_flash_attention_for_cpu_backward(
                gradient,
                &q.tensor,
                &k.tensor,
                &v.tensor,
                &mixed.tensor,
                &sums.tensor,
                0.0,
                true,
                None::<Torch>,
                None,
            )
            .into()
        });
    }
}

#[derive(Debug)]
struct Swiglu;

impl Backward<LibTorch, 2> for Swiglu {
    type State = [TchTensor; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        register_gradients(ops, gradients, |gradient, [gate, up]| {
            [gate.tensor.silu_backward(&(gradient * &up.tensor)), gradient * gate.tensor.silu()]
        });
    }
}

#[derive(Debug)]
struct Normed;

impl Backward<LibTorch, 1> for Normed {
    type State = ([TchTensor; 2], Centre);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        register_gradients(ops, gradients, |gradient, ([normed, scales], centre)| {
            let along = (gradient * &normed.tensor).mean_dim(-1, true, None);
            let mut of_x = gradient - &normed.tensor * along;
            if *centre == Centre::Mean {
                of_x -= gradient.mean_dim(-1, true, None);
            }
            of_x *= &scales.tensor;
            [of_x]
        });
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl Backward<LibTorch, 1> for CrossEntropy {
    /// Log-probabilities, labels, and the number format of the logits.
    type State = ([TchTensor; 2], Kind);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        register_gradients(ops, gradients, |gradient, ([log_law, labels], kind)| {
            let mut of_logits = log_law.tensor.exp();
            let _ = of_logits.scatter_add_(1, &labels.tensor.unsqueeze(1), &(-gradient.ones_like()).unsqueeze(1));
            of_logits *= gradient.unsqueeze(1);
            [of_logits.to_kind(*kind)]
        });
    }
}
