//! Pictures on disk, some thousands a file: `shard-NNNNN.rgb` holds the pixels, `shard-NNNNN.jsonl` a line a picture.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hawk_files::atomic::{self, Durability};
use hawk_files::{Error, GrowingFile, Result};
use rayon::prelude::*;
use serde::Serialize;

use crate::begun::{Begun, Form};
use crate::mixture::Mixture;
use crate::order::{Order, Progress};
use crate::picture::SIDE;
use crate::record::{Tally, Told};
use crate::sample::{HeldOut, Kind, Sample};
use crate::sheet;

/// Pictures that are painted before they are written: what is in memory at a time, 48 KiB each.
const CHUNK: u64 = 256;

/// Most files of a kind: their names have five digits.
const MOST: u64 = 100_000;
/// Bytes of a picture.
const BYTES: u64 = (SIDE * SIDE * 3) as u64;

/// Paints the shards that are not there yet, each of `each` pictures, and a contact sheet.
///
/// # Errors
/// More than 100,000 shards; the folder holds something else; a picture cannot be made; a file cannot be written.
pub fn paint(order: &Order, each: NonZero<u64>, observe: &mut dyn FnMut(Progress)) -> Result<Tally> {
    order.limit(MOST.saturating_mul(each.get()))?;
    let pool = order.pool()?;
    let _lock = Begun::new(order, Form::Shards(each.get())).start(order)?;
    let (mut tally, pictures) = (Tally::default(), order.pictures.get());
    let (mut progress, mut number) = (Progress { done: 0, painted: 0 }, 0);
    observe(progress);
    while progress.done < pictures {
        let to = pictures.min(progress.done.saturating_add(each.get()));
        let indices = progress.done..to;
        let counted = match finished(&order.out, number, to - progress.done) {
            Some(counted) => counted,
            None => {
                progress.painted += to - progress.done;
                pool.install(|| write(&order.mixture, number, indices, &order.out))?
            }
        };
        tally.join(counted);
        (progress.done, number) = (to, number + 1);
        observe(progress);
    }
    let path = order.out.join("sheet.png");
    if progress.painted > 0 || !path.exists() {
        let png = pool.install(|| sheet::overview(&order.mixture, pictures))?;
        atomic::write(&path, &png)?;
    }
    Ok(tally)
}

/// What the list of a shard says, if the shard is there with so many pictures.
fn finished(dir: &Path, number: u64, pictures: u64) -> Option<Tally> {
    let pixels = fs::metadata(place(dir, number, "rgb")).ok()?.len();
    let list = fs::read_to_string(place(dir, number, "jsonl")).ok()?;
    let mut tally = Tally::default();
    for line in list.lines() {
        tally.add(&serde_json::from_str(line).ok()?);
    }
    (pixels == pictures * BYTES && list.lines().count() as u64 == pictures).then_some(tally)
}

fn place(dir: &Path, number: u64, ending: &str) -> PathBuf {
    dir.join(format!("shard-{number:05}.{ending}"))
}

/// A line of a shard's list.
#[derive(Serialize)]
struct Line<'a> {
    captions: &'a [String],
    kind: Kind,
    style: &'a str,
    attributes: &'a BTreeMap<String, String>,
    split: Split,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_out: Option<HeldOut>,
    mirror: bool,
}

/// What a picture is for.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Split {
    Train,
    Validation,
}

impl<'a> Line<'a> {
    fn of(sample: &'a Sample) -> Self {
        Self {
            captions: &sample.captions,
            kind: sample.kind,
            style: &sample.style,
            attributes: &sample.attributes,
            split: if sample.held_out.is_some() { Split::Validation } else { Split::Train },
            held_out: sample.held_out,
            mirror: sample.mirror,
        }
    }
}

/// Paints the pictures of `indices` on the threads of the current pool and writes them as shard `number` into `dir`.
/// Both files are put in place whole, the list last: a shard whose list is there is finished. Returns what is in it.
///
/// # Errors
/// A picture cannot be made; a file cannot be written.
pub fn write(mixture: &Mixture, number: u64, indices: Range<u64>, dir: &Path) -> Result<Tally> {
    let [pixels, list] = ["rgb", "jsonl"].map(|ending| place(dir, number, ending));
    let (mut pixels_out, mut list_out) = (GrowingFile::begin(&pixels)?, GrowingFile::begin(&list)?);
    let (mut tally, mut from) = (Tally::default(), indices.start);
    while from < indices.end {
        let to = indices.end.min(from + CHUNK);
        let samples: Vec<Sample> =
            (from..to).into_par_iter().map(|index| mixture.sample(index)).collect::<Result<_>>()?;
        for sample in &samples {
            let line = serde_json::to_vec(&Line::of(sample));
            let mut line = line.map_err(|e| Error::input(e.to_string()).at(list.display()))?;
            line.push(b'\n');
            tally.add(&Told::of(sample));
            pixels_out.write_all(&sample.picture.rgb).map_err(|e| Error::io("write the file", &pixels, &e))?;
            list_out.write_all(&line).map_err(|e| Error::io("write the file", &list, &e))?;
        }
        from = to;
    }
    pixels_out.finish(Durability::Fast)?;
    list_out.finish(Durability::Fast)?;
    Ok(tally)
}
