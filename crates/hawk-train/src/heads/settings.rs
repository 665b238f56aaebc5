//! How heads are trained.

use std::fmt;
use std::str::FromStr;

use hawk::Seed;
use hawk_nn::{Error, HeadOffset, Result};
use serde::{Deserialize, Serialize};

/// What a head's law is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// The target's own law at the cell: its whole opinion, not one draw from it.
    Law,
    /// The code that the image has there.
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
            .ok_or_else(|| Error::input("there are no such labels").expected("law or code").got(format!("{name:?}")))
    }
}

/// How heads are trained. Under one set of settings, images and target, the heads are the same byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where the heads look; at least one, none twice.
    pub offsets: Vec<HeadOffset>,
    /// What their laws are compared with.
    pub labels: Labels,
    /// How often every image is seen, `1..=100_000`.
    pub epochs: usize,
    /// Images of a step, `1..=4096`.
    pub batch: usize,
    /// The largest step size, above 0, at most 1.
    pub learning_rate: f64,
    /// Key of the order of the images.
    pub seed: Seed,
}

impl Default for Settings {
    /// The paper's four heads, with the target's law as label.
    fn default() -> Self {
        let offsets = [(0, 1), (0, 2), (1, 0), (2, 0)].map(|(down, right)| HeadOffset::new(down, right).ok());
        Self {
            offsets: offsets.into_iter().flatten().collect(),
            labels: Labels::Law,
            epochs: 12,
            batch: 4,
            learning_rate: 3e-3,
            seed: Seed(0),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        if self.offsets.is_empty() {
            return Err(Error::input("there are no heads to train").at("heads"));
        }
        if let Some(i) = (1..self.offsets.len()).find(|&i| self.offsets[..i].contains(&self.offsets[i])) {
            return Err(Error::input("two heads look at the same place").at("heads").got(self.offsets[i]));
        }
        let out_of_range = |field: &str, expected: &str, got: &dyn fmt::Display| {
            Err(Error::input("a training setting is out of range").at(field).expected(expected).got(got))
        };
        if !(1..=100_000).contains(&self.epochs) {
            return out_of_range("epochs", "1 to 100000", &self.epochs);
        }
        if !(1..=4096).contains(&self.batch) {
            return out_of_range("batch", "1 to 4096", &self.batch);
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return out_of_range("learning rate", "above 0, at most 1", &self.learning_rate);
        }
        Ok(())
    }
}
