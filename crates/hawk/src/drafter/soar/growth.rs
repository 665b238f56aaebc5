//! The order in which guesses become nodes: a chain with branches.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use hawk_spec::{Code, DraftLaw, NodeId, Source, TreeShape, best_first};

use super::chances::Kind;
use super::laws::RANKS;

/// Most guesses of a cell: those of a law, and the codes of two neighbours.
const GUESSES: usize = RANKS + 2;
/// Worth of the law at the first node of the chain, in cells, and the depth, in mean cells of a pass,
/// over which the worth falls to 1/e (measured, see `docs/performance.md`).
const FUTURE: f64 = 0.2;
const HORIZON: f64 = 3.7;

/// A guess of a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    pub(super) code: Code,
    pub(super) kind: Kind,
    pub(super) source: Source,
    pub(super) draft: DraftLaw,
    /// Estimated probability that it is the target's code, where those before it are.
    pub(super) chance: f64,
}

/// The guesses of the cell below a node, the likeliest first.
pub(super) struct Below {
    pub(super) node: NodeId,
    depth: usize,
    /// Estimated probability that the walk reaches the node.
    reached: f64,
    pub(super) guesses: Vec<Guess>,
}

/// A guess that may become a node: guess `next` of the list `below`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Open {
    chance: f64,
    below: usize,
    next: usize,
}

impl Eq for Open {}

impl Ord for Open {
    /// The likeliest first; among equals the older.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.chance.total_cmp(&other.chance);
        order.then(other.below.cmp(&self.below)).then(other.next.cmp(&self.next))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether a tree may have branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branches {
    /// A chain only: its shape depends on no drawn code.
    Never,
    /// Wherever they are worth more than a longer chain.
    Allowed,
}

/// What a node of the chain is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// Its chance, and the law that it gives later passes.
    WithFuture,
    /// Its chance alone, as a node of a branch.
    ChanceAlone,
}

/// The part of the tree that a guess belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Chain,
    Branch,
}

/// The next node of a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) parent: NodeId,
    pub(super) guess: Guess,
    part: Part,
    depth: usize,
    reached: f64,
}

/// A tree that grows.
pub(super) struct Growth {
    branches: Branches,
    worth: Worth,
    shape: TreeShape,
    /// The first `used` belong to the tree, in the order of their nodes.
    below: Vec<Below>,
    used: usize,
    /// The list below the end of the chain.
    end: Option<usize>,
    open: BinaryHeap<Open>,
}

impl Growth {
    /// Memory for trees of a shape.
    pub(super) fn new(shape: TreeShape, branches: Branches, worth: Worth) -> Self {
        let empty = || Below { node: NodeId::ROOT, depth: 0, reached: 0.0, guesses: Vec::with_capacity(GUESSES) };
        Self {
            branches,
            worth,
            shape,
            below: (0..shape.nodes()).map(|_| empty()).collect(),
            used: 0,
            end: None,
            open: BinaryHeap::with_capacity(shape.nodes() * GUESSES),
        }
    }

    /// Begins a tree that consists of its root: the list for the guesses below it.
    pub(super) fn begin(&mut self) -> &mut Vec<Guess> {
        (self.used, self.end) = (0, Some(0));
        self.open.clear();
        self.list(NodeId::ROOT, 0, 1.0)
    }

    /// Adds the node that [`next`](Self::next) has named: the list for the guesses below it.
    pub(super) fn add(&mut self, node: NodeId, next: &Next) -> &mut Vec<Guess> {
        if next.part == Part::Chain {
            self.end = Some(self.used);
        }
        self.list(node, next.depth + 1, next.reached * next.guess.chance)
    }

    fn list(&mut self, node: NodeId, depth: usize, reached: f64) -> &mut Vec<Guess> {
        let below = &mut self.below[self.used];
        self.used += 1;
        (below.node, below.depth, below.reached) = (node, depth, reached);
        below.guesses.clear();
        &mut below.guesses
    }

    /// Sorts the list that was filled last. Those of a branch may become nodes.
    pub(super) fn filled(&mut self) {
        let last = self.used - 1;
        let guesses = &mut self.below[last].guesses;
        best_first(guesses, |guess| guess.chance);
        if self.end != Some(last) {
            self.offer(last, 0);
        }
    }

    fn offer(&mut self, below: usize, from: usize) {
        if self.branches == Branches::Never {
            return;
        }
        let Below { depth, reached, guesses, .. } = &self.below[below];
        for (next, guess) in guesses.iter().enumerate().take(self.shape.width(*depth)).skip(from) {
            self.open.push(Open { chance: reached * guess.chance, below, next });
        }
    }

    /// The guess that is worth most as the next node. `pace` is the mean number of cells of a pass.
    pub(super) fn next(&mut self, pace: f64) -> Option<Next> {
        let worth = self.chain().map(|(below, guess)| {
            let future = match self.worth {
                Worth::WithFuture => FUTURE * (-(below.depth as f64) / (HORIZON * pace)).exp(),
                Worth::ChanceAlone => 0.0,
            };
            below.reached * guess.chance + future
        });
        let branch = self.open.peek().map(|open| open.chance);
        let (part, Open { below, next, .. }) = match worth {
            Some(worth) if branch.is_none_or(|branch| branch <= worth) => {
                let end = self.end.take()?;
                self.offer(end, 1);
                (Part::Chain, Open { chance: 0.0, below: end, next: 0 })
            }
            _ => (Part::Branch, self.open.pop()?),
        };
        let Below { node, depth, reached, guesses } = &self.below[below];
        Some(Next { parent: *node, guess: guesses[next], part, depth: *depth, reached: *reached })
    }

    /// The list below the end of the chain, and its first guess.
    fn chain(&self) -> Option<(&Below, &Guess)> {
        let below = &self.below[self.end?];
        below.guesses.first().filter(|_| self.shape.width(below.depth) > 0).map(|guess| (below, guess))
    }

    /// The guesses below a node of the tree, if it was asked for.
    pub(super) fn below(&self, node: NodeId) -> Option<&Below> {
        self.below[..self.used].iter().find(|below| below.node == node)
    }
}

#[cfg(test)]
mod tests {
    use super::super::laws::Before;
    use super::*;

    /// Grows a tree whose cells have two guesses of these chances: the parts of its nodes, in order.
    fn grown(branches: Branches, nodes: usize, chances: [f64; 2], pace: f64) -> Vec<(usize, Part)> {
        let mut growth = Growth::new(TreeShape::Budget(nodes), branches, Worth::WithFuture);
        let fill = |list: &mut Vec<Guess>| {
            // The likelier one comes second.
            for (code, chance) in [(7, chances[1]), (8, chances[0])] {
                let kind = Kind::of_law(Before::Kept, 0, 1.0);
                let draft = DraftLaw::Deterministic;
                list.push(Guess { code: Code(code), kind, source: Source::LEFT, draft, chance });
            }
        };
        fill(growth.begin());
        growth.filled();
        let mut parts = Vec::new();
        while parts.len() + 1 < nodes {
            let next = growth.next(pace).unwrap();
            assert!(next.part == Part::Branch || next.guess.code == Code(8), "the chain takes the likeliest");
            parts.push((next.depth, next.part));
            fill(growth.add(NodeId(parts.len() as u32), &next));
            growth.filled();
        }
        parts
    }

    #[test]
    fn sure_guesses_make_a_chain_and_unsure_ones_branches() {
        let chain = |nodes: usize| (0..nodes - 1).map(|depth| (depth, Part::Chain)).collect::<Vec<_>>();
        assert_eq!(grown(Branches::Allowed, 16, [0.95, 0.02], 4.0), chain(16));
        assert_eq!(grown(Branches::Never, 16, [0.3, 0.29], 2.0), chain(16));
        let unsure = grown(Branches::Allowed, 16, [0.4, 0.3], 2.0);
        assert_eq!(unsure[..2], [(0, Part::Chain), (1, Part::Chain)]);
        assert!(unsure.contains(&(0, Part::Branch)), "{unsure:?}");
    }

    #[test]
    fn shapes_bound_the_chain_and_the_branches() {
        let shape = "2x1".parse().unwrap();
        let mut growth = Growth::new(shape, Branches::Allowed, Worth::WithFuture);
        let guess = |code, chance| Guess {
            code: Code(code),
            kind: Kind::of_law(Before::Kept, 0, 1.0),
            source: Source::LEFT,
            draft: DraftLaw::Deterministic,
            chance,
        };
        growth.begin().extend([guess(1, 0.5), guess(2, 0.4), guess(3, 0.3)]);
        growth.filled();
        let mut nodes = Vec::new();
        while let Some(next) = growth.next(2.0) {
            nodes.push((next.parent.0, next.guess.code.0));
            growth.add(NodeId(nodes.len() as u32), &next).extend([guess(4, 0.5), guess(5, 0.4)]);
            growth.filled();
        }
        nodes.sort_unstable();
        let below_root: Vec<_> = nodes.iter().filter(|node| node.0 == 0).map(|node| node.1).collect();
        assert_eq!(below_root, [1, 2], "two below the root");
        assert_eq!(nodes.len(), 4, "and one below each: {nodes:?}");
    }
}
