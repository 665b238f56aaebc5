//! What training multiplies in.

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

/// What products and convolutions of a training step are computed in. Weights, norms, losses and AdamW are f32 in any case; Muon's updates
/// and momentum are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// bf16: about twice as fast with libtorch on processors that multiply it (AVX512-BF16, AMX), slow on others.
    Bf16,
}

impl Precision {
    pub(crate) fn numbers(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
        }
    }
}
