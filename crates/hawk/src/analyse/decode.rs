//! Codes to pixels, without the transformer.

use hawk_nn::{Cpu, Device, Error, HawkConfig, Image, ImageSize, ModelSource, Result};
use hawk_spec::{Code, Grid};

use crate::model::{no_image_side, read_transformer};

/// The codes of an image in raster order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGrid {
    /// One code per cell, row by row.
    pub codes: Vec<Code>,
    /// Size of the image in pixels; without it the model's own size.
    pub size: Option<ImageSize>,
}

/// The images of whole grids of codes. It needs the grid's config and the VQ tokenizer alone.
///
/// # Errors
/// The decoder cannot be read, the model does not draw a size, codes do not fill the grid, or a code
/// is not in the codebook.
pub fn decode(source: &ModelSource, threads: usize, grids: &[CodeGrid]) -> Result<Vec<Image>> {
    let own = OwnGrid::read(source)?;
    let decoder = Cpu::new(threads)?.load_vq(&source.vq_tokenizer()?)?;
    let per_cell = decoder.config().pixels_per_cell() as u32;
    let image = |(number, CodeGrid { codes, size }): (usize, &CodeGrid)| {
        let decoded = own.of_size(*size, per_cell).and_then(|grid| {
            let other_size = size.is_none() && codes.len() != grid.cells() as usize;
            let named = |e: Error| if other_size { e.hint("--size WxH names the size of the image") } else { e };
            decoder.decode(codes, grid).map_err(named)
        });
        decoded.map_err(|e| e.at(format!("image {number}")))
    };
    grids.iter().enumerate().map(image).collect()
}

/// The grid of a model's images, from as few of its files as possible.
enum OwnGrid {
    /// Of a model whose sizes are known.
    Sized(Box<HawkConfig>),
    /// The only one.
    Fixed(Grid),
}

impl OwnGrid {
    fn read(source: &ModelSource) -> Result<Self> {
        // A folder for decoding alone needs no transformer.
        if source.contains("hawk.json") {
            let config = HawkConfig::from_json(&source.read("hawk.json")?);
            return config.map(|config| Self::Sized(Box::new(config))).map_err(|e| e.at(source.describe("hawk.json")));
        }
        let transformer = read_transformer(source)?;
        match transformer.family.rules().side() {
            Some(side) => Grid::new(side as u32, side as u32)
                .map(Self::Fixed)
                .map_err(|e| Error::input(e.to_string()).at(source.describe("config.json"))),
            None => HawkConfig::of_model(source, &transformer)?
                .map(|config| Self::Sized(Box::new(config)))
                .ok_or_else(|| no_image_side(source)),
        }
    }

    /// The grid of an image. A cell has `per_cell` pixels a side.
    fn of_size(&self, size: Option<ImageSize>, per_cell: u32) -> Result<Grid> {
        match (self, size) {
            (Self::Sized(config), None) => Ok(config.layout.grid()),
            (Self::Sized(config), Some(size)) => Ok(config.resized(size)?.layout.grid()),
            (Self::Fixed(grid), None) => Ok(*grid),
            (Self::Fixed(grid), Some(size)) => {
                let own = ImageSize { height: grid.rows() * per_cell, width: grid.cols() * per_cell };
                match size == own {
                    true => Ok(*grid),
                    false => Err(Error::input("the model does not draw images of this size").expected(own).got(size)),
                }
            }
        }
    }
}
