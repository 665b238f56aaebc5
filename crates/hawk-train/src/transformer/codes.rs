//! Pictures as the tokenizer sees them: codes, made once and kept in one file.

use std::path::Path;

use hawk_nn::kernels::Pool;
use hawk_nn::{Error, Image, Result, VqEncoder};
use hawk_spec::Grid;
use rayon::prelude::*;

use crate::corpus::Corpus;
use crate::files;
use crate::pixels::mirrored;

/// Pictures that are encoded between two reports.
const CHUNK: usize = 256;

/// The codes of all pictures of a corpus, and of the mirror images of those that may be mirrored.
pub(crate) struct Grids {
    cells: usize,
    codes: Vec<u16>,
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Plain,
    Mirrored,
}

impl Grids {
    /// Reads them from `path`, or makes them and writes them there; whether a file belongs to a corpus and a tokenizer is the caller's to
    /// know. Broken off by `observe`, it gives nothing.
    ///
    /// # Errors
    /// Pictures that cannot be read or encoded, a file that is damaged or cannot be written.
    pub(crate) fn open(
        path: &Path,
        corpus: &Corpus,
        encoder: &VqEncoder,
        (grid, pixels): (Grid, usize),
        observe: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Self>> {
        let cells = grid.cells() as usize;
        if path.exists() {
            let bytes = files::read(path)?;
            let expected = corpus.entries.len() * 4 * cells;
            if bytes.len() != expected {
                return Err(Error::input("a damaged file of codes")
                    .at(path.display())
                    .expected(format!("{expected} bytes"))
                    .got(bytes.len())
                    .hint("remove it to have it made again"));
            }
            let codes = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            return Ok(Some(Self { cells, codes }));
        }
        let encode = |image: &Image, out: &mut Vec<u16>| -> Result<()> {
            out.extend(encoder.encode(&Pool::new(1), image, grid)?.iter().map(|code| code.0 as u16));
            Ok(())
        };
        let of = |index: usize| {
            let (picture, mut codes) = (corpus.picture(index, pixels)?, Vec::with_capacity(2 * cells));
            encode(&picture, &mut codes)?;
            match corpus.entries[index].mirror {
                true => encode(&mirrored(&picture), &mut codes)?,
                // It is not asked for.
                false => codes.extend_from_within(..),
            }
            Ok(codes)
        };
        let (mut codes, all) = (Vec::new(), corpus.entries.len());
        while codes.len() < all * 2 * cells {
            let done = codes.len() / (2 * cells);
            let chunk: Result<Vec<Vec<u16>>> = (done..all.min(done + CHUNK)).into_par_iter().map(of).collect();
            codes.extend(chunk?.into_iter().flatten());
            if observe(codes.len() / (2 * cells)) {
                return Ok(None);
            }
        }
        files::write(path, &codes.iter().flat_map(|code| code.to_le_bytes()).collect::<Vec<_>>())?;
        Ok(Some(Self { cells, codes }))
    }

    /// Codes of a picture in raster order.
    pub(crate) fn of(&self, index: usize, side: Side) -> &[u16] {
        let at = 2 * index + usize::from(side == Side::Mirrored);
        &self.codes[at * self.cells..][..self.cells]
    }
}
