//! What lists say of pictures, and how they are counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sample::{HeldOut, Kind, Sample};

/// What is counted of a line of a list, in folders and shards.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    style: String,
    attributes: BTreeMap<String, String>,
    held_out: Option<HeldOut>,
}

/// Which part of a folder's pictures one belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Training.
    Train,
    /// Validation: training has the thing or its family, but not in this style.
    NewStyle,
    /// Validation: training does not have the thing or its family.
    NewConcept,
    /// Validation: training has the parts, but never combined.
    NewScene,
}

/// Number of pictures in each split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// [`Split::Train`].
    pub train: u64,
    /// [`Split::NewStyle`].
    pub new_style: u64,
    /// [`Split::NewConcept`].
    pub new_concept: u64,
    /// [`Split::NewScene`].
    pub new_scene: u64,
}

/// Pictures by kind and group: landscapes and composites by terrain, things by style, scenes by layout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally(pub BTreeMap<Kind, BTreeMap<String, Counts>>);

impl Told {
    pub(crate) fn of(sample: &Sample) -> Self {
        let Sample { kind, style, attributes, held_out, .. } = sample;
        Self { kind: *kind, style: style.clone(), attributes: attributes.clone(), held_out: *held_out }
    }

    fn word(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// The name under which the picture is counted.
    pub(crate) fn group(&self) -> &str {
        match self.kind {
            Kind::Landscape | Kind::Composite => self.word("terrain"),
            Kind::Thing => &self.style,
            Kind::Scene => self.word("layout"),
        }
    }

    /// What is the same in pictures that are held out together.
    pub(crate) fn concept(&self) -> String {
        match self.kind {
            Kind::Landscape => ["terrain", "time", "weather", "rendering"].map(|name| self.word(name)).join(" & "),
            Kind::Thing => self.word("thing").to_owned(),
            Kind::Scene => self.word("parts").to_owned(),
            Kind::Composite => format!("{} in {}", self.word("thing"), self.word("terrain")),
        }
    }

    /// As the emoji sets name it: a thing's concept, a scene's layout, a terrain.
    pub(crate) fn family(&self) -> &str {
        match self.kind {
            Kind::Thing => self.word("thing"),
            _ => self.group(),
        }
    }

    pub(crate) fn split(&self) -> Split {
        match self.held_out {
            None => Split::Train,
            Some(HeldOut::Style) => Split::NewStyle,
            Some(HeldOut::Concept) => Split::NewConcept,
            Some(HeldOut::Scene | HeldOut::Landscape | HeldOut::Pair) => Split::NewScene,
        }
    }
}

impl Counts {
    /// The sum.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.train + self.new_style + self.new_concept + self.new_scene
    }

    /// Counts one picture.
    pub fn add(&mut self, split: Split) {
        match split {
            Split::Train => self.train += 1,
            Split::NewStyle => self.new_style += 1,
            Split::NewConcept => self.new_concept += 1,
            Split::NewScene => self.new_scene += 1,
        }
    }
}

impl Tally {
    /// Counts those of the other, too.
    pub(crate) fn join(&mut self, other: Self) {
        for (kind, groups) in other.0 {
            for (group, more) in groups {
                let counts = self.0.entry(kind).or_default().entry(group).or_default();
                counts.train += more.train;
                counts.new_style += more.new_style;
                counts.new_concept += more.new_concept;
                counts.new_scene += more.new_scene;
            }
        }
    }

    pub(crate) fn add(&mut self, told: &Told) {
        let counts = self.0.entry(told.kind).or_default().entry(told.group().to_owned()).or_default();
        counts.add(told.split());
    }
}
