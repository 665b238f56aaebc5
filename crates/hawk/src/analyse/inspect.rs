//! The contents of a model's files.

use hawk_nn::kernels::Precision;
use hawk_nn::{Checkpoint, HawkConfig, ModelSource, Result, TransformerConfig, VqConfig, VqDecoder, WantedTensor};

use crate::model::read_transformer;

/// The precision that a model is packed for; none where it is not packed.
///
/// # Errors
/// The packed file cannot be read.
pub fn packed_for(source: &ModelSource) -> Result<Option<Precision>> {
    // Only packed files are opened: other formats may take seconds.
    Ok(if source.contains("packed.safetensors") { Checkpoint::open(source, "")?.packed_for() } else { None })
}

/// The contents of a model's folder.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Sizes of the transformer.
    pub transformer: TransformerConfig,
    /// Number of weights, from the shapes that the config demands.
    pub weights: usize,
    /// Tensors of the transformer that are missing, have another shape or a number that is not finite,
    /// one sentence each.
    pub faults: Vec<String>,
    /// Tensors of the transformer's file that are not used.
    pub left_over: Vec<String>,
    /// Layout and sampling, where the folder defines them.
    pub config: Option<HawkConfig>,
    /// The VQ decoder, where there is one, and the tensors of its file that it does not use.
    pub vq: Option<(VqConfig, Vec<String>)>,
}

/// Reads all files of the model.
///
/// # Errors
/// A file cannot be read or contradicts another. Missing tensors are no error: they are faults of
/// the result.
pub fn inspect(source: &ModelSource) -> Result<Inspection> {
    let checkpoint = Checkpoint::open(source, "")?;
    let transformer = read_transformer(source)?.for_weights(&checkpoint)?;
    let wanted = transformer.tensors();
    let faults = wanted.iter().filter_map(|tensor| fault(tensor, &checkpoint)).collect();
    let config = HawkConfig::of_model(source, &transformer)?;
    checkpoint.verify()?;
    let vq = inspect_vq(source)?;
    // Where the VQ tokenizer's tensors lie among the model's, those that it uses are not left over.
    let (beside, of_vq) = match vq {
        Some(Vq { config, left_over, place: Place::Apart }) => (Some((config, left_over)), None),
        Some(Vq { config, left_over, place: Place::Among }) => (Some((config, Vec::new())), Some(left_over)),
        None => (None, None),
    };
    let left_over = checkpoint
        .names()
        .filter(|name| !wanted.iter().any(|tensor| tensor.name == *name))
        .filter(|name| of_vq.as_ref().is_none_or(|left| left.iter().any(|of_vq| of_vq == name)));
    Ok(Inspection {
        weights: wanted.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum(),
        faults,
        left_over: left_over.map(str::to_owned).collect(),
        transformer,
        config,
        vq: beside,
    })
}

/// What is wrong with a tensor, its numbers included.
fn fault(tensor: &WantedTensor, checkpoint: &Checkpoint) -> Option<String> {
    tensor.fault(checkpoint).or_else(|| {
        let read = checkpoint.packable(&tensor.name, checkpoint.shape(&tensor.name)?);
        let fault = read.err().map(|e| e.to_string());
        checkpoint.release();
        fault
    })
}

struct Vq {
    config: VqConfig,
    /// Names of the tensors that the decoder does not use.
    left_over: Vec<String>,
    place: Place,
}

enum Place {
    /// In `vq/`.
    Apart,
    /// Among the model's own.
    Among,
}

fn inspect_vq(source: &ModelSource) -> Result<Option<Vq>> {
    let Some(vq) = source.vq()? else { return Ok(None) };
    VqDecoder::from_checkpoint(vq.config.clone(), &vq.checkpoint)?;
    let left_over = vq.checkpoint.left_over().into_iter().map(str::to_owned).collect();
    let place = if vq.is_among_weights() { Place::Among } else { Place::Apart };
    Ok(Some(Vq { config: vq.config, left_over, place }))
}
