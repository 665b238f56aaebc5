//! Pictures on disk, one PNG file each: `images/NNNNNN.png`, `captions.jsonl`, `manifest.json`, `sheet.png` and, where things are shown,
//! `ATTRIBUTION`. It is the format of `hawk data emoji`.
//!
//! The list grows as `captions.jsonl.part` and gets its name when it is complete, so that a run that was stopped goes on where it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;

use hawk_files::atomic::{self, Durability};
use hawk_files::{Error, Result, hex};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageFormat};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::begun::{Begun, Form};
use crate::files;
use crate::list::{List, Listed};
use crate::mixture::{Percent, Shares};
use crate::order::{Order, Progress};
use crate::picture::{Picture, SIDE};
use crate::record::{Split, Tally, Told};
use crate::sample::{HeldOut, Kind, Sample};
use crate::sheet;

/// Most pictures of a folder: their files have six digits.
pub const MOST: u64 = 1_000_000;
/// Pictures between two reports.
const CHUNK: u64 = 64;
/// Files of a folder.
const LIST: &str = "captions.jsonl";
const MANIFEST: &str = "manifest.json";
const SHEET: &str = "sheet.png";

/// A line of the list.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    captions: &'a [String],
    style: &'a str,
    concept: String,
    family: &'a str,
    kind: Kind,
    split: Split,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_out: Option<HeldOut>,
    /// Every picture is as likely in training as every other: the shares say how many there are.
    weight: f32,
    mirror: bool,
    attributes: &'a BTreeMap<String, String>,
    pixels: String,
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// SHA-256 of `captions.jsonl`. Its lines have the SHA-256 of their pictures, so it covers the whole set.
    pub digest: String,
    /// Number of pictures.
    pub pictures: u64,
    /// Other seeds give other pictures.
    pub seed: u64,
    /// Shares of the kinds.
    pub shares: Shares,
    /// How many of a hundred landscapes were chosen to show an aurora.
    #[serde(skip_serializing_if = "Percent::is_none")]
    pub auroras: Percent,
    /// Digest of the things, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub things: Option<String>,
    /// Pictures by kind, group and split.
    pub counts: Tally,
}

/// Paints the pictures that are not there yet.
///
/// # Errors
/// More than [`MOST`] pictures; the folder holds something else; a picture cannot be made; a file cannot be written.
pub fn paint(order: &Order, observe: &mut dyn FnMut(Progress)) -> Result<Manifest> {
    order.limit(MOST)?;
    let pool = order.pool()?;
    let begun = Begun::new(order, Form::Images);
    let _lock = begun.start(order)?;
    let images = order.out.join("images");
    fs::create_dir_all(&images).map_err(|e| Error::io("make the folder", &images, &e))?;
    let mut list = List::open(&order.out.join(LIST), file)?;
    let (mut progress, pictures) = (Progress { done: 0, painted: 0 }, order.pictures.get());
    observe(progress);
    while progress.done < pictures {
        let to = pictures.min(progress.done + CHUNK);
        let known = list.pixels();
        let one = |index: u64| match known.get(index as usize) {
            Some(pixels) if is_there(order, index, pixels) => Ok(None),
            _ => save(order, index).map(Some),
        };
        let saved: Vec<Option<Listed>> =
            pool.install(|| (progress.done..to).into_par_iter().map(one).collect::<Result<_>>())?;
        for (index, saved) in (progress.done..to).zip(saved) {
            progress.painted += u64::from(saved.is_some());
            if let Some(saved) = saved.filter(|_| index >= list.pixels().len() as u64) {
                list.add(saved);
            }
        }
        list.flush()?;
        progress.done = to;
        observe(progress);
    }
    let counts = list.complete()?;
    let sheet = order.out.join(SHEET);
    if progress.painted > 0 || !sheet.exists() {
        let png = pool.install(|| sheet::overview(&order.mixture, pictures))?;
        atomic::write(&sheet, &png)?;
    }
    let manifest = Manifest {
        digest: files::digest(&order.out.join(LIST))?,
        pictures,
        seed: order.mixture.seed(),
        shares: order.mixture.shares(),
        auroras: order.mixture.auroras(),
        things: begun.things().map(ToOwned::to_owned),
        counts,
    };
    files::write_json(&order.out.join(MANIFEST), &manifest)?;
    Ok(manifest)
}

fn file(index: u64) -> String {
    format!("images/{index:06}.png")
}

/// Whether the file of a picture has the pixels with this digest.
fn is_there(order: &Order, index: u64, pixels: &str) -> bool {
    let bytes = fs::read(order.out.join(file(index))).unwrap_or_default();
    let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Png);
    picture.is_ok_and(|picture| digest(picture.to_rgb8().as_raw()) == pixels)
}

fn digest(rgb: &[u8]) -> String {
    hex(&Sha256::digest(rgb))
}

fn save(order: &Order, index: u64) -> Result<Listed> {
    let sample = order.mixture.sample(index)?;
    let path = order.out.join(file(index));
    atomic::write_with(&path, &png(&sample.picture)?, Durability::Fast)?;
    let told = Told::of(&sample);
    let Sample { captions, kind, style, attributes, held_out, mirror, picture } = &sample;
    let pixels = digest(&picture.rgb);
    let line = Line {
        file: file(index),
        captions,
        style,
        concept: told.concept(),
        family: told.family(),
        kind: *kind,
        split: told.split(),
        held_out: *held_out,
        weight: 1.0,
        mirror: *mirror,
        attributes,
        pixels: pixels.clone(),
    };
    let mut line = serde_json::to_vec(&line).map_err(|e| Error::input(e.to_string()).at(LIST))?;
    line.push(b'\n');
    Ok(Listed { line, pixels, told })
}

fn png(picture: &Picture) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    let written = encoder.write_image(&picture.rgb, SIDE as u32, SIDE as u32, ExtendedColorType::Rgb8);
    written.map_err(|e| Error::input(format!("cannot write the PNG: {e}")).at("a picture"))?;
    Ok(bytes.into_inner())
}
