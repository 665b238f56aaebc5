//! One image under way: what is guessed, which rows stand for the guesses, what the verdict on them was.

use std::time::Instant;

use hawk_nn::{Error, Readout, Result, Staged, Stream};
use hawk_spec::{
    Cell, Code, DecodeStats, ImageIndex, LawError, Layout, NodeId, Noise, Sampling, TargetLaws, TokenTree, TreeError,
    Verdict, Verifier, Warper,
};

use crate::conditioning::Prefix;
use crate::drafter::{self, Drafter, Seen, View};
use crate::engine::Engine;
use crate::request::{CellSource, Event, Request};

/// A place of the batch: the image in it, and buffers for whichever image is.
pub(crate) struct Lane<'a> {
    sampling: Sampling,
    noise: Noise,
    started: Instant,
    /// The committed cells.
    codes: Vec<Code>,
    sources: Vec<CellSource>,
    stats: DecodeStats,
    drafter: Box<dyn Drafter + 'a>,
    tree: TokenTree,
    /// The row of each node's law: its token, or the last structure token after it. The same in every stream.
    node_rows: Vec<usize>,
    /// Those of the root and of the accepted nodes.
    path_rows: Vec<usize>,
    warper: Warper,
    scores: Vec<f32>,
    verifier: Verifier,
    verdict: Verdict,
}

impl<'a> Lane<'a> {
    pub(crate) fn new(engine: &'a Engine, request: &Request) -> Result<Self> {
        let layout = &engine.config().layout;
        let (codes, cells) = (layout.codes() as usize, layout.grid().cells() as usize);
        let limits = drafter::tree_limits(engine.heads(), codes, request.decoding);
        Ok(Self {
            sampling: request.sampling,
            noise: Noise { seed: request.seed, image: ImageIndex(request.images.start) },
            started: Instant::now(),
            codes: Vec::with_capacity(cells),
            sources: Vec::with_capacity(cells),
            stats: DecodeStats::default(),
            drafter: drafter::new(engine, request)?,
            tree: TokenTree::with_limits(limits),
            node_rows: Vec::with_capacity(limits.nodes),
            path_rows: Vec::with_capacity(limits.nodes),
            warper: Warper::new(engine.pipeline(), codes),
            scores: vec![0.0; codes],
            verifier: engine.verifier(request.decoding.rule()),
            verdict: Verdict::with_capacity(limits.nodes),
        })
    }

    #[cfg(test)]
    pub(crate) fn replace_drafter(&mut self, drafter: Box<dyn Drafter + 'a>) {
        self.drafter = drafter;
    }

    /// Begins an image; the streams end with its prompt.
    pub(crate) fn start(&mut self, image: u32) {
        self.noise.image = ImageIndex(image);
        self.started = Instant::now();
        self.codes.clear();
        self.sources.clear();
        self.stats = DecodeStats::default();
        self.drafter.start(self.noise.seed, self.noise.image);
    }

    /// Guesses, and lays out the rows that test the guesses in the lane's streams: for the anchor and each guess its token and the
    /// structure tokens behind it. The tree has at most `nodes` nodes.
    pub(crate) fn propose(
        &mut self,
        layout: &Layout,
        nodes: usize,
        prefixes: &[Prefix],
        streams: &mut [Stream],
    ) -> Result<()> {
        let (committed, grid) = (self.codes.len() as u32, layout.grid());
        self.tree.reset(Cell(committed), grid.cells() - committed);
        self.tree.bound(nodes);
        if !self.tree.is_full() {
            match self.drafter.propose(&View { codes: &self.codes }, &mut self.tree) {
                Ok(()) | Err(TreeError::Full { .. } | TreeError::TooDeep { .. }) => {}
                Err(fault) => {
                    return Err(Error::input(format!("a drafter's guess cannot be: {fault}")).at(self.image()));
                }
            }
        }
        self.node_rows.clear();
        for node in self.tree.nodes() {
            let parent = self.tree.parent(node).map(|parent| self.node_rows[parent.index()]);
            let guess = self.tree.cell(node).zip(self.tree.code(node));
            let anchor = self.codes.last().map(|&code| (Cell(committed - 1), code));
            let mut row = None;
            for (stream, prefix) in streams.iter_mut().zip(prefixes) {
                row = match guess.or(anchor) {
                    Some((cell, code)) => {
                        let tokens = [layout.token(code)].into_iter().chain(layout.after(cell).iter().copied());
                        stream.rows.push_chain(tokens, parent, Readout::Logits)
                    }
                    None => Some(stream.rows.push(prefix.anchor(), None, Readout::Logits)),
                };
            }
            self.node_rows.extend(row);
        }
        Ok(())
    }

    /// Tests the guesses by the pass in whose streams `first..` the lane's rows are, and takes what the rule keeps. Returns the row whose
    /// path is to be committed.
    pub(crate) fn verify(&mut self, staged: &Staged<'_>, first: usize) -> Result<usize> {
        let mut laws = PassLaws {
            staged,
            first,
            sampling: &self.sampling,
            node_rows: &self.node_rows,
            warper: &mut self.warper,
            scores: &mut self.scores,
        };
        let committed = self.codes.len();
        self.verifier
            .verify(&self.tree, &mut laws, &mut self.noise, &mut self.verdict)
            .map_err(|e| Error::input(e.to_string()).at(format!("image {}, after cell {committed}", self.image())))?;
        self.codes.extend(self.verdict.codes(&self.tree));
        let accepted = self.verdict.path.iter().filter_map(|&node| self.tree.source_of(node));
        self.sources.extend(accepted.map(CellSource::Drafted));
        self.sources.push(CellSource::Target(self.verdict.next.drawn));
        self.stats.record(&self.tree, &self.verdict);
        self.path_rows.clear();
        let path = [NodeId::ROOT].into_iter().chain(self.verdict.path.iter().copied());
        self.path_rows.extend(path.map(|node| self.node_rows[node.index()]));
        Ok(self.path_rows[self.path_rows.len() - 1])
    }

    /// Shows the drafter what the pass saw along the verdict's path, if there is anything left to guess.
    pub(crate) fn observe(&mut self, layout: &Layout, staged: &Staged<'_>, stream: usize) -> Result<()> {
        if self.full(layout) {
            return Ok(());
        }
        let (first, rows) = (self.tree.first_open(), &self.path_rows[..]);
        self.drafter.observe(&Seen { first, codes: &self.codes[first.index()..], rows, staged, stream })
    }

    /// Number of cells that the last verdict committed.
    pub(crate) fn gain(&self) -> usize {
        self.codes.len() - self.tree.first_open().index()
    }

    /// The cells of the last verdict.
    pub(crate) fn committed(&self) -> Event<'_> {
        let first = self.tree.first_open();
        Event::CellsCommitted {
            image: self.image(),
            first,
            codes: &self.codes[first.index()..],
            sources: &self.sources[first.index()..],
        }
    }

    pub(crate) fn full(&self, layout: &Layout) -> bool {
        self.codes.len() == layout.grid().cells() as usize
    }

    pub(crate) fn image(&self) -> u32 {
        self.noise.image.0
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn codes(&self) -> &[Code] {
        &self.codes
    }

    pub(crate) fn sources(&self) -> &[CellSource] {
        &self.sources
    }

    pub(crate) fn stats(&self) -> &DecodeStats {
        &self.stats
    }
}

/// The target's laws at the nodes of a lane's tree.
struct PassLaws<'a> {
    staged: &'a Staged<'a>,
    /// The conditional stream; the unconditional one, if any, is the next.
    first: usize,
    sampling: &'a Sampling,
    node_rows: &'a [usize],
    warper: &'a mut Warper,
    scores: &'a mut [f32],
}

impl TargetLaws for PassLaws<'_> {
    fn scores(&mut self, node: NodeId) -> std::result::Result<&[f32], LawError> {
        let no_law = LawError::NoLaw { node };
        let row = *self.node_rows.get(node.index()).ok_or(no_law.clone())?;
        let cond = self.staged.logits(self.first, row).ok_or(no_law.clone())?;
        let uncond = match self.sampling.guided() {
            true => Some(self.staged.logits(self.first + 1, row).ok_or(no_law)?),
            false => None,
        };
        self.warper.warp(self.sampling, cond, uncond, self.scores)?;
        Ok(self.scores)
    }
}
