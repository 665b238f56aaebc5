//! Things: cut-outs of emoji with their names, shown alone, counted and beside each other on plain or softly shaded grounds.

mod alone;
mod arranged;
mod cutout;
mod ground;
mod pack;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use alone::alone;
pub use arranged::arranged;
pub use cutout::{Cutout, Foot};
pub use ground::{Colour, Ground};

use crate::error::{Error, Result};
use crate::files::hex;
use crate::random::Random;

/// Side of a cell of the token grid, in pixels.
pub const CELL: u32 = 8;

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

/// All things that there are.
#[derive(Clone, Debug)]
pub struct Things {
    all: Vec<Thing>,
    /// Whose drawings these are, as their licences ask to be told.
    attribution: String,
    styles: Vec<Stock>,
}

/// The things of one style, by their places among all.
#[derive(Clone, Debug)]
struct Stock {
    all: Vec<usize>,
    /// Those that can be counted and that training shows.
    objects: Vec<usize>,
}

/// Where things may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// At whole cells, in sizes of whole cells: the same drawing cuts into the same cells wherever it stands.
    #[default]
    Cells,
    /// At any pixel, in any size.
    Pixels,
}

impl Things {
    /// # Errors
    /// There is none, or two of a style have one name.
    fn new(all: Vec<Thing>, attribution: String) -> Result<Self> {
        if all.is_empty() {
            return Err(Error::input("the list", "there are no things"));
        }
        let mut known = BTreeSet::new();
        for Thing { names, .. } in &all {
            if !known.insert((&names.style, &names.phrase)) {
                let twice = format!("{}, {} style", names.phrase, names.style);
                return Err(Error::input("the list", format!("a thing stands twice in it: {twice}")));
            }
        }
        let styles: BTreeSet<&str> = all.iter().map(|thing| thing.names.style.as_str()).collect();
        let of = |style: &str, wanted: &dyn Fn(&Names) -> bool| -> Vec<usize> {
            let found = |index: &usize| all[*index].names.style == style && wanted(&all[*index].names);
            (0..all.len()).filter(found).collect()
        };
        let counted = |names: &Names| names.one.is_some() && names.several.is_some() && names.split == Drawing::Train;
        let styles =
            styles.into_iter().map(|style| Stock { all: of(style, &|_| true), objects: of(style, &counted) }).collect();
        Ok(Self { all, attribution, styles })
    }

    /// In the order of the list.
    #[must_use]
    pub fn all(&self) -> &[Thing] {
        &self.all
    }

    /// Whose drawings these are, as their licences ask to be told: to be handed on with pictures of them.
    #[must_use]
    pub fn attribution(&self) -> &str {
        &self.attribution
    }

    /// SHA-256 of all names and pixels, in hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for Thing { names, cutout } in &self.all {
            let (width, height) = cutout.size();
            // The lengths keep one thing's end from being the next one's beginning.
            let head = format!("{names:?} {width} {height}");
            digest.update((head.len() as u64).to_le_bytes());
            digest.update(head);
            digest.update(cutout.bytes());
        }
        hex(&digest.finalize())
    }

    /// Any thing; every style is as likely as every other.
    pub fn any(&self, random: &mut Random) -> &Thing {
        let stock = &self.styles[random.below(self.styles.len())];
        &self.all[stock.all[random.below(stock.all.len())]]
    }

    /// All things of any one style that can be counted and that training shows.
    pub fn objects(&self, random: &mut Random) -> Vec<&Thing> {
        let stock = &self.styles[random.below(self.styles.len())];
        stock.objects.iter().map(|index| &self.all[*index]).collect()
    }
}

impl Names {
    /// With its article where it has one.
    #[must_use]
    pub fn said(&self) -> &str {
        self.one.as_deref().unwrap_or(&self.phrase)
    }
}

impl Shift {
    /// A length between `least` and `most` pixels, both included; under `Cells` a multiple of 8 among them.
    pub(crate) fn length(self, least: u32, most: u32, random: &mut Random) -> u32 {
        let step = match self {
            Self::Cells => CELL,
            Self::Pixels => 1,
        };
        let (first, last) = (least.div_ceil(step), (most / step).max(least.div_ceil(step)));
        (first + random.below((last - first + 1) as usize) as u32) * step
    }
}
