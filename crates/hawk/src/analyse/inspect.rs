//! Looks into a model's files without generating.

use hawk_nn::kernels::Precision;
use hawk_nn::{Checkpoint, HawkConfig, ModelSource, Result, TransformerConfig, VqConfig, VqDecoder};

use crate::model::read_transformer;

/// The precision that a model is packed for, if it is.
///
/// # Errors
/// A packed file that cannot be read.
pub fn packed_for(source: &ModelSource) -> Result<Option<Precision>> {
    // Of all formats only packed files are looked into: others may take seconds.
    Ok(if source.contains("packed.safetensors") { Checkpoint::open(source, "")?.packed_for() } else { None })
}

/// What a model's folder holds.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The transformer's sizes.
    pub transformer: TransformerConfig,
    /// Its weights, counted from the shapes that the config asks for.
    pub weights: usize,
    /// Tensors of the transformer that are missing or have another shape, in words.
    pub faults: Vec<String>,
    /// Tensors of the transformer's file that nothing asks for.
    pub left_over: Vec<String>,
    /// Layout and sampling, where the folder holds what tells of them.
    pub config: Option<HawkConfig>,
    /// The VQ decoder and what its file holds beside it, where there is one.
    pub vq: Option<(VqConfig, Vec<String>)>,
}

/// Reads configs and headers; of the weights only the VQ decoder's.
///
/// # Errors
/// A file that cannot be read or contradicts another. Tensors that are missing are no error but a
/// finding.
pub fn inspect(source: &ModelSource) -> Result<Inspection> {
    let transformer = read_transformer(source)?;
    let checkpoint = Checkpoint::open(source, "")?;
    let wanted = transformer.tensors();
    let faults = wanted.iter().filter_map(|tensor| tensor.fault(&checkpoint)).collect();
    let config = HawkConfig::of_model(source, &transformer)?;
    checkpoint.verify()?;
    let vq = inspect_vq(source)?;
    // Where the VQ tokenizer's tensors lie among the model's, what it took is not left over.
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

struct Vq {
    config: VqConfig,
    /// Names that the decoder did not ask for.
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
