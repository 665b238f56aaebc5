//! The order of the work: packages, cut-outs, pictures, captions, and everything on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hawk_nn::{Error, Result, hex};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::catalogue::{self, Item, Set};
use super::concepts::{self, Concept, Concepts};
use super::manifest::{self, Manifest};
use super::picture::{Cutout, Picture, SIDE};
use super::recipe::{Holds, Recipe};
use super::scenes::{self, Stock};
use super::sheet::{sheet, spread};
use super::split::Split;
use super::{EmojiProgress, EmojiSettings, archive, colour, objects, words};
use crate::files;

/// Pictures between two reports.
const CHUNK: usize = 64;
/// Side of the thumbnails that are compared, and the mean difference (of 255) below which two are the same.
const THUMB_SIDE: u32 = 24;
const SAME: f64 = 0.01 * 255.0;

/// The standard's group of faces and hearts.
const FACES: &str = "smileys-emotion";

/// What a folder was begun with.
#[derive(Serialize, Deserialize, PartialEq)]
struct Begun {
    recipe: String,
    scenes: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    styles: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    things: bool,
    limit: Option<usize>,
}

/// A cut-out as the later steps need it; the pixels stay on disk.
struct Object {
    thumb: Vec<u8>,
    colour: Option<&'static str>,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// One drawing.
    Emoji,
    /// Several drawings, or one on a coloured ground.
    Scene,
}

/// A line of `captions.jsonl`.
#[derive(Serialize)]
struct Line {
    file: String,
    /// The first is the fullest.
    captions: Vec<String>,
    style: String,
    /// Of an emoji: the label. Of a scene: what is combined.
    concept: String,
    /// Of an emoji: what it shares with its like. Of a scene: the layout.
    family: String,
    kind: Kind,
    split: Split,
    /// How often the picture should be seen, beside others.
    weight: f32,
    /// Whether the captions hold for the mirrored picture too.
    mirror: bool,
    /// SHA-256 of the RGB pixels.
    pixels: String,
}

pub(crate) fn make(
    recipe: &Recipe,
    settings: &EmojiSettings,
    observe: &mut dyn FnMut(EmojiProgress<'_>),
) -> Result<Manifest> {
    let work = Work::begin(recipe, settings)?;
    let mut items = work.items(observe)?;
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
    let objects = work.objects(&items, &mut manifest, observe)?;
    let items = work.without_duplicates(items.into_iter().zip(objects), &mut manifest);
    work.name_objects(&items)?;
    let stocks = work.stocks(&items)?;
    let of = items.len() + if stocks.iter().any(|stock| stock.objects.len() > 1) { settings.scenes } else { 0 };
    let lines = work.in_chunks(
        of,
        |index| match items.get(index) {
            Some((item, object)) => work.emoji(index, item, object).map(Some),
            None => work.scene(index, index - items.len(), &stocks),
        },
        &mut |done| observe(EmojiProgress::Pictures { done, of }),
    )?;
    work.finish(lines.into_iter().flatten().collect(), manifest)
}

impl Line {
    /// Where it is counted and shown: its style, or a scene's layout.
    fn row(&self) -> &str {
        match self.kind {
            Kind::Emoji => &self.style,
            Kind::Scene => &self.family,
        }
    }
}

struct Work<'a> {
    recipe: &'a Recipe,
    settings: &'a EmojiSettings,
    threads: rayon::ThreadPool,
}

impl<'a> Work<'a> {
    fn begin(recipe: &'a Recipe, settings: &'a EmojiSettings) -> Result<Self> {
        if let Some(unknown) = settings.styles.iter().find(|name| recipe.styles().iter().all(|s| s.name != **name)) {
            let known: Vec<&str> = recipe.styles().iter().map(|style| style.name.as_str()).collect();
            return Err(Error::input("the recipe has no such style").expected(known.join(", ")).got(unknown));
        }
        let out = &settings.out;
        files::make_dir(out)?;
        let limit = settings.limit.map(|limit| limit.get());
        let (recipe_digest, styles) = (recipe.digest.clone(), settings.styles.clone());
        let EmojiSettings { scenes, things, .. } = *settings;
        let begun = Begun { recipe: recipe_digest, scenes, styles, things, limit };
        files::claim(&out.join("begun.json"), &begun)?;
        files::make_dir(&out.join("objects"))?;
        files::make_dir(&out.join("images"))?;
        let threads = rayon::ThreadPoolBuilder::new().num_threads(settings.threads.get()).build();
        let threads = threads.map_err(|e| Error::environment(format!("cannot start threads: {e}")))?;
        Ok(Self { recipe, settings, threads })
    }

    /// All pictures that the packages offer.
    fn items(&self, observe: &mut dyn FnMut(EmojiProgress<'_>)) -> Result<Vec<Item>> {
        let cache = Cache::new(&self.settings.cache, &self.settings.registry);
        let (mut concepts, mut sets) = (None, Vec::new());
        for package in &self.recipe.packages {
            let title = package.title();
            if !cache.has(package) {
                observe(EmojiProgress::Fetching { package: &title, bytes: package.bytes });
            }
            let tgz = cache.get(package)?;
            match &package.holds {
                Holds::Names => {
                    let read = archive::read(&title, &tgz, concepts::is_wanted)?;
                    concepts = Some(Concepts::parse(&title, &read)?);
                }
                Holds::Pictures(style) => sets.push(Set { style, title, tgz }),
            }
        }
        let concepts = concepts.ok_or_else(|| Error::input("the recipe has no package of names"))?;
        catalogue::items(self.recipe, concepts, &sets)
    }

    /// Runs `task` for the numbers below `of` on all threads; the results come in order.
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

    /// The cut-outs of all items, on disk; those that cannot be drawn are named in the manifest.
    fn objects(
        &self,
        items: &[Item],
        manifest: &mut Manifest,
        observe: &mut dyn FnMut(EmojiProgress<'_>),
    ) -> Result<Vec<Option<Object>>> {
        let of = items.len();
        let objects = self.in_chunks(of, |index| self.object(&items[index]), &mut |done| {
            observe(EmojiProgress::Objects { done, of })
        })?;
        let undrawable = items.iter().zip(&objects).filter(|(_, object)| object.is_none());
        manifest.undrawable =
            undrawable.map(|(item, _)| format!("{}/{}", self.recipe.styles()[item.style].name, item.name)).collect();
        Ok(objects)
    }

    fn object(&self, item: &Item) -> Result<Option<Object>> {
        let path = self.object_path(item);
        let there = std::fs::read(&path).ok().and_then(|png| Cutout::of_png(&png).ok());
        let cutout = match there {
            Some(cutout) => cutout,
            None => {
                let Ok(drawn) = item.draw() else { return Ok(None) };
                let png = drawn.to_png()?;
                files::write_quickly(&path, &png)?;
                // What is read later must be what is seen now.
                Cutout::of_png(&png)?
            }
        };
        let mut thumb = Picture::ground([255; 3]);
        thumb.put(&cutout, (SIDE / 2, SIDE / 2));
        Ok(Some(Object { thumb: thumb.thumb(THUMB_SIDE), colour: colour::dominant(cutout.solid_colours()) }))
    }

    /// The items but those that look like an earlier one of their style.
    fn without_duplicates(
        &self,
        items: impl Iterator<Item = (Item, Option<Object>)>,
        manifest: &mut Manifest,
    ) -> Vec<(Item, Object)> {
        let mut kept: Vec<(Item, Object)> = Vec::new();
        for (item, object) in items {
            let Some(object) = object else { continue };
            let like = |(other, known): &(Item, Object)| other.style == item.style && same(&known.thumb, &object.thumb);
            if self.threads.install(|| kept.par_iter().any(like)) {
                manifest.near_duplicates += 1;
            } else {
                kept.push((item, object));
            }
        }
        kept
    }

    /// Says what each cut-out shows.
    fn name_objects(&self, items: &[(Item, Object)]) -> Result<()> {
        let styles = self.recipe.styles();
        let lines: Vec<objects::Line<'_>> = items
            .iter()
            .map(|(item, object)| {
                let path = self.object_path(item);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let counted = self.is_object(&item.concept).then_some(&self.recipe.lists);
                objects::Line::new(format!("objects/{name}"), &styles[item.style].name, item, object.colour, counted)
            })
            .collect();
        objects::write(&self.settings.out.join("objects.jsonl"), &lines)
    }

    /// What scenes are composed of: objects of the list that training shows alone.
    fn stocks(&self, items: &[(Item, Object)]) -> Result<Vec<Stock>> {
        let styles = self.recipe.styles();
        let mut stocks = Vec::new();
        for (index, style) in styles.iter().enumerate().filter(|(_, style)| style.scenes) {
            let mut objects: BTreeMap<String, Cutout> = BTreeMap::new();
            for (item, _) in items.iter().filter(|(item, _)| item.style == index && item.split == Split::Train) {
                if self.is_object(&item.concept) {
                    let cutout = Cutout::of_png(&files::read(&self.object_path(item))?)?;
                    objects.entry(words::phrase(&item.concept)).or_insert(cutout);
                }
            }
            stocks.push(Stock { style: style.name.clone(), objects: objects.into_iter().collect() });
        }
        Ok(stocks)
    }

    /// Whether it stands in the recipe's list of single things.
    fn is_object(&self, concept: &Concept) -> bool {
        concept.tone.is_none() && self.recipe.lists.objects.contains(&concept.label)
    }

    fn emoji(&self, index: usize, item: &Item, object: &Object) -> Result<Line> {
        let style = &self.recipe.styles()[item.style].name;
        let mut picture = Picture::ground([255; 3]);
        picture.put(&Cutout::of_png(&files::read(&self.object_path(item))?)?, (SIDE / 2, SIDE / 2));
        let (file, pixels) = self.save(index, &picture)?;
        Ok(Line {
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

    fn scene(&self, index: usize, number: usize, stocks: &[Stock]) -> Result<Option<Line>> {
        let Some(scene) = scenes::compose(number, stocks, &self.recipe.lists) else { return Ok(None) };
        let (file, pixels) = self.save(index, &scene.picture)?;
        Ok(Some(Line {
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

    /// Writes a picture unless it is there already; its name and digest.
    fn save(&self, index: usize, picture: &Picture) -> Result<(String, String)> {
        let file = format!("images/{index:06}.png");
        let path = self.settings.out.join(&file);
        let there = std::fs::read(&path).ok().and_then(|png| Picture::of_png(&png));
        if there.is_none_or(|there| there.0 != picture.0) {
            files::write_quickly(&path, &picture.to_png()?)?;
        }
        Ok((file, hex(&Sha256::digest(&picture.0))))
    }

    fn finish(&self, lines: Vec<Line>, mut manifest: Manifest) -> Result<Manifest> {
        let out = &self.settings.out;
        let mut text = Vec::new();
        for line in &lines {
            let counts = match line.kind {
                Kind::Emoji => &mut manifest.emoji,
                Kind::Scene => &mut manifest.scenes,
            };
            counts.entry(line.row().to_owned()).or_default().add(line.split);
            serde_json::to_writer(&mut text, line).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
            text.push(b'\n');
        }
        manifest.pictures = lines.len();
        manifest.digest = hex(&Sha256::digest(&text));
        files::write(&out.join("sheet.png"), &sheet(&self.rows(&lines)?)?)?;
        files::write(&out.join("ATTRIBUTION"), manifest::attribution(self.recipe, self.settings).as_bytes())?;
        files::write(&out.join("captions.jsonl"), &text)?;
        files::write_json(&out.join("manifest.json"), &manifest)?;
        Ok(manifest)
    }

    /// Some pictures of every style and layout.
    fn rows(&self, lines: &[Line]) -> Result<Vec<Vec<Picture>>> {
        let mut groups: Vec<(&str, Vec<&Line>)> = Vec::new();
        for line in lines {
            let group = line.row();
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, lines)) => lines.push(line),
                None => groups.push((group, vec![line])),
            }
        }
        let row =
            |lines: &Vec<&Line>| spread(lines.len()).map(|i| read_picture(&self.settings.out, lines[i])).collect();
        groups.iter().map(|(_, lines)| row(lines)).collect()
    }
}

fn read_picture(out: &Path, line: &Line) -> Result<Picture> {
    let path = out.join(&line.file);
    let picture = Picture::of_png(&files::read(&path)?);
    picture.ok_or_else(|| Error::environment("the picture was changed meanwhile").at(path.display()))
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
