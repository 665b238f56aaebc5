//! How many numbers a row has between the products of a pass.

use hawk_nn::PassPlan;

use crate::kernels::numbers::Numbers;
use crate::matrix::padded;
use crate::weights::Target;

/// Numbers of a row between the products of a layer.
#[derive(Clone, Copy)]
pub(crate) struct Widths {
    /// Of the hidden state, padded.
    pub(crate) hidden: usize,
    pub(crate) qkv: usize,
    /// Of what attention gives, padded.
    pub(crate) attended: usize,
    /// Inside the SwiGLU, padded.
    pub(crate) inner: usize,
    /// Between the layers of the output head, padded.
    pub(crate) head: usize,
    /// Logits.
    pub(crate) codes: usize,
    /// Words of a key or value of a kv head.
    pub(crate) words: usize,
}

impl Widths {
    pub(crate) fn new(target: &Target, plan: &PassPlan) -> Self {
        let c = target.config();
        Self {
            hidden: padded(c.hidden),
            qkv: (c.heads + 2 * c.kv_heads) * c.head_dim,
            attended: padded(c.heads * c.head_dim),
            inner: padded(target.inner()),
            head: padded(target.weights.output.inner_width()),
            codes: plan.ids.len(),
            words: match target.numbers {
                Numbers::F32 => c.head_dim,
                Numbers::Bf16 => c.head_dim / 2,
            },
        }
    }
}
