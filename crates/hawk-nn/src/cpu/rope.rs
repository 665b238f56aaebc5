//! Rotary positions.

use hawk_files::{Rotary, TransformerConfig};
use hawk_kernels::{Isa, Turn};

/// Rotary tables: cosines and sines `[positions][E/2]`, as the references compute them in f32.
pub(crate) struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rope {
    /// For `positions` positions, or for as many as the grid has.
    pub(crate) fn new(config: &TransformerConfig, positions: usize) -> Self {
        let (base, half) = (f64::from(config.rope_base), config.head_dim / 2);
        // Of an axis that `pairs` pairs turn by.
        let frequency = |pair: usize, pairs: usize| 1.0 / libm::pow(base, pair as f64 / pairs as f64) as f32;
        let (conditions, angles): (usize, Vec<f32>) = match config.rotary {
            Rotary::Line => {
                (0, (0..positions * half).map(|at| (at / half) as f32 * frequency(at % half, half)).collect())
            }
            Rotary::Grid { conditions, side } => {
                let pairs = half / 2;
                let angle = |at: usize| {
                    let (cell, pair) = (at / half, at % half);
                    let place = if pair < pairs { cell / side } else { cell % side };
                    place as f32 * frequency(pair % pairs, pairs)
                };
                (conditions, (0..side * side * half).map(angle).collect())
            }
        };
        let of = |f: fn(f64) -> f64| {
            let turned = angles.iter().map(|angle| f(f64::from(*angle)) as f32);
            std::iter::repeat_n(0.0, conditions * half).chain(turned).collect()
        };
        Self { cos: of(libm::cos), sin: of(libm::sin), half }
    }

    /// Positions that it has.
    pub(crate) fn positions(&self) -> usize {
        self.cos.len() / self.half
    }

    pub(super) fn turn(&self, isa: Isa, position: usize, x: &mut [f32]) {
        let range = position * self.half..(position + 1) * self.half;
        Turn { x, cos: &self.cos[range.clone()], sin: &self.sin[range] }.on(isa);
    }
}
