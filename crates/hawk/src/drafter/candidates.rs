//! From the cached laws of a cell to its candidates.

use hawk_nn::{HeadConfig, HeadOffset};
use hawk_spec::{
    Cell, Code, DraftLaw, ImageIndex, LawError, Noise, Pooled, Purpose, Replacement, Sampling, Seed, Source, TokenTree,
    TreeError, Warper, draw_at, probabilities, push_or_raise,
};

use super::cache::Ring;
use super::calibration::{BUCKETS, Calibration, MAX_RANKS, Ranked, bucket};
use super::contract::Setup;
use super::mode::DraftMode;

/// Sum of the weights of a joint law. Heads are less certain than the target, and a sharper law
/// overlaps more with the target's (measured, see `docs/performance.md`).
const SHARPNESS: f64 = 1.6;

/// The law of a head's logits is none.
const NO_LAW: TreeError = TreeError::NotALaw { sum: f64::NAN, smallest: f64::NAN };

/// The use of several laws of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// One joint law: the product of the laws, each to the power of its weight (a logarithmic
    /// opinion pool).
    OneLaw,
    /// Candidates of each law apart, as in the paper.
    Apart,
}

/// A head in use.
pub(super) struct UsedHead {
    /// Its index among the model's heads.
    pub(super) index: usize,
    pub(super) offset: HeadOffset,
    pub(super) cache: Ring,
    source: Source,
    /// Its weight in a joint law, before normalisation.
    weight: f64,
    /// Calibration of the laws in which it has the largest weight.
    calibration: Calibration,
}

impl UsedHead {
    pub(super) fn new(index: usize, head: &HeadConfig, setup: &Setup<'_>) -> Self {
        Self {
            index,
            offset: head.offset,
            cache: Ring::new(head.offset, setup.arrangement, setup.codes),
            source: source(head.offset),
            weight: weight(head),
            calibration: Calibration::new(prior(head).map(|chance| [chance; BUCKETS])),
        }
    }
}

/// The candidates of a cell, kept for calibration.
struct Proposed {
    cell: Cell,
    head: usize,
    ranked: Vec<Ranked>,
}

/// The heads in use, and the way from their laws to candidates.
pub(super) struct Candidates {
    pub(super) heads: Vec<UsedHead>,
    mode: DraftMode,
    joining: Joining,
    /// Most draws of a law for one cell: a tree has room for no more.
    draws: usize,
    sampling: Sampling,
    warper: Warper,
    logits: Vec<f32>,
    scores: Vec<f32>,
    law: Vec<f64>,
    ranked: Vec<(f64, Code)>,
    /// The first `used` belong to the step.
    proposed: Vec<Proposed>,
    used: usize,
    noise: Noise,
    /// Number of the step in the image. With it no random number is used twice.
    step: u32,
}

impl Candidates {
    /// `levels` is the most cells of a proposal.
    pub(super) fn new(setup: &Setup<'_>, heads: Vec<UsedHead>, joining: Joining, levels: usize) -> Self {
        let codes = setup.codes;
        let empty = || Proposed { cell: Cell(0), head: 0, ranked: Vec::with_capacity(MAX_RANKS) };
        Self {
            proposed: (0..levels * heads.len()).map(|_| empty()).collect(),
            used: 0,
            heads,
            mode: setup.mode,
            joining,
            draws: MAX_RANKS.min(setup.shape.nodes() - 1),
            sampling: setup.sampling,
            warper: Warper::new(setup.pipeline, codes),
            logits: vec![0.0; codes],
            scores: vec![0.0; codes],
            law: vec![0.0; codes],
            ranked: Vec::with_capacity(MAX_RANKS),
            // Until an image begins.
            noise: Noise { seed: Seed(0), image: ImageIndex(0) },
            step: 0,
        }
    }

    /// Begins an image.
    pub(super) fn start(&mut self, noise: Noise) {
        (self.noise, self.step, self.used) = (noise, 0, 0);
        for head in &mut self.heads {
            head.cache.clear();
            // Drawn candidates must not make an image depend on the images before it.
            if self.mode == DraftMode::Draws {
                head.calibration.clear();
            }
        }
    }

    /// Begins a step.
    pub(super) fn begin_step(&mut self) {
        self.step += 1;
        self.used = 0;
    }

    /// Adds the candidates of a cell to its level.
    pub(super) fn propose(
        &mut self,
        cell: Cell,
        level: &mut Vec<Pooled>,
        tree: &mut TokenTree,
    ) -> Result<(), TreeError> {
        if self.joining == Joining::OneLaw {
            return match self.join(cell) {
                Some(leader) => self.propose_from_law(leader, cell, level, tree),
                None => Ok(()),
            };
        }
        for head in 0..self.heads.len() {
            if let Some(cached) = self.heads[head].cache.get(cell) {
                self.logits.copy_from_slice(cached);
                self.propose_from_law(head, cell, level, tree)?;
            }
        }
        Ok(())
    }

    /// Learns the code of a committed cell.
    pub(super) fn learn(&mut self, cell: Cell, code: Code) {
        for proposed in self.proposed[..self.used].iter().filter(|proposed| proposed.cell == cell) {
            self.heads[proposed.head].calibration.learn(&proposed.ranked, code);
        }
    }

    /// Writes the joint law of a cell to `logits`. Returns the head of the largest weight; none
    /// where no head has predicted the cell.
    fn join(&mut self, cell: Cell) -> Option<usize> {
        let known = || (0..).zip(&self.heads).filter_map(|(i, head)| Some((i, head.weight, head.cache.get(cell)?)));
        pool(known().map(|(_, weight, cached)| (weight, cached)), &mut self.logits);
        known().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(leader, ..)| leader)
    }

    /// Adds the candidates of the law in `logits`. `head` calibrates their probabilities, and is
    /// their source where the law is its own.
    fn propose_from_law(
        &mut self,
        head: usize,
        cell: Cell,
        level: &mut Vec<Pooled>,
        tree: &mut TokenTree,
    ) -> Result<(), TreeError> {
        match self.warper.warp(&self.sampling, &self.logits, None, &mut self.scores) {
            Ok(()) => {}
            // Heads of extreme logits may exclude each other's codes. There is no candidate then.
            Err(LawError::NothingLeft { .. }) => return Ok(()),
            Err(_) => return Err(NO_LAW),
        }
        let draft = self.rank_candidates(head, cell, tree)?;
        let proposed = &mut self.proposed[self.used];
        self.used += 1;
        (proposed.cell, proposed.head) = (cell, head);
        proposed.ranked.clear();
        for (rank, &(value, code)) in self.ranked.iter().enumerate() {
            let nats = match self.mode {
                DraftMode::Draws => value,
                // The gap to the best other candidate.
                _ => self.ranked.get(usize::from(rank == 0)).map_or(f64::INFINITY, |other| (other.0 - value).abs()),
            };
            proposed.ranked.push(Ranked { code, bucket: bucket(nats) });
            let chance = self.heads[head].calibration.chance(rank, bucket(nats));
            let source = match self.joining {
                Joining::OneLaw => main_source(&self.heads, cell, code),
                Joining::Apart => None,
            };
            let candidate = Pooled { code, draft, source: source.unwrap_or(self.heads[head].source), chance };
            match self.mode {
                DraftMode::Draws => level.push(candidate),
                _ => push_or_raise(level, candidate),
            }
        }
        Ok(())
    }

    /// Fills `ranked` from `scores` by the mode: codes, each with the value of its confidence.
    fn rank_candidates(&mut self, head: usize, cell: Cell, tree: &mut TokenTree) -> Result<DraftLaw, TreeError> {
        match self.mode {
            DraftMode::SharedNoise(purpose) => {
                self.noise.at(cell, purpose).rank(&self.scores, MAX_RANKS, &mut self.ranked);
            }
            DraftMode::Likeliest => likeliest(&self.scores, MAX_RANKS, &mut self.ranked),
            DraftMode::Draws => {
                self.ranked.clear();
                probabilities(&self.scores, &mut self.law).map_err(|_| NO_LAW)?;
                let law = tree.add_law(&self.law)?;
                self.draw(head, cell);
                return Ok(DraftLaw::Drawn { law, replacement: Replacement::Without });
            }
        }
        Ok(DraftLaw::Deterministic)
    }

    /// Draws from `law` without replacement. The value of each code is -ln of the law's largest
    /// probability.
    fn draw(&mut self, head: usize, cell: Cell) {
        let doubt = -self.law.iter().copied().fold(0.0, f64::max).ln();
        self.ranked.clear();
        let mut mass = 1.0;
        for rank in 0..self.draws as u32 {
            let block = (self.step * self.heads.len() as u32 + head as u32) * MAX_RANKS as u32 + rank;
            let u = self.noise.at(cell, Purpose::Draft).uniform(block);
            let Some(code) = draw_at(&self.law, u * mass) else { break };
            self.ranked.push((doubt, code));
            self.law[code.index()] = 0.0;
            mass = self.law.iter().sum();
        }
    }
}

/// Writes the logarithmic opinion pool of some laws, given as logits with their weights, as logits.
fn pool<'a>(laws: impl Iterator<Item = (f64, &'a [f32])> + Clone, joint: &mut [f32]) {
    let all: f64 = laws.clone().map(|(weight, _)| weight).sum();
    joint.fill(0.0);
    for (weight, logits) in laws {
        let weight = (SHARPNESS * weight / all) as f32;
        joint.iter_mut().zip(logits).for_each(|(joint, logit)| *joint += weight * logit);
    }
}

/// Writes the joint law of heads as the decoder `hawk` makes it, as logits: the product of their laws, each to the
/// power of its weight, which is the cube of the head's overlap in validation. `laws` are heads with their logits
/// for the same cell, `[codes]` as `joint`.
pub fn joint_law<'a>(laws: impl Iterator<Item = (&'a HeadConfig, &'a [f32])> + Clone, joint: &mut [f32]) {
    pool(laws.map(|(head, logits)| (weight(head), logits)), joint);
}

/// The source of a code of a joint law: the head whose own logit of the code is nearest to its
/// largest.
fn main_source(heads: &[UsedHead], cell: Cell, code: Code) -> Option<Source> {
    let known = heads.iter().filter_map(|head| Some((head.cache.get(cell)?[code.index()], head.source)));
    known.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, source)| source)
}

fn source(offset: HeadOffset) -> Source {
    match (offset.down(), offset.right()) {
        (0, right) => Source::numbered('H', right.unsigned_abs()),
        (down, 0) => Source::numbered('V', down),
        (down, _) => Source::numbered('D', down),
    }
}

/// A head's weight in a joint law: the cube of its overlap with the target in validation, or of
/// 0.25 where it was not measured.
fn weight(head: &HeadConfig) -> f64 {
    let overlap = head.validation.as_ref().map_or(0.25, |figures| figures.overlap);
    overlap.max(0.01).powi(3)
}

/// The probability of a head's candidates by rank before any data: as measured in validation, else
/// 0.25, halved from rank to rank.
fn prior(head: &HeadConfig) -> [f64; MAX_RANKS] {
    let measured = head.validation.as_ref().map(|figures| &figures.replay_match_by_rank);
    std::array::from_fn(|rank| {
        measured.and_then(|by_rank| by_rank.get(rank)).copied().unwrap_or(0.25 * 0.5_f64.powi(rank as i32))
    })
}

/// The likeliest codes, up to `count`, best first, ties to the lower code.
pub(super) fn likeliest(scores: &[f32], count: usize, ranked: &mut Vec<(f64, Code)>) {
    ranked.clear();
    for (code, &score) in (0..).map(Code).zip(scores) {
        let score = f64::from(score);
        let place = ranked.partition_point(|&(better, _)| better >= score);
        if place < count && score > f64::NEG_INFINITY {
            ranked.truncate(count - 1);
            ranked.insert(place, (score, code));
        }
    }
}
