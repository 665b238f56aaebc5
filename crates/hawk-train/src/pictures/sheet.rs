//! Contact sheets: rows of pictures in one PNG file.

use hawk_files::Result;
use image::ExtendedColorType;

use crate::pictures::canvas::{Canvas, SIDE_U32, encode_png};

/// Pictures in a row.
pub(crate) const COLUMNS: usize = 14;
/// Pixels between pictures.
const GAP: u32 = 4;

/// Draws the rows as a PNG file. Pictures beyond [`COLUMNS`] are left out.
///
/// # Errors
/// The PNG library fails.
pub(crate) fn contact_sheet(rows: &[Vec<Canvas>]) -> Result<Vec<u8>> {
    sheet_of(rows, COLUMNS)
}

/// Draws the rows as a PNG file of so many columns. Pictures beyond them are left out.
///
/// # Errors
/// The PNG library fails.
pub(crate) fn sheet_of(rows: &[Vec<Canvas>], columns: usize) -> Result<Vec<u8>> {
    let step = SIDE_U32 + GAP;
    let (width, height) = (columns as u32 * step + GAP, rows.len().max(1) as u32 * step + GAP);
    let mut pixels = vec![235u8; (width * height * 3) as usize];
    for (row, pictures) in rows.iter().enumerate() {
        for (column, picture) in pictures.iter().take(columns).enumerate() {
            let (left, top) = (GAP + column as u32 * step, GAP + row as u32 * step);
            for (y, line) in picture.0.chunks_exact((SIDE_U32 * 3) as usize).enumerate() {
                let at = (((top + y as u32) * width + left) * 3) as usize;
                pixels[at..at + line.len()].copy_from_slice(line);
            }
        }
    }
    encode_png(&pixels, width, height, ExtendedColorType::Rgb8)
}

/// At most [`COLUMNS`] indices, spread evenly over `0..all`.
pub(crate) fn spread(all: usize) -> impl Iterator<Item = usize> {
    let shown = all.min(COLUMNS);
    (0..shown).map(move |i| (2 * i + 1) * all / (2 * shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_holds_its_rows() {
        let rows = [vec![Canvas::filled([255, 0, 0])], vec![]];
        let sheet = image::load_from_memory(&contact_sheet(&rows).unwrap()).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (14 * 132 + 4, 2 * 132 + 4));
        assert_eq!((sheet.get_pixel(10, 10).0, sheet.get_pixel(140, 10).0), ([255, 0, 0], [235; 3]));
    }

    #[test]
    fn what_is_shown_is_spread() {
        assert_eq!(spread(3).collect::<Vec<_>>(), [0, 1, 2]);
        let far: Vec<usize> = spread(1400).collect();
        assert_eq!((far.len(), far[0], far[13]), (14, 50, 1350));
        assert_eq!(spread(0).count(), 0);
    }
}
