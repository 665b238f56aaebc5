//! A module in training, and what a stopped run needs of it.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use hawk_files::Result;

use crate::run::curve::Curve;
use crate::run::params::{NamedTensor, collect, restore};
use crate::run::state::{Recent, State, optimizer_bytes, restore_optimizer};

/// A module in training.
pub(crate) struct Learner<M> {
    pub(crate) module: M,
    /// Moving averages of the parameters; empty if the run keeps none.
    pub(crate) averaged: Vec<NamedTensor>,
    pub(crate) optimizer: ModuleOptimizer,
    /// Steps that are complete.
    pub(crate) step: usize,
    pub(crate) curve: Curve,
    pub(crate) recent: Recent,
}

impl<M: Module> Learner<M> {
    /// A module before its first step, without averages.
    pub(crate) fn new(module: M, optimizer: ModuleOptimizer, curve: Curve) -> Self {
        Self { module, averaged: Vec::new(), optimizer, step: 0, curve, recent: Recent::default() }
    }

    /// Keeps averages from here on; they start as the parameters.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn with_averages(self) -> Result<Self> {
        Ok(Self { averaged: collect(&self.module)?, ..self })
    }

    /// Everything that [`resume`](Self::resume) needs.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn state(&self) -> Result<State> {
        Ok(State {
            step: self.step,
            curve: self.curve.clone(),
            parameters: collect(&self.module)?,
            averaged: self.averaged.clone(),
            optimizer: optimizer_bytes(&self.optimizer)?,
            recent: self.recent.clone(),
        })
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// The state belongs to another model.
    pub(crate) fn resume(self, state: State) -> Result<Self> {
        let averaged = if self.averaged.is_empty() {
            Vec::new()
        } else {
            // Checks names and shapes, and keeps the module's order.
            collect(&restore(self.module.clone(), &state.averaged)?)?
        };
        Ok(Self {
            module: restore(self.module, &state.parameters)?,
            averaged,
            optimizer: restore_optimizer(self.optimizer, state.optimizer)?,
            step: state.step,
            curve: state.curve,
            recent: state.recent,
        })
    }
}
