//! One image or text that is decoded: its tree, its rows, its verdict.

use std::sync::Arc;
use std::time::Instant;

use hawk_nn::{Error, HeadRow, Laws, Passes, Readout, Result, Shaping, StreamId, Walked};
use hawk_spec::{Cell, Code, DecodeStats, NodeId, Rule, TokenTree, TreeError, TreeLimits, Verdict, Verifier};

use super::draws::Draws;
use super::job::{Finished, Job, JobId};
use super::laws::PassLaws;
use super::target::Target;
use super::tree_size::store::Tuned;
use super::tree_size::tuner::{Drafting, GrownTree};
use crate::drafter::context::{HeadAsks, Seen, View};
use crate::drafter::contract::{Drafter, Needs};
use crate::prompt::Prefix;
use crate::request::decoding::Decoding;
use crate::request::event::CellSource;
use crate::request::rule::AnyRule;
use crate::request::tree::Tree;

/// The part of a slot in the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It reads the prompt.
    Reading,
    /// It decodes cells.
    Decoding,
}

/// A job in a batch.
pub(super) struct Slot {
    pub(super) id: JobId,
    pub(super) state: State,
    /// The prefix of each stream: cond, and uncond where guided.
    pub(super) prefixes: Arc<[Prefix]>,
    pub(super) streams: Vec<StreamId>,
    pub(super) decoding: Decoding,
    /// Most nodes of the next tree.
    pub(super) bound: usize,
    /// Whether the drafter observes the next pass.
    pub(super) observes: bool,
    /// Cells since the drafter began to observe every pass.
    observed: usize,
    /// Index of the slot's tree in the pass.
    pub(super) tree_index: usize,
    /// After verification the row whose path is to be committed, the same in every stream.
    pub(super) kept: Option<usize>,
    /// Rows of the prompt to be committed.
    pub(super) kept_prompt: Vec<(StreamId, usize)>,
    shaping: Shaping,
    draws: Draws,
    /// Most cells.
    most: u32,
    started: Instant,
    codes: Vec<Code>,
    sources: Vec<CellSource>,
    pub(super) stats: DecodeStats,
    drafter: Box<dyn Drafter>,
    needs: Needs,
    tree: TokenTree,
    /// The row of each node's law, the same in every stream: that of its token, or of the last
    /// structure token after it.
    node_rows: Vec<usize>,
    verifier: Verifier,
    verdict: Verdict,
    /// The slot's first row in the run of the draft heads.
    first_head_row: usize,
}

impl Slot {
    /// A slot for a job, before its streams are opened.
    pub(super) fn new(id: JobId, target: &Target, job: Job) -> Result<Self> {
        let Job { prefixes, shaping, draws, decoding, most, drafter, .. } = job;
        let nodes = decoding.shape().nodes();
        let needs = drafter.needs();
        // Two sources may propose one code: two candidates with one node.
        let limits = TreeLimits { nodes, candidates: 4 * nodes, laws: needs.laws, codes: target.codes() };
        let key = draws.key();
        let mut slot = Self {
            id,
            state: State::Reading,
            streams: Vec::with_capacity(prefixes.len()),
            prefixes,
            decoding,
            bound: nodes,
            observes: nodes > 1,
            observed: 0,
            tree_index: 0,
            kept: None,
            kept_prompt: Vec::with_capacity(2),
            shaping,
            draws,
            most,
            started: Instant::now(),
            codes: Vec::with_capacity(most as usize),
            sources: Vec::with_capacity(most as usize),
            stats: DecodeStats::default(),
            drafter,
            needs,
            tree: TokenTree::with_limits(limits),
            node_rows: Vec::with_capacity(nodes),
            verifier: target.verifier(decoding.rule())?,
            verdict: Verdict::with_capacity(nodes),
            first_head_row: 0,
        };
        slot.drafter.start(key.seed, key.image);
        Ok(slot)
    }

    /// Whether all tokens of the prompt but the anchor are committed.
    pub(super) fn is_read(&self, passes: &dyn Passes) -> bool {
        let mut streams = self.streams.iter().zip(&*self.prefixes);
        streams.all(|(&stream, prefix)| passes.committed(stream) >= prefix.before_anchor().len())
    }

    /// The rows that the pass is to commit.
    pub(super) fn kept_rows(&self) -> impl Iterator<Item = (StreamId, usize)> + '_ {
        let tree = self.kept.into_iter().flat_map(|row| self.streams.iter().map(move |&stream| (stream, row)));
        tree.chain(self.kept_prompt.iter().copied())
    }

    /// Ends prefill.
    pub(super) fn begin(&mut self) {
        self.state = State::Decoding;
        self.started = Instant::now();
    }

    /// What its autotuner tunes; none where the size of its trees is fixed.
    pub(super) fn tuned(&self) -> Option<Tuned> {
        let Self { decoding, shaping, .. } = *self;
        (decoding.tree() == Tree::Auto).then_some(Tuned { decoding, shaping, streams: self.prefixes.len() })
    }

    /// Whether the drafter has observed enough to be judged. An image of few cells cannot wait.
    pub(super) fn is_warm(&self) -> bool {
        self.observed >= self.needs.warm_up_cells.min(self.most as usize / 2)
    }

    /// Sets the use of the drafter in the next pass.
    pub(super) fn draft(&mut self, drafting: Drafting) {
        self.observes = drafting != Drafting::Off;
        self.bound = match drafting {
            Drafting::On(nodes) => nodes,
            Drafting::Try(nodes) if self.is_warm() => nodes,
            Drafting::Off | Drafting::Observe | Drafting::Try(_) => 1,
        };
    }

    /// The tree of the pass, for the autotuner.
    pub(super) fn grown(&self) -> GrownTree<'_> {
        GrownTree { bound: self.bound, nodes: self.tree.len(), path: &self.verdict.path, warm: self.is_warm() }
    }

    /// Counts the cells that the drafter has observed. The pass is over.
    pub(super) fn count_observed(&mut self) {
        self.observed = if self.observes { self.observed + self.verdict.committed() } else { 0 };
    }

    /// Grows a tree of at most [`bound`](Self::bound) nodes and stages its rows in the slot's
    /// streams: for the anchor and for each node its token and the structure tokens after it.
    pub(super) fn propose(&mut self, target: &Target, passes: &mut dyn Passes) -> Result<()> {
        let committed = self.codes.len() as u32;
        self.tree.reset(Cell(committed), self.most - committed);
        self.tree.bound(self.bound);
        if !self.tree.is_full() {
            match self.drafter.propose(&View { codes: &self.codes }, &mut self.tree) {
                Ok(()) | Err(TreeError::Full { what: "nodes" | "candidates", .. } | TreeError::TooDeep { .. }) => {}
                Err(fault) => return Err(Error::input(format!("a drafter's proposal is invalid: {fault}"))),
            }
        }
        let medium = &*target.medium;
        self.node_rows.clear();
        for node in self.tree.nodes() {
            let readout = Readout::Law(self.tree.open_cell_below(node));
            let parent = self.tree.parent(node).map(|parent| self.node_rows[parent.index()]);
            let proposed = self.tree.cell(node).zip(self.tree.code(node));
            let anchor = self.codes.last().map(|&code| (Cell(committed - 1), code));
            let mut row = None;
            for (&stream, prefix) in self.streams.iter().zip(&*self.prefixes) {
                let rows = passes.rows(stream);
                row = match proposed.or(anchor) {
                    Some((cell, code)) => {
                        let tokens = [medium.token(code)].into_iter().chain(medium.after(cell).iter().copied());
                        rows.push_chain(tokens, parent, readout)
                    }
                    None => Some(rows.push(prefix.anchor(), None, readout)),
                };
            }
            self.node_rows.extend(row);
        }
        Ok(())
    }

    /// The laws of the slot's tree.
    pub(super) fn laws(&self) -> Laws {
        Laws {
            cond: self.streams[0],
            uncond: self.streams.get(1).copied(),
            shaping: self.shaping,
            ranking: self.draws.ranking(),
            best: if self.observes { self.needs.best } else { 0 },
            walked: match self.decoding.rule() {
                AnyRule::Exact(Rule::Replay) => Walked::Best,
                AnyRule::Exact(Rule::Rejection) | AnyRule::Lossy(_) => Walked::Scores,
            },
            asks_heads: self.observes && self.needs.head_rows > 0,
        }
    }

    /// Verifies the tree and takes the committed codes.
    pub(super) fn verify(&mut self, target: &Target, passes: &mut dyn Passes) -> Result<()> {
        let committed = self.codes.len();
        let mut laws = PassLaws { passes, tree: self.tree_index };
        self.verifier
            .verify(&self.tree, &mut laws, &mut self.draws, &mut self.verdict)
            .map_err(|e| Error::from(e).at(format!("after cell {committed}")))?;
        target.medium.end_verdict(&self.tree, &mut self.verdict);
        self.codes.extend(self.verdict.codes(&self.tree));
        let accepted = self.verdict.path.iter().filter_map(|&node| self.tree.source_of(node));
        self.sources.extend(accepted.map(CellSource::Drafted));
        self.sources.push(CellSource::Target(self.verdict.next.drawn));
        self.stats.record(&self.tree, &self.verdict);
        let last = self.verdict.path.last().copied().unwrap_or(NodeId::ROOT);
        self.kept = Some(self.node_rows[last.index()]);
        Ok(())
    }

    /// Lets the drafter ask draft heads.
    pub(super) fn ask(&mut self, passes: &mut dyn Passes, rows: &mut Vec<HeadRow>) -> Result<()> {
        self.first_head_row = rows.len();
        let mut asks = HeadAsks { rows, tree: self.tree_index };
        let (drafter, mut seen) = self.seen(passes);
        drafter.ask(&mut seen, &mut asks)
    }

    /// Shows the drafter the pass.
    pub(super) fn observe(&mut self, passes: &mut dyn Passes) -> Result<()> {
        let (drafter, mut seen) = self.seen(passes);
        drafter.observe(&mut seen)
    }

    fn seen<'a>(&'a mut self, passes: &'a mut dyn Passes) -> (&'a mut dyn Drafter, Seen<'a>) {
        let seen = Seen {
            tree: &self.tree,
            verdict: &self.verdict,
            codes: &self.codes,
            passes,
            index: self.tree_index,
            first_head_row: self.first_head_row,
        };
        (&mut *self.drafter, seen)
    }

    /// Whether all cells are committed.
    pub(super) fn is_done(&self, target: &Target) -> bool {
        self.codes.len() == self.most as usize || self.codes.last().is_some_and(|&code| target.medium.ends(code))
    }

    /// First cell of the last verdict.
    pub(super) fn first_new(&self) -> Cell {
        self.tree.first_open()
    }

    /// The cells of the last verdict, with their sources.
    pub(super) fn new_cells(&self) -> (&[Code], &[CellSource]) {
        let first = self.first_new().index();
        (&self.codes[first..], &self.sources[first..])
    }

    pub(super) fn finish(self) -> Finished {
        Finished { codes: self.codes, sources: self.sources, stats: self.stats, elapsed: self.started.elapsed() }
    }
}
