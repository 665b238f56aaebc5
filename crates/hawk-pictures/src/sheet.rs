//! Contact sheets: some pictures of every kind, to be looked at.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Cursor;
use std::path::Path;

use hawk_files::{Error, Result, atomic};
use image::{ImageFormat, Rgb, RgbImage, imageops};
use rayon::prelude::*;

use crate::mixture::Mixture;
use crate::picture::SIDE;
use crate::record::Told;
use crate::sample::{Kind, Sample};

const COLUMNS: usize = 8;
/// Pictures that an overview looks through, and shows of a group.
const OVERVIEW: u64 = 600;
const OVERVIEW_COLUMNS: usize = 14;
/// Pixels between pictures.
const GAP: usize = 4;
/// Pictures that are looked through for each that is shown.
const LOOKED_THROUGH: u64 = 400;

/// Writes `sheet-KIND.png` and its captions in `sheet-KIND.txt` for every kind that the mixture has.
///
/// # Errors
/// A picture cannot be made; a file cannot be written.
pub fn write(mixture: &Mixture, each: usize, dir: &Path) -> Result<()> {
    let mut found: Vec<(Kind, Vec<Sample>)> = Kind::ALL.map(|kind| (kind, Vec::new())).into();
    for index in 0..LOOKED_THROUGH * each as u64 {
        if found.iter().all(|(_, samples)| samples.len() >= each) {
            break;
        }
        let kind = mixture.kind(index);
        if let Some((_, samples)) = found.iter_mut().find(|(of, samples)| *of == kind && samples.len() < each) {
            samples.push(mixture.sample(index)?);
        }
    }
    for (kind, samples) in found.iter().filter(|(_, samples)| !samples.is_empty()) {
        let place = |ending: &str| dir.join(format!("sheet-{}.{ending}", format!("{kind:?}").to_lowercase()));
        atomic::write(&place("png"), &png(&grid(&samples.chunks(COLUMNS).collect::<Vec<_>>(), COLUMNS))?)?;
        let mut text = String::new();
        for (index, sample) in samples.iter().enumerate() {
            let (row, column) = (index / COLUMNS + 1, index % COLUMNS + 1);
            let _ = writeln!(text, "row {row}, column {column}: {}", sample.captions.join(" | "));
        }
        atomic::write(&place("txt"), text.as_bytes())?;
    }
    Ok(())
}

/// A PNG file with a row for every kind and group of the first pictures.
pub(crate) fn overview(mixture: &Mixture, pictures: u64) -> Result<Vec<u8>> {
    let shown = (0..pictures.min(OVERVIEW)).into_par_iter().map(|index| mixture.sample(index));
    let mut groups: BTreeMap<(Kind, String), Vec<Sample>> = BTreeMap::new();
    for sample in shown.collect::<Result<Vec<_>>>()? {
        let group = groups.entry((sample.kind, Told::of(&sample).group().to_owned())).or_default();
        if group.len() < OVERVIEW_COLUMNS {
            group.push(sample);
        }
    }
    let rows: Vec<&[Sample]> = groups.values().map(Vec::as_slice).collect();
    png(&grid(&rows, OVERVIEW_COLUMNS))
}

fn png(sheet: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    let written = sheet.write_to(&mut png, ImageFormat::Png);
    written.map_err(|e| Error::input(e.to_string()).at("the contact sheet"))?;
    Ok(png.into_inner())
}

fn grid(rows: &[&[Sample]], columns: usize) -> RgbImage {
    let step = SIDE + GAP;
    let mut sheet = RgbImage::from_pixel((columns * step) as u32, (rows.len() * step) as u32, Rgb([235; 3]));
    for (row, samples) in rows.iter().enumerate() {
        for (column, sample) in samples.iter().enumerate() {
            let picture = RgbImage::from_raw(SIDE as u32, SIDE as u32, sample.picture.rgb.clone()).unwrap_or_default();
            imageops::replace(&mut sheet, &picture, (column * step) as i64, (row * step) as i64);
        }
    }
    sheet
}
