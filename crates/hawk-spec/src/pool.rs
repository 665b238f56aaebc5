//! The spatial sampling pool: the candidates of several sources for each open cell, grown into one
//! token tree.
//!
//! A level holds the candidates of one cell. They do not depend on the path to the cell. The tree
//! is the Cartesian product of the levels, cut to its shape, best first (Hawk, section "Tree";
//! Medusa, section 2.3.2).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::law::{DraftLaw, Source};
use crate::shape::TreeShape;
use crate::token::{Code, NodeId};
use crate::tree::{TokenTree, TreeError};

/// A candidate of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooled {
    /// The proposed code.
    pub code: Code,
    /// The law that it was drawn from.
    pub draft: DraftLaw,
    /// The source that proposes it.
    pub source: Source,
    /// The estimated probability, 0 to 1, that a test accepts it. It decides what is proposed:
    /// under rejection it must not depend on drawn codes.
    pub chance: f64,
}

/// Candidates by level. Level 0 is the first open cell. Memory is kept between steps.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    levels: Vec<Vec<Pooled>>,
    used: usize,
    open: BinaryHeap<Open>,
}

/// Fills a level with candidates. Its parameters are the number of the level, an empty list for the
/// candidates, and the tree for their draft laws.
pub type FillLevel<'a> = dyn FnMut(usize, &mut Vec<Pooled>, &mut TokenTree) -> Result<(), TreeError> + 'a;

/// A candidate that may be proposed next: candidate `next` of the level below `parent`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Open {
    /// Estimated probability that the walk reaches the candidate's node.
    chance: f64,
    parent: NodeId,
    parent_chance: f64,
    next: usize,
}

impl Eq for Open {}

impl Ord for Open {
    /// The likeliest first; among equals the older node.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.chance.total_cmp(&other.chance);
        order.then(other.parent.cmp(&self.parent)).then(other.next.cmp(&self.next))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Pool {
    /// Memory for so many levels of so many candidates, and for trees of up to `nodes` nodes.
    #[must_use]
    pub fn with_capacity(levels: usize, candidates: usize, nodes: usize) -> Self {
        let levels = (0..levels).map(|_| Vec::with_capacity(candidates)).collect();
        Self { levels, used: 0, open: BinaryHeap::with_capacity(2 * nodes + 1) }
    }

    /// Grows a tree from its root, the likeliest nodes first and parents before children, until the
    /// shape or the tree is full or no candidate is left.
    ///
    /// `fill` is called once for each level that the tree reaches, from 0 on.
    ///
    /// # Errors
    /// The error of `fill`, and a candidate that the tree refuses for another reason than its size
    /// or the end of the grid.
    pub fn grow(&mut self, shape: TreeShape, tree: &mut TokenTree, fill: &mut FillLevel<'_>) -> Result<(), TreeError> {
        self.used = 0;
        self.open.clear();
        // Places of the next candidates: the node above, its probability, the first index in the
        // level.
        let mut places = [Some((NodeId::ROOT, 1.0, 0)), None];
        while tree.len() < shape.nodes() && !tree.is_full() {
            for (parent, parent_chance, next) in places.into_iter().flatten() {
                let depth = tree.depth(parent) as usize;
                if next >= shape.width(depth) {
                    continue;
                }
                if depth == self.used {
                    self.fill_level(tree, fill)?;
                }
                if let Some(candidate) = self.levels[depth].get(next) {
                    self.open.push(Open { chance: parent_chance * candidate.chance, parent, parent_chance, next });
                }
            }
            let Some(Open { chance, parent, parent_chance, next }) = self.open.pop() else { break };
            let Pooled { code, draft, source, .. } = self.levels[tree.depth(parent) as usize][next];
            let before = tree.len();
            places = match tree.propose(parent, code, draft, source) {
                // A repeated code has its node, and the nodes below it, already.
                Ok(child) => {
                    [Some((parent, parent_chance, next + 1)), (tree.len() > before).then_some((child, chance, 0))]
                }
                // The siblings are as deep.
                Err(TreeError::TooDeep { .. }) => [None; 2],
                Err(fault) => return Err(fault),
            };
        }
        Ok(())
    }

    /// Fills the next level and sorts it, best first, equals in the order in which they came.
    fn fill_level(&mut self, tree: &mut TokenTree, fill: &mut FillLevel<'_>) -> Result<(), TreeError> {
        if self.used == self.levels.len() {
            self.levels.push(Vec::new());
        }
        let level = &mut self.levels[self.used];
        level.clear();
        fill(self.used, level, tree)?;
        self.used += 1;
        keep_draws_in_order(level);
        best_first(level, |candidate| candidate.chance);
        Ok(())
    }
}

/// Sorts guesses by their chance, best first, equals in the order in which they came.
///
/// An insertion sort: lists are short, and nothing is allocated.
pub fn best_first<T>(guesses: &mut [T], chance: impl Fn(&T) -> f64) {
    for end in 1..guesses.len() {
        let mut at = end;
        while at > 0 && chance(&guesses[at - 1]) < chance(&guesses[at]) {
            guesses.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Makes no draw of a law likelier than the draws before it. Draws without replacement must be
/// tested in the order of the draws, or rejection is biased: the second draw has another law than
/// the first.
fn keep_draws_in_order(level: &mut [Pooled]) {
    for at in 1..level.len() {
        let (before, [this, ..]) = level.split_at_mut(at) else { return };
        if let DraftLaw::Drawn { law, .. } = this.draft {
            let same = |other: &&Pooled| matches!(other.draft, DraftLaw::Drawn { law: its, .. } if its == law);
            this.chance = before.iter().rfind(same).map_or(this.chance, |earlier| this.chance.min(earlier.chance));
        }
    }
}

/// Adds a candidate to a level. Where the level has its code already, the chance of that candidate
/// rises as if the two were independent.
///
/// It is for rules that read no draft law: a chance that depends on codes would bias rejection.
pub fn push_or_raise(level: &mut Vec<Pooled>, candidate: Pooled) {
    match level.iter_mut().find(|other| other.code == candidate.code) {
        Some(other) => other.chance = 1.0 - (1.0 - other.chance) * (1.0 - candidate.chance),
        None => level.push(candidate),
    }
}
