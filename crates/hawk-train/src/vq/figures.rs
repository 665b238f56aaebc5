//! Measures how well a tokenizer reconstructs pictures, with the inference code.

use std::collections::BTreeMap;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_nn::{Image, VqDecoder, VqEncoder};
use hawk_spec::Grid;
use rayon::prelude::*;
use serde::Serialize;

use crate::pictures::canvas::{Canvas, SIDE};
use crate::pictures::corpus::Corpus;
use crate::pictures::sheet::{COLUMNS, contact_sheet};
use crate::vq::similarity;

/// The largest number of validation pictures that are measured.
const MEASURED: usize = 1000;
/// Rows of the contact sheet that show reconstructions.
const SHEET_ROWS: usize = 4;

/// Reconstruction quality on validation pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VqFigures {
    /// Number of pictures.
    pub pictures: usize,
    /// Means over all pictures.
    pub all: Likeness,
    /// Means over the pictures of each style.
    pub styles: BTreeMap<String, Likeness>,
    /// Codes that at least one of the pictures uses.
    pub used_codes: usize,
}

/// Similarity of pictures and their reconstructions, as means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Likeness {
    /// Peak signal-to-noise ratio in dB; at most 60 for each picture.
    pub psnr_db: f64,
    /// Structural similarity of the luma, `-1..=1` (Wang et al. 2004).
    pub ssim: f64,
}

/// A picture, and what the tokenizer makes of it.
pub(crate) struct Reconstruction {
    pub(crate) picture: Image,
    pub(crate) decoded: Image,
}

/// Encodes and decodes validation pictures. Returns the figures and some reconstructions for the
/// contact sheet.
///
/// # Errors
/// A picture cannot be read, or has another size than the tokenizer expects.
pub(crate) fn measure(
    corpus: &Corpus,
    encoder: &VqEncoder,
    decoder: &VqDecoder,
) -> Result<(VqFigures, Vec<Reconstruction>)> {
    let cells = (SIDE / decoder.config().pixels_per_cell()) as u32;
    let grid = Grid::new(cells, cells);
    let grid = grid.map_err(|e| Error::input(format!("invalid grid: {e}")))?;
    let reconstruct = |index: usize| {
        let pool = Threads::new(1);
        let picture = corpus.picture(index, SIDE)?;
        let codes = encoder.encode(&pool, &picture, grid)?;
        let decoded = decoder.decode(&pool, &codes, grid)?;
        Ok((index, codes, Reconstruction { picture, decoded }))
    };
    let results: Vec<_> =
        Corpus::spread(&corpus.validation(), MEASURED).into_par_iter().map(reconstruct).collect::<Result<_>>()?;
    let mut used = vec![false; decoder.config().codes];
    let (mut all, mut styles) = (Vec::new(), BTreeMap::<String, Vec<Likeness>>::new());
    for (index, codes, reconstruction) in &results {
        codes.iter().for_each(|code| used[code.index()] = true);
        let likeness = Likeness::of(reconstruction);
        all.push(likeness);
        styles.entry(corpus.entries[*index].style.clone()).or_default().push(likeness);
    }
    let figures = VqFigures {
        pictures: results.len(),
        all: Likeness::mean(&all),
        styles: styles.into_iter().map(|(style, all)| (style, Likeness::mean(&all))).collect(),
        used_codes: used.iter().filter(|used| **used).count(),
    };
    let step = (results.len() / (SHEET_ROWS * COLUMNS)).max(1);
    Ok((figures, results.into_iter().step_by(step).map(|(_, _, reconstruction)| reconstruction).collect()))
}

impl Likeness {
    pub(crate) fn of(Reconstruction { picture, decoded }: &Reconstruction) -> Self {
        let psnr_db = similarity::psnr(similarity::squared_error(picture, decoded));
        Self { psnr_db, ssim: similarity::ssim(picture, decoded) }
    }

    fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self { psnr_db: mean(|x| x.psnr_db), ssim: mean(|x| x.ssim) }
    }
}

/// Draws rows of pictures, each above a row of their reconstructions, as a PNG file.
///
/// # Errors
/// The PNG library fails.
pub(crate) fn sheet(reconstructions: &[Reconstruction]) -> Result<Vec<u8>> {
    let canvas = |image: &Image| Canvas(image.pixels.clone());
    let rows = reconstructions.chunks(COLUMNS).flat_map(|row| {
        [row.iter().map(|one| canvas(&one.picture)).collect(), row.iter().map(|one| canvas(&one.decoded)).collect()]
    });
    contact_sheet(&rows.collect::<Vec<Vec<_>>>())
}
