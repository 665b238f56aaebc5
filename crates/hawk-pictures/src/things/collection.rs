//! All things, in the order of their list and by style.

use std::collections::BTreeSet;

use hawk_files::{Error, Result, hex};
use sha2::{Digest, Sha256};

use super::thing::{Drawing, Names, Thing};
use crate::random::Random;

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

impl Things {
    /// # Errors
    /// There is none, or two of a style have one name.
    pub(super) fn new(all: Vec<Thing>, attribution: String) -> Result<Self> {
        if all.is_empty() {
            return Err(Error::input("there are no things").at("the list"));
        }
        let mut known = BTreeSet::new();
        for Thing { names, .. } in &all {
            if !known.insert((&names.style, &names.phrase)) {
                let twice = format!("{}, {} style", names.phrase, names.style);
                return Err(Error::input(format!("a thing stands twice in it: {twice}")).at("the list"));
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

    /// Whose drawings these are, as their licences ask to be told. Hand it on with
    /// pictures of them.
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
