//! The draws from the target's laws.

use hawk_nn::Ranking;
use hawk_spec::{Cell, Chooser, Code, Greedy, ImageIndex, LawError, Noise, Purpose, Seed, TextNoise};

/// The way in which the tokens of a job are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Draws {
    /// The likeliest code, ties to the lower code, without a random number.
    Greedy(Greedy),
    /// The noise of an image.
    Image(Noise),
    /// The noise of a text.
    Text(TextNoise),
}

impl Draws {
    /// Draws with the noise of a purpose.
    pub(crate) fn noise(noise: Noise, purpose: Purpose) -> Self {
        match purpose {
            Purpose::Text => Self::Text(TextNoise(noise)),
            _ => Self::Image(noise),
        }
    }

    /// The key of the noise. Greedy draws have key 0.
    pub(crate) fn key(&self) -> Noise {
        match self {
            Self::Greedy(_) => Noise { seed: Seed(0), image: ImageIndex(0) },
            Self::Image(noise) | Self::Text(TextNoise(noise)) => *noise,
        }
    }

    /// The ranking of the codes of a node whose first code is the target's own draw.
    pub(crate) fn ranking(&self) -> Ranking {
        match self {
            Self::Greedy(_) => Ranking::Score,
            Self::Image(noise) => Ranking::Noise(*noise, Purpose::Replay),
            Self::Text(TextNoise(noise)) => Ranking::Noise(*noise, Purpose::Text),
        }
    }

    fn chooser(&mut self) -> &mut dyn Chooser {
        match self {
            Self::Greedy(greedy) => greedy,
            Self::Image(noise) => noise,
            Self::Text(noise) => noise,
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
