//! The saved state of a run, as safetensors: what a run that was killed goes on from.

use std::collections::HashMap;
use std::path::Path;

use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use hawk_nn::{Error, Result};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::files;
use crate::params::{Named, Stored, serialize};

/// Key of the state's small part in the file's metadata.
const PROGRESS: &str = "progress";
/// The optimizer's state as burn writes it.
const OPTIMIZER: &str = "optimizer";
/// Before the names of averaged parameters.
const AVERAGED: &str = "averaged.";

/// All that a run must know to go on.
pub(crate) struct State {
    pub(crate) step: usize,
    pub(crate) curve: Curve,
    /// The module's parameters.
    pub(crate) numbers: Vec<Named>,
    /// Their mean over the last steps, where the run keeps one.
    pub(crate) averaged: Vec<Named>,
    /// As burn writes it.
    pub(crate) optimizer: Vec<u8>,
}

/// The optimizer's state for [`State::optimizer`].
pub(crate) fn optimizer_bytes(optimizer: &ModuleOptimizer) -> Result<Vec<u8>> {
    let failed = |e| Error::environment(format!("the state of the optimizer cannot be written: {e}"));
    Ok(optimizer.into_bytes().map_err(failed)?.to_vec())
}

/// The optimizer as it was when its bytes were written.
pub(crate) fn restore_optimizer(optimizer: ModuleOptimizer, bytes: Vec<u8>) -> Result<ModuleOptimizer> {
    let failed = |e| Error::input(format!("the saved state of the optimizer cannot be read: {e}"));
    optimizer.from_bytes(Bytes::from_bytes_vec(bytes)).map_err(failed)
}

#[derive(Serialize, Deserialize)]
struct Progress {
    step: usize,
    curve: Curve,
}

pub(crate) fn save(path: &Path, state: State) -> Result<()> {
    let progress = serde_json::to_string(&Progress { step: state.step, curve: state.curve })
        .map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
    let mut tensors = state.numbers;
    tensors
        .extend(state.averaged.into_iter().map(|named| Named { name: format!("{AVERAGED}{}", named.name), ..named }));
    let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
    files::write(path, &serialize(&tensors, Stored::F32, &[(OPTIMIZER, &state.optimizer)], Some(metadata))?)
}

pub(crate) fn load(path: &Path) -> Result<State> {
    let bytes = files::read(path)?;
    parse(&bytes).map_err(|e| e.at(path.display()).hint("remove the file to begin again"))
}

fn parse(bytes: &[u8]) -> Result<State> {
    let damaged = |e: &dyn std::fmt::Display| Error::input(format!("no saved state of a training run: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
    let progress = metadata.metadata().as_ref().and_then(|metadata| metadata.get(PROGRESS));
    let progress = progress.ok_or_else(|| damaged(&"it has no progress"))?;
    let Progress { step, curve } = serde_json::from_str(progress).map_err(|e| damaged(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
    let optimizer = file.tensor(OPTIMIZER).map_err(|e| damaged(&e))?.data().to_vec();
    let (mut numbers, mut averaged) = (Vec::new(), Vec::new());
    for (name, view) in file.iter().filter(|(name, _)| *name != OPTIMIZER) {
        let values = view.data().chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect();
        let of_mean = name.strip_prefix(AVERAGED);
        let named = Named { name: of_mean.unwrap_or(name).to_owned(), shape: view.shape().to_vec(), numbers: values };
        if of_mean.is_some() { &mut averaged } else { &mut numbers }.push(named);
    }
    Ok(State { step, curve, numbers, averaged, optimizer })
}
