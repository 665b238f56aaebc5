//! Pictures on disk, some thousands a file: `shard-NNNNN.rgb` holds the pixels, `shard-NNNNN.jsonl` a line a picture.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::sample::{HeldOut, Kind, Sample};

/// Pictures that are painted before they are written: what is in memory at a time, 48 KiB each.
const CHUNK: u64 = 256;

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
/// Both files are put in place whole, the list last: a shard whose list is there is finished.
///
/// # Errors
/// A picture cannot be made; a file cannot be written.
pub fn write(mixture: &Mixture, number: u64, indices: Range<u64>, dir: &Path) -> Result<()> {
    let place = |ending: &str| dir.join(format!("shard-{number:05}.{ending}"));
    let (pixels, list) = (place("rgb"), place("jsonl"));
    let [pixels_part, list_part] = ["rgb.part", "jsonl.part"].map(place);
    let create = |path: &Path| File::create(path).map(BufWriter::new).map_err(Error::file("make the file", path));
    let (mut pixels_out, mut list_out) = (create(&pixels_part)?, create(&list_part)?);
    let mut from = indices.start;
    while from < indices.end {
        let to = indices.end.min(from + CHUNK);
        let samples: Vec<Sample> =
            (from..to).into_par_iter().map(|index| mixture.sample(index)).collect::<Result<_>>()?;
        for sample in &samples {
            let line = serde_json::to_vec(&Line::of(sample));
            let mut line = line.map_err(|e| Error::input(list.display(), e))?;
            line.push(b'\n');
            pixels_out.write_all(&sample.picture.rgb).map_err(Error::file("write the file", &pixels_part))?;
            list_out.write_all(&line).map_err(Error::file("write the file", &list_part))?;
        }
        from = to;
    }
    for (mut out, part, whole) in [(pixels_out, pixels_part, pixels), (list_out, list_part, list)] {
        out.flush().map_err(Error::file("write the file", &part))?;
        drop(out);
        fs::rename(&part, &whole).map_err(Error::file("put the file in place", &whole))?;
    }
    Ok(())
}
