//! Looks into a model without generating.

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{
    Checkpoint, HawkConfig, Image, ModelSource, PassLimits, Readout, Result, Target, TransformerConfig, VqConfig,
    VqDecoder,
};
use hawk_spec::{Code, TokenId};

use crate::engine::{LoadOptions, no_image_side, read_transformer};

/// Rows of a pass over a long sequence.
const ROWS: usize = 64;

/// Logits of a whole sequence, `[tokens, V]` row after row, and V. Needs `config.json` and the transformer's weights alone.
///
/// # Errors
/// The model cannot be read, or a token is not in its vocabulary.
pub fn logits(source: &ModelSource, options: LoadOptions, tokens: &[TokenId]) -> Result<(Vec<f32>, usize)> {
    let target = Target::load(read_transformer(source)?, &Checkpoint::open(source, "")?, options.precision)?;
    let (pool, vocabulary) = (Pool::new(options.threads), target.config().vocab);
    let limits = PassLimits { rows: ROWS, readouts: ROWS, tokens: tokens.len(), vocabulary };
    let (mut workspace, mut streams) = (target.workspace(limits), [target.stream(tokens.len())]);
    let mut logits = Vec::with_capacity(tokens.len() * vocabulary);
    for part in tokens.chunks(ROWS) {
        let mut last = None;
        for &token in part {
            last = Some(streams[0].rows.push(token, last, Readout::Logits));
        }
        let staged = target.forward(&pool, &mut workspace, &mut streams, 0..vocabulary)?;
        logits.extend_from_slice(staged.all_logits());
        staged.commit(&[last]);
    }
    Ok((logits, vocabulary))
}

/// The precision that a model is packed for, if it is.
///
/// # Errors
/// A packed file that cannot be read.
pub fn packed_for(source: &ModelSource) -> Result<Option<Precision>> {
    // Of all formats only packed files are looked into: others may take seconds.
    Ok(if source.contains("packed.safetensors") { Checkpoint::open(source, "")?.packed_for() } else { None })
}

/// The images of whole grids of codes. Needs `hawk.json` and the VQ tokenizer alone.
///
/// # Errors
/// The decoder cannot be read, or codes do not fill the grid or are not in the codebook.
pub fn decode(source: &ModelSource, threads: usize, grids: &[Vec<Code>]) -> Result<Vec<Image>> {
    let grid = read_config(source)?.layout.grid();
    let (decoder, pool) = (source.vq_decoder()?, Pool::new(threads));
    let image = |(number, codes): (usize, &Vec<Code>)| {
        decoder.decode(&pool, codes, grid).map_err(|e| e.at(format!("image {number}")))
    };
    grids.iter().enumerate().map(image).collect()
}

fn read_config(source: &ModelSource) -> Result<HawkConfig> {
    if source.contains("hawk.json") {
        return HawkConfig::from_json(&source.read("hawk.json")?).map_err(|e| e.at(source.describe("hawk.json")));
    }
    HawkConfig::of_model(source, &read_transformer(source)?)?.ok_or_else(|| no_image_side(source))
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
    /// Layout and sampling, where there is a `hawk.json`.
    pub config: Option<HawkConfig>,
    /// The VQ decoder and what its file holds beside it, where there is one.
    pub vq: Option<(VqConfig, Vec<String>)>,
}

/// Reads configs and headers; of the weights only the VQ decoder's.
///
/// # Errors
/// A file that cannot be read or contradicts another. Tensors that are missing are no error but a finding.
pub fn inspect(source: &ModelSource) -> Result<Inspection> {
    let transformer = read_transformer(source)?;
    let checkpoint = Checkpoint::open(source, "")?;
    let wanted = transformer.tensors();
    let faults = wanted.iter().filter_map(|tensor| tensor.fault(&checkpoint)).collect();
    let left_over = checkpoint.names().filter(|name| !wanted.iter().any(|tensor| tensor.name == *name));
    let config = HawkConfig::of_model(source, &transformer)?;
    checkpoint.verify()?;
    let vq = match source.vq()? {
        Some(vq) => {
            VqDecoder::from_checkpoint(vq.config.clone(), &vq.checkpoint)?;
            Some((vq.config, vq.checkpoint.left_over().into_iter().map(str::to_owned).collect()))
        }
        None => None,
    };
    Ok(Inspection {
        weights: wanted.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum(),
        faults,
        left_over: left_over.map(str::to_owned).collect(),
        transformer,
        config,
        vq,
    })
}
