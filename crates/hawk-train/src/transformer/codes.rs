//! The codes of all pictures of a corpus, encoded once and kept in one file.

use std::ops::ControlFlow;
use std::path::Path;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_nn::{Image, VqEncoder};
use hawk_spec::Grid;
use rayon::prelude::*;

use crate::pictures::canvas::SIDE;
use crate::pictures::corpus::Corpus;
use crate::pictures::pixels::mirrored;
use crate::run::files;

/// Pictures that are encoded between two reports.
const CHUNK: usize = 256;

/// The codes of all pictures of a corpus, and of their mirror images where the captions allow it.
pub(crate) struct CorpusCodes {
    cells: usize,
    /// For each picture its codes and those of its mirror image, in raster order.
    codes: Vec<u16>,
}

/// A picture or its mirror image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orientation {
    Plain,
    Mirrored,
}

impl CorpusCodes {
    /// Reads the codes from `path`, or encodes the pictures on a grid of `side` x `side` cells and
    /// writes the file. The caller knows that the file belongs to this corpus and encoder. Returns
    /// `None` if the observer, which gets the number of encoded pictures, stopped the work.
    ///
    /// # Errors
    /// A picture cannot be read or encoded, or the file is damaged or cannot be written.
    pub(crate) fn open(
        path: &Path,
        corpus: &Corpus,
        encoder: &VqEncoder,
        side: u32,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Self>> {
        let grid = Grid::new(side, side).map_err(|e| Error::input(format!("invalid grid: {e}")))?;
        let (cells, all) = (grid.cells() as usize, corpus.entries.len());
        if path.exists() {
            return Self::read(path, all, cells).map(Some);
        }
        let mut codes = Vec::new();
        while codes.len() < all * 2 * cells {
            let done = codes.len() / (2 * cells);
            let chunk = (done..all.min(done + CHUNK)).into_par_iter();
            let chunk: Result<Vec<Vec<u16>>> = chunk.map(|index| encode(corpus, index, encoder, grid)).collect();
            codes.extend(chunk?.into_iter().flatten());
            if observer(codes.len() / (2 * cells)).is_break() {
                return Ok(None);
            }
        }
        files::write(path, &codes.iter().flat_map(|code| code.to_le_bytes()).collect::<Vec<_>>())?;
        Ok(Some(Self { cells, codes }))
    }

    fn read(path: &Path, pictures: usize, cells: usize) -> Result<Self> {
        let bytes = files::read(path)?;
        let expected = pictures * 4 * cells;
        if bytes.len() != expected {
            return Err(Error::input("the file of codes is damaged")
                .at(path.display())
                .expected(format!("{expected} bytes"))
                .got(bytes.len())
                .hint("remove the file; the same command makes it again"));
        }
        let codes = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        Ok(Self { cells, codes })
    }

    /// The codes of a picture in raster order.
    pub(crate) fn of(&self, index: usize, orientation: Orientation) -> &[u16] {
        let at = 2 * index + usize::from(orientation == Orientation::Mirrored);
        &self.codes[at * self.cells..][..self.cells]
    }
}

/// The codes of a picture and of its mirror image.
fn encode(corpus: &Corpus, index: usize, encoder: &VqEncoder, grid: Grid) -> Result<Vec<u16>> {
    let append = |image: &Image, out: &mut Vec<u16>| -> Result<()> {
        out.extend(encoder.encode(&Threads::new(1), image, grid)?.iter().map(|code| code.0 as u16));
        Ok(())
    };
    let picture = corpus.picture(index, SIDE)?;
    let mut codes = Vec::with_capacity(2 * grid.cells() as usize);
    append(&picture, &mut codes)?;
    match corpus.entries[index].mirror {
        true => append(&mirrored(&picture), &mut codes)?,
        // The mirror image is never used. A copy keeps all records the same length.
        false => codes.extend_from_within(..),
    }
    Ok(codes)
}
