//! Verification: which guessed cells the target's law keeps, and what it draws after them.

mod lossy;
mod rejection;
mod replay;

use std::fmt;

pub use lossy::{LossyRule, Neighbours};

use crate::chooser::Chooser;
use crate::law::{LawError, check_length};
use crate::token::{Cell, Code, NodeId};
use crate::tree::TokenTree;

/// The target's laws over the tree, as the pass computed them.
pub trait TargetLaws {
    /// The warped scores at a node, one per code: the law of the cell
    /// [`open_cell_below`](TokenTree::open_cell_below) it. Asked once per node and only for nodes on the walked path.
    ///
    /// # Errors
    /// [`LawError`] when the logits are no law, or [`LawError::NoLaw`].
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError>;

    /// The token that plain AR draws at the node, for `cell`. A device that has drawn it already, with the chooser's own noise, gives it
    /// without its scores; by default the chooser draws.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn replay(&mut self, node: NodeId, cell: Cell, chooser: &mut dyn Chooser) -> Result<Code, LawError> {
        chooser.replay(cell, self.scores(node)?)
    }
}

/// How guesses are tested. Both rules keep the target's law exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A guess is accepted if it is the token that plain AR draws with the image's noise: every decoder writes the same
    /// image as plain AR.
    Replay,
    /// Speculative sampling with several candidates: accept with min(1, p/q), else go on with the residual law.
    Rejection,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Rule::Replay => "replay",
            Rule::Rejection => "rejection",
        })
    }
}

/// The token that ends a step: drawn from the target's law at the last accepted node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its code.
    pub code: Code,
    /// Why it was drawn.
    pub drawn: Drawn,
}

/// Why the target drew a token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drawn {
    /// There were candidates and none was accepted.
    Recovered,
    /// There was no candidate left: all that was proposed on the path was accepted.
    Bonus,
}

/// What happened at one node of the walked path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node; its depth is the step's index.
    pub node: NodeId,
    /// How many of its candidates were tested, from the first on.
    pub tested: u32,
    /// Index of the accepted candidate in [`TokenTree::candidates`]; it is then the last one tested.
    pub accepted: Option<u32>,
}

/// The outcome of a step: the accepted nodes and the token after them. A buffer for reuse, meaningful after a
/// [`Verifier::verify`] that returned Ok.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The accepted nodes from the root down, root excluded.
    pub path: Vec<NodeId>,
    /// The token after the last accepted node.
    pub next: Next,
    /// What happened at the root and at each accepted node: one more than `path`.
    pub steps: Vec<Step>,
}

impl Verdict {
    /// A buffer for trees of up to `depth` levels below the root; deeper ones would make it grow.
    #[must_use]
    pub fn with_capacity(depth: usize) -> Self {
        let next = Next { code: Code(0), drawn: Drawn::Bonus };
        Self { path: Vec::with_capacity(depth), next, steps: Vec::with_capacity(depth + 1) }
    }

    /// Number of cells that the step commits: the accepted ones and the one drawn after them.
    #[must_use]
    pub fn committed(&self) -> usize {
        self.path.len() + 1
    }

    /// The codes that the step commits, in raster order from the tree's first open cell.
    pub fn codes(&self, tree: &TokenTree) -> impl Iterator<Item = Code> {
        self.path.iter().filter_map(|&node| tree.code(node)).chain([self.next.code])
    }

    fn clear(&mut self) {
        self.path.clear();
        self.steps.clear();
    }
}

/// Tests a tree's guesses against the target's laws, without allocating after construction.
#[derive(Clone, Debug)]
pub struct Verifier {
    test: Test,
    codes: usize,
    scratch: rejection::Scratch,
}

#[derive(Clone, Debug)]
enum Test {
    Exact(Rule),
    Lossy(LossyRule),
}

/// What a rule decides at one node.
struct Decision {
    step: Step,
    outcome: Outcome,
}

enum Outcome {
    Accepted(NodeId),
    Drawn(Code),
}

impl Verifier {
    /// A verifier for laws over `codes` codes that keeps the target's law.
    #[must_use]
    pub fn new(rule: Rule, codes: usize) -> Self {
        let scratch = match rule {
            Rule::Replay => 0,
            Rule::Rejection => codes,
        };
        Self { test: Test::Exact(rule), codes, scratch: rejection::Scratch::new(scratch) }
    }

    /// A verifier that changes the law.
    #[must_use]
    pub fn lossy(rule: LossyRule, codes: usize) -> Self {
        Self { test: Test::Lossy(rule), codes, scratch: rejection::Scratch::new(codes) }
    }

    /// Walks from the root along accepted candidates and writes the path and the token after it.
    ///
    /// # Errors
    /// [`LawError`] of the target or the chooser; under rejection also [`LawError::ImpossibleDraft`] and
    /// [`LawError::EmptyResidual`]. The verdict is then meaningless.
    pub fn verify(
        &mut self,
        tree: &TokenTree,
        laws: &mut dyn TargetLaws,
        chooser: &mut dyn Chooser,
        verdict: &mut Verdict,
    ) -> Result<(), LawError> {
        verdict.clear();
        let mut node = NodeId::ROOT;
        loop {
            let Decision { step, outcome } = match &self.test {
                Test::Exact(Rule::Replay) => replay::decide(tree, node, laws, chooser)?,
                Test::Exact(Rule::Rejection) => {
                    let scores = checked(laws.scores(node)?, self.codes)?;
                    self.scratch.decide(tree, node, scores, chooser, &|_, _| {})?
                }
                Test::Lossy(rule) => {
                    let scores = checked(laws.scores(node)?, self.codes)?;
                    rule.decide(&mut self.scratch, (tree, node), scores, chooser)?
                }
            };
            verdict.steps.push(step);
            match outcome {
                Outcome::Accepted(child) => {
                    verdict.path.push(child);
                    node = child;
                }
                Outcome::Drawn(code) => {
                    let drawn = if step.tested == 0 { Drawn::Bonus } else { Drawn::Recovered };
                    verdict.next = Next { code, drawn };
                    return Ok(());
                }
            }
        }
    }
}

fn checked(scores: &[f32], codes: usize) -> Result<&[f32], LawError> {
    check_length("target scores", codes, scores.len()).map(|()| scores)
}
