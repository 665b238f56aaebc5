//! What a finished data set says about itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::emoji::recipe::{Holds, Package, Recipe};
use crate::emoji::settings::EmojiSettings;
use crate::pictures::entry::Split;

/// `manifest.json`.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Manifest {
    /// SHA-256 of `captions.jsonl`, whose lines hold the SHA-256 of their pictures' pixels: it covers everything.
    pub digest: String,
    /// SHA-256 of the recipe.
    pub recipe: String,
    /// Pictures in all.
    pub pictures: usize,
    /// Emoji by style.
    pub emoji: BTreeMap<String, Counts>,
    /// Scenes by layout.
    pub scenes: BTreeMap<String, Counts>,
    /// Drawings that were left out because their style shows the same already.
    pub near_duplicates: usize,
    /// Drawings that could not be drawn.
    pub undrawable: Vec<String>,
    packages: Vec<Source>,
}

/// Pictures by their use.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// To learn from.
    pub train: usize,
    /// Validation: known families in a style that training does not show them in.
    pub new_style: usize,
    /// Validation: families that training never shows.
    pub new_concept: usize,
    /// Validation: known parts that training never combines.
    pub new_scene: usize,
}

#[derive(Debug, Serialize)]
struct Source {
    name: String,
    version: String,
    integrity: String,
    licence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<String>,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> usize {
        self.train + self.new_style + self.new_concept + self.new_scene
    }

    pub(crate) fn add(&mut self, split: Split) {
        match split {
            Split::Train => self.train += 1,
            Split::NewStyle => self.new_style += 1,
            Split::NewConcept => self.new_concept += 1,
            Split::NewScene => self.new_scene += 1,
        }
    }
}

impl Manifest {
    pub(crate) fn new(recipe: &Recipe, settings: &EmojiSettings) -> Self {
        let packages = used(recipe, settings).map(|package| Source {
            name: package.name.clone(),
            version: package.version.clone(),
            integrity: package.integrity.clone(),
            licence: package.licence.clone(),
            style: match &package.holds {
                Holds::Pictures(style) => Some(style.name.clone()),
                Holds::Names => None,
            },
        });
        Self {
            digest: String::new(),
            recipe: recipe.digest.clone(),
            pictures: 0,
            emoji: BTreeMap::new(),
            scenes: BTreeMap::new(),
            near_duplicates: 0,
            undrawable: Vec::new(),
            packages: packages.collect(),
        }
    }
}

/// The packages but those of styles that are left out.
fn used<'a>(recipe: &'a Recipe, settings: &'a EmojiSettings) -> impl Iterator<Item = &'a Package> {
    recipe.packages.iter().filter(|package| match &package.holds {
        Holds::Pictures(style) => settings.wants(&style.name),
        Holds::Names => true,
    })
}

/// The file that names the authors, as most of the licences ask.
pub(crate) fn attribution(recipe: &Recipe, settings: &EmojiSettings) -> String {
    let mut text = "These pictures and captions were made from:\n\n".to_owned();
    for package in used(recipe, settings) {
        let use_ = match &package.holds {
            Holds::Pictures(style) => format!("{} style", style.name),
            Holds::Names => "captions".to_owned(),
        };
        let licence = match package.licence.as_str() {
            "CC-BY-4.0" => "CC-BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
            "Apache-2.0" => "Apache License 2.0",
            "MIT" => "MIT licence",
            other => other,
        };
        let _ =
            writeln!(text, "- {}, {licence}\n  {}\n  {use_}, package {}", package.work, package.home, package.title());
    }
    text.push_str(
        "\nChanges: drawn at 128x128, trimmed and centred on a plain ground; scenes combine several drawings.\n",
    );
    text
}
