//! The spatial sampling pool: what several sources guess for each open cell, grown into one token tree.
//!
//! A level holds the candidates of one cell; they do not depend on the path that leads there. The tree is the Cartesian product of the
//! levels, cut to its shape, best first (Hawk, section "Tree"; Medusa, section 2.3.2).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::law::{DraftLaw, Source};
use crate::shape::TreeShape;
use crate::token::{Code, NodeId};
use crate::tree::{TokenTree, TreeError};

/// A candidate of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooled {
    /// The guess.
    pub code: Code,
    /// What it was drawn from.
    pub draft: DraftLaw,
    /// What guessed it.
    pub source: Source,
    /// The estimated chance, 0 to 1, that it is accepted where it is tested. Under rejection it must not depend on drawn codes: it decides
    /// what is proposed.
    pub chance: f64,
}

/// Candidates by level; level 0 is the first open cell. Memory is kept between steps.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    levels: Vec<Vec<Pooled>>,
    used: usize,
    open: BinaryHeap<Open>,
}

/// A candidate that may be proposed next: number `next` of the level below `parent`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Open {
    /// Estimated chance that the walk reaches the candidate's node.
    chance: f64,
    parent: NodeId,
    parent_chance: f64,
    next: usize,
}

impl Eq for Open {}

impl Ord for Open {
    /// The likeliest first; among equals the node that was there first.
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
    /// A pool that allocates nothing up to so many levels of so many candidates, for trees of up to `nodes` nodes.
    #[must_use]
    pub fn with_capacity(levels: usize, candidates: usize, nodes: usize) -> Self {
        let levels = (0..levels).map(|_| Vec::with_capacity(candidates)).collect();
        Self { levels, used: 0, open: BinaryHeap::with_capacity(2 * nodes + 1) }
    }

    /// Forgets all candidates.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Begins the next cell's level.
    pub fn begin_level(&mut self) {
        if self.used == self.levels.len() {
            self.levels.push(Vec::new());
        }
        self.levels[self.used].clear();
        self.used += 1;
    }

    /// Adds a candidate to the level under way.
    ///
    /// # Panics
    /// No level was begun.
    pub fn push(&mut self, candidate: Pooled) {
        self.levels[..self.used].last_mut().expect("a level was begun").push(candidate);
    }

    /// The level under way; empty before the first.
    #[must_use]
    pub fn level(&self) -> &[Pooled] {
        self.levels[..self.used].last().map_or(&[], |level| level)
    }

    /// Adds a candidate to the level under way, or where its code is there already raises that one's chance as if the two were independent.
    /// For rules that read no draft law: a chance that depends on codes would bias rejection.
    ///
    /// # Panics
    /// No level was begun.
    pub fn push_or_raise(&mut self, candidate: Pooled) {
        let level = self.levels[..self.used].last_mut().expect("a level was begun");
        match level.iter_mut().find(|other| other.code == candidate.code) {
            Some(other) => other.chance = 1.0 - (1.0 - other.chance) * (1.0 - candidate.chance),
            None => level.push(candidate),
        }
    }

    /// Grows a tree that has nothing but its root: the likeliest nodes first, parents before children, until the shape or the tree is full
    /// or the candidates are used up.
    ///
    /// # Errors
    /// A candidate that the tree refuses for another reason than its size or the grid's end.
    pub fn grow(&mut self, shape: TreeShape, tree: &mut TokenTree) -> Result<(), TreeError> {
        for level in &mut self.levels[..self.used] {
            // Insertion sort: levels are short, equals keep their order, nothing is allocated.
            for end in 1..level.len() {
                let mut at = end;
                while at > 0 && level[at - 1].chance < level[at].chance {
                    level.swap(at - 1, at);
                    at -= 1;
                }
            }
        }
        self.open.clear();
        self.open_below(NodeId::ROOT, 1.0, 0, 0, shape);
        while let Some(Open { chance, parent, parent_chance, next }) = self.open.pop() {
            if tree.len() >= shape.nodes() {
                break;
            }
            let depth = tree.depth(parent) as usize;
            let Pooled { code, draft, source, .. } = self.levels[depth][next];
            let before = tree.len();
            let child = match tree.propose(parent, code, draft, source) {
                Ok(child) => child,
                Err(TreeError::Full { .. }) => break,
                // Its siblings are as deep.
                Err(TreeError::TooDeep { .. }) => continue,
                Err(fault) => return Err(fault),
            };
            self.open_below(parent, parent_chance, depth, next + 1, shape);
            // A code that came twice has its node, and what is below it, already.
            if tree.len() > before {
                self.open_below(child, chance, depth + 1, 0, shape);
            }
        }
        Ok(())
    }

    fn open_below(&mut self, parent: NodeId, parent_chance: f64, depth: usize, next: usize, shape: TreeShape) {
        if depth < self.used
            && next < shape.width(depth)
            && let Some(candidate) = self.levels[depth].get(next)
        {
            self.open.push(Open { chance: parent_chance * candidate.chance, parent, parent_chance, next });
        }
    }
}
