//! Contact sheets: some pictures of every kind, to be looked at.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage, imageops};

use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::picture::SIDE;
use crate::sample::{Kind, Sample};

const COLUMNS: usize = 8;
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
        let png = place("png");
        let saved = sheet(samples).save(&png);
        saved.map_err(|e| Error::input(png.display(), e))?;
        let mut text = String::new();
        for (index, sample) in samples.iter().enumerate() {
            let (row, column) = (index / COLUMNS + 1, index % COLUMNS + 1);
            let _ = writeln!(text, "row {row}, column {column}: {}", sample.captions.join(" | "));
        }
        fs::write(place("txt"), text).map_err(Error::file("write the captions", &place("txt")))?;
    }
    Ok(())
}

fn sheet(samples: &[Sample]) -> RgbImage {
    let step = SIDE + GAP;
    let rows = samples.len().div_ceil(COLUMNS);
    let mut sheet = RgbImage::from_pixel((COLUMNS * step) as u32, (rows * step) as u32, Rgb([235; 3]));
    for (index, sample) in samples.iter().enumerate() {
        let picture = RgbImage::from_raw(SIDE as u32, SIDE as u32, sample.picture.rgb.clone()).unwrap_or_default();
        imageops::replace(&mut sheet, &picture, (index % COLUMNS * step) as i64, (index / COLUMNS * step) as i64);
    }
    sheet
}
