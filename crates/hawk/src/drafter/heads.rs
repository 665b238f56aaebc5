//! Medusa (horizontal heads), Hawk's vertical heads, and Hawk (all): heads speak, the cache keeps, the pool grows the tree.

use std::ops::Range;

use hawk_nn::{Arrangement, Error, HeadWorkspace, Heads, Result, Target, kernels};
use hawk_spec::{Cell, ImageIndex, Layout, Pipeline, Pool, Purpose, Sampling, Seed, TokenTree, TreeError, TreeShape};

use super::cache::Ring;
use super::calibration::MAX_RANKS;
use super::voices::{Manner, Voices, used};
use super::{Drafter, Seen, View};
use crate::engine::Engine;
use crate::request::{Decoding, Request};

/// Deepest level that is guessed.
const MAX_LEVELS: usize = 16;

/// What a drafter's heads guess, and for whom.
#[derive(Clone)]
pub(crate) struct Brief<'a> {
    pub(crate) target: &'a Target,
    pub(crate) threads: &'a kernels::Pool,
    pub(crate) heads: &'a Heads,
    /// The codes' ids.
    pub(crate) ids: Range<usize>,
    pub(crate) arrangement: Arrangement,
    pub(crate) decoding: Decoding,
    pub(crate) manner: Manner,
    /// Temperature, top-k and top-p of the drafts, and their order.
    pub(crate) sampling: Sampling,
    pub(crate) pipeline: Pipeline,
}

impl<'a> Brief<'a> {
    /// For the images of a request. Guidance is in the heads already.
    pub(super) fn of_images(engine: &'a Engine, heads: &'a Heads, request: &Request) -> Result<Self> {
        let s = request.sampling;
        Ok(Self {
            target: engine.target(),
            threads: engine.pool(),
            heads,
            ids: engine.codes(),
            arrangement: engine.config().layout.grid().into(),
            decoding: request.decoding,
            manner: Manner::of(request.decoding.rule(), Purpose::Replay),
            sampling: Sampling::new(1.0, s.temperature(), s.top_k(), s.top_p())
                .map_err(|e| Error::input(e.to_string()))?,
            pipeline: engine.pipeline(),
        })
    }
}

pub(crate) struct HeadsDrafter<'a> {
    brief: Brief<'a>,
    shape: TreeShape,
    voices: Voices,
    pool: Pool,
    workspace: HeadWorkspace,
    /// What each row of the workspace speaks of: voice and cell.
    asked: Vec<(usize, Cell)>,
}

impl<'a> HeadsDrafter<'a> {
    pub(crate) fn new(brief: Brief<'a>) -> Self {
        let shape = brief.decoding.shape();
        let voices = Voices::new(&brief, levels(shape));
        let count = voices.voices.len();
        let rows = count * (levels(shape) + 1);
        Self {
            shape,
            voices,
            pool: Pool::with_capacity(levels(shape), count * MAX_RANKS, shape.nodes()),
            workspace: brief.heads.workspace(brief.target, rows, brief.ids.len()),
            asked: Vec::with_capacity(rows),
            brief,
        }
    }
}

impl Drafter for HeadsDrafter<'_> {
    fn start(&mut self, seed: Seed, image: ImageIndex) {
        self.voices.start(seed, image);
    }

    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        self.voices.begin();
        let (first, deepest) = (view.codes.len(), levels(self.shape).min(tree.cells_left() as usize - 1));
        self.pool.grow(self.shape, tree, &mut |depth, level, tree| {
            if depth < deepest { self.voices.guess(Cell((first + depth) as u32), level, tree) } else { Ok(()) }
        })
    }

    /// Learns from what was guessed of the committed cells, then asks the vertical heads at every cell that was seen and the horizontal ones
    /// at the new anchor.
    fn observe(&mut self, seen: &Seen<'_>) -> Result<()> {
        for (cell, &code) in (seen.first.0..).map(Cell).zip(seen.codes) {
            self.voices.learn(cell, code);
        }
        self.workspace.clear();
        self.asked.clear();
        let anchor = seen.rows.len() - 1;
        for (at, (cell, hidden)) in seen.cells().enumerate() {
            for (voice, head) in self.voices.voices.iter().enumerate() {
                let asked = at == anchor || head.offset.down() > 0;
                if let Some(target) = head.offset.target(self.brief.arrangement, cell).filter(|_| asked) {
                    self.workspace.push(head.head, hidden);
                    self.asked.push((voice, target));
                }
            }
        }
        let Brief { target, threads, heads, ids, .. } = &self.brief;
        heads.run(target, threads, &mut self.workspace, ids.clone())?;
        for (row, &(voice, cell)) in self.asked.iter().enumerate() {
            let (head, logits) = (&mut self.voices.voices[voice], self.workspace.logits(row));
            if logits.iter().any(|logit| !logit.is_finite()) {
                return Err(
                    Error::input("a draft head gives no finite logits").at(format!("{} of {cell}", head.offset))
                );
            }
            head.said.put(cell, logits);
        }
        Ok(())
    }
}

/// Draft laws that a tree must have room for.
pub(super) fn laws(heads: &Heads, decoding: Decoding) -> usize {
    match Manner::of(decoding.rule(), Purpose::Replay) {
        Manner::Draws => levels(decoding.shape()) * used(heads, decoding.decoder()).count(),
        Manner::SharedNoise(_) | Manner::Likeliest => 0,
    }
}

/// Bytes of the cache.
pub(super) fn cache_bytes(heads: &Heads, decoding: Decoding, layout: &Layout) -> usize {
    let rings = used(heads, decoding.decoder());
    rings.map(|(_, offset)| Ring::bytes(offset, layout.grid().into(), layout.codes() as usize)).sum()
}

/// Levels below the root that a shape may reach.
fn levels(shape: TreeShape) -> usize {
    (0..MAX_LEVELS.min(shape.nodes() - 1)).take_while(|&depth| shape.width(depth) > 0).count()
}
