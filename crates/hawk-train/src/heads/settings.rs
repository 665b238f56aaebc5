//! Settings of a training run of heads.

use std::fmt;
use std::str::FromStr;

use hawk::Seed;
use hawk_files::{Error, HeadOffset, Result};
use serde::{Deserialize, Serialize};

use crate::run::limits::{check_count, check_positive};

/// What a head learns to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// The target's law at the cell.
    Law,
    /// The code of the image at the cell.
    Code,
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Labels::Law => "law",
            Labels::Code => "code",
        })
    }
}

impl FromStr for Labels {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Law, Self::Code]
            .into_iter()
            .find(|labels| labels.to_string() == name)
            .ok_or_else(|| Error::input("unknown kind of labels").expected("law or code").got(format!("{name:?}")))
    }
}

/// The heads that are trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadsKind {
    /// The paper's: each predicts the cell at an offset from the cell of its hidden state. At least one, all
    /// different.
    Offsets(Vec<HeadOffset>),
    /// One that reads the row above a cell and the codes above and to the left of it, for the decoder `soar`.
    Spatial,
}

impl HeadsKind {
    /// The names of the heads.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Offsets(offsets) => offsets.iter().map(ToString::to_string).collect(),
            Self::Spatial => vec!["spatial".to_owned()],
        }
    }
}

/// How heads are trained. The same settings, images and target give the same heads, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadsSettings {
    /// Which heads.
    pub kind: HeadsKind,
    /// What the heads learn to predict.
    pub labels: Labels,
    /// Passes over the images, `1..=100_000`.
    pub epochs: usize,
    /// Images in a step, `1..=4096`.
    pub batch: usize,
    /// The largest learning rate, above 0, at most 1.
    pub learning_rate: f64,
    /// Seed of the order of the images.
    pub seed: Seed,
}

impl Default for HeadsSettings {
    /// The paper's four heads (H1, H2, V1, V2) with the target's law as label.
    fn default() -> Self {
        let offsets = [(0, 1), (0, 2), (1, 0), (2, 0)].map(|(down, right)| HeadOffset::new(down, right).ok());
        Self {
            kind: HeadsKind::Offsets(offsets.into_iter().flatten().collect()),
            labels: Labels::Law,
            epochs: 12,
            batch: 4,
            learning_rate: 3e-3,
            seed: Seed(0),
        }
    }
}

impl HeadsSettings {
    /// # Errors
    /// A setting is out of range.
    pub(crate) fn check(&self) -> Result<()> {
        if let HeadsKind::Offsets(offsets) = &self.kind {
            if offsets.is_empty() {
                return Err(Error::input("no heads to train").at("heads"));
            }
            if let Some(i) = (1..offsets.len()).find(|&i| offsets[..i].contains(&offsets[i])) {
                return Err(Error::input("two heads have the same offset").at("heads").got(offsets[i]));
            }
        }
        check_count("epochs", self.epochs, 1..=100_000)?;
        check_count("batch", self.batch, 1..=4096)?;
        check_positive("learning rate", self.learning_rate, 1.0)
    }
}
