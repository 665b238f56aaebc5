//! Finds the drawing of each concept in each style. Nothing is rendered yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hawk_files::{Error, Result};
use serde::Deserialize;

use crate::emoji::archive;
use crate::emoji::concepts::{Concept, Concepts, normal_key};
use crate::emoji::cutout::Cutout;
use crate::emoji::recipe::{Format, Recipe, Style};
use crate::emoji::split;
use hawk_pictures::Split;

/// The source of a drawing.
pub(crate) enum Drawing {
    Svg(String),
    Webp(Vec<u8>),
}

/// A drawing of a concept in a style.
pub(crate) struct Item {
    /// Index into the recipe's styles.
    pub(crate) style: usize,
    /// Name in the package.
    pub(crate) name: String,
    pub(crate) concept: Concept,
    pub(crate) family: String,
    pub(crate) split: Split,
    pub(crate) drawing: Drawing,
}

/// A drawing and the key of its concept.
struct FoundDrawing {
    name: String,
    key: String,
    drawing: Drawing,
}

#[derive(Deserialize)]
struct IconSet {
    icons: BTreeMap<String, Icon>,
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
    width: Option<f64>,
    height: Option<f64>,
    left: Option<f64>,
    top: Option<f64>,
}

#[derive(Deserialize)]
struct Icon {
    body: String,
    width: Option<f64>,
    height: Option<f64>,
    left: Option<f64>,
    top: Option<f64>,
    #[serde(default)]
    hidden: bool,
}

#[derive(Deserialize)]
struct Alias {
    parent: String,
    #[serde(flatten)]
    changes: BTreeMap<String, serde_json::Value>,
}

/// Default width and height of an icon in the Iconify format.
const ICON_SIDE: f64 = 16.0;

/// The bytes of a package of drawings.
pub(crate) struct StylePackage<'a> {
    pub(crate) style: &'a Style,
    pub(crate) title: String,
    pub(crate) tgz: Vec<u8>,
}

/// Finds all drawings of the recipe, sorted by style, then by the standard's order, then by name.
///
/// # Errors
/// A package does not match its format.
pub(crate) fn items(recipe: &Recipe, mut concepts: Concepts, sets: &[StylePackage<'_>]) -> Result<Vec<Item>> {
    let mut found: Vec<Vec<FoundDrawing>> = Vec::new();
    // Packages with code points provide the names by which the others are read.
    let mut nameless: Vec<(usize, IconSet)> = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        found.push(Vec::new());
        match set.style.format {
            Format::Webp => found[index] = webp_files(set)?,
            Format::Iconify => {
                let (icons, chars) = icon_files(set)?;
                if chars.is_empty() {
                    nameless.push((index, icons));
                    continue;
                }
                add_names(&mut concepts, &icons, &chars);
                found[index] = by_code_points(icons, &chars);
            }
        }
    }
    for (index, icons) in nameless {
        found[index] = by_names(icons, &concepts);
    }
    let mut items = Vec::new();
    for (style, found) in found.into_iter().enumerate() {
        items.extend(chosen(recipe, &concepts, style, found));
    }
    assign_splits(recipe, &mut items);
    Ok(items)
}

fn webp_files(set: &StylePackage<'_>) -> Result<Vec<FoundDrawing>> {
    let files = archive::read(&set.title, &set.tgz, |name| name.starts_with("assets/") && name.ends_with(".webp"))?;
    let found = files.into_iter().filter_map(|(name, bytes)| {
        let name = name.strip_prefix("assets/")?.strip_suffix(".webp")?.to_owned();
        Some(FoundDrawing { key: normal_key(&name), name, drawing: Drawing::Webp(bytes) })
    });
    Ok(found.collect())
}

fn icon_files(set: &StylePackage<'_>) -> Result<(IconSet, BTreeMap<String, String>)> {
    let files = archive::read(&set.title, &set.tgz, |name| name == "icons.json" || name == "chars.json")?;
    let broken = |name: &str, e: serde_json::Error| {
        Error::input(format!("invalid file: {e}")).at(format!("{}: {name}", set.title))
    };
    let icons = files.get("icons.json").ok_or_else(|| Error::input("the package lacks icons.json").at(&set.title))?;
    let icons = serde_json::from_slice(icons).map_err(|e| broken("icons.json", e))?;
    let chars = files.get("chars.json").map_or(Ok(BTreeMap::new()), |chars| serde_json::from_slice(chars));
    Ok((icons, chars.map_err(|e| broken("chars.json", e))?))
}

fn add_names(concepts: &mut Concepts, icons: &IconSet, chars: &BTreeMap<String, String>) {
    let mut code_points: HashMap<&str, &str> = HashMap::new();
    for (key, name) in chars {
        concepts.add_name(name, key);
        code_points.entry(name).or_insert(key);
    }
    // An alias that rotates or mirrors its parent is another picture.
    for (alias, of) in icons.aliases.iter().filter(|(_, of)| of.changes.is_empty()) {
        if let Some(key) = code_points.get(of.parent.as_str()) {
            concepts.add_name(alias, key);
        }
    }
}

fn by_code_points(icons: IconSet, chars: &BTreeMap<String, String>) -> Vec<FoundDrawing> {
    let mut keys: HashMap<&str, &str> = HashMap::new();
    for (key, name) in chars {
        keys.entry(name).or_insert(key);
    }
    drawings(icons, |name| keys.get(name).map(|key| normal_key(key)))
}

fn by_names(icons: IconSet, concepts: &Concepts) -> Vec<FoundDrawing> {
    drawings(icons, |name| concepts.find(name).map(str::to_owned))
}

fn drawings(set: IconSet, key: impl Fn(&str) -> Option<String>) -> Vec<FoundDrawing> {
    let IconSet { icons, width, height, left, top, .. } = set;
    let visible = icons.into_iter().filter(|(_, icon)| !icon.hidden);
    let found = visible.filter_map(|(name, icon)| {
        let key = key(&name)?;
        let width = icon.width.or(width).unwrap_or(ICON_SIDE);
        let height = icon.height.or(height).unwrap_or(ICON_SIDE);
        let (left, top) = (icon.left.or(left).unwrap_or(0.0), icon.top.or(top).unwrap_or(0.0));
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             viewBox=\"{left} {top} {width} {height}\" width=\"{width}\" height=\"{height}\">{}</svg>",
            icon.body
        );
        Some(FoundDrawing { name, key, drawing: Drawing::Svg(svg) })
    });
    found.collect()
}

/// Selects the drawings of a style: for each concept the plain drawing, and one skin tone that its
/// hash selects.
fn chosen(recipe: &Recipe, concepts: &Concepts, index: usize, found: Vec<FoundDrawing>) -> Vec<Item> {
    let style = recipe.styles()[index];
    let mut items: Vec<Item> = Vec::new();
    let mut spellings = BTreeSet::new();
    for FoundDrawing { name, key, drawing } in found {
        let Some(concept) = concepts.get(&key) else { continue };
        let foreign_flag = concept.subgroup == "country-flag" && !style.country_flags;
        let refused = recipe.lists.skip.drawings.contains(&format!("{}/{name}", style.name));
        // Files named by code points can repeat an emoji. Files found by name can be variants of
        // it.
        let repeated = matches!(drawing, Drawing::Webp(_)) && !spellings.insert(key);
        if concept.is_skipped(&recipe.lists) || foreign_flag || refused || repeated {
            continue;
        }
        let family = concept.family(&recipe.lists);
        items.push(Item { style: index, name, concept: concept.clone(), family, split: Split::Train, drawing });
    }
    items.sort_by(|a, b| (a.concept.order, &a.name).cmp(&(b.concept.order, &b.name)));
    let mut tones: BTreeMap<String, BTreeSet<u8>> = BTreeMap::new();
    for item in &items {
        tones.entry(item.concept.label.clone()).or_default().extend(item.concept.tone);
    }
    items.retain(|item| {
        let Some(tone) = item.concept.tone else { return true };
        let there = &tones[&item.concept.label];
        let pick = split::number(&format!("tone {} {}", style.name, item.concept.label)) as usize % there.len();
        there.iter().nth(pick) == Some(&tone)
    });
    items
}

fn assign_splits(recipe: &Recipe, items: &mut [Item]) {
    let styles = recipe.styles();
    let mut drawings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for item in items.iter() {
        drawings.entry(&item.family).or_default().insert(&styles[item.style].drawings);
    }
    let splits: Vec<Split> = items
        .iter()
        .map(|item| {
            let all: Vec<&str> = drawings[item.family.as_str()].iter().copied().collect();
            split::of_family(&item.family, &styles[item.style].drawings, &all)
        })
        .collect();
    items.iter_mut().zip(splits).for_each(|(item, split)| item.split = split);
}

impl Item {
    pub(crate) fn draw(&self) -> Result<Cutout> {
        match &self.drawing {
            Drawing::Svg(svg) => Cutout::from_svg(svg),
            Drawing::Webp(bytes) => Cutout::from_webp(bytes),
        }
    }
}
