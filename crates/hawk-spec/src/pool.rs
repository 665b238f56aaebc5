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

/// What finds the candidates of a level: its number, an empty list for them, the tree for their draft laws.
pub type FillLevel<'a> = dyn FnMut(usize, &mut Vec<Pooled>, &mut TokenTree) -> Result<(), TreeError> + 'a;

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

    /// Grows a tree that has nothing but its root: the likeliest nodes first, parents before children, until the shape or the tree is full
    /// or the candidates are used up.
    ///
    /// `fill` puts the candidates of a level into an empty list; it is asked once for each level that the tree reaches, from 0 on.
    ///
    /// # Errors
    /// What `fill` returns, and a candidate that the tree refuses for another reason than its size or the grid's end.
    pub fn grow(&mut self, shape: TreeShape, tree: &mut TokenTree, fill: &mut FillLevel<'_>) -> Result<(), TreeError> {
        self.used = 0;
        self.open.clear();
        // Where to look for the next candidates: below a node that the walk reaches with some chance, from one of its level on.
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
                // A code that came twice has its node, and what is below it, already.
                Ok(child) => {
                    [Some((parent, parent_chance, next + 1)), (tree.len() > before).then_some((child, chance, 0))]
                }
                // Its siblings are as deep.
                Err(TreeError::TooDeep { .. }) => [None; 2],
                Err(fault) => return Err(fault),
            };
        }
        Ok(())
    }

    /// Asks for the candidates of the next level, best first, equals in the order in which they came.
    fn fill_level(&mut self, tree: &mut TokenTree, fill: &mut FillLevel<'_>) -> Result<(), TreeError> {
        if self.used == self.levels.len() {
            self.levels.push(Vec::new());
        }
        let level = &mut self.levels[self.used];
        level.clear();
        fill(self.used, level, tree)?;
        self.used += 1;
        keep_draws_in_order(level);
        // Insertion sort: levels are short, and nothing is allocated.
        for end in 1..level.len() {
            let mut at = end;
            while at > 0 && level[at - 1].chance < level[at].chance {
                level.swap(at - 1, at);
                at -= 1;
            }
        }
        Ok(())
    }
}

/// Lets no draw of a law be more likely than those before it. What is drawn without replacement must be tested in the order of the draws, or
/// rejection is biased: the second draw follows another law than the first.
fn keep_draws_in_order(level: &mut [Pooled]) {
    for at in 1..level.len() {
        let (before, [this, ..]) = level.split_at_mut(at) else { return };
        if let DraftLaw::Drawn { law, .. } = this.draft {
            let same = |other: &&Pooled| matches!(other.draft, DraftLaw::Drawn { law: its, .. } if its == law);
            this.chance = before.iter().rfind(same).map_or(this.chance, |earlier| this.chance.min(earlier.chance));
        }
    }
}

/// Adds a candidate to a level, or where its code is there already raises that one's chance as if the two were independent. For rules that
/// read no draft law: a chance that depends on codes would bias rejection.
pub fn push_or_raise(level: &mut Vec<Pooled>, candidate: Pooled) {
    match level.iter_mut().find(|other| other.code == candidate.code) {
        Some(other) => other.chance = 1.0 - (1.0 - other.chance) * (1.0 - candidate.chance),
        None => level.push(candidate),
    }
}
