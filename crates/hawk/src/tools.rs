//! Looks into a model without generating.

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{
    CaptionFeatures, Checkpoint, Error, Family, HawkConfig, Image, ModelSource, OwnInputs, PassLimits, Readout, Result,
    Target, TransformerConfig, VqConfig, VqDecoder,
};
use hawk_spec::{Code, Grid, TokenId};

use crate::engine::{LoadOptions, no_image_side, read_transformer};

/// Rows of a pass over a long sequence.
const ROWS: usize = 64;

/// Logits of a whole sequence, `[tokens, ids]` row after row, and the number of [`ids`](TransformerConfig::readable). Needs `config.json` and
/// the transformer's weights alone.
///
/// # Errors
/// The model cannot be read, or a token is not in its vocabulary.
pub fn logits(source: &ModelSource, options: LoadOptions, tokens: &[TokenId]) -> Result<(Vec<f32>, usize)> {
    run(&load(source, options)?, &Pool::new(options.threads), OwnInputs::default(), tokens)
}

/// As [`logits`], of a model that reads captions: the features' positions come first.
///
/// # Errors
/// As [`logits`], or features that do not fit the model.
pub fn logits_after_features(
    source: &ModelSource,
    options: LoadOptions,
    features: Vec<u8>,
    tokens: &[TokenId],
) -> Result<(Vec<f32>, usize)> {
    let (target, pool) = (load(source, options)?, Pool::new(options.threads));
    let features = CaptionFeatures::from_bytes(features)?;
    let (own, first) = (target.caption(&pool, &features)?, target.config().vocab as u32);
    let ids = (first..first + features.count() as u32).map(TokenId).chain(tokens.iter().copied());
    run(&target, &pool, own, &ids.collect::<Vec<_>>())
}

fn load(source: &ModelSource, options: LoadOptions) -> Result<Target> {
    Target::load(read_transformer(source)?, &Checkpoint::open(source, "")?, options.precision)
}

fn run(target: &Target, pool: &Pool, own: OwnInputs, tokens: &[TokenId]) -> Result<(Vec<f32>, usize)> {
    let ids = target.config().readable();
    let limits = PassLimits { rows: ROWS, readouts: ROWS, tokens: tokens.len(), vocabulary: ids.len() };
    let mut workspace = target.workspace(limits);
    let mut streams = [target.stream(tokens.len()).with_inputs(own)];
    let mut logits = Vec::with_capacity(tokens.len() * ids.len());
    for part in tokens.chunks(ROWS) {
        let mut last = None;
        for &token in part {
            last = Some(streams[0].rows.push(token, last, Readout::Logits));
        }
        let staged = target.forward(pool, &mut workspace, &mut streams, ids.clone())?;
        logits.extend_from_slice(staged.all_logits());
        staged.commit(&[last]);
    }
    Ok((logits, ids.len()))
}

/// The precision that a model is packed for, if it is.
///
/// # Errors
/// A packed file that cannot be read.
pub fn packed_for(source: &ModelSource) -> Result<Option<Precision>> {
    // Of all formats only packed files are looked into: others may take seconds.
    Ok(if source.contains("packed.safetensors") { Checkpoint::open(source, "")?.packed_for() } else { None })
}

/// The images of whole grids of codes. Needs the config that tells of the grid and the VQ tokenizer alone.
///
/// # Errors
/// The decoder cannot be read, or codes do not fill the grid or are not in the codebook.
pub fn decode(source: &ModelSource, threads: usize, grids: &[Vec<Code>]) -> Result<Vec<Image>> {
    let grid = read_grid(source)?;
    let (decoder, pool) = (VqDecoder::of_model(source)?, Pool::new(threads));
    let image = |(number, codes): (usize, &Vec<Code>)| {
        decoder.decode(&pool, codes, grid).map_err(|e| e.at(format!("image {number}")))
    };
    grids.iter().enumerate().map(image).collect()
}

fn read_grid(source: &ModelSource) -> Result<Grid> {
    let square = |side: usize| {
        Grid::new(side as u32, side as u32).map_err(|e| Error::input(e.to_string()).at(source.describe("config.json")))
    };
    // A folder for decoding alone needs no transformer.
    if source.contains("hawk.json") {
        let config = HawkConfig::from_json(&source.read("hawk.json")?);
        return config.map(|config| config.layout.grid()).map_err(|e| e.at(source.describe("hawk.json")));
    }
    let transformer = read_transformer(source)?;
    match transformer.family {
        Family::Janus(sizes) => square(sizes.side),
        Family::LlamaGen(sizes) => square(sizes.side),
        Family::Chameleon | Family::Llama => HawkConfig::of_model(source, &transformer)?
            .map(|config| config.layout.grid())
            .ok_or_else(|| no_image_side(source)),
    }
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
/// A file that cannot be read or contradicts another. Tensors that are missing are no error but a finding.
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
