//! The tensors that a transformer is made of, by name and shape, to look over a checkpoint without loading it.

use crate::{Checkpoint, Family, TransformerConfig};

/// A tensor that a config asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How many rows may stand for several: see [`Rows`].
    rows: Rows,
}

/// Which first dimensions are as good as the shape's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Exact,
    /// Any divisor: a row then serves several heads.
    Shared,
}

impl WantedTensor {
    /// What is wrong with the tensor in a checkpoint, in words; none if it is there and fits.
    #[must_use]
    pub fn fault(&self, checkpoint: &Checkpoint) -> Option<String> {
        let Some(got) = checkpoint.shape(&self.name) else {
            return Some(format!("{} {:?} is missing", self.name, self.shape));
        };
        let shared = self.rows == Rows::Shared
            && got.len() == self.shape.len()
            && got[0] > 0
            && self.shape[0].is_multiple_of(got[0])
            && got[1..] == self.shape[1..];
        let fits = got == self.shape || shared;
        (!fits).then(|| format!("{} has the shape {got:?}, expected {:?}", self.name, self.shape))
    }
}

impl TransformerConfig {
    /// Every tensor that [`Target::load`](crate::Target::load) asks a checkpoint for.
    #[must_use]
    pub fn tensors(&self) -> Vec<WantedTensor> {
        let (d, q, k) = (self.hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let exact = |name: String, shape: &[usize]| WantedTensor { name, shape: shape.to_vec(), rows: Rows::Exact };
        let mut wanted = vec![exact("model.embed_tokens.weight".to_owned(), &[self.vocab, d])];
        for layer in 0..self.layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            for (part, shape) in [
                ("input_layernorm", &[d][..]),
                ("self_attn.q_proj", &[q, d]),
                ("self_attn.k_proj", &[k, d]),
                ("self_attn.v_proj", &[k, d]),
                ("self_attn.o_proj", &[d, q]),
                ("post_attention_layernorm", &[d]),
                ("mlp.gate_proj", &[self.intermediate, d]),
                ("mlp.up_proj", &[self.intermediate, d]),
                ("mlp.down_proj", &[d, self.intermediate]),
            ] {
                wanted.push(exact(name(&format!("{part}.weight")), shape));
            }
            if self.family == Family::Chameleon {
                for (part, heads) in [("q", self.heads), ("k", self.kv_heads)] {
                    wanted.extend(["weight", "bias"].map(|kind| WantedTensor {
                        name: name(&format!("self_attn.{part}_norm.{kind}")),
                        shape: vec![heads, self.head_dim],
                        rows: Rows::Shared,
                    }));
                }
            }
        }
        wanted.push(exact("model.norm.weight".to_owned(), &[d]));
        if !self.tied_embeddings {
            wanted.push(exact("lm_head.weight".to_owned(), &[self.vocab, d]));
        }
        wanted
    }
}
