//! soar: Jacobi drafts with a memory. A cell keeps its laws of several passes, and each guess comes
//! from the law whose context agrees best with the codes that stand before the cell in the tree.
//!
//! A cell that no pass has seen is guessed by spatial heads where the model has them (`spatial.rs`), else it is a copy
//! of its neighbours where they agree, else a random code.
//!
//! The tree is a chain with branches. A pass over a node says whether its code is right, and gives a
//! law of the cell below it, from which later passes guess. So a node of the chain is worth its chance
//! to be accepted plus the future of its law, and a node of a branch its chance alone. Nodes are added
//! by worth. Chances are learnt from what came true.
//!
//! Under `rejection` the tree is a chain, so that its shape depends on no drawn code. The guess of a
//! cell is drawn from its law with noise of the purpose [`Purpose::Draft`]. The law is chosen by codes
//! of earlier cells, and laws depend on nothing else, so it does not depend on the cell's own noise
//! (see `scd.rs`).

mod chances;
mod growth;
mod laws;
mod parts;
mod spatial;
mod variants;

use hawk_nn::{Arrangement, Error, Result};
use hawk_spec::{
    Cell, Code, DraftLaw, ImageIndex, LawError, NodeId, Noise, Purpose, Replacement, Seed, Source, TokenTree,
    TreeError, probabilities,
};

use self::chances::{Beside, Both, Chances, Kind};
use self::growth::{Branches, Growth, Guess};
use self::laws::{Found, Laws, RANKS};
use self::parts::{Copies, Parts};
use self::spatial::Spatial;
use super::candidates::likeliest;
use super::context::{Seen, View};
use super::contract::{Drafter, Needs, Setup};
use super::guess::{LAST, RANDOM, random_code};
use super::mode::DraftMode;

/// A guess of spatial heads.
const SPATIAL: Source = Source::new("spatial");
/// Share of the passes before in the mean of the cells of a pass.
const MEMORY: f64 = 0.95;

struct Soar {
    arrangement: Arrangement,
    mode: DraftMode,
    copies: Copies,
    codes: u32,
    /// Most nodes of a tree.
    nodes: usize,
    laws: Laws,
    /// Spatial heads, where the model has them and the rule reads no draft law.
    spatial: Option<Spatial>,
    chances: Chances,
    growth: Growth,
    /// Mean cells of a pass.
    pace: f64,
    /// The codes of the nodes down to one.
    path: Vec<Code>,
    likeliest: Vec<(f64, Code)>,
    noise: Noise,
}

impl Soar {
    fn new(setup: &Setup<'_>, parts: Parts) -> Self {
        let nodes = setup.shape.nodes();
        let (codes, branches) = match setup.mode {
            DraftMode::Draws => (setup.codes, Branches::Never),
            DraftMode::SharedNoise(_) | DraftMode::Likeliest => (0, parts.branches),
        };
        Self {
            arrangement: setup.arrangement,
            mode: setup.mode,
            copies: parts.copies,
            codes: setup.codes as u32,
            nodes,
            laws: Laws::new(nodes, parts.laws, codes),
            spatial: parts
                .spatial
                .zip(setup.spatial.filter(|_| setup.mode != DraftMode::Draws))
                .map(|(ranked, heads)| Spatial::new(heads, ranked)),
            chances: Chances::new(),
            growth: Growth::new(setup.shape, branches, parts.worth),
            pace: 2.0,
            path: Vec::with_capacity(nodes),
            likeliest: Vec::with_capacity(RANKS),
            // Until an image begins.
            noise: Noise { seed: Seed(0), image: ImageIndex(0) },
        }
    }

    /// Keeps the target's law at a node as one of the cell below the node.
    fn keep(&mut self, node: NodeId, cell: Cell, seen: &mut Seen<'_>) -> std::result::Result<(), LawError> {
        let tree = seen.tree;
        codes_down_to(node, tree, &mut self.path);
        let context = self.path.iter().copied();
        let Some(mut kept) = self.laws.put(cell, tree.first_open(), context) else { return Ok(()) };
        match self.mode {
            DraftMode::SharedNoise(_) => kept.set_best(seen.best(node, RANKS)?),
            DraftMode::Likeliest => {
                likeliest(seen.scores(node)?, RANKS, &mut self.likeliest);
                kept.set_best(&self.likeliest);
            }
            DraftMode::Draws => {
                let scores = seen.scores(node)?;
                probabilities(scores, kept.probabilities)?;
                kept.set_best(&[(0.0, self.noise.at(cell, Purpose::Draft).argmax(scores)?)]);
            }
        }
        Ok(())
    }
}

impl Drafter for Soar {
    fn needs(&self) -> Needs {
        match self.mode {
            DraftMode::SharedNoise(_) => Needs { best: RANKS, ..Needs::default() },
            DraftMode::Likeliest => Needs::default(),
            DraftMode::Draws => Needs { laws: self.nodes, ..Needs::default() },
        }
    }

    fn bytes(&self) -> usize {
        self.laws.bytes() + self.spatial.as_ref().map_or(0, Spatial::bytes)
    }

    fn start(&mut self, seed: Seed, image: ImageIndex) {
        self.noise = Noise { seed, image };
        self.laws.clear();
        if let Some(spatial) = &mut self.spatial {
            spatial.start();
        }
        // Drawn guesses must not make an image depend on the images before it.
        if self.mode == DraftMode::Draws {
            self.chances = Chances::new();
        }
    }

    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        let Self { arrangement, mode, copies, codes, laws, spatial, chances, growth, path, likeliest, noise, .. } =
            self;
        let (arrangement, mode, copies, codes, noise) = (*arrangement, *mode, *copies, *codes, *noise);
        let mut guesses =
            Guesses { arrangement, mode, copies, codes, noise, laws, spatial, chances, path, best: likeliest };
        guesses.below(NodeId::ROOT, view, tree, growth.begin())?;
        growth.filled();
        while !tree.is_full()
            && let Some(next) = growth.next(self.pace)
        {
            let Guess { code, draft, source, .. } = next.guess;
            let node = tree.propose(next.parent, code, draft, source)?;
            guesses.below(node, view, tree, growth.add(node, &next))?;
            growth.filled();
        }
        Ok(())
    }

    /// Learns which guesses came true, and keeps the laws of the cells that are still open.
    fn observe(&mut self, seen: &mut Seen<'_>) -> Result<()> {
        for (cell, node) in seen.path() {
            let (Some(below), Some(&code)) = (self.growth.below(node), seen.codes.get(cell.index())) else { continue };
            below.guesses.iter().for_each(|guess| self.chances.learn(guess.kind, guess.code, code));
        }
        if let Some(spatial) = &mut self.spatial {
            spatial.see(seen);
        }
        let (first, committed) = (seen.first(), seen.new_codes().len());
        self.pace = MEMORY * self.pace + (1.0 - MEMORY) * committed as f64;
        self.laws.age();
        for node in seen.tree.nodes() {
            let cell = seen.tree.open_cell_below(node);
            if cell.index() >= seen.codes.len() {
                let fault = |e: LawError| Error::from(e).at(format!("a guess for {cell} after {first}"));
                self.keep(node, cell, seen).map_err(fault)?;
            }
        }
        Ok(())
    }
}

/// The codes of the nodes down to one, the root's child first.
fn codes_down_to(node: NodeId, tree: &TokenTree, codes: &mut Vec<Code>) {
    codes.clear();
    codes.extend(tree.ancestors(node).filter_map(|above| tree.code(above)));
    codes.reverse();
}

/// The way from laws and neighbours to guesses.
struct Guesses<'a> {
    arrangement: Arrangement,
    mode: DraftMode,
    copies: Copies,
    /// V, number of codes.
    codes: u32,
    noise: Noise,
    laws: &'a Laws,
    spatial: &'a mut Option<Spatial>,
    chances: &'a Chances,
    path: &'a mut Vec<Code>,
    /// The best codes of spatial heads.
    best: &'a mut Vec<(f64, Code)>,
}

impl Guesses<'_> {
    /// Guesses the cell below a node: by its best fitting law, else by spatial heads, then by copies, and where there
    /// is none by a random code.
    fn below(
        &mut self,
        node: NodeId,
        view: &View<'_>,
        tree: &mut TokenTree,
        guesses: &mut Vec<Guess>,
    ) -> std::result::Result<(), TreeError> {
        let (cell, first) = (tree.open_cell_below(node), tree.first_open());
        // The last cell of the grid is the target's own draw at the node before it.
        if tree.depth(node) + 1 >= tree.cells_left() {
            return Ok(());
        }
        codes_down_to(node, tree, self.path);
        let path = &*self.path;
        let code_of = |cell: Cell| match cell.index().checked_sub(first.index()) {
            None => view.codes.get(cell.index()).copied(),
            Some(depth) => path.get(depth).copied(),
        };
        let found = self.laws.find(cell, code_of);
        let beside = if let Some(found) = found {
            self.by_law(found, tree, guesses)?;
            Beside::Law
        } else if let Some(spatial) = &mut *self.spatial
            && spatial.guess(cell, code_of, (self.noise, self.mode), self.best)
        {
            let from = (SPATIAL, DraftLaw::Deterministic);
            push_ranked(guesses, self.best, self.chances, &Kind::of_spatial, from);
            Beside::Spatial
        } else {
            Beside::Nothing
        };
        // A law that is drawn from has one guess.
        if self.mode == DraftMode::Draws && !guesses.is_empty() {
            return Ok(());
        }
        let (left, above) = match self.arrangement {
            Arrangement::Grid(grid) => (grid.left(cell), grid.above(cell)),
            Arrangement::Line => (cell.0.checked_sub(1).map(Cell), None),
        };
        let [left, above] = [left, above].map(|cell| cell.and_then(code_of));
        let both = if left == above { Both::Agree } else { Both::Differ };
        let (left, above) = match self.copies {
            Copies::Off => (None, None),
            Copies::Agreeing => (left.filter(|_| both == Both::Agree && guesses.is_empty()), None),
            Copies::Left => (left, None),
            Copies::Above => (None, above),
            Copies::Both => (left, above),
        };
        for (number, code, source) in [(0, left, Source::LEFT), (1, above, Source::ABOVE)] {
            if let Some(code) = code.filter(|&code| guesses.iter().all(|guess| guess.code != code)) {
                let kind = Kind::copied(beside, number, both);
                guesses.push(Guess {
                    code,
                    kind,
                    source,
                    draft: DraftLaw::Deterministic,
                    chance: self.chances.of(kind),
                });
            }
        }
        if guesses.is_empty() {
            let (code, kind) = (random_code(self.noise, cell, self.codes), Kind::RANDOM);
            let draft = DraftLaw::Deterministic;
            guesses.push(Guess { code, kind, source: RANDOM, draft, chance: self.chances.of(kind) });
        }
        Ok(())
    }

    fn by_law(
        &self,
        found: Found,
        tree: &mut TokenTree,
        guesses: &mut Vec<Guess>,
    ) -> std::result::Result<(), TreeError> {
        let draft = match self.mode {
            DraftMode::Draws => {
                let law = tree.add_law(self.laws.probabilities(found))?;
                DraftLaw::Drawn { law, replacement: Replacement::With }
            }
            DraftMode::SharedNoise(_) | DraftMode::Likeliest => DraftLaw::Deterministic,
        };
        let kind = |rank, nats| Kind::of_law(found.before, rank, nats);
        push_ranked(guesses, self.laws.best(found), self.chances, &kind, (LAST, draft));
        Ok(())
    }
}

/// Adds the best codes of a law as guesses, each with its chance by rank and by the gap to the best other one.
fn push_ranked(
    guesses: &mut Vec<Guess>,
    best: &[(f64, Code)],
    chances: &Chances,
    kind_of: &dyn Fn(usize, f64) -> Kind,
    (source, draft): (Source, DraftLaw),
) {
    for (rank, &(score, code)) in best.iter().enumerate() {
        let nats = best.get(usize::from(rank == 0)).map_or(f64::INFINITY, |other| (other.0 - score).abs());
        let kind = kind_of(rank, nats);
        guesses.push(Guess { code, kind, source, draft, chance: chances.of(kind) });
    }
}
