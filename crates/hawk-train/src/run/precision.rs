//! The number format of the matrix products in training.

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

/// The number format of matrix products and convolutions in a training step.
///
/// Weights, norms, losses and AdamW are always f32. Muon's updates and momentum use this format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// f32.
    #[default]
    F32,
    /// bf16: about twice as fast with libtorch on processors with bf16 instructions (AVX512-BF16,
    /// AMX). It is slow on other processors.
    Bf16,
}

impl TrainingPrecision {
    pub(crate) fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
        }
    }
}
