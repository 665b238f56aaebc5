//! A line of `captions.jsonl`: one captioned picture of a folder.

use hawk_pictures::Split;
use serde::{Deserialize, Serialize};

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// One drawing on white.
    Emoji,
    /// Several drawings, or one drawing on a coloured background.
    Scene,
    /// Painted: a landscape without things.
    Landscape,
    /// Painted: one thing on a plain or softly shaded ground.
    Thing,
    /// Painted: a thing that stands in a landscape.
    Composite,
}

/// One captioned picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Path of the PNG file, relative to the folder.
    pub(crate) file: String,
    /// The most detailed caption comes first.
    pub(crate) captions: Vec<String>,
    pub(crate) style: String,
    /// Emoji and thing: its label. Others: the parts that are combined.
    pub(crate) concept: String,
    /// Emoji: the group of concepts that are held out together. Thing: its label. Scene: the layout. Others: the terrain.
    pub(crate) family: String,
    pub(crate) kind: Kind,
    pub(crate) split: Split,
    /// Relative sampling frequency in training, `0..=1`.
    pub(crate) weight: f32,
    /// Whether the captions also describe the mirrored picture.
    pub(crate) mirror: bool,
    /// SHA-256 of the RGB pixels.
    #[serde(default)]
    pub(crate) pixels: String,
}

impl Entry {
    /// The group under which the manifest counts the picture: style of an emoji or thing, layout of a scene, terrain.
    pub(crate) fn group(&self) -> &str {
        match self.kind {
            Kind::Emoji | Kind::Thing => &self.style,
            Kind::Scene | Kind::Landscape | Kind::Composite => &self.family,
        }
    }
}
