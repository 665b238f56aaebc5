//! What stands before and behind the layers, loaded as the family describes it.

use std::num::NonZero;
use std::ops::Range;
use std::thread::available_parallelism;

use hawk_files::{Checkpoint, Error, InputTensors, LinearTensors, LogitTensors, Result, TransformerConfig};
use hawk_kernels::Threads;

use super::captions::Captions;
use super::dense::{Dense, Mlp};
use super::embedding::Table;
use super::packer::Packer;

/// What stands before and behind the layers.
pub(super) struct Ends<M> {
    /// Inputs of the ids from 0 on.
    pub(super) tables: Vec<Table>,
    pub(super) output: OutputHead<M>,
    pub(super) captions: Option<Captions>,
}

/// What turns the last hidden state into logits: `outputs(x)`, or `outputs(gelu(inner(x)))`.
pub struct OutputHead<M> {
    /// The id of the first output.
    pub first: usize,
    /// A layer of its own and a GELU before the projection, where the family has them.
    pub inner: Option<Dense<M>>,
    /// The projection.
    pub outputs: Dense<M>,
}

impl<M> OutputHead<M> {
    /// The ids that it gives logits of.
    #[must_use]
    pub fn ids(&self) -> Range<usize> {
        self.first..self.first + self.outputs.size.outputs
    }

    /// The outputs of these ids.
    ///
    /// # Errors
    /// The range leaves the ids that the model gives logits of.
    pub fn outputs_of(&self, vocabulary: Range<usize>) -> Result<Range<usize>> {
        let ids = self.ids();
        if vocabulary.start > vocabulary.end || vocabulary.start < ids.start || vocabulary.end > ids.end {
            return Err(Error::input("logits beyond the vocabulary are asked for")
                .expected(format!("a range inside {ids:?}"))
                .got(format!("{vocabulary:?}")));
        }
        Ok(vocabulary.start - ids.start..vocabulary.end - ids.start)
    }

    /// Width of the layer before the projection, 0 where there is none.
    #[must_use]
    pub fn inner_width(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.size.outputs)
    }
}

impl<M> Ends<M> {
    pub(super) fn load(config: &TransformerConfig, source: &impl Packer<Matrix = M>) -> Result<Self> {
        let ends = config.ends();
        let table = |inputs: &InputTensors| table(inputs, config.hidden, source.checkpoint());
        let tables = ends.inputs.iter().map(table).collect::<Result<_>>()?;
        let first = config.readable().start;
        let output = match &ends.logits {
            LogitTensors::Linear(outputs) => {
                OutputHead { first, inner: None, outputs: Dense::load(source, outputs, "head")? }
            }
            LogitTensors::Mlp { inner, outputs } => {
                let layer = |tensors: &LinearTensors| Dense::load(source, tensors, stem(&tensors.weight));
                OutputHead { first, inner: Some(layer(inner)?), outputs: layer(outputs)? }
            }
        };
        let captions = ends.captions.as_ref().map(|captions| Captions::load(source.checkpoint(), captions));
        Ok(Self { tables, output, captions: captions.transpose()? })
    }
}

fn table(inputs: &InputTensors, hidden: usize, checkpoint: &Checkpoint) -> Result<Table> {
    match inputs {
        InputTensors::Stored { name, rows } => {
            let table = Table::read(&checkpoint.tensor(name, &[*rows, hidden])?);
            checkpoint.release();
            Ok(table)
        }
        InputTensors::Computed { name, rows, width, mlp } => {
            let rows = checkpoint.tensor(name, &[*rows, *width])?.to_f32();
            let mlp = Mlp::load(checkpoint, mlp)?;
            let threads = Threads::new(available_parallelism().map_or(1, NonZero::get));
            Ok(Table::F32(mlp.run(&threads, &rows)))
        }
    }
}

/// A tensor's name without `.weight`.
fn stem(weight: &str) -> &str {
    weight.strip_suffix(".weight").unwrap_or(weight)
}
