//! Laws over the codes: where a draft came from, what it was drawn from, and what can be wrong with a law.

use std::fmt;

use crate::token::{Code, NodeId};

/// A draft law stored in a [`TokenTree`](crate::TokenTree), valid until its next reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LawId(pub(crate) u32);

/// The exact distribution that a candidate was drawn from: q of the rejection test. Replay does not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DraftLaw {
    /// The candidate was no random choice given what stands before it in the tree: q is a point mass.
    Deterministic,
    /// The candidate was drawn at random.
    Drawn {
        /// The law it was drawn from.
        law: LawId,
        /// What the earlier draws from that law, at the same node, did to it.
        replacement: Replacement,
    },
}

/// How several candidates of one node are drawn from one law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replacement {
    /// Each from the whole law; a code may come twice.
    With,
    /// Each from the law restricted to the codes not drawn before at this node from the same law id, renormalised.
    Without,
}

/// What made a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A copy of the cell to the left.
    Left,
    /// A copy of the cell above.
    Above,
    /// The horizontal head `H_k`, k from 1: it looks k cells ahead in the row.
    Horizontal(u8),
    /// The vertical head `V_d`, d from 1: it looks d rows down.
    Vertical(u8),
    /// A head that looks so many rows down, from 1, and to a side.
    Diagonal(u8),
}

impl Source {
    /// Heads of one direction that the statistics tell apart; farther ones are counted with the farthest.
    const HEADS: usize = 8;
    /// Number of values of [`index`](Self::index).
    pub const COUNT: usize = 2 + 3 * Self::HEADS;

    /// A small index for tables, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub fn index(self) -> usize {
        let head = |offset: u8| usize::from(offset).clamp(1, Self::HEADS) - 1;
        match self {
            Source::Left => 0,
            Source::Above => 1,
            Source::Horizontal(k) => 2 + head(k),
            Source::Vertical(d) => 2 + Self::HEADS + head(d),
            Source::Diagonal(d) => 2 + 2 * Self::HEADS + head(d),
        }
    }

    /// The source of a table's index; none from [`COUNT`](Self::COUNT) on.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        let head = |first: usize| u8::try_from(index - first + 1).ok();
        match index {
            0 => Some(Source::Left),
            1 => Some(Source::Above),
            2..=9 => head(2).map(Source::Horizontal),
            10..=17 => head(10).map(Source::Vertical),
            18..=25 => head(18).map(Source::Diagonal),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Left => f.pad("left"),
            Source::Above => f.pad("above"),
            Source::Horizontal(k) => write!(f, "H{k}"),
            Source::Vertical(d) => write!(f, "V{d}"),
            Source::Diagonal(d) => write!(f, "D{d}"),
        }
    }
}

/// The probabilities of warped scores: `law = softmax(scores)`, in f64. Both have one entry per code.
///
/// The exponential is libm's, so that the bits are the same on every platform.
///
/// # Errors
/// [`LawError::NotALogit`] for a NaN or +inf score, [`LawError::NothingLeft`] when all are -inf, [`LawError::Length`]
/// when the slices differ in length.
pub fn probabilities(scores: &[f32], law: &mut [f64]) -> Result<(), LawError> {
    check_length("law", scores.len(), law.len())?;
    let (_, highest) = highest(scores)?;
    let mut sum = 0.0;
    for (probability, &score) in law.iter_mut().zip(scores) {
        *probability = libm::exp(f64::from(score) - f64::from(highest));
        sum += *probability;
    }
    law.iter_mut().for_each(|probability| *probability /= sum);
    Ok(())
}

/// The highest score, at the lowest code that has it.
pub(crate) fn highest(scores: &[f32]) -> Result<(Code, f32), LawError> {
    let mut best = (Code(0), f32::NEG_INFINITY);
    for (code, &score) in (0..).map(Code).zip(scores) {
        if score.is_nan() || score == f32::INFINITY {
            return Err(LawError::NotALogit { code, value: score });
        }
        if score > best.1 {
            best = (code, score);
        }
    }
    if best.1 == f32::NEG_INFINITY { Err(LawError::NothingLeft { codes: scores.len() }) } else { Ok(best) }
}

pub(crate) fn check_length(what: &'static str, expected: usize, got: usize) -> Result<(), LawError> {
    if expected == got { Ok(()) } else { Err(LawError::Length { what, expected, got }) }
}

/// Why a law of the target, or a test against it, cannot be computed. No value is ever put in its place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LawError {
    /// A slice does not have one entry per code.
    #[error("{what} must have {expected} entries, one per code, got {got}")]
    Length {
        /// The slice.
        what: &'static str,
        /// Number of codes.
        expected: usize,
        /// Number of entries.
        got: usize,
    },
    /// Guidance needs the logits of the unconditional stream.
    #[error("cfg {cfg} needs unconditional logits, got none")]
    NoUnconditional {
        /// The guidance scale.
        cfg: f32,
    },
    /// A logit or score is NaN or +inf.
    #[error("the score of code {code} must be finite or -inf, got {value}")]
    NotALogit {
        /// The code.
        code: Code,
        /// The value after guidance, or after the temperature.
        value: f32,
    },
    /// Every code is dropped.
    #[error("all {codes} codes have the score -inf: nothing is left to draw")]
    NothingLeft {
        /// Number of codes.
        codes: usize,
    },
    /// The target has no law at a node of the tree.
    #[error("the target has no law at node {node}")]
    NoLaw {
        /// The node.
        node: NodeId,
    },
    /// A candidate could not have been drawn from the law that it names.
    #[error("candidate {candidate} of node {node}, code {code}, has probability 0 under its own draft law")]
    ImpossibleDraft {
        /// The node below which the candidate was proposed.
        node: NodeId,
        /// The candidate's index in the node's list.
        candidate: u32,
        /// The candidate's code.
        code: Code,
    },
    /// A candidate was rejected although the draft law covers the whole target law.
    #[error("candidate {candidate} of node {node}, code {code}, was rejected but leaves no residual law")]
    EmptyResidual {
        /// The node below which the candidate was proposed.
        node: NodeId,
        /// The candidate's index in the node's list.
        candidate: u32,
        /// The candidate's code.
        code: Code,
    },
}
