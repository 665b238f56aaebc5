//! The random choices of verification: the verifier asks a [`Chooser`] for every draw and test.

use crate::law::{LawError, highest};
use crate::noise::{Noise, Purpose};
use crate::token::{Cell, Code};

/// The random choices of verification.
///
/// In production the chooser is [`Noise`]. In proofs it is an [`Enumerator`](crate::Enumerator),
/// which takes every branch.
pub trait Chooser {
    /// The token that plain AR draws at the cell.
    ///
    /// `scores` are the target's warped scores, one per code, -inf for dropped codes.
    ///
    /// # Errors
    /// [`LawError`] where the scores make no law.
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> Result<Code, LawError>;

    /// Whether a test that succeeds with `probability`, in (0, 1), succeeds. `candidate` is the
    /// number of the test at the cell, from 0.
    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool;

    /// A code drawn from `law`: one probability per code, with sum 1 up to rounding. A code of
    /// probability 0 is never drawn.
    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code;
}

impl Chooser for Noise {
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> Result<Code, LawError> {
        self.at(cell, Purpose::Replay).argmax(scores)
    }

    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool {
        self.at(cell, Purpose::Accept).uniform(candidate) < probability
    }

    /// # Panics
    /// No code has a positive probability.
    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code {
        let u = self.at(cell, Purpose::Recover).uniform(0);
        draw_at(law, u).expect("a law has a code of positive probability")
    }
}

/// The counter-based noise of one text.
///
/// It is the noise of an image of the same number, except for plain draws: their purpose is
/// [`Purpose::Text`]. A cell is a position after the prompt, and a code is a vocabulary id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextNoise(pub Noise);

impl Chooser for TextNoise {
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> Result<Code, LawError> {
        self.0.at(cell, Purpose::Text).argmax(scores)
    }

    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool {
        self.0.accept(cell, candidate, probability)
    }

    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code {
        self.0.draw(cell, law)
    }
}

/// The likelier outcome of every choice, ties to the lower code. It reads no random number. With
/// [`Rule::Replay`](crate::Rule::Replay) it is greedy decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Greedy;

impl Chooser for Greedy {
    fn replay(&mut self, _: Cell, scores: &[f32]) -> Result<Code, LawError> {
        highest(scores).map(|(code, _)| code)
    }

    fn accept(&mut self, _: Cell, _: u32, probability: f64) -> bool {
        probability > 0.5
    }

    fn draw(&mut self, _: Cell, law: &[f64]) -> Code {
        let likelier = |best: (Code, f64), (code, &p): (Code, &f64)| if p > best.1 { (code, p) } else { best };
        (0..).map(Code).zip(law).fold((Code(0), 0.0), likelier).0
    }
}

/// Inverse transform: the first code at which the cumulated law exceeds `u`, in [0, 1).
///
/// Where rounding keeps the sum at or below `u`, the last code of positive probability is drawn. A
/// law without such a code gives none.
#[must_use]
pub fn draw_at(law: &[f64], u: f64) -> Option<Code> {
    let mut cumulated = 0.0;
    let mut last = None;
    for (code, &probability) in (0..).map(Code).zip(law) {
        if probability > 0.0 {
            cumulated += probability;
            last = Some(code);
            if cumulated > u {
                break;
            }
        }
    }
    last
}
