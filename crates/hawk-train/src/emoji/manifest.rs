//! The manifest and the attribution of a finished data set.

use std::collections::BTreeMap;
use std::fmt::Write;

use hawk_pictures::Counts;
use serde::Serialize;

use crate::emoji::recipe::{Holds, Package, Recipe};
use crate::emoji::settings::EmojiSettings;

/// `manifest.json`.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Manifest {
    /// SHA-256 of `captions.jsonl`. Its lines have the SHA-256 of their pictures, so it covers the
    /// whole data set.
    pub digest: String,
    /// SHA-256 of the recipe.
    pub recipe: String,
    /// Number of pictures.
    pub pictures: usize,
    /// Emoji by style.
    pub emoji: BTreeMap<String, Counts>,
    /// Scenes by layout.
    pub scenes: BTreeMap<String, Counts>,
    /// Drawings that were left out because they look like another one of their style.
    pub near_duplicates: usize,
    /// Drawings that could not be rendered.
    pub undrawable: Vec<String>,
    packages: Vec<PackageRecord>,
}

#[derive(Debug, Serialize)]
struct PackageRecord {
    name: String,
    version: String,
    integrity: String,
    licence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<String>,
}

impl Manifest {
    pub(crate) fn new(recipe: &Recipe, settings: &EmojiSettings) -> Self {
        let packages = used(recipe, settings).map(|package| PackageRecord {
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

/// The packages that the data set uses.
fn used<'a>(recipe: &'a Recipe, settings: &'a EmojiSettings) -> impl Iterator<Item = &'a Package> {
    recipe.packages.iter().filter(|package| match &package.holds {
        Holds::Pictures(style) => settings.wants(&style.name),
        Holds::Names => true,
    })
}

/// The text that names the authors, as most of the licences require.
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
