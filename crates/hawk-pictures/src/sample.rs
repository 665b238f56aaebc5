//! A picture with all that is known of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// Most captions of a picture.
pub const MOST_CAPTIONS: usize = 4;

/// A captioned picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its pixels.
    pub picture: Picture,
    /// One to [`MOST_CAPTIONS`] different wordings, the first is the fullest.
    pub captions: Vec<String>,
    /// What kind of picture it is.
    pub kind: Kind,
    /// How it is drawn; of a composite: how the thing is.
    pub style: String,
    /// What it shows, by names.
    pub attributes: BTreeMap<String, String>,
    /// Why training does not show it, where it does not.
    pub held_out: Option<HeldOut>,
    /// Whether the captions hold for the mirrored picture too.
    pub mirror: bool,
}

/// The kinds of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A landscape without things.
    Landscape,
    /// One thing on a plain ground.
    Thing,
    /// Several things on a plain ground.
    Scene,
    /// A thing that stands in a landscape.
    Composite,
}

/// What training does not show of a picture for validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// The thing in this style.
    Style,
    /// The thing in any style.
    Concept,
    /// These things together, or this number of them.
    Scene,
    /// This terrain in this weather at this time in this rendering.
    Landscape,
    /// This thing in this terrain.
    Pair,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Landscape, Self::Thing, Self::Scene, Self::Composite];
}

/// The captions without repetitions, at most [`MOST_CAPTIONS`].
pub(crate) fn distinct(captions: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for caption in captions {
        if kept.len() < MOST_CAPTIONS && !kept.contains(&caption) {
            kept.push(caption);
        }
    }
    kept
}
