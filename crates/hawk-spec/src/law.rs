//! Laws over the codes: sources and draft laws of candidates, probabilities, and faults of laws.

use std::fmt;

use crate::token::{Code, NodeId};

/// A draft law stored in a [`TokenTree`](crate::TokenTree), valid until its next reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LawId(pub(crate) u32);

/// The exact distribution of a candidate: q of the rejection test. Replay does not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DraftLaw {
    /// The candidate is a function of what stands before it in the tree: q is a point mass.
    Deterministic,
    /// The candidate was drawn at random.
    Drawn {
        /// The law that it was drawn from.
        law: LawId,
        /// The effect of earlier draws from that law at the same node.
        replacement: Replacement,
    },
}

/// The way in which several candidates of one node are drawn from one law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replacement {
    /// Each candidate is drawn from the whole law; a code may be drawn twice.
    With,
    /// Each candidate is drawn from the law restricted to the codes that were not drawn before from
    /// the same law id at this node, renormalised.
    Without,
}

/// The origin of a candidate: a short label such as `left`, `H1` or `V2`.
///
/// A drafter names its own sources. Statistics, records and reports name them by label alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// ASCII letters and digits, then zeros.
    label: [u8; Source::MAX_LABEL],
}

impl Source {
    /// A copy of the cell to the left.
    pub const LEFT: Source = Source::new("left");
    /// A copy of the cell above.
    pub const ABOVE: Source = Source::new("above");
    /// Length of the longest label, in bytes.
    pub const MAX_LABEL: usize = 8;

    /// A source of this label.
    ///
    /// # Panics
    /// The label is empty, longer than [`MAX_LABEL`](Self::MAX_LABEL) bytes, or not all ASCII
    /// letters and digits. In a constant the panic is a compile error. [`parse`](str::parse) reads
    /// labels from outside.
    #[must_use]
    pub const fn new(label: &str) -> Self {
        match Self::checked(label) {
            Some(source) => source,
            None => panic!("a source's label has 1 to 8 ASCII letters and digits"),
        }
    }

    /// A member of a family of sources: a letter and a number, as `V2`. All numbers from 9,999,999
    /// on share a label.
    #[must_use]
    pub fn numbered(letter: char, number: u32) -> Self {
        Self::new(&format!("{letter}{}", number.min(9_999_999)))
    }

    const fn checked(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > Self::MAX_LABEL {
            return None;
        }
        let (mut label, mut at) = ([0; Self::MAX_LABEL], 0);
        while at < bytes.len() {
            if !bytes[at].is_ascii_alphanumeric() {
                return None;
            }
            label[at] = bytes[at];
            at += 1;
        }
        Some(Self { label })
    }

    /// The label.
    #[must_use]
    pub fn label(&self) -> &str {
        let length = self.label.iter().position(|&byte| byte == 0).unwrap_or(Self::MAX_LABEL);
        std::str::from_utf8(&self.label[..length]).unwrap_or_default()
    }

    /// The label without the number at its end, as `V` of `V2`.
    #[must_use]
    pub fn family(&self) -> &str {
        self.label().trim_end_matches(|digit: char| digit.is_ascii_digit())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.label())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// A text is not the label of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a source's label has 1 to 8 ASCII letters and digits, got {got:?}")]
pub struct SourceError {
    /// The label as given.
    pub got: String,
}

impl std::str::FromStr for Source {
    type Err = SourceError;

    fn from_str(label: &str) -> Result<Self, SourceError> {
        Self::checked(label).ok_or_else(|| SourceError { got: label.to_owned() })
    }
}

/// Writes the probabilities of warped scores: `law = softmax(scores)` in f64, one entry per code.
///
/// The exponential is libm's: the bits are the same on every platform.
///
/// # Errors
/// [`LawError::NotALogit`] for a NaN or +inf score, [`LawError::NothingLeft`] where all scores are
/// -inf, [`LawError::Length`] where the slices differ in length.
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

/// The highest score and the lowest code that has it.
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

/// A law of the target, or a test against it, cannot be computed. No value is put in its place.
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
    /// All codes are dropped.
    #[error("all {codes} codes have the score -inf, so none can be drawn")]
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
    /// The law at a node is on a device, and the device did not give it.
    #[error("the law at node {node} cannot be read: {reason}")]
    Unread {
        /// The node.
        node: NodeId,
        /// The device and what it said.
        reason: String,
    },
    /// A candidate has probability 0 under its own draft law.
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
