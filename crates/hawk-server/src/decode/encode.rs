//! Pictures in the formats that clients ask for, and pictures of images that are not finished.

use hawk::{Code, Error, Grid, Image, Record, Result, write_plain_png, write_png};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// The grey of cells that are not decided.
const UNDECIDED: [u8; 3] = [226, 226, 230];

/// A format of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    /// With the record of a finished image.
    Png,
    Jpeg {
        /// 1 to 100.
        quality: u8,
    },
    WebP {
        /// 0 to 100; 100 is without loss.
        quality: u8,
    },
}

impl PictureFormat {
    /// The name in requests and answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg { .. } => "jpeg",
            Self::WebP { .. } => "webp",
        }
    }

    /// The file of a picture. PNG files hold the record, where there is one.
    ///
    /// # Errors
    /// The picture is too large for the format.
    pub(crate) fn encode(self, picture: &Image, record: Option<&Record>) -> Result<Vec<u8>> {
        let (width, height) = (picture.width, picture.height);
        let mut bytes = Vec::new();
        let written = match (self, record) {
            (Self::Png, Some(record)) => return write_png(picture, record),
            (Self::Png, None) => return write_plain_png(picture),
            (Self::Jpeg { quality }, _) => JpegEncoder::new_with_quality(&mut bytes, quality).write_image(
                &picture.pixels,
                width,
                height,
                ExtendedColorType::Rgb8,
            ),
            // The `image` library writes WebP without loss only.
            (Self::WebP { quality }, _) if quality < 100 => return lossy_webp(picture, f32::from(quality)),
            (Self::WebP { .. }, _) => WebPEncoder::new_lossless(&mut bytes).write_image(
                &picture.pixels,
                width,
                height,
                ExtendedColorType::Rgb8,
            ),
        };
        written.map(|()| bytes).map_err(|e| Error::input(format!("cannot write a {} picture: {e}", self.name())))
    }
}

fn lossy_webp(picture: &Image, quality: f32) -> Result<Vec<u8>> {
    let encoder = webp::Encoder::from_rgb(&picture.pixels, picture.width, picture.height);
    let written = encoder.encode_simple(false, quality);
    let bytes = written.map_err(|e| Error::input(format!("cannot write a webp picture: {e:?}")))?;
    Ok(bytes.to_vec())
}

/// A whole grid for codes that end early: the last decided row is repeated, since pixels depend on the
/// cells around theirs.
pub(crate) fn filled(codes: &[Code], grid: Grid) -> Vec<Code> {
    let columns = grid.cols() as usize;
    let mut all = codes.to_vec();
    while all.len() < grid.cells() as usize {
        let above = all.len().checked_sub(columns).map(|at| all[at]);
        all.push(above.or(all.last().copied()).unwrap_or(Code(0)));
    }
    all
}

/// Covers the cells from `decided` on with a quiet grey.
pub(crate) fn cover(picture: &mut Image, decided: usize, grid: Grid) {
    let (columns, width) = (grid.cols() as usize, picture.width as usize);
    let cell = [picture.width / grid.cols(), picture.height / grid.rows()].map(|side| side as usize);
    for (at, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
        let (row, column) = (at / width / cell[1], at % width / cell[0]);
        if row * columns + column >= decided {
            pixel.copy_from_slice(&UNDECIDED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecided_cells_are_covered_and_no_others() {
        let grid = Grid::new(2, 2).unwrap();
        let mut picture = Image { width: 4, height: 4, pixels: vec![9; 48] };
        cover(&mut picture, 3, grid);
        let grey: Vec<usize> = (0..16).filter(|at| picture.pixels[3 * at] == UNDECIDED[0]).collect();
        assert_eq!(grey, [10, 11, 14, 15]);
    }

    #[test]
    fn a_grid_is_filled_from_above() {
        let grid = Grid::new(3, 2).unwrap();
        let whole = |codes: &[u32]| {
            let codes: Vec<Code> = codes.iter().copied().map(Code).collect();
            filled(&codes, grid).into_iter().map(|code| code.0).collect::<Vec<_>>()
        };
        assert_eq!(whole(&[]), [0; 6]);
        assert_eq!(whole(&[7]), [7; 6]);
        assert_eq!(whole(&[1, 2, 3]), [1, 2, 3, 2, 3, 2]);
    }

    #[test]
    fn formats_are_what_they_say() {
        let picture = Image { width: 4, height: 4, pixels: (0..48).collect() };
        let begins = |format: PictureFormat| format.encode(&picture, None).unwrap()[..4].to_vec();
        assert_eq!(begins(PictureFormat::Png), b"\x89PNG");
        assert_eq!(begins(PictureFormat::Jpeg { quality: 90 })[..3], [0xff, 0xd8, 0xff]);
        assert_eq!(begins(PictureFormat::WebP { quality: 100 }), b"RIFF");
        assert_eq!(begins(PictureFormat::WebP { quality: 80 }), b"RIFF");
    }

    #[test]
    fn webp_loses_nothing_at_100_and_grows_with_its_quality() {
        let pixels: Vec<u8> = (0..64 * 64 * 3_u32).map(|at| (at.wrapping_mul(at) >> 5) as u8).collect();
        let picture = Image { width: 64, height: 64, pixels };
        let files = [10, 60, 99, 100].map(|quality| PictureFormat::WebP { quality }.encode(&picture, None).unwrap());
        let read = |file: &[u8]| image::load_from_memory(file).unwrap().to_rgb8().into_raw();
        assert_eq!(read(&files[3]), picture.pixels);
        assert!(files[..3].iter().all(|file| read(file).len() == picture.pixels.len()));
        assert!(files[0].len() < files[1].len() && files[1].len() < files[2].len());
    }
}
