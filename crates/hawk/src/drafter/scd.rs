//! Jacobi drafts with fixed noise: the target's own laws of the last pass guess the cells that it
//! did not commit (speculative coupled decoding, arXiv 2510.24211, in its Gumbel form).
//!
//! The tree is a chain. After a pass every node has the target's law of the cell below it, given
//! the guesses above. Behind the rejected guess that law is not the true one, but mostly near to
//! it. Its best code under the cell's noise is the next guess for the cell. The noise of a cell
//! stays the same from pass to pass, so guesses settle before their cell is verified.
//!
//! Under `replay` the noise is that of the target's own draw. Under `rejection` a guess is redrawn in
//! every pass by maximal coupling: it is kept with probability min(1, p/q), where q is the law that
//! it was drawn from and p the law of this pass, else it is drawn from the residual of p. So it has
//! the law p, which is the q of the next pass, also where it was kept. The target is causal: the laws
//! of a cell, and whether the cell is reached, depend on random numbers of earlier cells alone, so
//! that p does not depend on the guess. Each redraw has random numbers of its own, of the purpose
//! [`Purpose::Draft`]. `hawk-spec/tests/jacobi.rs` proves it by enumeration.
//!
//! A cell that no pass has seen is a copy of its neighbours where the cell to the left and the cell above agree, else a
//! random code. A copy is right more often, but where the law is certain a wrong copy spoils the laws of the cells
//! behind it more (measured, see `docs/performance.md`).
//!
//! `sjd` is the same chain with other noise in every pass (speculative Jacobi decoding, arXiv
//! 2410.01699). A guess is then an independent draw from the law of the last pass. It is there for
//! comparison: it shows what fixed noise and coupling bring.

use hawk_nn::{Arrangement, Error, Result};
use hawk_spec::{
    Candidate, Cell, Chooser, Code, Draft, DraftLaw, Greedy, ImageIndex, LawError, NodeId, Noise, Purpose, Replacement,
    Seed, Source, TokenTree, TreeError, TreeShape, draw_at, probabilities, recouple,
};

use super::context::{Seen, View};
use super::contract::{DefaultTree, Drafter, DrafterKind, Heads, Media, Needs, Setup};
use super::guess::{LAST, RANDOM, random_code};
use super::mode::DraftMode;
use crate::request::decoder::Decoder;

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
            kind("scd", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::Coupled, Start::Agreeing))))
        },
    );
    /// Jacobi drafts with other noise in every pass.
    pub const SJD: Decoder = Decoder::custom(
        &const {
            let help = "Jacobi drafts with other noise in every pass, for comparison; needs no draft heads";
            kind("sjd", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::Independent, Start::Agreeing))))
        },
    );

    /// `scd` with other guesses of cells that no pass has seen, for measurements. No [`str::parse`] finds them.
    pub const SCD_STARTS: [Decoder; 3] = [
        Decoder::custom(
            &const {
                let help = "cells that no pass has seen are random codes";
                kind("scd-random", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::Coupled, Start::Random))))
            },
        ),
        Decoder::custom(
            &const {
                let help = "cells that no pass has seen are copies of the cell above";
                kind("scd-above", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::Coupled, Start::Above))))
            },
        ),
        Decoder::custom(
            &const {
                let help = "cells that no pass has seen are copies of the cell to the left";
                kind("scd-left", help, |setup| Ok(Box::new(Jacobi::new(setup, Guessing::Coupled, Start::Left))))
            },
        ),
    ];
}

/// How a law of the last pass becomes a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guessing {
    /// So that it stays the same from pass to pass where laws allow: with noise of the cell that stays
    /// the same, or by maximal coupling where laws are drawn from.
    Coupled,
    /// With other noise in every pass.
    Independent,
}

/// The guess of a cell that no pass has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The code to the left, or above at the start of a row.
    Left,
    /// The code above, or to the left in the first row.
    Above,
    /// Any code, all alike: no draw from a law, since nothing else depends on it.
    Random,
    /// The code to the left where it is the one above too, else any code.
    Agreeing,
}

struct Jacobi {
    arrangement: Arrangement,
    shape: TreeShape,
    mode: DraftMode,
    guessing: Guessing,
    start: Start,
    codes: usize,
    /// The guess for cell i, where there is one, is number i mod N. N is the most nodes of a tree.
    guesses: Vec<Option<(Cell, Code)>>,
    /// The laws that the guesses were drawn from, `[N, codes]`, where the rule reads them.
    laws: Vec<f64>,
    /// The law of a cell in this pass, `[codes]`, and the residual of a guess, `[codes]`, where guesses
    /// are recoupled.
    law: Vec<f64>,
    residual: Vec<f64>,
    /// The noise of guesses where the mode does not name one, other noise in every pass.
    noise: Noise,
}

/// The random numbers of a pass's guesses.
struct PassNoise(Noise);

impl Chooser for PassNoise {
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> std::result::Result<Code, LawError> {
        self.0.at(cell, Purpose::Draft).argmax(scores)
    }

    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool {
        self.0.at(cell, Purpose::Draft).uniform(1 + candidate) < probability
    }

    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code {
        let u = self.0.at(cell, Purpose::Draft).uniform(0);
        draw_at(law, u).expect("a law has a code of positive probability")
    }
}

impl Jacobi {
    fn new(setup: &Setup<'_>, guessing: Guessing, start: Start) -> Self {
        let (nodes, codes) = (setup.shape.nodes(), setup.codes);
        let recoupled = setup.mode == DraftMode::Draws && guessing == Guessing::Coupled;
        let scratch = || vec![0.0; if recoupled { codes } else { 0 }];
        Self {
            arrangement: setup.arrangement,
            shape: setup.shape,
            mode: setup.mode,
            guessing,
            start,
            codes,
            guesses: vec![None; nodes],
            laws: vec![0.0; if setup.mode == DraftMode::Draws { nodes * codes } else { 0 }],
            law: scratch(),
            residual: scratch(),
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

    /// The guess of a cell that no pass has seen. It is a function of what stands before it in the tree, or a code
    /// that nothing else depends on.
    fn unseen(&self, cell: Cell, view: &View<'_>, tree: &TokenTree) -> Option<(Code, Source)> {
        let (left, above) = match self.arrangement {
            Arrangement::Grid(grid) => (grid.left(cell), grid.above(cell)),
            Arrangement::Line => (cell.0.checked_sub(1).map(Cell), None),
        };
        let code_of = |cell: Option<Cell>| match view.codes.get(cell?.index()) {
            Some(&code) => Some(code),
            // The tree is a chain: the node of a cell has its depth as number.
            None => tree.code(NodeId(cell?.0 - tree.first_open().0 + 1)),
        };
        let left = code_of(left).map(|code| (code, Source::LEFT));
        let above = code_of(above).map(|code| (code, Source::ABOVE));
        let random = || (random_code(self.noise, cell, self.codes as u32), RANDOM);
        match self.start {
            Start::Left => left.or(above),
            Start::Above => above.or(left),
            Start::Random => Some(random()),
            Start::Agreeing => {
                let agreed = left.filter(|left| above.is_some_and(|above| above.0 == left.0));
                Some(agreed.unwrap_or_else(random))
            }
        }
    }

    /// Keeps the target's law at a node as the guess for the cell below the node.
    fn keep(&mut self, node: NodeId, cell: Cell, seen: &mut Seen<'_>) -> std::result::Result<(), LawError> {
        let slot = self.slot(cell);
        let code = match self.mode {
            DraftMode::SharedNoise(_) if self.guessing == Guessing::Independent => {
                Some(self.noise.at(cell, Purpose::Draft).argmax(seen.scores(node)?)?)
            }
            DraftMode::SharedNoise(_) => seen.best(node, 1)?.first().map(|&(_, code)| code),
            DraftMode::Likeliest => Some(Greedy.replay(cell, seen.scores(node)?)?),
            DraftMode::Draws if self.guessing == Guessing::Independent => {
                let scores = seen.scores(node)?;
                probabilities(scores, &mut self.laws[slot * self.codes..][..self.codes])?;
                Some(PassNoise(self.noise).replay(cell, scores)?)
            }
            DraftMode::Draws => {
                probabilities(seen.scores(node)?, &mut self.law)?;
                Some(self.redraw(node, cell, seen.tree)?)
            }
        };
        self.guesses[slot] = code.map(|code| (cell, code));
        Ok(())
    }
}

impl Jacobi {
    /// Draws the guess of a cell from its law in this pass, coupled with the guess that the pass ran, and keeps
    /// the law in place of that guess's.
    fn redraw(&mut self, node: NodeId, cell: Cell, tree: &TokenTree) -> std::result::Result<Code, LawError> {
        let (slot, mut noise) = (self.slot(cell), PassNoise(self.noise));
        let q = &mut self.laws[slot * self.codes..][..self.codes];
        let code = match tree.candidates(node).next() {
            None => noise.draw(cell, &self.law),
            Some(&Candidate { code, draft, .. }) => {
                if draft == DraftLaw::Deterministic {
                    q.fill(0.0);
                    q[code.index()] = 1.0;
                }
                let draft = Draft { cell, code, law: q };
                let redrawn = recouple(draft, &self.law, &mut self.residual, &mut noise);
                redrawn.ok_or(LawError::EmptyResidual { node, candidate: 0, code })?
            }
        };
        q.copy_from_slice(&self.law);
        Ok(code)
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
        size_of_val(&*self.guesses) + size_of_val(&*self.laws) + 2 * size_of_val(&*self.law)
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
                None => match self.unseen(cell, view, tree) {
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
        if self.guessing == Guessing::Independent || self.mode == DraftMode::Draws {
            // No verifier uses noise of this purpose, whatever the seed.
            self.noise.seed = Seed(self.noise.seed.0.wrapping_add(NEXT_SEED));
        }
        for node in seen.tree.nodes().skip(committed) {
            let cell = seen.tree.open_cell_below(node);
            let fault = |e: LawError| Error::from(e).at(format!("a guess for {cell} after {first}"));
            self.keep(node, cell, seen).map_err(fault)?;
        }
        Ok(())
    }
}
