//! A cut-out with its names.

use serde::{Deserialize, Serialize};

use super::cutout::Cutout;

/// How a thing is named in captions, and what may be done with it: a line of `objects.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// How it is drawn, as captions say it: `fluent 3d`.
    pub style: String,
    /// `red apple`.
    pub phrase: String,
    /// `a red apple`; nothing of what cannot be counted, as faces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one: Option<String>,
    /// `red apples`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub several: Option<String>,
    /// The colour of most of its pixels, where captions may name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// The group of the emoji standard.
    pub group: String,
    /// Whether its mirror image is what its name says.
    pub mirror: bool,
    /// What it is for.
    pub split: Drawing,
}

/// Whether training shows a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drawing {
    /// It does.
    Train,
    /// Only in other styles.
    NewStyle,
    /// In no style.
    NewConcept,
}

/// A thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// What it is called.
    pub names: Names,
    /// What it looks like.
    pub cutout: Cutout,
}

impl Names {
    /// With its article where it has one.
    #[must_use]
    pub fn said(&self) -> &str {
        self.one.as_deref().unwrap_or(&self.phrase)
    }
}
