//! The families: the only place that lists them.

use super::chameleon::{self, Chameleon};
use super::llama::{self, Llama};
use super::rules::{FamilyReader, FamilyRules};
use super::{janus, llamagen};
use crate::config::family::Family;

/// The families in the order in which a user reads their names.
pub(super) const READERS: [FamilyReader; 4] = [chameleon::READER, llama::READER, janus::READER, llamagen::READER];

impl Family {
    /// What it fixes.
    #[must_use]
    pub fn rules(&self) -> &dyn FamilyRules {
        match self {
            Self::Chameleon => &Chameleon,
            Self::Llama => &Llama,
            Self::Janus(sizes) => sizes,
            Self::LlamaGen(sizes) => sizes,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rules().name()
    }
}
