//! Jacobi drafts with fixed noise: the target's own laws of the last pass guess the cells that it
//! did not commit (speculative coupled decoding, arXiv 2510.24211, in its Gumbel form).
//!
//! The tree is a chain. After a pass every node has the target's law of the cell below it, given
//! the guesses above. Behind the rejected guess that law is not the true one, but mostly near to
//! it. Its best code under the cell's noise is the next guess for the cell. The noise of a cell
//! stays the same from pass to pass, so guesses settle before their cell is verified.
//!
//! Under `replay` the noise is that of the target's own draw. Under `rejection` it is noise of the
//! purpose [`Purpose::Draft`], and the guess is a draw from q, the law of the last pass. That is
//! exact because the target is causal: the law of a cell, and whether the cell is reached, depend
//! on noise of earlier cells alone. So q does not depend on the cell's own noise, although the
//! noise served guesses of earlier passes. `hawk-spec/tests/jacobi.rs` proves it by enumeration.
//!
//! `sjd` is the same chain with other noise in every pass (speculative Jacobi decoding, arXiv
//! 2410.01699). A guess is then an independent draw from the law of the last pass. It is there for
//! comparison: it shows what fixed noise brings.

use hawk_nn::{Arrangement, Error, Result};
use hawk_spec::{
    Cell, Chooser, Code, DraftLaw, Greedy, ImageIndex, LawError, NodeId, Noise, Purpose, Replacement, Seed, Source,
    TokenTree, TreeError, TreeShape, probabilities,
};

use super::context::{Seen, View};
use super::contract::{DefaultTree, Drafter, DrafterKind, Heads, Media, Needs, Setup};
use super::mode::DraftMode;
use crate::request::decoder::Decoder;

/// A guess of the target's law in the last pass.
const LAST: Source = Source::new("last");
/// Distance of the seeds of two passes, where each has its own noise.
const NEXT_SEED: u64 = 0x9E37_79B9_7F4A_7C15;

const fn kind(name: &'static str, help: &'static str, make: fn(&Setup<'_>) -> Result<Box<dyn Drafter>>) -> DrafterKind {
    let tree = DefaultTree::Auto { otherwise: 4 };
    DrafterKind { name, help, tree, heads: Heads::Unused, media: Media::Any, make }
}

impl Decoder {
    /// Jacobi drafts: the target's laws of the last pass, with fixed noise.
    pub const SCD: Decoder = Decoder::custom(
        &const {
            let help = "the target's own laws of the last pass (Jacobi drafts with fixed noise); needs no draft heads";
            kind("scd", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::FixedNoise))))
        },
    );
    /// Jacobi drafts with other noise in every pass.
    pub const SJD: Decoder = Decoder::custom(
        &const {
            let help = "Jacobi drafts with other noise in every pass, for comparison; needs no draft heads";
            kind("sjd", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::NewNoise))))
        },
    );
}

/// How a law of the last pass becomes a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guessing {
    /// With noise of the cell that stays the same from pass to pass.
    FixedNoise,
    /// With other noise in every pass.
    NewNoise,
}

struct Jacobi {
    arrangement: Arrangement,
    shape: TreeShape,
    mode: DraftMode,
    guessing: Guessing,
    codes: usize,
    /// The guess for cell i, where there is one, is number i mod N. N is the most nodes of a tree.
    guesses: Vec<Option<(Cell, Code)>>,
    /// The laws that the guesses were drawn from, `[N, codes]`, where the rule reads them.
    laws: Vec<f64>,
    /// The noise of guesses where the mode does not name one.
    noise: Noise,
}

impl Jacobi {
    fn new(setup: &Setup<'_>, guessing: Guessing) -> Self {
        let (nodes, codes) = (setup.shape.nodes(), setup.codes);
        Self {
            arrangement: setup.arrangement,
            shape: setup.shape,
            mode: setup.mode,
            guessing,
            codes,
            guesses: vec![None; nodes],
            laws: vec![0.0; if setup.mode == DraftMode::Draws { nodes * codes } else { 0 }],
            // Until an image begins.
            noise: Noise { seed: Seed(0), image: ImageIndex(0) },
        }
    }

    fn slot(&self, cell: Cell) -> usize {
        cell.index() % self.guesses.len()
    }

    /// The guess of the last pass for a cell, with its draft law.
    fn last(&self, cell: Cell, tree: &mut TokenTree) -> std::result::Result<Option<(Code, DraftLaw)>, TreeError> {
        let slot = self.slot(cell);
        let Some((_, code)) = self.guesses[slot].filter(|guess| guess.0 == cell) else { return Ok(None) };
        let draft = match self.mode {
            DraftMode::Draws => {
                let law = tree.add_law(&self.laws[slot * self.codes..][..self.codes])?;
                DraftLaw::Drawn { law, replacement: Replacement::With }
            }
            _ => DraftLaw::Deterministic,
        };
        Ok(Some((code, draft)))
    }

    /// The code of the nearest cell before a cell that no pass has seen: to the left, or above at
    /// the start of a row. It is a function of what stands before it in the tree.
    fn copied(&self, cell: Cell, view: &View<'_>, tree: &TokenTree) -> Option<(Code, Source)> {
        let (from, source) = match self.arrangement {
            Arrangement::Grid(grid) => match grid.left(cell) {
                Some(left) => (left, Source::LEFT),
                None => (grid.above(cell)?, Source::ABOVE),
            },
            Arrangement::Line => (Cell(cell.0.checked_sub(1)?), Source::LEFT),
        };
        let code = match view.codes.get(from.index()) {
            Some(&code) => code,
            // The tree is a chain: the node of a cell has its depth as number.
            None => tree.code(NodeId(from.0 - tree.first_open().0 + 1))?,
        };
        Some((code, source))
    }

    /// Keeps the target's law at a node as the guess for the cell below the node.
    fn keep(&mut self, node: NodeId, cell: Cell, seen: &mut Seen<'_>) -> std::result::Result<(), LawError> {
        let slot = self.slot(cell);
        let code = match self.mode {
            DraftMode::SharedNoise(_) if self.guessing == Guessing::NewNoise => {
                Some(self.noise.at(cell, Purpose::Draft).argmax(seen.scores(node)?)?)
            }
            DraftMode::SharedNoise(_) => seen.best(node, 1)?.first().map(|&(_, code)| code),
            DraftMode::Likeliest => Some(Greedy.replay(cell, seen.scores(node)?)?),
            DraftMode::Draws => {
                let scores = seen.scores(node)?;
                probabilities(scores, &mut self.laws[slot * self.codes..][..self.codes])?;
                Some(self.noise.at(cell, Purpose::Draft).argmax(scores)?)
            }
        };
        self.guesses[slot] = code.map(|code| (cell, code));
        Ok(())
    }
}

impl Drafter for Jacobi {
    fn needs(&self) -> Needs {
        let nodes = self.shape.nodes();
        match self.mode {
            DraftMode::SharedNoise(_) => Needs { best: 1, ..Needs::default() },
            DraftMode::Likeliest => Needs::default(),
            DraftMode::Draws => Needs { laws: nodes, ..Needs::default() },
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.guesses) + size_of_val(&*self.laws)
    }

    fn start(&mut self, seed: Seed, image: ImageIndex) {
        self.noise = Noise { seed, image };
        self.guesses.fill(None);
    }

    /// Proposes a chain: a guess of the last pass where there is one, else a copy.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        let (mut node, mut depth) = (NodeId::ROOT, 0);
        while self.shape.width(depth) > 0 && !tree.is_full() {
            let cell = tree.open_cell_below(node);
            let (code, draft, source) = match self.last(cell, tree)? {
                Some((code, draft)) => (code, draft, LAST),
                None => match self.copied(cell, view, tree) {
                    Some((code, source)) => (code, DraftLaw::Deterministic, source),
                    None => break,
                },
            };
            node = tree.propose(node, code, draft, source)?;
            depth += 1;
        }
        Ok(())
    }

    /// Takes the laws at the nodes behind the accepted path. Those on the path have guessed cells
    /// that are committed now.
    fn observe(&mut self, seen: &mut Seen<'_>) -> Result<()> {
        let (first, committed) = (seen.first(), seen.new_codes().len());
        if self.guessing == Guessing::NewNoise {
            // No verifier uses noise of this purpose, whatever the seed.
            self.noise.seed = Seed(self.noise.seed.0.wrapping_add(NEXT_SEED));
        }
        for node in seen.tree.nodes().skip(committed) {
            let cell = seen.tree.open_cell_below(node);
            let fault = |e: LawError| Error::input(e.to_string()).at(format!("a guess for {cell} after {first}"));
            self.keep(node, cell, seen).map_err(fault)?;
        }
        Ok(())
    }
}
