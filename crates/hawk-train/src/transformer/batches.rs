//! The pictures and captions of each step, as a function of seed and step.

use crate::pictures::corpus::Corpus;
use crate::pictures::entry::Kind;
use crate::run::random::{Random, RandomPurpose, shuffled};
use crate::transformer::codes::{CorpusCodes, Orientation};
use crate::transformer::settings::{BOS, TargetSettings};
use crate::transformer::vocabulary::{CODE_OFFSET, Captions};

/// Fraction of the sequences without a prompt. They train the unconditional stream of guidance.
const NO_PROMPT: f32 = 0.1;
/// Fraction of the prompts that are the most detailed caption. The others are any caption.
const MOST_DETAILED: f32 = 0.5;
/// Number of batches within which sequences are sorted by length, to save padding.
const WINDOW: usize = 32;

/// A picture with one of its captions.
#[derive(Clone, Copy)]
pub(crate) struct Example {
    pub(crate) index: usize,
    pub(crate) orientation: Orientation,
    /// Number of the caption; `None` for the unconditional stream.
    pub(crate) caption: Option<usize>,
}

/// Sequences of equal length. Shorter ones are padded at the end.
pub(crate) struct TokenBatch {
    /// `[B, T]`.
    pub(crate) tokens: Vec<i64>,
    /// B.
    pub(crate) sequences: usize,
    /// Positions whose next token is a code, counted through all sequences.
    pub(crate) rows: Vec<i64>,
    /// The codes after these positions.
    pub(crate) labels: Vec<i64>,
}

/// The training pictures, pass by pass. The weight of a picture that is no scene is the probability
/// that a pass has it.
pub(crate) struct Batches<'a> {
    corpus: &'a Corpus,
    codes: &'a CorpusCodes,
    captions: Captions,
    /// Pictures that are no scenes.
    singles: Vec<usize>,
    scenes: Vec<usize>,
    /// Scenes in a pass for each single in it.
    scenes_an_emoji: f64,
    /// Largest fraction of a picture's input codes that are replaced by random codes.
    corrupted: f64,
    batch: usize,
    seed: u64,
    /// Number and batches of the current pass.
    pass: Option<(usize, Vec<Vec<Example>>)>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(
        corpus: &'a Corpus,
        codes: &'a CorpusCodes,
        captions: Captions,
        settings: &TargetSettings,
    ) -> Self {
        let TargetSettings { scenes_an_emoji, corrupted, batch, seed, .. } = *settings;
        let (scenes, singles) =
            corpus.training().into_iter().partition(|&i: &usize| corpus.entries[i].kind == Kind::Scene);
        Self { corpus, codes, captions, singles, scenes, scenes_an_emoji, corrupted, batch, seed, pass: None }
    }

    /// Singles in a pass: the sum of their weights.
    fn singles_a_pass(&self) -> usize {
        let sum: f32 = self.singles.iter().map(|&i| self.corpus.entries[i].weight).sum();
        (sum as usize).max(1)
    }

    fn scenes_a_pass(&self) -> usize {
        let wanted = (self.singles_a_pass() as f64 * self.scenes_an_emoji) as usize;
        if self.scenes.is_empty() { 0 } else { wanted }
    }

    /// Size of the codebook.
    pub(crate) fn codes(&self) -> usize {
        self.captions.layout.codes as usize
    }

    pub(crate) fn steps_a_pass(&self) -> usize {
        // A pass leaves out the pictures beyond its last whole batch.
        ((self.singles_a_pass() + self.scenes_a_pass()) / self.batch).max(1)
    }

    /// The batch of a step.
    pub(crate) fn of_step(&mut self, step: usize) -> TokenBatch {
        let (pass, at) = (step / self.steps_a_pass(), step % self.steps_a_pass());
        if self.pass.as_ref().is_none_or(|(number, _)| *number != pass) {
            self.pass = Some((pass, self.plan(pass)));
        }
        let empty = Vec::new();
        let examples = self.pass.as_ref().and_then(|(_, batches)| batches.get(at)).unwrap_or(&empty);
        let mut batch = self.tokens_of(examples);
        let mut random = Random::new(self.seed, RandomPurpose::Noise, step);
        corrupt(&mut batch, self.captions.layout.codes, self.corrupted, &mut random);
        batch
    }

    /// The batches of a pass.
    fn plan(&self, pass: usize) -> Vec<Vec<Example>> {
        let mut random = Random::new(self.seed, RandomPurpose::Captions, pass);
        let order = shuffled(self.singles.len(), self.seed, RandomPurpose::Pictures, pass);
        // Pictures that their weight leaves out fill up the pass if there are too few others.
        let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
        for i in order.into_iter().map(|i| self.singles[i]) {
            let keep = random.uniform() < self.corpus.entries[i].weight;
            if keep { &mut chosen } else { &mut left_out }.push(i);
        }
        chosen.extend(left_out);
        chosen.truncate(self.singles_a_pass());
        // Scenes continue where the previous pass ended.
        let first = pass * self.scenes_a_pass();
        let mut round = None;
        for at in first..first + self.scenes_a_pass() {
            let number = at / self.scenes.len();
            let order = match &round {
                Some((of, order)) if *of == number => order,
                _ => &round.insert((number, shuffled(self.scenes.len(), self.seed, RandomPurpose::Scenes, number))).1,
            };
            chosen.push(self.scenes[order[at % self.scenes.len()]]);
        }
        let mixed = shuffled(chosen.len(), self.seed, RandomPurpose::Order, pass);
        let mut examples: Vec<Example> = mixed.into_iter().map(|i| self.example(chosen[i], &mut random)).collect();
        let mut batches = Vec::new();
        for window in examples.chunks_mut(WINDOW * self.batch) {
            window.sort_by_key(|example| self.prompt(example).len());
            let in_window = window.len() / self.batch;
            let order = shuffled(in_window, self.seed, RandomPurpose::Order, pass ^ (batches.len() + 1) << 16);
            batches.extend(order.into_iter().map(|i| window[i * self.batch..][..self.batch].to_vec()));
        }
        batches.resize(self.steps_a_pass(), batches.last().cloned().unwrap_or_default());
        batches
    }

    fn example(&self, index: usize, random: &mut Random) -> Example {
        let mirrored = random.below(2) == 1 && self.corpus.entries[index].mirror;
        let (no_prompt, most_detailed) = (random.uniform() < NO_PROMPT, random.uniform() < MOST_DETAILED);
        let any = random.below(self.captions.tokens[index].len().max(1));
        let caption = if no_prompt { None } else { Some(if most_detailed { 0 } else { any }) };
        Example { index, orientation: if mirrored { Orientation::Mirrored } else { Orientation::Plain }, caption }
    }

    fn prompt(&self, example: &Example) -> &[u32] {
        let captions = &self.captions.tokens[example.index];
        example.caption.and_then(|caption| captions.get(caption)).map_or(&[], Vec::as_slice)
    }

    /// Validation pictures, not mirrored, with their most detailed captions.
    pub(crate) fn plain(&self, indices: &[usize]) -> TokenBatch {
        let example = |&index| Example { index, orientation: Orientation::Plain, caption: Some(0) };
        self.tokens_of(&indices.iter().map(example).collect::<Vec<_>>())
    }

    fn tokens_of(&self, examples: &[Example]) -> TokenBatch {
        let layout = self.captions.layout;
        let codes = |example: &Example| self.codes.of(example.index, example.orientation);
        let sequence = |example: &Example| {
            let mut tokens = Vec::new();
            if example.caption.is_some() {
                tokens.push(BOS);
                tokens.extend(self.prompt(example));
            }
            let prefix = tokens.len();
            tokens.extend(layout.picture_tokens(codes(example)));
            (prefix, tokens)
        };
        let sequences: Vec<_> = examples.iter().map(sequence).collect();
        let length = sequences.iter().map(|(_, tokens)| tokens.len()).max().unwrap_or(0);
        let mut batch =
            TokenBatch { tokens: Vec::new(), sequences: examples.len(), rows: Vec::new(), labels: Vec::new() };
        for ((prefix, tokens), example) in sequences.iter().zip(examples) {
            let first = batch.tokens.len() + prefix;
            batch.rows.extend(layout.positions_before_codes().map(|position| (first + position) as i64));
            batch.labels.extend(codes(example).iter().map(|&code| i64::from(code)));
            let padded = tokens.iter().copied().chain(std::iter::repeat(0)).take(length);
            batch.tokens.extend(padded.map(i64::from));
        }
        batch
    }
}

/// Replaces some input codes by random codes. Labels do not change.
///
/// A quarter of the pictures is unchanged; every other picture draws its own fraction, up to
/// `most`. The model then cannot recognise a memorised picture from its first codes alone, and has
/// to use the caption.
fn corrupt(batch: &mut TokenBatch, codes: u32, most: f64, random: &mut Random) {
    let length = batch.tokens.len() / batch.sequences.max(1);
    for sequence in batch.tokens.chunks_mut(length.max(1)) {
        let fraction = most * (4.0 * f64::from(random.uniform()) - 1.0) / 3.0;
        for token in sequence {
            let is_code = u32::try_from(*token).is_ok_and(|id| (CODE_OFFSET..CODE_OFFSET + codes).contains(&id));
            if is_code && f64::from(random.uniform()) < fraction {
                *token = i64::from(CODE_OFFSET) + random.below(codes as usize) as i64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corruption_leaves_text_structure_and_labels_unchanged() {
        let (codes, offset) = (4096, i64::from(CODE_OFFSET));
        let structure = offset + i64::from(codes);
        let sequence: Vec<i64> = (0..300).map(|at| if at % 17 == 0 { structure + 40 } else { offset + at }).collect();
        let tokens = sequence.repeat(200);
        let mut batch = TokenBatch { tokens: tokens.clone(), sequences: 200, rows: vec![1], labels: vec![7] };
        corrupt(&mut batch, codes, 0.0, &mut Random::new(3, RandomPurpose::Noise, 5));
        assert_eq!(batch.tokens, tokens);
        corrupt(&mut batch, codes, 1.0, &mut Random::new(3, RandomPurpose::Noise, 5));
        assert_eq!(batch.labels, [7]);
        let mut shares = Vec::new();
        for read in batch.tokens.chunks(300) {
            let changed = sequence.iter().zip(read).filter(|(was, is)| was != is);
            assert!(changed.clone().all(|(was, is)| *was < structure && (offset..structure).contains(is)));
            shares.push(changed.count() as f64 / (300.0 * 16.0 / 17.0));
        }
        let mean = shares.iter().sum::<f64>() / 200.0;
        let below = |most: f64| shares.iter().filter(|share| **share < most).count();
        assert!((0.31..0.44).contains(&mean), "expected about 0.375, got {mean}");
        assert!((30..70).contains(&below(1e-9)) && (80..120).contains(&below(0.33)), "{shares:?}");
    }
}
