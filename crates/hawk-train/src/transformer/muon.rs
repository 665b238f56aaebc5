//! Muon with matrix products in the run's number format.
//!
//! An orthogonal update needs no more precision than bf16, which is several times as fast as f32 on
//! processors with bf16 instructions.

use burn::optim::{AdjustLrFn, LearningRate, MuonConfig, MuonState, Optimizer};
use burn::tensor::{Device, FloatDType, Tensor};

/// Muon (Jordan 2024) with the step size of Liu et al. 2025 (arXiv 2502.16982) and decoupled weight
/// decay. Weights are f32; momentum is in `dtype`.
#[derive(Clone)]
pub(super) struct Muon {
    update: burn::optim::Muon,
    decay: f64,
    dtype: FloatDType,
}

impl Muon {
    /// Updates are orthogonalised in `dtype`.
    pub(super) fn new(decay: f32, dtype: FloatDType) -> Self {
        let update = MuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW).build();
        Self { update, decay: f64::from(decay), dtype }
    }
}

impl Optimizer for Muon {
    type State<const D: usize> = MuonState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<MuonState<D>>,
    ) -> (Tensor<D>, Option<MuonState<D>>) {
        let gradient = gradient.cast(self.dtype);
        let (update, state) = self.update.step(rate, gradient.zeros_like(), gradient, state);
        (weights * (1.0 - rate * self.decay) + update.cast(FloatDType::F32), state)
    }

    fn to_device<const D: usize>(state: MuonState<D>, device: &Device) -> MuonState<D> {
        <burn::optim::Muon as Optimizer>::to_device(state, device)
    }
}
