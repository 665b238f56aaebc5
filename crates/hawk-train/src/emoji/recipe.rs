//! The recipe: packages, selection of their pictures, and word lists.

use std::collections::{BTreeMap, BTreeSet};

use hawk_files::{Error, Result, hex};
use hawk_pictures::recipe::{EMOJI, EMOJI_PACKAGES};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The recipe `emoji`: pinned packages and lists.
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
    /// Address relative to the registry.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// `sha512-` and the digest in base 64, as in the registry.
    pub(crate) integrity: String,
    pub(crate) licence: String,
    /// Title and authors of the work, as the licence requires them.
    pub(crate) work: String,
    pub(crate) home: String,
    pub(crate) holds: Holds,
}

/// The content of a package.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Holds {
    /// Labels, tags and groups of emoji.
    Names,
    /// Pictures of one style.
    Pictures(Style),
}

/// A style of drawings.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Style {
    /// Name in captions: `NAME style`.
    #[serde(rename = "style")]
    pub(crate) name: String,
    /// Styles with the same value show the same drawings and are held out together.
    pub(crate) drawings: String,
    pub(crate) format: Format,
    /// Whether scenes use its drawings.
    #[serde(default)]
    pub(crate) scenes: bool,
    /// Whether its country flags are used.
    #[serde(default)]
    pub(crate) country_flags: bool,
}

/// The file format of a package of drawings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// `assets/CODEPOINTS.webp`.
    Webp,
    /// `icons.json` with SVG bodies, and `chars.json` with code points if they are known.
    Iconify,
}

/// The lists of `recipe.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lists {
    #[serde(rename = "version")]
    _version: u32,
    pub(crate) skip: Skip,
    /// Families of labels whose words do not show the family.
    pub(crate) families: BTreeMap<String, String>,
    pub(crate) irregular_plurals: BTreeMap<String, String>,
    /// Background colours of scenes.
    pub(crate) backgrounds: BTreeMap<String, [u8; 3]>,
    /// Labels of things that scenes can show.
    pub(crate) objects: BTreeSet<String>,
}

/// What is left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Skip {
    pub(crate) groups: BTreeSet<String>,
    pub(crate) subgroups: BTreeSet<String>,
    pub(crate) label_starts: Vec<String>,
    /// `STYLE/NAME` of drawings that do not match their label.
    pub(crate) drawings: BTreeSet<String>,
}

impl Recipe {
    /// The recipe that is part of the program.
    ///
    /// # Errors
    /// The recipe is invalid.
    pub(crate) fn built_in() -> Result<Self> {
        Self::parse(EMOJI_PACKAGES, EMOJI)
    }

    /// # Errors
    /// A file is not JSON, or has an unknown or missing key.
    pub(crate) fn parse(lock: &str, lists: &str) -> Result<Self> {
        let digest = hex(&Sha256::digest([lock, lists].join("\0")));
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Lock {
            packages: Vec<Package>,
        }
        let broken = |name: &str, e| Error::input(format!("invalid recipe: {e}")).at(name);
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
    /// Name of its file in the cache, as `npm pack` names it.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name.replace('@', "").replace('/', "-"), self.version)
    }

    /// Name and version, for messages.
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
        assert!(Recipe::parse("{\"packages\":[],\"more\":1}", EMOJI).is_err());
        assert!(Recipe::parse(EMOJI_PACKAGES, "{}").is_err());
    }
}
