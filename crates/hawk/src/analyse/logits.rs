//! The transformer alone, for comparison with other implementations.

use hawk_nn::{
    Backend, CaptionFeatures, Checkpoint, Cpu, Device, Error, Laws, ModelSource, NodeOf, OwnInputs, PassPlan, Readout,
    Result, Staged,
};
use hawk_spec::{Cell, Pipeline, TokenId};

use crate::decode::prefill::PREFILL_ROWS;
use crate::model::{LoadOptions, read_transformer};

/// The logits of a whole sequence, `[tokens, ids]` row after row, and the number of
/// [`ids`](hawk_nn::TransformerConfig::readable).
///
/// It needs `config.json` and the transformer's weights alone.
///
/// # Errors
/// The model cannot be read, or a token is outside its vocabulary.
pub fn logits(source: &ModelSource, options: LoadOptions, tokens: &[TokenId]) -> Result<(Vec<f32>, usize)> {
    run(&*load(source, options)?, OwnInputs::default(), tokens)
}

/// As [`logits`], for a model that reads captions. The positions of the features come first.
///
/// # Errors
/// As [`logits`], or the features do not fit the model.
pub fn logits_after_features(
    source: &ModelSource,
    options: LoadOptions,
    features: Vec<u8>,
    tokens: &[TokenId],
) -> Result<(Vec<f32>, usize)> {
    let backend = load(source, options)?;
    let features = CaptionFeatures::from_bytes(features)?;
    let (own, first) = (backend.caption(&features)?, backend.config().vocab as u32);
    let ids = (first..first + features.count() as u32).map(TokenId).chain(tokens.iter().copied());
    run(&*backend, own, &ids.collect::<Vec<_>>())
}

fn load(source: &ModelSource, options: LoadOptions) -> Result<Box<dyn Backend>> {
    let checkpoint = Checkpoint::open(source, "")?;
    Cpu::new(options.threads)?.load(read_transformer(source)?, &checkpoint, options.precision)
}

fn run(backend: &dyn Backend, own: OwnInputs, tokens: &[TokenId]) -> Result<(Vec<f32>, usize)> {
    let ids = backend.config().readable();
    let mut passes = backend.passes(PassPlan {
        ids: ids.clone(),
        dropped: 0..0,
        pipeline: Pipeline::LUMINA,
        streams: 1,
        rows: PREFILL_ROWS,
        stream_rows: PREFILL_ROWS,
        readouts: PREFILL_ROWS,
        tokens: tokens.len(),
        head_rows: 0,
    })?;
    let stream = passes.open(own)?;
    let laws = Laws::logits(stream);
    let mut logits = Vec::with_capacity(tokens.len() * ids.len());
    for part in tokens.chunks(PREFILL_ROWS) {
        let mut last = None;
        for &token in part {
            last = Some(passes.rows(stream).push(token, last, Readout::Law(Cell(0))));
        }
        let mut staged = Staged::run(&mut *passes, &[laws])?;
        for node in 0..part.len() {
            let scores = staged.read().scores(NodeOf { tree: 0, node });
            logits.extend_from_slice(scores.map_err(Error::from)?);
        }
        staged.commit(last.map(|row| (stream, row)));
    }
    Ok((logits, ids.len()))
}
