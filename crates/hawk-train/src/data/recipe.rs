//! What the recipe says: which packages, which of their pictures, which words.

use std::collections::{BTreeMap, BTreeSet};

use hawk_nn::{Error, Result, hex};
use serde::Deserialize;
use sha2::{Digest, Sha256};

const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/emoji/lock.json"));
const RECIPE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/emoji/recipe.json"));

/// The recipe `emoji`: pinned packages and the lists that turn them into captioned pictures.
pub(crate) struct Recipe {
    pub(crate) packages: Vec<Package>,
    pub(crate) lists: Lists,
    /// SHA-256 over both files.
    pub(crate) digest: String,
}

/// A package of the npm registry, pinned to its bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Address below the registry's.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// `sha512-` and the digest in base 64, as the registry states it.
    pub(crate) integrity: String,
    pub(crate) licence: String,
    /// The work with its authors, as their licence asks to be named.
    pub(crate) work: String,
    pub(crate) home: String,
    pub(crate) holds: Holds,
}

/// What a package is used for.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Holds {
    /// Labels, tags and groups of emoji.
    Names,
    /// Pictures of one style.
    Pictures(Style),
}

/// A way of drawing.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Style {
    /// As captions name it: `NAME style`.
    #[serde(rename = "style")]
    pub(crate) name: String,
    /// Styles that share their drawings are held out of training together.
    pub(crate) drawings: String,
    pub(crate) format: Format,
    /// Whether scenes are composed of its pictures.
    #[serde(default)]
    pub(crate) scenes: bool,
    /// Whether its flags of countries are taken.
    #[serde(default)]
    pub(crate) country_flags: bool,
}

/// How a package keeps its pictures.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// `assets/CODEPOINTS.webp`.
    Webp,
    /// `icons.json` with the bodies of SVG files, `chars.json` with their code points where those are known.
    Iconify,
}

/// The lists of `recipe.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lists {
    #[serde(rename = "version")]
    _version: u32,
    pub(crate) skip: Skip,
    /// Labels whose family their words do not tell.
    pub(crate) families: BTreeMap<String, String>,
    pub(crate) irregular_plurals: BTreeMap<String, String>,
    /// Colours behind scenes.
    pub(crate) backgrounds: BTreeMap<String, [u8; 3]>,
    /// Labels of things that can be counted and stand beside each other.
    pub(crate) objects: BTreeSet<String>,
}

/// What is left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Skip {
    pub(crate) groups: BTreeSet<String>,
    pub(crate) subgroups: BTreeSet<String>,
    pub(crate) label_starts: Vec<String>,
    /// `STYLE/NAME` of drawings that show something else than they say.
    pub(crate) drawings: BTreeSet<String>,
}

impl Recipe {
    /// The recipe inside the program.
    pub(crate) fn built_in() -> Result<Self> {
        Self::parse(LOCK, RECIPE)
    }

    pub(crate) fn parse(lock: &str, lists: &str) -> Result<Self> {
        let digest = hex(&Sha256::digest([lock, lists].join("\0")));
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Lock {
            packages: Vec<Package>,
        }
        let broken = |name: &str, e| Error::input(format!("cannot use the recipe: {e}")).at(name);
        let packages = serde_json::from_str::<Lock>(lock).map_err(|e| broken("lock.json", e))?.packages;
        let lists = serde_json::from_str(lists).map_err(|e| broken("recipe.json", e))?;
        Ok(Self { packages, lists, digest })
    }

    /// The styles in the order of the lock file.
    pub(crate) fn styles(&self) -> Vec<&Style> {
        let styles = self.packages.iter().map(|package| match &package.holds {
            Holds::Pictures(style) => Some(style),
            Holds::Names => None,
        });
        styles.flatten().collect()
    }
}

impl Package {
    /// Name of its file in the cache: that which `npm pack` gives.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name.replace('@', "").replace('/', "-"), self.version)
    }

    /// The package as messages name it.
    pub(crate) fn title(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_inside_the_program_is_whole() {
        let recipe = Recipe::built_in().unwrap();
        assert_eq!(recipe.packages.len(), 9);
        assert_eq!(recipe.styles().len(), 8);
        assert_eq!(recipe.packages.iter().filter(|package| matches!(package.holds, Holds::Names)).count(), 1);
        for package in &recipe.packages {
            assert!(package.path.ends_with(&format!("-{}.tgz", package.version)), "{}", package.path);
            assert!(package.integrity.starts_with("sha512-"));
            assert!(["MIT", "Apache-2.0", "CC-BY-4.0"].contains(&package.licence.as_str()));
        }
        assert_eq!(recipe.packages[0].file_name(), "lobehub-fluent-emoji-3d-1.1.0.tgz");
    }

    #[test]
    fn a_word_that_no_list_knows_is_refused() {
        assert!(Recipe::parse("{\"packages\":[],\"more\":1}", RECIPE).is_err());
        assert!(Recipe::parse(LOCK, "{}").is_err());
    }
}
