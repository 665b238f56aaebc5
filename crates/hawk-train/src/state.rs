//! The saved state of a run, and the heads that come of it, as safetensors.

use std::collections::HashMap;
use std::path::Path;

use half::bf16;
use hawk_nn::{Checkpoint, Error, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::files;
use crate::module::BlockNumbers;
use crate::trainer::State;

/// Key of the state's small part in the file's metadata.
const PROGRESS: &str = "progress";
/// The optimizer's state as burn writes it.
const OPTIMIZER: &str = "optimizer";

#[derive(Serialize, Deserialize)]
struct Progress {
    step: usize,
    curve: Curve,
}

struct Named {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The tensors of the heads by the names that `hawk_nn::Heads` reads.
fn tensors(blocks: &[BlockNumbers], bytes: impl Fn(&[f32]) -> Vec<u8>) -> Vec<Named> {
    let of_head = |(head, block): (usize, &BlockNumbers)| {
        let width = block.bias.len();
        [
            Named { name: weight(head), shape: vec![width, width], bytes: bytes(&block.weight) },
            Named { name: bias(head), shape: vec![width], bytes: bytes(&block.bias) },
        ]
    };
    blocks.iter().enumerate().flat_map(of_head).collect()
}

fn weight(head: usize) -> String {
    format!("heads.{head}.weight")
}

fn bias(head: usize) -> String {
    format!("heads.{head}.bias")
}

fn serialize(tensors: &[(Named, Dtype)], metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    let failed = |e| Error::input(format!("cannot write safetensors: {e}"));
    let mut views = Vec::with_capacity(tensors.len());
    for (named, dtype) in tensors {
        views.push((&named.name, TensorView::new(*dtype, named.shape.clone(), &named.bytes).map_err(failed)?));
    }
    safetensors::serialize(views, metadata).map_err(failed)
}

/// `model.safetensors` of a folder of heads, in bf16.
pub(crate) fn heads_file(blocks: &[BlockNumbers]) -> Result<Vec<u8>> {
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
    let tensors: Vec<_> = tensors(blocks, bytes).into_iter().map(|named| (named, Dtype::BF16)).collect();
    serialize(&tensors, None)
}

pub(crate) fn save(path: &Path, state: State) -> Result<()> {
    let progress = serde_json::to_string(&Progress { step: state.step, curve: state.curve })
        .map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut tensors: Vec<_> = tensors(&state.blocks, bytes).into_iter().map(|named| (named, Dtype::F32)).collect();
    let shape = vec![state.optimizer.len()];
    tensors.push((Named { name: OPTIMIZER.to_owned(), shape, bytes: state.optimizer }, Dtype::U8));
    let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
    files::write(path, &serialize(&tensors, Some(metadata))?)
}

/// Reads the state of a run with heads of `width`.
pub(crate) fn load(path: &Path, width: usize) -> Result<State> {
    let bytes = files::read(path)?;
    parse(bytes, width).map_err(|e| e.at(path.display()).hint("remove the file to begin again"))
}

fn parse(bytes: Vec<u8>, width: usize) -> Result<State> {
    let damaged = |e: &dyn std::fmt::Display| Error::input(format!("no saved state of a training run: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
    let progress = metadata.metadata().as_ref().and_then(|metadata| metadata.get(PROGRESS));
    let progress = progress.ok_or_else(|| damaged(&"it has no progress"))?;
    let Progress { step, curve } = serde_json::from_str(progress).map_err(|e| damaged(&e))?;
    let optimizer = SafeTensors::deserialize(&bytes)
        .and_then(|file| file.tensor(OPTIMIZER).map(|tensor| tensor.data().to_vec()))
        .map_err(|e| damaged(&e))?;
    let checkpoint = Checkpoint::from_bytes(bytes)?;
    let block = |head| {
        Ok(BlockNumbers {
            weight: checkpoint.tensor(&weight(head), &[width, width])?.to_f32(),
            bias: checkpoint.tensor(&bias(head), &[width])?.to_f32(),
        })
    };
    Ok(State { step, blocks: (0..curve.heads.len()).map(block).collect::<Result<_>>()?, curve, optimizer })
}
