//! Guesses of spatial heads: the best codes of a cell that no pass has seen.

use std::sync::Arc;

use hawk_nn::{SpatialHeads, SpatialMemory};
use hawk_spec::{Cell, Code, Grid, Noise};

use crate::drafter::context::Seen;
use crate::drafter::mode::DraftMode;

/// Guesses of a cell.
pub(super) const GUESSES: usize = 4;
/// Codes that are so many nats below the best logit are not ranked: the noise hardly ever makes up for it
/// (measured, see `docs/performance.md`).
const SHORTLIST: f32 = 7.0;

/// The codes that are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranked {
    /// Those near the best logit.
    Shortlist,
    /// All.
    All,
}

/// Spatial heads and what the image has shown them.
pub(super) struct Spatial {
    heads: Arc<SpatialHeads>,
    memory: SpatialMemory,
    ranked: Ranked,
    /// The next cell whose hidden state is to be seen; what was missed leaves cells without guesses.
    next: usize,
}

impl Spatial {
    pub(super) fn new(heads: &Arc<SpatialHeads>, ranked: Ranked) -> Self {
        Self { memory: heads.memory(), heads: Arc::clone(heads), ranked, next: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    pub(super) fn start(&mut self) {
        self.memory.start(&self.heads);
        self.next = 0;
    }

    /// Takes the hidden states of the path of a pass: each has predicted a cell that is committed now.
    pub(super) fn see(&mut self, seen: &mut Seen<'_>) {
        let (tree, verdict) = (seen.tree, seen.verdict);
        let path = [hawk_spec::NodeId::ROOT].into_iter().chain(verdict.path.iter().copied());
        for (cell, node) in (tree.first_open().0..).map(Cell).zip(path) {
            if cell.index() < self.next {
                continue;
            }
            if let Some(hidden) = seen.hidden(node) {
                self.memory.see(&self.heads, cell, hidden);
                self.next = cell.index() + 1;
            }
        }
    }

    /// Writes the best codes of a cell with their scores, best first; false where the heads cannot guess it.
    pub(super) fn guess(
        &mut self,
        cell: Cell,
        code_of: impl Fn(Cell) -> Option<Code>,
        noise: (Noise, DraftMode),
        best: &mut Vec<(f64, Code)>,
    ) -> bool {
        let grid: Grid = self.heads.config().grid;
        let [above, left] = [grid.above(cell), grid.left(cell)].map(|cell| cell.and_then(&code_of));
        let Some(logits) = self.memory.logits(&self.heads, cell, above, left) else { return false };
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let least = match self.ranked {
            Ranked::Shortlist => most - SHORTLIST,
            Ranked::All => f32::NEG_INFINITY,
        };
        best.clear();
        for (code, &logit) in (0..).map(Code).zip(logits) {
            if logit < least {
                continue;
            }
            let noise = match noise {
                (noise, DraftMode::SharedNoise(purpose)) => noise.at(cell, purpose).gumbel(code),
                _ => 0.0,
            };
            let score = f64::from(logit) + noise;
            let place = best.partition_point(|&(better, _)| better >= score);
            if place < GUESSES {
                best.truncate(GUESSES - 1);
                best.insert(place, (score, code));
            }
        }
        !best.is_empty()
    }
}
