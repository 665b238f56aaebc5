//! Llama, and what Chameleon shares with it: text and codes in one table and one output projection.

use hawk_kernels::MatrixSize;

use super::ends::{EndTensors, InputTensors, LinearTensors, LogitTensors};
use super::names::TensorNames;
use crate::config::transformer::TransformerConfig;

pub(super) fn ends(c: &TransformerConfig) -> EndTensors {
    let table = TensorNames::of(c.family).embedding();
    let weight = if c.tied_embeddings { table.clone() } else { "lm_head.weight".to_owned() };
    let size = MatrixSize { outputs: c.vocab, inputs: c.hidden };
    EndTensors {
        inputs: vec![InputTensors::Stored { name: table, rows: c.vocab }],
        logits: LogitTensors::Linear(LinearTensors { weight, bias: None, size }),
        captions: None,
    }
}
