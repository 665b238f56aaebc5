//! Rotary positions.

use hawk_files::{Result, Rotary, TransformerConfig};

use crate::memory::zeros;

/// Rotary tables: cosines and sines `[positions][E/2]`, as the references compute them in f32.
pub struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rope {
    /// For `positions` positions, or for as many as the grid has.
    ///
    /// # Errors
    /// The system has no room.
    pub fn new(config: &TransformerConfig, positions: usize) -> Result<Self> {
        let (base, half) = (f64::from(config.rope_base), config.head_dim / 2);
        // Of an axis that `pairs` pairs turn by.
        let frequency = |pair: usize, pairs: usize| 1.0 / libm::pow(base, pair as f64 / pairs as f64) as f32;
        let (conditions, positions, grid) = match config.rotary {
            Rotary::Line => (0, positions, None),
            Rotary::Grid { conditions, side } => (conditions, conditions + side * side, Some(side)),
        };
        let angle = |cell: usize, pair: usize| match grid {
            None => cell as f32 * frequency(pair, half),
            Some(side) => {
                let pairs = half / 2;
                let place = if pair < pairs { cell / side } else { cell % side };
                place as f32 * frequency(pair % pairs, pairs)
            }
        };
        let table = || zeros("the tables of positions", &[positions, half]);
        let (mut cos, mut sin) = (table()?, table()?);
        for at in conditions * half..cos.len() {
            let angle = f64::from(angle(at / half - conditions, at % half));
            (cos[at], sin[at]) = (libm::cos(angle) as f32, libm::sin(angle) as f32);
        }
        Ok(Self { cos, sin, half })
    }

    /// Positions that it has.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.cos.len() / self.half
    }

    /// Cosines and sines of a position, `[E/2]` each.
    ///
    /// # Panics
    /// It is none of the positions.
    #[must_use]
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }

    /// All cosines and sines, `[positions][E/2]` each.
    #[must_use]
    pub fn tables(&self) -> (&[f32], &[f32]) {
        (&self.cos, &self.sin)
    }
}
