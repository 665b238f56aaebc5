//! Medusa (horizontal heads), Hawk's vertical heads, and Hawk (both): heads speak, the cache keeps, the pool grows the tree.

use hawk_nn::{HeadOffset, HeadWorkspace, Heads, Result};
use hawk_spec::{
    Cell, Code, DraftLaw, ImageIndex, Layout, Pool, Pooled, Purpose, Replacement, Rule, Sampling, Seed, Source,
    TokenTree, TreeError, TreeShape, Warper, draw_at, probabilities, rank_with_noise, uniform,
};

use super::cache::{Kept, Ring};
use super::calibration::Calibration;
use super::{Drafter, Seen, View};
use crate::engine::Engine;
use crate::request::{AnyRule, Decoder, Decoding, LossyRule, Request};

/// Deepest level that is guessed.
const MAX_LEVELS: usize = 16;
/// Most candidates of a head for one cell.
pub(super) const MAX_RANKS: usize = 8;

/// How candidates come from a law, as the rule needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Replay reads no draft law: the best of law plus the noise that the target's own draw will have.
    SharedNoise,
    /// The likeliest; typical acceptance reads no draft law either.
    Likeliest,
    /// Rejection and LANTERN need to know what was drawn from what: draws without replacement, from a stream of the drafter's own.
    Draws,
}

impl Manner {
    fn of(rule: AnyRule) -> Self {
        match rule {
            AnyRule::Exact(Rule::Replay) => Manner::SharedNoise,
            AnyRule::Exact(Rule::Rejection) | AnyRule::Lossy(LossyRule::Lantern) => Manner::Draws,
            AnyRule::Lossy(LossyRule::Typical) => Manner::Likeliest,
        }
    }

    /// An entry of the cache before anything is in it.
    fn empty(self, codes: usize) -> Kept {
        match self {
            Manner::SharedNoise | Manner::Likeliest => Kept::Ranked(Vec::with_capacity(MAX_RANKS)),
            Manner::Draws => Kept::Law(vec![0.0; codes]),
        }
    }
}

/// A head in use.
struct Voice {
    /// Its number in the heads' folder.
    head: usize,
    offset: HeadOffset,
    source: Source,
    calibration: Calibration,
    said: Ring,
}

pub(super) struct HeadsDrafter<'a> {
    engine: &'a Engine,
    heads: &'a Heads,
    manner: Manner,
    shape: TreeShape,
    voices: Vec<Voice>,
    pool: Pool,
    workspace: HeadWorkspace,
    /// What each row of the workspace speaks of: voice and cell.
    asked: Vec<(usize, Cell)>,
    /// The request's temperature, top-k and top-p; guidance is in the heads already.
    sampling: Sampling,
    warper: Warper,
    scores: Vec<f32>,
    rest: Vec<f64>,
    seed: Seed,
    image: ImageIndex,
    /// Steps of the image, so that no random number is used twice.
    step: u32,
}

impl<'a> HeadsDrafter<'a> {
    pub(super) fn new(engine: &'a Engine, heads: &'a Heads, request: &Request) -> Result<Self> {
        let (layout, manner) = (&engine.config().layout, Manner::of(request.decoding.rule()));
        let (codes, shape, s) = (layout.codes() as usize, request.decoding.shape(), request.sampling);
        let voices: Vec<Voice> = used(heads, request.decoding.decoder())
            .map(|(head, offset)| Voice {
                head,
                offset,
                source: source(offset),
                calibration: Calibration::new(chances(heads, head)),
                said: Ring::new(offset, layout.grid(), || manner.empty(codes)),
            })
            .collect();
        let rows = voices.len() * (levels(shape) + 1);
        Ok(Self {
            engine,
            heads,
            manner,
            shape,
            pool: Pool::with_capacity(levels(shape), voices.len() * MAX_RANKS, shape.nodes()),
            workspace: heads.workspace(engine.target(), rows, codes),
            asked: Vec::with_capacity(rows),
            sampling: Sampling::new(1.0, s.temperature(), s.top_k(), s.top_p())
                .map_err(|e| hawk_nn::Error::input(e.to_string()))?,
            warper: Warper::new(engine.pipeline(), codes),
            scores: vec![0.0; codes],
            rest: vec![0.0; if manner == Manner::Draws { codes } else { 0 }],
            seed: request.seed,
            image: ImageIndex(request.images.start),
            step: 0,
            voices,
        })
    }

    /// Turns the logits of the workspace's rows into entries of the cache.
    fn keep(&mut self) -> Result<()> {
        for (row, &(voice, cell)) in self.asked.iter().enumerate() {
            let law =
                |e: hawk_spec::LawError| hawk_nn::Error::input(e.to_string()).at(format!("draft head of cell {cell}"));
            self.warper.warp(&self.sampling, self.workspace.logits(row), None, &mut self.scores).map_err(law)?;
            match (self.manner, self.voices[voice].said.put(cell)) {
                (Manner::SharedNoise, Kept::Ranked(ranked)) => {
                    rank_with_noise((self.seed, self.image, cell), &self.scores, MAX_RANKS, ranked);
                }
                (_, Kept::Ranked(ranked)) => rank(&self.scores, ranked),
                (_, Kept::Law(kept)) => probabilities(&self.scores, kept).map_err(law)?,
            }
        }
        Ok(())
    }

    /// Draws from a voice's law into the level under way, each rank with its voice's chance.
    fn draw(&mut self, voice: usize, cell: Cell, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        let Voice { source, calibration, said, .. } = &self.voices[voice];
        let Some(Kept::Law(law)) = said.get(cell) else { return Ok(()) };
        let draft = DraftLaw::Drawn { law: tree.add_law(law)?, replacement: Replacement::Without };
        self.rest.copy_from_slice(law);
        let mut mass = 1.0;
        for (rank, &chance) in (0_u32..).zip(calibration.prior()).take(ranks(self.shape)) {
            let block = (self.step * self.voices.len() as u32 + voice as u32) * MAX_RANKS as u32 + rank;
            let u = uniform(self.seed, self.image, cell, block, Purpose::Draft);
            let Some(code) = draw_at(&self.rest, u * mass) else { break };
            self.pool.push(Pooled { code, draft, source: *source, chance });
            self.rest[code.index()] = 0.0;
            mass = self.rest.iter().sum();
        }
        Ok(())
    }
}

impl Drafter for HeadsDrafter<'_> {
    fn start(&mut self, seed: Seed, image: ImageIndex) {
        (self.seed, self.image, self.step) = (seed, image, 0);
        self.voices.iter_mut().for_each(|voice| voice.said.clear());
    }

    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        self.pool.clear();
        self.step += 1;
        let deepest = levels(self.shape).min(tree.cells_left() as usize - 1);
        for cell in (view.codes.len() as u32..).map(Cell).take(deepest) {
            if !self.voices.iter().any(|voice| voice.said.get(cell).is_some()) {
                break;
            }
            self.pool.begin_level();
            for voice in 0..self.voices.len() {
                if self.manner == Manner::Draws {
                    self.draw(voice, cell, tree)?;
                    continue;
                }
                let Voice { source, calibration, said, .. } = &self.voices[voice];
                if let Some(Kept::Ranked(ranked)) = said.get(cell) {
                    for (rank, &(_, code)) in ranked.iter().enumerate() {
                        let (draft, source, chance) =
                            (DraftLaw::Deterministic, *source, calibration.chance(ranked, rank));
                        self.pool.push_or_raise(Pooled { code, draft, source, chance });
                    }
                }
            }
        }
        self.pool.grow(self.shape, tree)
    }

    /// Learns from what was said of the committed cells, then asks the vertical heads at every cell that was seen and the horizontal ones
    /// at the new anchor.
    fn observe(&mut self, seen: &Seen<'_>) -> Result<()> {
        for (cell, &code) in (seen.first.0..).map(Cell).zip(seen.codes) {
            for Voice { calibration, said, .. } in &mut self.voices {
                if let Some(Kept::Ranked(ranked)) = said.get(cell) {
                    calibration.learn(ranked, code);
                }
            }
        }
        self.workspace.clear();
        self.asked.clear();
        let anchor = seen.rows.len() - 1;
        for (at, (cell, hidden)) in seen.cells().enumerate() {
            for (voice, Voice { head, offset, .. }) in self.voices.iter().enumerate() {
                let asked = at == anchor || offset.down() > 0;
                if let Some(target) = offset.target(seen.grid, cell).filter(|_| asked) {
                    self.workspace.push(*head, hidden);
                    self.asked.push((voice, target));
                }
            }
        }
        self.engine.speak(self.heads, &mut self.workspace)?;
        self.keep()
    }
}

/// The heads that a decoder uses.
fn used(heads: &Heads, decoder: Decoder) -> impl Iterator<Item = (usize, HeadOffset)> {
    let offsets = heads.config().heads.iter().map(|head| head.offset).enumerate();
    offsets.filter(move |(_, offset)| match decoder {
        Decoder::Medusa => offset.down() == 0,
        Decoder::HawkVertical => offset.down() > 0,
        _ => true,
    })
}

/// Draft laws that a tree must have room for.
pub(super) fn laws(heads: &Heads, decoding: Decoding) -> usize {
    match Manner::of(decoding.rule()) {
        Manner::Draws => levels(decoding.shape()) * used(heads, decoding.decoder()).count(),
        Manner::SharedNoise | Manner::Likeliest => 0,
    }
}

/// Bytes of the cache.
pub(super) fn cache_bytes(heads: &Heads, decoding: Decoding, layout: &Layout) -> usize {
    let (grid, codes) = (layout.grid(), layout.codes() as usize);
    let entry = Manner::of(decoding.rule()).empty(codes).bytes() + size_of::<(Option<Cell>, Kept)>();
    used(heads, decoding.decoder()).map(|(_, offset)| Ring::entries(offset, grid) * entry).sum()
}

/// Levels below the root that a shape may reach.
fn levels(shape: TreeShape) -> usize {
    (0..MAX_LEVELS.min(shape.nodes() - 1)).take_while(|&depth| shape.width(depth) > 0).count()
}

/// Draws of a head for one cell: more could never be proposed.
fn ranks(shape: TreeShape) -> usize {
    MAX_RANKS.min(shape.nodes() - 1)
}

fn source(offset: HeadOffset) -> Source {
    let near = |distance: u32| u8::try_from(distance).unwrap_or(u8::MAX);
    match (offset.down(), offset.right()) {
        (0, right) => Source::Horizontal(near(right.unsigned_abs())),
        (down, 0) => Source::Vertical(near(down)),
        (down, _) => Source::Diagonal(near(down)),
    }
}

/// What a head was worth when it was trained; where that was not measured, a quarter and less from rank to rank.
fn chances(heads: &Heads, head: usize) -> [f64; MAX_RANKS] {
    let measured = heads.config().heads[head].validation.as_ref().map(|figures| &figures.replay_match_by_rank);
    std::array::from_fn(|rank| {
        measured.and_then(|by_rank| by_rank.get(rank)).copied().unwrap_or(0.25 * 0.5_f64.powi(rank as i32))
    })
}

/// The likeliest codes, best first, ties to the lower code.
fn rank(scores: &[f32], ranked: &mut Vec<(f64, Code)>) {
    ranked.clear();
    for (code, &score) in (0..).map(Code).zip(scores) {
        let score = f64::from(score);
        let place = ranked.partition_point(|&(better, _)| better >= score);
        if place < MAX_RANKS && score > f64::NEG_INFINITY {
            ranked.truncate(MAX_RANKS - 1);
            ranked.insert(place, (score, code));
        }
    }
}
