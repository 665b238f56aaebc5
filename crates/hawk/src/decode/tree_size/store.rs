//! The autotuners of a loaded model, kept from request to request.

use std::sync::{Mutex, PoisonError};

use hawk_nn::Shaping;

use super::memory::{SavedTuner, Settings};
use super::tuner::{Chosen, Tuner};
use crate::request::decoder::Decoder;
use crate::request::decoding::Decoding;

/// What a tuner tunes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tuned {
    pub(crate) decoding: Decoding,
    pub(crate) shaping: Shaping,
    /// Streams per tree.
    pub(crate) streams: usize,
}

impl Tuned {
    /// Its name in a memory. `heads_of` names the heads of a decoder.
    fn settings(&self, heads_of: &dyn Fn(Decoder) -> String) -> Settings {
        let decoder = self.decoding.decoder();
        Settings {
            decoder: decoder.name().to_owned(),
            rule: self.decoding.rule().to_string(),
            sampling: format!("{:?}", self.shaping),
            heads: heads_of(decoder),
            streams: self.streams,
        }
    }
}

/// Most tuners that are kept. The oldest go first.
const MOST_TUNERS: usize = 64;

/// Tuners of this process, and those of earlier runs that were not used yet.
#[derive(Debug, Default)]
pub(crate) struct Tuners(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    tuners: Vec<(Tuned, Tuner)>,
    recalled: Vec<(Settings, SavedTuner)>,
}

impl Tuners {
    /// The autotuner of a decoding.
    pub(crate) fn known(&self, tuned: &Tuned, heads_of: &dyn Fn(Decoder) -> String) -> Tuner {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tuner)) = known.tuners.iter().find(|(other, _)| other == tuned) {
            return tuner.clone();
        }
        if known.recalled.is_empty() {
            return Tuner::default();
        }
        let settings = tuned.settings(heads_of);
        let recalled = known.recalled.iter().find(|(other, _)| *other == settings);
        recalled.map_or_else(Tuner::default, |(_, saved)| Tuner::restored(saved))
    }

    /// Keeps an autotuner for the next request.
    pub(crate) fn keep(&self, tuned: Tuned, tuner: Tuner) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.tuners.retain(|(other, _)| *other != tuned);
        if known.tuners.len() == MOST_TUNERS {
            known.tuners.remove(0);
        }
        known.tuners.push((tuned, tuner));
    }

    /// Takes over what earlier runs have learnt.
    pub(crate) fn recall<'a>(&self, saved: impl Iterator<Item = (&'a Settings, &'a SavedTuner)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.recalled = saved.map(|(settings, saved)| (settings.clone(), saved.clone())).collect();
    }

    /// The tuners of this process, for a memory.
    pub(crate) fn saved(&self, heads_of: &dyn Fn(Decoder) -> String) -> Vec<(Settings, SavedTuner)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.tuners.iter().map(|(tuned, tuner)| (tuned.settings(heads_of), tuner.saved())).collect()
    }

    /// The choices of the tuners of this process.
    pub(crate) fn chosen(&self) -> Vec<(Tuned, Chosen)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.tuners.iter().flat_map(|(tuned, tuner)| tuner.chosen().map(|chosen| (*tuned, chosen))).collect()
    }
}

#[cfg(test)]
mod tests {
    use hawk_spec::{Rule, Sampling};

    use super::*;

    #[test]
    fn settings_without_number_are_kept_within_a_bound() {
        let (tuners, decoding) = (Tuners::default(), Decoding::with_defaults(Decoder::SCD, Rule::Replay));
        let tuned = |number: u32| {
            let sampling = Sampling::new(1.0, 1.0 + number as f32, 0, 1.0).unwrap();
            Tuned { decoding, shaping: Shaping::Sampling(sampling), streams: 1 }
        };
        (0..1000).for_each(|number| tuners.keep(tuned(number), Tuner::default()));
        let known = tuners.0.lock().unwrap();
        assert_eq!(known.tuners.len(), MOST_TUNERS);
        assert_eq!(known.tuners.last().unwrap().0, tuned(999));
    }
}
