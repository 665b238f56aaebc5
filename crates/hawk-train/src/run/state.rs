//! The saved state of a run, as safetensors. A run that was stopped resumes from it.

use std::collections::HashMap;
use std::path::Path;

use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use hawk_files::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::run::curve::Curve;
use crate::run::files;
use crate::run::params::{NamedTensor, Storage, serialize_with_bytes};

/// Key of step and curve in the file's metadata.
const PROGRESS: &str = "progress";
/// Name of the optimizer's state, in burn's format.
const OPTIMIZER: &str = "optimizer";
/// Prefix of the names of averaged parameters.
const AVERAGED: &str = "averaged.";

/// Everything that a run needs to resume.
pub(crate) struct State {
    pub(crate) step: usize,
    pub(crate) curve: Curve,
    pub(crate) parameters: Vec<NamedTensor>,
    /// Moving averages of the parameters; empty if the run keeps none.
    pub(crate) averaged: Vec<NamedTensor>,
    /// In burn's format.
    pub(crate) optimizer: Vec<u8>,
    pub(crate) recent: Recent,
}

/// What was gathered since the last point of the curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    /// The losses of each step, as bits: decimal digits would not bring every number back.
    losses: Vec<Vec<u64>>,
    /// How often each code was used; empty where codes are not counted.
    pub(crate) code_uses: Vec<usize>,
}

impl Recent {
    /// Adds the losses of a step.
    pub(crate) fn add_losses(&mut self, losses: &[f64]) {
        self.losses.push(losses.iter().map(|loss| loss.to_bits()).collect());
    }

    /// The mean of each loss, of which the next point is made.
    pub(crate) fn take_mean_losses(&mut self) -> Vec<f64> {
        let steps = std::mem::take(&mut self.losses);
        let columns = steps.first().map_or(0, Vec::len);
        let sum = |i: usize| steps.iter().map(|losses| f64::from_bits(losses[i])).sum::<f64>();
        (0..columns).map(|i| sum(i) / steps.len() as f64).collect()
    }
}

/// The part of the state that is stored as JSON in the metadata.
#[derive(Serialize, Deserialize)]
struct StepAndCurve {
    step: usize,
    curve: Curve,
    /// States that were saved at points of the curve only have none.
    #[serde(default)]
    recent: Recent,
}

/// Encodes the optimizer for [`State::optimizer`].
///
/// # Errors
/// burn fails.
pub(crate) fn optimizer_bytes(optimizer: &ModuleOptimizer) -> Result<Vec<u8>> {
    let failed = |e| Error::environment(format!("cannot write the optimizer's state: {e}"));
    Ok(optimizer.into_bytes().map_err(failed)?.to_vec())
}

/// Decodes what [`optimizer_bytes`] wrote.
///
/// # Errors
/// The bytes are damaged.
pub(crate) fn restore_optimizer(optimizer: ModuleOptimizer, bytes: Vec<u8>) -> Result<ModuleOptimizer> {
    let failed = |e| Error::input(format!("cannot read the optimizer's saved state: {e}"));
    optimizer.from_bytes(Bytes::from_bytes_vec(bytes)).map_err(failed)
}

/// # Errors
/// The file cannot be written.
pub(crate) fn save(path: &Path, state: State) -> Result<()> {
    let progress = serde_json::to_string(&StepAndCurve { step: state.step, curve: state.curve, recent: state.recent })
        .map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
    let mut tensors = state.parameters;
    let renamed = |tensor: NamedTensor| NamedTensor { name: format!("{AVERAGED}{}", tensor.name), ..tensor };
    tensors.extend(state.averaged.into_iter().map(renamed));
    let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
    let optimizer = [(OPTIMIZER, &*state.optimizer)];
    files::write(path, &serialize_with_bytes(&tensors, Storage::F32, &optimizer, Some(metadata))?)
}

/// # Errors
/// The file cannot be read, or is damaged.
pub(crate) fn load(path: &Path) -> Result<State> {
    let bytes = files::read(path)?;
    parse(&bytes).map_err(|e| e.at(path.display()).hint("remove the file to start the training again"))
}

fn parse(bytes: &[u8]) -> Result<State> {
    let damaged = |e: &dyn std::fmt::Display| Error::input(format!("invalid saved state of a training run: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
    let progress = metadata.metadata().as_ref().and_then(|metadata| metadata.get(PROGRESS));
    let progress = progress.ok_or_else(|| damaged(&"the metadata has no progress"))?;
    let StepAndCurve { step, curve, recent } = serde_json::from_str(progress).map_err(|e| damaged(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
    let optimizer = file.tensor(OPTIMIZER).map_err(|e| damaged(&e))?.data().to_vec();
    let (mut parameters, mut averaged) = (Vec::new(), Vec::new());
    for (name, view) in file.iter().filter(|(name, _)| *name != OPTIMIZER) {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(&format!("{name} has the number format {:?}, not F32", view.dtype())));
        }
        let values = view.data().chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect();
        let (list, name) = match name.strip_prefix(AVERAGED) {
            Some(name) => (&mut averaged, name),
            None => (&mut parameters, name),
        };
        list.push(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), values });
    }
    Ok(State { step, curve, parameters, averaged, optimizer, recent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_another_number_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        let parameters = vec![NamedTensor { name: "w".to_owned(), shape: vec![2], values: vec![1.0, 2.0] }];
        let curve = Curve::new("loss", [], None);
        let mut recent = Recent::default();
        recent.add_losses(&[0.1 + 0.2, 3.0]);
        let state = State { step: 7, curve, parameters, averaged: Vec::new(), optimizer: vec![1], recent };
        let wanted = state.recent.clone();
        save(&path, state).unwrap();
        let mut back = load(&path).unwrap();
        assert_eq!((&*back.parameters[0].values, &back.recent), (&[1.0, 2.0][..], &wanted));
        back.recent.add_losses(&[0.0, 1.0]);
        assert_eq!(back.recent.take_mean_losses(), [(0.1 + 0.2) / 2.0, 2.0]);
        assert_eq!(back.recent, Recent::default());
        // Tensors of as many bytes with other numbers, and of other sizes.
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(3).position(|part| part == b"F32").unwrap();
        let mut damaged = bytes.clone();
        damaged[at] = b'I';
        std::fs::write(&path, damaged).unwrap();
        let message = load(&path).err().unwrap().to_string();
        assert!(message.contains("I32") && message.contains("remove the file"), "{message}");
    }
}
