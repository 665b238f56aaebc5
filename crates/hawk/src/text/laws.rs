//! The target's law of a token, and who draws from it.

use std::ops::Range;

use hawk_nn::Staged;
use hawk_spec::{
    Cell, Chooser, Code, Greedy, ImageIndex, LawError, NodeId, Noise, Sampling, TargetLaws, TextNoise, Warper,
};

use super::engine::PIPELINE;
use super::request::TextSampling;

/// Makes laws of logits; allocated once.
pub(super) struct Shaper {
    /// None where greedy: the likeliest of all is the likeliest of those that top-k and top-p keep.
    warping: Option<(Sampling, Warper)>,
    /// Ids that text never has.
    dropped: Range<usize>,
    logits: Vec<f32>,
    scores: Vec<f32>,
}

impl Shaper {
    pub(super) fn new(sampling: TextSampling, ids: usize, dropped: Range<usize>) -> Self {
        let warping = match sampling {
            TextSampling::Greedy => None,
            TextSampling::Drawn { sampling, .. } => Some((sampling, Warper::new(PIPELINE, ids))),
        };
        Self { warping, dropped, logits: vec![0.0; ids], scores: vec![0.0; ids] }
    }

    fn shape(&mut self, logits: &[f32]) -> Result<&[f32], LawError> {
        self.logits.copy_from_slice(logits);
        self.logits[self.dropped.clone()].fill(f32::NEG_INFINITY);
        match &mut self.warping {
            None => Ok(&self.logits),
            Some((sampling, warper)) => {
                warper.warp(sampling, &self.logits, None, &mut self.scores)?;
                Ok(&self.scores)
            }
        }
    }
}

/// The laws at the nodes of a pass; a node's row has its number.
pub(super) struct PassLaws<'a> {
    pub(super) staged: &'a Staged<'a>,
    pub(super) shaper: &'a mut Shaper,
}

impl TargetLaws for PassLaws<'_> {
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
        let logits = self.staged.logits(0, node.index()).ok_or(LawError::NoLaw { node })?;
        self.shaper.shape(logits)
    }
}

/// Who draws.
pub(super) enum Draws {
    Greedy(Greedy),
    Noise(TextNoise),
}

impl Draws {
    pub(super) fn new(sampling: TextSampling) -> Self {
        match sampling {
            TextSampling::Greedy => Self::Greedy(Greedy),
            TextSampling::Drawn { seed, .. } => Self::Noise(TextNoise(Noise { seed, image: ImageIndex(0) })),
        }
    }

    fn chooser(&mut self) -> &mut dyn Chooser {
        match self {
            Self::Greedy(greedy) => greedy,
            Self::Noise(noise) => noise,
        }
    }
}

impl Chooser for Draws {
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> Result<Code, LawError> {
        self.chooser().replay(cell, scores)
    }

    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool {
        self.chooser().accept(cell, candidate, probability)
    }

    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code {
        self.chooser().draw(cell, law)
    }
}
