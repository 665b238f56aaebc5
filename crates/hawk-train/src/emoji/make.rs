//! Makes the data set: packages, cut-outs, pictures, captions, files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hawk_files::{Error, FolderLock, Result, hex};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::emoji::cache::Cache;
use crate::emoji::catalogue::{self, Item, StylePackage};
use crate::emoji::concepts::{self, Concept, Concepts};
use crate::emoji::cutout::Cutout;
use crate::emoji::manifest::{self, Manifest};
use crate::emoji::objects::ObjectName;
use crate::emoji::recipe::{Holds, Recipe};
use crate::emoji::scenes::{self, Stock};
use crate::emoji::settings::{EmojiProgress, EmojiSettings};
use crate::emoji::{archive, colour, objects, words};
use crate::pictures::canvas::{Canvas, SIDE_U32};
use crate::pictures::entry::{Entry, Kind};
use crate::pictures::sheet::{contact_sheet, spread};
use crate::run::files::{self, RunFolder};
use hawk_pictures::Split;

/// Pictures that are made between two reports.
const CHUNK: usize = 64;
/// Side of the thumbnails that are compared, in pixels.
const THUMB_SIDE: u32 = 24;
/// Root mean square difference, of 255, below which two thumbnails count as equal.
const SAME: f64 = 0.01 * 255.0;

/// The emoji standard's group of faces and hearts.
const FACES: &str = "smileys-emotion";

/// Identifies the settings of the data set in a folder (`begun.json`).
#[derive(Serialize, Deserialize, PartialEq)]
struct EmojiIdentity {
    recipe: String,
    scenes: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    styles: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    things: bool,
    limit: Option<usize>,
}

/// What later steps need of a cut-out. Its pixels stay on disk.
struct CutoutLook {
    thumb: Vec<u8>,
    colour: Option<&'static str>,
}

/// Makes the data set: `images/NNNNNN.png`, `captions.jsonl`, `objects/`, `objects.jsonl`,
/// `manifest.json`, `sheet.png` and `ATTRIBUTION`.
///
/// # Errors
/// A package cannot be fetched or differs from the pinned one, the folder belongs to other
/// settings, or a file cannot be written.
pub fn make_emoji(settings: &EmojiSettings, observe: &mut dyn FnMut(EmojiProgress<'_>)) -> Result<Manifest> {
    make(&Recipe::built_in()?, settings, observe)
}

fn make(recipe: &Recipe, settings: &EmojiSettings, observe: &mut dyn FnMut(EmojiProgress<'_>)) -> Result<Manifest> {
    let build = EmojiBuild::start(recipe, settings)?;
    let mut items = build.items(observe)?;
    let is_thing = |concept: &Concept| recipe.lists.objects.contains(&concept.label) || concept.group == FACES;
    items.retain(|item| {
        settings.wants(&recipe.styles()[item.style].name) && (!settings.things || is_thing(&item.concept))
    });
    if let Some(limit) = settings.limit {
        let (all, mut index) = (items.len(), 0);
        let kept: BTreeSet<usize> = (0..limit.get()).map(|i| i * all / limit.get()).collect();
        items.retain(|_| {
            index += 1;
            kept.contains(&(index - 1))
        });
    }
    let mut manifest = Manifest::new(recipe, settings);
    let objects = build.objects(&items, &mut manifest, observe)?;
    let items = build.without_duplicates(items.into_iter().zip(objects), &mut manifest);
    build.write_object_names(&items)?;
    let stocks = build.stocks(&items)?;
    let of = items.len() + if stocks.iter().any(|stock| stock.objects.len() > 1) { settings.scenes } else { 0 };
    let lines = build.in_chunks(
        of,
        |index| match items.get(index) {
            Some((item, object)) => build.emoji(index, item, object).map(Some),
            None => build.scene(index, index - items.len(), &stocks),
        },
        &mut |done| observe(EmojiProgress::Pictures { done, of }),
    )?;
    build.finish(lines.into_iter().flatten().collect(), manifest)
}

/// The data set in the making.
struct EmojiBuild<'a> {
    recipe: &'a Recipe,
    settings: &'a EmojiSettings,
    threads: rayon::ThreadPool,
    _lock: FolderLock,
}

impl<'a> EmojiBuild<'a> {
    fn start(recipe: &'a Recipe, settings: &'a EmojiSettings) -> Result<Self> {
        if let Some(unknown) = settings.styles.iter().find(|name| recipe.styles().iter().all(|s| s.name != **name)) {
            let known: Vec<&str> = recipe.styles().iter().map(|style| style.name.as_str()).collect();
            return Err(Error::input("unknown style").expected(known.join(", ")).got(unknown));
        }
        let out = &settings.out;
        let limit = settings.limit.map(|limit| limit.get());
        let (recipe_digest, styles) = (recipe.digest.clone(), settings.styles.clone());
        let EmojiSettings { scenes, things, .. } = *settings;
        let identity = EmojiIdentity { recipe: recipe_digest, scenes, styles, things, limit };
        let folder = RunFolder { dir: out, identity: "begun.json", may_hold: &["packages"] };
        let lock = folder.start(&identity)?;
        files::make_dir(&out.join("objects"))?;
        files::make_dir(&out.join("images"))?;
        let threads = rayon::ThreadPoolBuilder::new().num_threads(settings.threads.get()).build();
        let threads = threads.map_err(|e| Error::environment(format!("cannot start threads: {e}")))?;
        Ok(Self { recipe, settings, threads, _lock: lock })
    }

    /// All drawings of the packages.
    fn items(&self, observe: &mut dyn FnMut(EmojiProgress<'_>)) -> Result<Vec<Item>> {
        let cache = Cache::new(&self.settings.cache, &self.settings.registry);
        let (mut concepts, mut sets) = (None, Vec::new());
        for package in &self.recipe.packages {
            let title = package.title();
            if !cache.has(package) {
                observe(EmojiProgress::Fetching { package: &title, bytes: package.bytes });
            }
            let tgz = cache.get(package, &mut |event| {
                if let hawk_hub::Event::Retrying { why, pause } = event {
                    observe(EmojiProgress::Retrying { why, pause });
                }
            })?;
            match &package.holds {
                Holds::Names => {
                    let read = archive::read(&title, &tgz, concepts::is_wanted)?;
                    concepts = Some(Concepts::parse(&title, &read)?);
                }
                Holds::Pictures(style) => sets.push(StylePackage { style, title, tgz }),
            }
        }
        let concepts = concepts.ok_or_else(|| Error::input("the recipe has no package of emoji names"))?;
        catalogue::items(self.recipe, concepts, &sets)
    }

    /// Runs `task` for `0..of` on all threads. The results are in order.
    fn in_chunks<T: Send>(
        &self,
        of: usize,
        task: impl Fn(usize) -> Result<T> + Sync,
        report: &mut dyn FnMut(usize),
    ) -> Result<Vec<T>> {
        let mut results = Vec::with_capacity(of);
        while results.len() < of {
            report(results.len());
            let numbers = results.len()..of.min(results.len() + CHUNK);
            let chunk: Result<Vec<T>> = self.threads.install(|| numbers.into_par_iter().map(&task).collect());
            results.extend(chunk?);
        }
        report(of);
        Ok(results)
    }

    fn object_path(&self, item: &Item) -> PathBuf {
        let style = self.recipe.styles()[item.style].name.replace(' ', "-");
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        self.settings
            .out
            .join("objects")
            .join(format!("{style}-{}.png", item.name.chars().map(plain).collect::<String>()))
    }

    /// Makes the cut-outs of all items on disk. The manifest lists drawings that cannot be drawn.
    fn objects(
        &self,
        items: &[Item],
        manifest: &mut Manifest,
        observe: &mut dyn FnMut(EmojiProgress<'_>),
    ) -> Result<Vec<Option<CutoutLook>>> {
        let of = items.len();
        let objects = self.in_chunks(of, |index| self.object(&items[index]), &mut |done| {
            observe(EmojiProgress::Objects { done, of })
        })?;
        let undrawable = items.iter().zip(&objects).filter(|(_, object)| object.is_none());
        manifest.undrawable =
            undrawable.map(|(item, _)| format!("{}/{}", self.recipe.styles()[item.style].name, item.name)).collect();
        Ok(objects)
    }

    fn object(&self, item: &Item) -> Result<Option<CutoutLook>> {
        let path = self.object_path(item);
        let there = std::fs::read(&path).ok().and_then(|png| Cutout::from_png(&png).ok());
        let cutout = match there {
            Some(cutout) => cutout,
            None => {
                let Ok(drawn) = item.draw() else { return Ok(None) };
                let png = drawn.to_png()?;
                files::write_quickly(&path, &png)?;
                // The later steps read the file, so the look must be that of the file.
                Cutout::from_png(&png)?
            }
        };
        let mut thumb = Canvas::filled([255; 3]);
        cutout.paint(&mut thumb, SIDE_U32 / 2, SIDE_U32 / 2);
        Ok(Some(CutoutLook { thumb: thumb.thumbnail(THUMB_SIDE), colour: colour::dominant(cutout.solid_colours()) }))
    }

    /// Leaves out items that look like an earlier item of their style.
    fn without_duplicates(
        &self,
        items: impl Iterator<Item = (Item, Option<CutoutLook>)>,
        manifest: &mut Manifest,
    ) -> Vec<(Item, CutoutLook)> {
        let mut kept: Vec<(Item, CutoutLook)> = Vec::new();
        for (item, object) in items {
            let Some(object) = object else { continue };
            let like =
                |(other, known): &(Item, CutoutLook)| other.style == item.style && same(&known.thumb, &object.thumb);
            if self.threads.install(|| kept.par_iter().any(like)) {
                manifest.near_duplicates += 1;
            } else {
                kept.push((item, object));
            }
        }
        kept
    }

    /// Writes what each cut-out shows.
    fn write_object_names(&self, items: &[(Item, CutoutLook)]) -> Result<()> {
        let styles = self.recipe.styles();
        let names: Vec<ObjectName<'_>> = items
            .iter()
            .map(|(item, object)| {
                let path = self.object_path(item);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let counted = self.is_object(&item.concept).then_some(&self.recipe.lists);
                ObjectName::new(format!("objects/{name}"), &styles[item.style].name, item, object.colour, counted)
            })
            .collect();
        objects::write(&self.settings.out.join("objects.jsonl"), &names)
    }

    /// The things that scenes show: listed objects that training also shows alone.
    fn stocks(&self, items: &[(Item, CutoutLook)]) -> Result<Vec<Stock>> {
        let styles = self.recipe.styles();
        let mut stocks = Vec::new();
        for (index, style) in styles.iter().enumerate().filter(|(_, style)| style.scenes) {
            let mut objects: BTreeMap<String, Cutout> = BTreeMap::new();
            for (item, _) in items.iter().filter(|(item, _)| item.style == index && item.split == Split::Train) {
                if self.is_object(&item.concept) {
                    let cutout = Cutout::from_png(&files::read(&self.object_path(item))?)?;
                    objects.entry(words::phrase(&item.concept)).or_insert(cutout);
                }
            }
            stocks.push(Stock { style: style.name.clone(), objects: objects.into_iter().collect() });
        }
        Ok(stocks)
    }

    /// Whether the recipe lists the concept as a thing that can be counted.
    fn is_object(&self, concept: &Concept) -> bool {
        concept.tone.is_none() && self.recipe.lists.objects.contains(&concept.label)
    }

    fn emoji(&self, index: usize, item: &Item, object: &CutoutLook) -> Result<Entry> {
        let style = &self.recipe.styles()[item.style].name;
        let mut picture = Canvas::filled([255; 3]);
        Cutout::from_png(&files::read(&self.object_path(item))?)?.paint(&mut picture, SIDE_U32 / 2, SIDE_U32 / 2);
        let (file, pixels) = self.save(index, &picture)?;
        Ok(Entry {
            file,
            captions: words::captions(&item.concept, style, object.colour, self.is_object(&item.concept)),
            style: style.clone(),
            concept: item.concept.label.clone(),
            family: item.family.clone(),
            kind: Kind::Emoji,
            split: item.split,
            weight: if item.concept.is_people() { 0.5 } else { 1.0 },
            mirror: item.concept.may_be_mirrored(),
            pixels,
        })
    }

    fn scene(&self, index: usize, number: usize, stocks: &[Stock]) -> Result<Option<Entry>> {
        let Some(scene) = scenes::compose(number, stocks, &self.recipe.lists) else { return Ok(None) };
        let (file, pixels) = self.save(index, &scene.picture)?;
        Ok(Some(Entry {
            file,
            captions: scene.captions,
            style: scene.style,
            concept: scene.parts,
            family: scene.layout.to_owned(),
            kind: Kind::Scene,
            split: scene.split,
            weight: 1.0,
            mirror: false,
            pixels,
        }))
    }

    /// Writes a picture unless the file already has it. Returns its path and the digest of its
    /// pixels.
    fn save(&self, index: usize, picture: &Canvas) -> Result<(String, String)> {
        let file = format!("images/{index:06}.png");
        let path = self.settings.out.join(&file);
        let there = std::fs::read(&path).ok().and_then(|png| Canvas::from_png(&png));
        if there.is_none_or(|there| there.0 != picture.0) {
            files::write_quickly(&path, &picture.to_png()?)?;
        }
        Ok((file, hex(&Sha256::digest(&picture.0))))
    }

    fn finish(&self, lines: Vec<Entry>, mut manifest: Manifest) -> Result<Manifest> {
        let out = &self.settings.out;
        let mut text = Vec::new();
        for line in &lines {
            let counts = match line.kind {
                Kind::Scene => &mut manifest.scenes,
                _ => &mut manifest.emoji,
            };
            counts.entry(line.group().to_owned()).or_default().add(line.split);
            serde_json::to_writer(&mut text, line).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
            text.push(b'\n');
        }
        manifest.pictures = lines.len();
        manifest.digest = hex(&Sha256::digest(&text));
        files::write(&out.join("sheet.png"), &contact_sheet(&self.rows(&lines)?)?)?;
        files::write(&out.join("ATTRIBUTION"), manifest::attribution(self.recipe, self.settings).as_bytes())?;
        files::write(&out.join("captions.jsonl"), &text)?;
        files::write_json(&out.join("manifest.json"), &manifest)?;
        Ok(manifest)
    }

    /// The rows of the contact sheet: some pictures of every style and layout.
    fn rows(&self, lines: &[Entry]) -> Result<Vec<Vec<Canvas>>> {
        let mut groups: Vec<(&str, Vec<&Entry>)> = Vec::new();
        for line in lines {
            let group = line.group();
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, lines)) => lines.push(line),
                None => groups.push((group, vec![line])),
            }
        }
        let row =
            |lines: &Vec<&Entry>| spread(lines.len()).map(|i| read_picture(&self.settings.out, lines[i])).collect();
        groups.iter().map(|(_, lines)| row(lines)).collect()
    }
}

fn read_picture(out: &Path, line: &Entry) -> Result<Canvas> {
    let path = out.join(&line.file);
    let picture = Canvas::from_png(&files::read(&path)?);
    picture.ok_or_else(|| Error::environment("another process changed the picture").at(path.display()))
}

fn same(a: &[u8], b: &[u8]) -> bool {
    let limit = (SAME * SAME * a.len() as f64) as u64;
    let mut sum = 0u64;
    a.chunks(96).zip(b.chunks(96)).all(|(a, b)| {
        sum += a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
        sum < limit
    })
}

#[cfg(test)]
#[path = "make_tests.rs"]
mod tests;
