//! Which pictures a step sees, under which captions: a function of seed and step.

use super::TargetSettings;
use super::grids::{Grids, Side};
use super::words::{BOS, CODE_OFFSET, Ids};
use crate::corpus::Corpus;
use crate::data::Kind;
use crate::random::{Purpose, Random, shuffled};

/// The share of sequences without a prompt: what the unconditional stream of guidance learns from.
const DROPPED: f32 = 0.1;
/// The share of captions that are the fullest one.
const FULLEST: f32 = 0.5;
/// Batches among which captions are sorted by length.
const WINDOW: usize = 32;

/// A picture under a caption.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    pub(crate) index: usize,
    pub(crate) side: Side,
    /// Which of its captions; nothing for the unconditional stream.
    pub(crate) caption: Option<usize>,
}

/// Sequences of one length, shorter ones filled up behind.
pub(crate) struct Batch {
    /// `[B, T]`.
    pub(crate) tokens: Vec<i64>,
    pub(crate) sequences: usize,
    /// Places, counted through all sequences, whose next token is a code.
    pub(crate) rows: Vec<i64>,
    /// Those codes.
    pub(crate) labels: Vec<i64>,
}

/// The pictures that are learnt from, pass by pass. A pass shows every emoji as often as its weight says.
pub(crate) struct Batches<'a> {
    corpus: &'a Corpus,
    grids: &'a Grids,
    ids: Ids,
    /// Per picture and caption, the ids of the text.
    captions: Vec<Vec<Vec<u32>>>,
    emoji: Vec<usize>,
    scenes: Vec<usize>,
    /// Scenes of a pass, for each emoji of it.
    scenes_an_emoji: f64,
    /// The largest share of a picture's codes that are read as random ones.
    corrupted: f64,
    batch: usize,
    seed: u64,
    pass: Option<(usize, Vec<Vec<Item>>)>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(
        corpus: &'a Corpus,
        grids: &'a Grids,
        (ids, captions): (Ids, Vec<Vec<Vec<u32>>>),
        settings: &TargetSettings,
    ) -> Self {
        let TargetSettings { scenes_an_emoji, corrupted, batch, seed, .. } = *settings;
        let of = |kind| corpus.training().into_iter().filter(|&i| corpus.entries[i].kind == kind).collect();
        let (emoji, scenes) = (of(Kind::Emoji), of(Kind::Scene));
        Self { corpus, grids, ids, captions, emoji, scenes, scenes_an_emoji, corrupted, batch, seed, pass: None }
    }

    /// Emoji of a pass: the sum of their weights.
    fn emoji_a_pass(&self) -> usize {
        let sum: f32 = self.emoji.iter().map(|&i| self.corpus.entries[i].weight).sum();
        (sum as usize).max(1)
    }

    fn scenes_a_pass(&self) -> usize {
        let wanted = (self.emoji_a_pass() as f64 * self.scenes_an_emoji) as usize;
        if self.scenes.is_empty() { 0 } else { wanted }
    }

    pub(crate) fn steps_a_pass(&self) -> usize {
        // What does not fill a batch waits for another pass.
        ((self.emoji_a_pass() + self.scenes_a_pass()) / self.batch).max(1)
    }

    /// The batch of a step.
    pub(crate) fn of_step(&mut self, step: usize) -> Batch {
        let (pass, at) = (step / self.steps_a_pass(), step % self.steps_a_pass());
        if self.pass.as_ref().is_none_or(|(number, _)| *number != pass) {
            self.pass = Some((pass, self.plan(pass)));
        }
        let empty = Vec::new();
        let items = self.pass.as_ref().and_then(|(_, batches)| batches.get(at)).unwrap_or(&empty);
        let mut batch = self.of(items);
        corrupt(&mut batch, self.ids.codes, self.corrupted, &mut Random::new(self.seed, Purpose::Noise, step));
        batch
    }

    /// The batches of a pass.
    fn plan(&self, pass: usize) -> Vec<Vec<Item>> {
        let mut random = Random::new(self.seed, Purpose::Captions, pass);
        let order = shuffled(self.emoji.len(), self.seed, Purpose::Pictures, pass);
        // Those that the weights leave out come after the others, in case that too few are left.
        let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
        for i in order.into_iter().map(|i| self.emoji[i]) {
            let keep = random.uniform() < self.corpus.entries[i].weight;
            if keep { &mut chosen } else { &mut left_out }.push(i);
        }
        chosen.extend(left_out);
        chosen.truncate(self.emoji_a_pass());
        // Scenes go on where the last pass ended.
        let first = pass * self.scenes_a_pass();
        let mut round = None;
        for at in first..first + self.scenes_a_pass() {
            let number = at / self.scenes.len();
            let order = match &round {
                Some((of, order)) if *of == number => order,
                _ => &round.insert((number, shuffled(self.scenes.len(), self.seed, Purpose::Scenes, number))).1,
            };
            chosen.push(self.scenes[order[at % self.scenes.len()]]);
        }
        let mixed = shuffled(chosen.len(), self.seed, Purpose::Order, pass);
        let mut items: Vec<Item> = mixed.into_iter().map(|i| self.item(chosen[i], &mut random)).collect();
        let mut batches = Vec::new();
        for window in items.chunks_mut(WINDOW * self.batch) {
            window.sort_by_key(|item| self.prompt(item).len());
            let in_window = window.len() / self.batch;
            let order = shuffled(in_window, self.seed, Purpose::Order, pass ^ (batches.len() + 1) << 16);
            batches.extend(order.into_iter().map(|i| window[i * self.batch..][..self.batch].to_vec()));
        }
        batches.resize(self.steps_a_pass(), batches.last().cloned().unwrap_or_default());
        batches
    }

    fn item(&self, index: usize, random: &mut Random) -> Item {
        let mirrored = random.below(2) == 1 && self.corpus.entries[index].mirror;
        let (dropped, fullest) = (random.uniform() < DROPPED, random.uniform() < FULLEST);
        let any = random.below(self.captions[index].len().max(1));
        let caption = if dropped { None } else { Some(if fullest { 0 } else { any }) };
        Item { index, side: if mirrored { Side::Mirrored } else { Side::Plain }, caption }
    }

    fn prompt(&self, item: &Item) -> &[u32] {
        item.caption.and_then(|caption| self.captions[item.index].get(caption)).map_or(&[], Vec::as_slice)
    }

    /// Pictures of validation as they are measured: plain, under their fullest captions.
    pub(crate) fn plain(&self, indices: &[usize]) -> Batch {
        let item = |&index| Item { index, side: Side::Plain, caption: Some(0) };
        self.of(&indices.iter().map(item).collect::<Vec<_>>())
    }

    fn of(&self, items: &[Item]) -> Batch {
        let sequence = |item: &Item| {
            let mut tokens = Vec::new();
            if item.caption.is_some() {
                tokens.push(BOS);
                tokens.extend(self.prompt(item));
            }
            let prefix = tokens.len();
            tokens.extend(self.ids.picture(self.grids.of(item.index, item.side)));
            (prefix, tokens)
        };
        let sequences: Vec<_> = items.iter().map(sequence).collect();
        let length = sequences.iter().map(|(_, tokens)| tokens.len()).max().unwrap_or(0);
        let mut batch = Batch { tokens: Vec::new(), sequences: items.len(), rows: Vec::new(), labels: Vec::new() };
        for ((prefix, tokens), item) in sequences.iter().zip(items) {
            let first = batch.tokens.len() + prefix;
            batch.rows.extend(self.ids.places().map(|place| (first + place) as i64));
            batch.labels.extend(self.grids.of(item.index, item.side).iter().map(|&code| i64::from(code)));
            let filled = tokens.iter().copied().chain(std::iter::repeat(0)).take(length);
            batch.tokens.extend(filled.map(i64::from));
        }
        batch
    }
}

/// Puts random codes in the place of some of those that are read, not of those that are to be told: of a quarter of the pictures none, of every
/// other a share of its own, up to `most`. The codes before are then no sure sign of a picture that was learnt by heart; its caption is.
fn corrupt(batch: &mut Batch, codes: u32, most: f64, random: &mut Random) {
    let length = batch.tokens.len() / batch.sequences.max(1);
    for sequence in batch.tokens.chunks_mut(length.max(1)) {
        let share = most * (4.0 * f64::from(random.uniform()) - 1.0) / 3.0;
        for token in sequence {
            let is_code = u32::try_from(*token).is_ok_and(|id| (CODE_OFFSET..CODE_OFFSET + codes).contains(&id));
            if is_code && f64::from(random.uniform()) < share {
                *token = i64::from(CODE_OFFSET) + random.below(codes as usize) as i64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrupted_codes_leave_text_structure_and_what_is_to_be_told() {
        let (codes, offset) = (4096, i64::from(CODE_OFFSET));
        let structure = offset + i64::from(codes);
        let sequence: Vec<i64> = (0..300).map(|at| if at % 17 == 0 { structure + 40 } else { offset + at }).collect();
        let tokens = sequence.repeat(200);
        let mut batch = Batch { tokens: tokens.clone(), sequences: 200, rows: vec![1], labels: vec![7] };
        corrupt(&mut batch, codes, 0.0, &mut Random::new(3, Purpose::Noise, 5));
        assert_eq!(batch.tokens, tokens);
        corrupt(&mut batch, codes, 1.0, &mut Random::new(3, Purpose::Noise, 5));
        assert_eq!(batch.labels, [7]);
        let mut shares = Vec::new();
        for read in batch.tokens.chunks(300) {
            let changed = sequence.iter().zip(read).filter(|(was, is)| was != is);
            assert!(changed.clone().all(|(was, is)| *was < structure && (offset..structure).contains(is)));
            shares.push(changed.count() as f64 / (300.0 * 16.0 / 17.0));
        }
        let mean = shares.iter().sum::<f64>() / 200.0;
        let below = |most: f64| shares.iter().filter(|share| **share < most).count();
        assert!((0.31..0.44).contains(&mean), "three eighths, but got {mean}");
        assert!((30..70).contains(&below(1e-9)) && (80..120).contains(&below(0.33)), "{shares:?}");
    }
}
