//! Muon whose products are in the run's numbers: an orthogonal update needs no more than bf16, which costs a fraction of f32 where a processor multiplies it.

use burn::optim::{AdjustLrFn, LearningRate, MuonConfig, MuonState, Optimizer};
use burn::tensor::{Device, FloatDType, Tensor};

/// Muon (Jordan 2024) with the step size of Liu et al. 2025 (arXiv 2502.16982) and decay apart from it. Weights stay f32; momentum is in `numbers` too.
#[derive(Clone)]
pub(super) struct Muon {
    update: burn::optim::Muon,
    decay: f64,
    numbers: FloatDType,
}

impl Muon {
    /// An update is made orthogonal in `numbers`.
    pub(super) fn new(decay: f32, numbers: FloatDType) -> Self {
        let update = MuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW).build();
        Self { update, decay: f64::from(decay), numbers }
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
        let gradient = gradient.cast(self.numbers);
        let (update, state) = self.update.step(rate, gradient.zeros_like(), gradient, state);
        (weights * (1.0 - rate * self.decay) + update.cast(FloatDType::F32), state)
    }

    fn to_device<const D: usize>(state: MuonState<D>, device: &Device) -> MuonState<D> {
        <burn::optim::Muon as Optimizer>::to_device(state, device)
    }
}
