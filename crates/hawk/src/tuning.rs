//! The autotuner of tree sizes as programs see it: what it keeps between runs, what it chose.

use hawk_nn::{CPU, Result};

use crate::decode::tree_size::memory::{Place, TunerMemory};
use crate::engine::Engine;
use crate::request::decoding::Decoding;

/// A choice of the autotuner, for one number of images in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunedSize {
    /// The decoding that is tuned.
    pub decoding: Decoding,
    /// Images in a pass.
    pub images: usize,
    /// Most nodes of a tree, root included. 1 is plain decoding.
    pub nodes: usize,
    /// Passes of this engine.
    pub passes: u64,
    /// Those among them that belonged to trials.
    pub trial_passes: u64,
}

impl Engine {
    /// Lets requests with [`Tree::Auto`](crate::Tree::Auto) go on from what earlier runs have
    /// learnt about this model, these draft heads and this machine.
    ///
    /// # Errors
    /// The model's files cannot be read for their digest.
    pub fn recall_tuning(&self, memory: &TunerMemory) -> Result<()> {
        let place = self.place(memory)?;
        self.model().target().tuners.recall(memory.at(&place));
        Ok(())
    }

    /// Adds to a memory what this engine has learnt.
    ///
    /// # Errors
    /// The model's files cannot be read for their digest.
    pub fn remember_tuning(&self, memory: &mut TunerMemory) -> Result<()> {
        let (place, target) = (self.place(memory)?, self.model().target());
        for (settings, tuner) in target.tuners.saved(&|decoder| target.heads_of(decoder)) {
            memory.put(&place, settings, tuner);
        }
        Ok(())
    }

    /// The tree sizes that the autotuner has chosen, for decodings that were used.
    #[must_use]
    pub fn tuned_sizes(&self) -> Vec<TunedSize> {
        let chosen = self.model().target().tuners.chosen().into_iter();
        let size = chosen.map(|(tuned, chosen)| TunedSize {
            decoding: tuned.decoding,
            images: chosen.trees,
            nodes: chosen.nodes,
            passes: chosen.passes,
            trial_passes: chosen.trial_passes,
        });
        size.collect()
    }

    fn place(&self, memory: &TunerMemory) -> Result<Place> {
        Ok(Place {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: match self.device() {
                CPU => memory.machine().to_owned(),
                device => format!("{}, {device}", memory.machine()),
            },
            threads: self.threads(),
            precision: self.precision().to_string(),
            model: self.digest()?.to_owned(),
            medium: self.model().target().medium.arrangement().to_string(),
        })
    }
}
