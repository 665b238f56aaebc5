//! From what heads said of a cell to candidates for it.

use hawk_nn::{HeadOffset, Heads};
use hawk_spec::{
    Cell, Code, DraftLaw, ImageIndex, Pooled, Purpose, Replacement, Rule, Sampling, Seed, Source, TokenTree, TreeError,
    Warper, draw_at, probabilities, push_or_raise, rank_with_noise, uniform,
};

use super::cache::Ring;
use super::calibration::{Calibration, Guess, MAX_RANKS, bucket};
use super::heads::Brief;
use crate::request::{AnyRule, Decoder, LossyRule};

/// Sum of the weights of a joint law. Heads hedge, more than the target does: sharper laws overlap more with its own (measured, see
/// `docs/performance.md`).
const SHARPNESS: f64 = 1.6;

/// How candidates come from a law, as the rule needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Replay reads no draft law: the best of law plus the noise that the target's own draw will have.
    SharedNoise(Purpose),
    /// The likeliest; greedy decoding and typical acceptance read no draft law either.
    Likeliest,
    /// Rejection and LANTERN need to know what was drawn from what: draws without replacement, from a stream of the drafter's own.
    Draws,
}

impl Manner {
    /// With the noise of this purpose: of images or of text.
    pub(crate) fn of(rule: AnyRule, noise: Purpose) -> Self {
        match rule {
            AnyRule::Exact(Rule::Replay) => Manner::SharedNoise(noise),
            AnyRule::Exact(Rule::Rejection) | AnyRule::Lossy(LossyRule::Lantern) => Manner::Draws,
            AnyRule::Lossy(LossyRule::Typical) => Manner::Likeliest,
        }
    }
}

/// A head in use.
pub(super) struct Voice {
    /// Its number in the heads' folder.
    pub(super) head: usize,
    pub(super) offset: HeadOffset,
    pub(super) said: Ring,
    source: Source,
    /// Its say in a joint law, before the others are known.
    skill: f64,
    /// Of the laws in which it has the most say.
    calibration: Calibration,
}

/// What was guessed for a cell, to be learned from.
struct Guessed {
    cell: Cell,
    voice: usize,
    guesses: Vec<Guess>,
}

/// All heads in use.
pub(super) struct Voices {
    pub(super) voices: Vec<Voice>,
    manner: Manner,
    /// Whether heads that speak of one cell make one law of it, or each has candidates of its own, as in the paper.
    joint: bool,
    /// Draws of a law for one cell: more could never be proposed.
    draws: usize,
    /// Temperature, top-k and top-p of the drafts.
    sampling: Sampling,
    warper: Warper,
    logits: Vec<f32>,
    scores: Vec<f32>,
    law: Vec<f64>,
    ranked: Vec<(f64, Code)>,
    guessed: Vec<Guessed>,
    used: usize,
    seed: Seed,
    image: ImageIndex,
    /// Steps of the image, so that no random number is used twice.
    step: u32,
}

impl Voices {
    /// `levels`: most cells that are guessed in a step.
    pub(super) fn new(brief: &Brief<'_>, levels: usize) -> Self {
        let (heads, decoding, codes) = (brief.heads, brief.decoding, brief.ids.len());
        let voices: Vec<Voice> = used(heads, decoding.decoder())
            .map(|(head, offset)| Voice {
                head,
                offset,
                said: Ring::new(offset, brief.arrangement, codes),
                source: source(offset),
                skill: skill(heads, head),
                calibration: Calibration::new(prior(heads, head)),
            })
            .collect();
        let guessed = (0..levels * voices.len()).map(|_| Guessed {
            cell: Cell(0),
            voice: 0,
            guesses: Vec::with_capacity(MAX_RANKS),
        });
        Self {
            guessed: guessed.collect(),
            used: 0,
            voices,
            manner: brief.manner,
            joint: decoding.decoder() != Decoder::HawkPaper,
            draws: MAX_RANKS.min(decoding.shape().nodes() - 1),
            sampling: brief.sampling,
            warper: Warper::new(brief.pipeline, codes),
            logits: vec![0.0; codes],
            scores: vec![0.0; codes],
            law: vec![0.0; codes],
            ranked: Vec::with_capacity(MAX_RANKS),
            // Until an image begins.
            seed: Seed(0),
            image: ImageIndex(0),
            step: 0,
        }
    }

    /// Begins an image.
    pub(super) fn start(&mut self, seed: Seed, image: ImageIndex) {
        (self.seed, self.image, self.step, self.used) = (seed, image, 0, 0);
        for voice in &mut self.voices {
            voice.said.clear();
            // An image must not depend on those before it, as it would where guesses are drawn.
            if self.manner == Manner::Draws {
                voice.calibration.clear();
            }
        }
    }

    /// Begins a step.
    pub(super) fn begin(&mut self) {
        self.step += 1;
        self.used = 0;
    }

    /// The candidates for a cell.
    pub(super) fn guess(&mut self, cell: Cell, level: &mut Vec<Pooled>, tree: &mut TokenTree) -> Result<(), TreeError> {
        if self.joint {
            if let Some(leader) = self.join(cell) {
                self.guess_from_law(leader, cell, level, tree)?;
            }
            return Ok(());
        }
        for voice in 0..self.voices.len() {
            if let Some(said) = self.voices[voice].said.get(cell) {
                self.logits.copy_from_slice(said);
                self.guess_from_law(voice, cell, level, tree)?;
            }
        }
        Ok(())
    }

    /// Learns what the code of a cell was.
    pub(super) fn learn(&mut self, cell: Cell, code: Code) {
        for guessed in self.guessed[..self.used].iter().filter(|guessed| guessed.cell == cell) {
            self.voices[guessed.voice].calibration.learn(&guessed.guesses, code);
        }
    }

    /// Makes one law of what the heads said of a cell: the product of theirs, each to the power of its weight (a logarithmic opinion pool).
    /// Returns the head of the greatest weight; none if no head has spoken.
    fn join(&mut self, cell: Cell) -> Option<usize> {
        let speaking =
            || (0..).zip(&self.voices).filter_map(|(i, voice)| Some((i, voice.skill, voice.said.get(cell)?)));
        let all: f64 = speaking().map(|(_, skill, _)| skill).sum();
        self.logits.fill(0.0);
        for (_, skill, said) in speaking() {
            let weight = (SHARPNESS * skill / all) as f32;
            self.logits.iter_mut().zip(said).for_each(|(joint, logit)| *joint += weight * logit);
        }
        speaking().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(leader, ..)| leader)
    }

    /// Candidates from the law whose logits are at hand.
    fn guess_from_law(
        &mut self,
        voice: usize,
        cell: Cell,
        level: &mut Vec<Pooled>,
        tree: &mut TokenTree,
    ) -> Result<(), TreeError> {
        // A head that says nothing that can be drawn (top-k and top-p always leave something) guesses nothing.
        if self.warper.warp(&self.sampling, &self.logits, None, &mut self.scores).is_err() {
            return Ok(());
        }
        let draft = match self.manner {
            Manner::SharedNoise(purpose) => {
                let draw = (self.seed, self.image, cell, purpose);
                rank_with_noise(draw, &self.scores, MAX_RANKS, &mut self.ranked);
                DraftLaw::Deterministic
            }
            Manner::Likeliest => {
                rank(&self.scores, &mut self.ranked);
                DraftLaw::Deterministic
            }
            Manner::Draws => {
                let Ok(()) = probabilities(&self.scores, &mut self.law) else { return Ok(()) };
                let law = tree.add_law(&self.law)?;
                self.draw(voice, cell);
                DraftLaw::Drawn { law, replacement: Replacement::Without }
            }
        };
        let guessed = &mut self.guessed[self.used];
        self.used += 1;
        (guessed.cell, guessed.voice) = (cell, voice);
        guessed.guesses.clear();
        for (rank, &(value, code)) in self.ranked.iter().enumerate() {
            let nats = match self.manner {
                Manner::Draws => value,
                // Of the best, how far the second is behind.
                _ => self.ranked.get(usize::from(rank == 0)).map_or(f64::INFINITY, |other| (other.0 - value).abs()),
            };
            guessed.guesses.push(Guess { code, bucket: bucket(nats) });
            let chance = self.voices[voice].calibration.chance(rank, bucket(nats));
            let fondest = if self.joint { fondest(&self.voices, cell, code) } else { None };
            let source = fondest.unwrap_or(self.voices[voice].source);
            let candidate = Pooled { code, draft, source, chance };
            match self.manner {
                Manner::Draws => level.push(candidate),
                _ => push_or_raise(level, candidate),
            }
        }
        Ok(())
    }

    /// Draws from the law at hand, without replacement; beside each code the law's doubt.
    fn draw(&mut self, voice: usize, cell: Cell) {
        let doubt = -self.law.iter().copied().fold(0.0, f64::max).ln();
        self.ranked.clear();
        let mut mass = 1.0;
        for rank in 0..self.draws as u32 {
            let block = (self.step * self.voices.len() as u32 + voice as u32) * MAX_RANKS as u32 + rank;
            let u = uniform(self.seed, self.image, cell, block, Purpose::Draft);
            let Some(code) = draw_at(&self.law, u * mass) else { break };
            self.ranked.push((doubt, code));
            self.law[code.index()] = 0.0;
            mass = self.law.iter().sum();
        }
    }
}

/// The head that is fondest of a code: with which it comes nearest to the best.
fn fondest(voices: &[Voice], cell: Cell, code: Code) -> Option<Source> {
    let speaking = voices.iter().filter_map(|voice| Some((voice.said.get(cell)?[code.index()], voice.source)));
    speaking.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, source)| source)
}

/// The heads that a decoder uses.
pub(super) fn used(heads: &Heads, decoder: Decoder) -> impl Iterator<Item = (usize, HeadOffset)> {
    let offsets = heads.config().heads.iter().map(|head| head.offset).enumerate();
    offsets.filter(move |(_, offset)| match decoder {
        Decoder::Medusa => offset.down() == 0,
        Decoder::HawkVertical => offset.down() > 0 && offset.right() == 0,
        _ => true,
    })
}

fn source(offset: HeadOffset) -> Source {
    let near = |distance: u32| u8::try_from(distance).unwrap_or(u8::MAX);
    match (offset.down(), offset.right()) {
        (0, right) => Source::Horizontal(near(right.unsigned_abs())),
        (down, 0) => Source::Vertical(near(down)),
        (down, _) => Source::Diagonal(near(down)),
    }
}

/// A head's say: the cube of how far its law overlaps with the target's, as measured when it was trained, or else as if by a quarter.
fn skill(heads: &Heads, head: usize) -> f64 {
    let overlap = heads.config().heads[head].validation.as_ref().map_or(0.25, |figures| figures.overlap);
    overlap.max(0.01).powi(3)
}

/// What a head was worth when it was trained; where that was not measured, a quarter and less from rank to rank.
fn prior(heads: &Heads, head: usize) -> [f64; MAX_RANKS] {
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
