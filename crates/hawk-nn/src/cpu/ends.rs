//! What stands before and behind the layers, loaded as the family describes it.

use std::num::NonZero;
use std::thread::available_parallelism;

use hawk_files::{InputTensors, LinearTensors, LogitTensors, Result, TransformerConfig};
use hawk_kernels::Threads;

use super::captions::Captions;
use super::dense::{Dense, Mlp};
use super::output::OutputHead;
use super::packed::MatrixSource;
use super::weights::Table;

/// What stands before and behind the layers.
pub(crate) struct Ends {
    /// Inputs of the ids from 0 on.
    pub(super) tables: Vec<Table>,
    pub(super) output: OutputHead,
    pub(super) captions: Option<Captions>,
}

impl Ends {
    pub(super) fn load(config: &TransformerConfig, source: &MatrixSource<'_>) -> Result<Self> {
        let ends = config.ends();
        let table = |inputs: &InputTensors| table(inputs, config.hidden, source);
        let tables = ends.inputs.iter().map(table).collect::<Result<_>>()?;
        let first = config.readable().start;
        let output = match &ends.logits {
            LogitTensors::Linear(outputs) => OutputHead::plain(first, Dense::load(source, outputs, "head")?),
            LogitTensors::Mlp { inner, outputs } => {
                let layer = |tensors: &LinearTensors| Dense::load(source, tensors, stem(&tensors.weight));
                OutputHead::mlp(first, layer(inner)?, layer(outputs)?)
            }
        };
        let captions = ends.captions.as_ref().map(|captions| Captions::load(source.checkpoint, captions));
        Ok(Self { tables, output, captions: captions.transpose()? })
    }
}

fn table(inputs: &InputTensors, hidden: usize, source: &MatrixSource<'_>) -> Result<Table> {
    let checkpoint = source.checkpoint;
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
