//! What the autotuner keeps between runs.

use serde::{Deserialize, Serialize};

use super::cost::Point;
use super::gain::Tally;
use super::sizes::COUNT;

/// Days after which measurements are stale.
const STALE_DAYS: u64 = 30;
/// Most tuners that are kept; the oldest are dropped first.
const MOST: usize = 64;
/// Most numbers of trees of a tuner that are kept.
const CLASSES: usize = 8;
/// Trees that a tally of an earlier run counts at most, so that new images soon count more.
const TREES: f64 = 128.0;

/// What the autotuner of tree sizes has learnt on this machine, for a program to keep between runs.
///
/// The library reads and writes no file for it: [`from_json`](Self::from_json) and
/// [`to_json`](Self::to_json) are the content of one. It is safe to delete. No image depends on it.
///
/// ```
/// use hawk::{Engine, LoadOptions, TunerMemory, built_in_model};
///
/// let engine = Engine::load(built_in_model(), LoadOptions::default())?;
/// let mut memory = TunerMemory::new("this processor", 20_000);
/// engine.recall_tuning(&memory)?;
/// // ... Engine::generate ...
/// engine.remember_tuning(&mut memory)?;
/// assert_eq!(TunerMemory::new("this processor", 20_000).from_json(&memory.to_json()), memory);
/// # Ok::<(), hawk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TunerMemory {
    machine: String,
    day: u64,
    entries: Vec<Entry>,
}

/// The program, the machine and the model of a tuner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) version: String,
    pub(crate) machine: String,
    pub(crate) threads: usize,
    pub(crate) precision: String,
    /// Digest of the model.
    pub(crate) model: String,
    /// Size of the images, or that the model writes text.
    pub(crate) medium: String,
}

/// The decoding of a tuner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) decoder: String,
    pub(crate) rule: String,
    pub(crate) sampling: String,
    /// The draft heads; empty where the decoder uses none.
    pub(crate) heads: String,
    /// Streams per tree.
    pub(crate) streams: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    place: Place,
    settings: Settings,
    /// The day of the last measurement.
    day: u64,
    tuner: SavedTuner,
}

/// A tuner between runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedTuner {
    pub(super) classes: Vec<SavedClass>,
    pub(super) bound: usize,
    /// As (bound, size, tally).
    pub(super) tallies: Vec<(usize, usize, Tally)>,
}

/// The part of a tuner for one number of trees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedClass {
    pub(super) trees: usize,
    /// The size in use.
    pub(super) size: usize,
    /// Passes until the next trial.
    pub(super) left: u32,
    pub(super) rest: u32,
    pub(super) looks: usize,
    /// As (size, point).
    pub(super) points: Vec<(usize, Point)>,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct File {
    tuners: Vec<Entry>,
}

impl TunerMemory {
    /// A memory of nothing. `machine` names everything about the machine that changes the times of
    /// passes, such as the processor. `day` is today's number, in days since a day that is the same
    /// in every run.
    #[must_use]
    pub fn new(machine: &str, day: u64) -> Self {
        Self { machine: machine.to_owned(), day, entries: Vec::new() }
    }

    /// The memory with what a file holds. A damaged file is as good as none, and what is stale or
    /// implausible in it is left out.
    #[must_use]
    pub fn from_json(mut self, file: &[u8]) -> Self {
        self.entries = serde_json::from_slice(file).map_or_else(|_| Vec::new(), |file: File| file.tuners);
        let day = self.day;
        let fresh = |entry: &Entry| day.checked_sub(entry.day).is_some_and(|age| age <= STALE_DAYS);
        self.entries.retain(|entry| entry.tuner.is_plausible() && fresh(entry));
        self.shorten();
        self
    }

    /// The content of a file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // This cannot fail: all keys are strings and all numbers are finite.
        serde_json::to_vec(&File { tuners: self.entries.clone() }).unwrap_or_default()
    }

    pub(crate) fn machine(&self) -> &str {
        &self.machine
    }

    /// The tuners of a place.
    pub(crate) fn at(&self, place: &Place) -> impl Iterator<Item = (&Settings, &SavedTuner)> {
        self.entries.iter().filter(move |entry| entry.place == *place).map(|entry| (&entry.settings, &entry.tuner))
    }

    /// Keeps a tuner in place of an earlier one.
    pub(crate) fn put(&mut self, place: &Place, settings: Settings, mut tuner: SavedTuner) {
        tuner.classes.truncate(CLASSES);
        for (.., tally) in &mut tuner.tallies {
            *tally = tally.scaled((TREES / tally.trees).min(1.0));
        }
        if tuner.classes.is_empty() || !tuner.is_plausible() {
            return;
        }
        self.entries.retain(|entry| (&entry.place, &entry.settings) != (place, &settings));
        self.entries.push(Entry { place: place.clone(), settings, day: self.day, tuner });
        self.shorten();
    }

    fn shorten(&mut self) {
        self.entries.sort_by_key(|entry| entry.day);
        let spare = self.entries.len().saturating_sub(MOST);
        self.entries.drain(..spare);
    }
}

impl SavedTuner {
    /// Whether a tuner can go on from it: indices are in range and numbers are means of something.
    fn is_plausible(&self) -> bool {
        let counts = |tally: &Tally| {
            let Tally { trees, cells, nodes } = *tally;
            trees > 0.0 && cells >= trees && nodes >= trees && cells < f64::MAX && nodes < f64::MAX
        };
        let tallies = self.tallies.iter().all(|(bound, size, tally)| size <= bound && *bound < COUNT && counts(tally));
        tallies && self.bound < COUNT && self.classes.iter().all(SavedClass::is_plausible)
    }
}

impl SavedClass {
    fn is_plausible(&self) -> bool {
        let point = |&(size, Point { nodes, ratio }): &(usize, Point)| {
            size < COUNT && nodes >= 1.0 && ratio > 0.0 && nodes < f64::MAX && ratio < f64::MAX
        };
        self.trees > 0 && self.size < COUNT && self.points.iter().all(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(machine: &str) -> Place {
        Place {
            version: "1".to_owned(),
            machine: machine.to_owned(),
            threads: 2,
            precision: "bf16".to_owned(),
            model: "0123".to_owned(),
            medium: "images of 4 x 4 cells".to_owned(),
        }
    }

    fn settings(streams: usize) -> Settings {
        let [decoder, rule, sampling, heads] = ["hawk", "replay", "", ""].map(str::to_owned);
        Settings { decoder, rule, sampling, heads, streams }
    }

    fn tuner() -> SavedTuner {
        let points = vec![(5, Point { nodes: 8.0, ratio: 2.0 })];
        let class = SavedClass { trees: 1, size: 5, left: 3, rest: 512, looks: 1, points };
        let tally = Tally { trees: 100.0, cells: 300.0, nodes: 800.0 };
        SavedTuner { classes: vec![class], bound: 5, tallies: vec![(5, 5, tally)] }
    }

    #[test]
    fn a_tuner_is_found_at_its_place_alone() {
        let mut memory = TunerMemory::new("a", 10);
        memory.put(&place("a"), settings(1), tuner());
        memory.put(&place("a"), settings(2), tuner());
        memory.put(&place("a"), settings(2), tuner());
        memory.put(&place("b"), settings(2), tuner());
        let read = TunerMemory::new("a", 40).from_json(&memory.to_json());
        assert_eq!(read.at(&place("a")).collect::<Vec<_>>(), [(&settings(1), &tuner()), (&settings(2), &tuner())]);
        assert_eq!(read.at(&place("b")).count(), 1);
        assert_eq!(read.at(&place("c")).count(), 0);
    }

    #[test]
    fn what_is_stale_or_damaged_is_left_out() {
        let mut memory = TunerMemory::new("a", 10);
        memory.put(&place("a"), settings(1), tuner());
        let file = String::from_utf8(memory.to_json()).unwrap();
        let kept = |file: &str, day| TunerMemory::new("a", day).from_json(file.as_bytes()).entries.len();
        assert_eq!((kept(&file, 10), kept(&file, 40), kept(&file, 41), kept(&file, 9)), (1, 1, 0, 0));
        assert_eq!(kept(&file[..file.len() / 2], 10), 0);
        for (wanted, damage) in [
            ("\"size\":5", "\"size\":10"),
            ("\"bound\":5", "\"bound\":77"),
            ("[5,5,", "[5,6,"),
            ("\"ratio\":2.0", "\"ratio\":-2.0"),
            ("\"ratio\":2.0", "\"ratio\":\"x\""),
            ("\"trees\":100.0", "\"trees\":0.0"),
            ("\"cells\":300.0", "\"cells\":1e999"),
            ("\"trees\":1,", "\"trees\":0,"),
            ("\"trees\":1,", "\"trees\":-1,"),
            ("\"day\":10", "\"day\":18446744073709551615"),
        ] {
            assert!(file.contains(wanted), "{wanted} in {file}");
            assert_eq!(kept(&file.replacen(wanted, damage, 1), 10), 0, "{damage}");
        }
    }

    #[test]
    fn the_file_stays_small() {
        let mut memory = TunerMemory::new("a", 10);
        let big = SavedTuner { classes: vec![tuner().classes[0].clone(); 100], ..tuner() };
        (0..200).for_each(|streams| memory.put(&place("a"), settings(streams), big.clone()));
        assert_eq!(memory.entries.len(), MOST);
        assert!(memory.to_json().len() < 100_000);
        assert!(memory.at(&place("a")).any(|(settings, _)| settings.streams == 199));
    }
}
