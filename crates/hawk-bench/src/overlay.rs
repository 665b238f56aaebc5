//! Where each cell of an image came from, shown on the image.

use hawk::{CellSource, Error, Image, Result};
use hawk_spec::Drawn;

/// Least side of a cell in pixels.
const CELL: u32 = 24;
/// Weight of a cell's tint beside the image's own pixels.
const TINT: f64 = 0.62;
/// Pixels around and between the parts.
const MARGIN: u32 = 12;
/// Height of the strip of shares.
const STRIP: u32 = 16;
const PAPER: [u8; 3] = [255; 3];

/// The cells of one source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceShare {
    /// The source.
    pub source: CellSource,
    /// Its cells.
    pub cells: usize,
    /// The same as a share of all cells.
    pub share: f64,
    /// Name of its colour in [`overlay`]; heads that look farther have a paler shade.
    pub colour: &'static str,
}

/// The sources that occur: the target's own cells first, then drafters' by label.
#[must_use]
pub fn source_shares(sources: &[CellSource]) -> Vec<SourceShare> {
    let target = [Drawn::Recovered, Drawn::Bonus].map(CellSource::Target);
    let mut drafted: Vec<CellSource> = sources.to_vec();
    drafted.retain(|source| matches!(source, CellSource::Drafted(_)));
    // Copies have small letters, heads large ones.
    drafted
        .sort_by_key(|source| (source.to_string().starts_with(|first: char| first.is_uppercase()), source.to_string()));
    drafted.dedup();
    let share = |source| {
        let cells = sources.iter().filter(|&&other| other == source).count();
        SourceShare { source, cells, share: cells as f64 / sources.len() as f64, colour: tint(source).1 }
    };
    target.into_iter().chain(drafted).map(share).filter(|share| share.cells > 0).collect()
}

/// The enlarged image, beside it a copy with a tint for the source of each cell, and below a strip
/// of the tints by share, in the order of [`source_shares`]. A line between cells has no tint.
///
/// # Errors
/// As many sources as do not divide the image into square cells.
pub fn overlay(image: &Image, sources: &[CellSource]) -> Result<Image> {
    let cell = cell_side(image, sources.len())?;
    let zoom = CELL.div_ceil(cell);
    let (width, height, side) = (image.width * zoom, image.height * zoom, cell * zoom);
    let mut canvas = Canvas::new(2 * width + 3 * MARGIN, height + 3 * MARGIN + STRIP);
    for y in 0..height {
        for x in 0..width {
            let at = ((y / zoom * image.width + x / zoom) * 3) as usize;
            let pixel = [0, 1, 2].map(|channel| image.pixels[at + channel]);
            let source = sources[(y / side * (width / side) + x / side) as usize];
            let clear = x % side == side - 1 || y % side == side - 1;
            canvas.set(MARGIN + x, MARGIN + y, pixel);
            let tinted = if clear { pixel } else { blend(pixel, tint(source).0, TINT) };
            canvas.set(width + 2 * MARGIN + x, MARGIN + y, tinted);
        }
    }
    let (room, mut before) = (canvas.0.width - 2 * MARGIN, 0.0);
    for SourceShare { source, share, .. } in source_shares(sources) {
        let [first, last] = [before, before + share].map(|share: f64| (share * f64::from(room)).round() as u32);
        before += share;
        let colour = blend(PAPER, tint(source).0, TINT);
        for x in first..last {
            (0..STRIP).for_each(|y| canvas.set(MARGIN + x, height + 2 * MARGIN + y, colour));
        }
    }
    Ok(canvas.0)
}

/// Pixels of a cell's side.
fn cell_side(image: &Image, cells: usize) -> Result<u32> {
    let pixels = image.width as usize * image.height as usize;
    let side = pixels.checked_div(cells).map_or(0, usize::isqrt) as u32;
    let whole = side > 0 && image.width.is_multiple_of(side) && image.height.is_multiple_of(side);
    if whole && (image.width / side) as usize * (image.height / side) as usize == cells {
        return Ok(side);
    }
    let got = format!("{cells} cells in {} x {} pixels", image.width, image.height);
    Err(Error::input("the cells do not fit the image").expected("square cells that fill it").got(got))
}

/// A source's colour and its name.
fn tint(source: CellSource) -> ([u8; 3], &'static str) {
    let source = match source {
        CellSource::Target(Drawn::Recovered) => return ([107, 114, 128], "grey"),
        CellSource::Target(Drawn::Bonus) => return ([176, 184, 196], "light grey"),
        CellSource::Drafted(source) => source,
    };
    let (family, number) = (source.family(), source.label()[source.family().len()..].parse().unwrap_or(1_u32));
    let (colour, name) = match family {
        "left" => ([217, 142, 20], "amber"),
        "above" => ([138, 75, 184], "violet"),
        "H" => ([47, 111, 203], "blue"),
        "V" => ([20, 134, 90], "green"),
        // Diagonal heads, and whatever else a drafter names.
        _ => ([209, 67, 47], "red"),
    };
    (blend(colour, PAPER, (f64::from(number.saturating_sub(1)) * 0.2).min(0.7)), name)
}

/// `weight` of `over`, the rest `under`.
fn blend(under: [u8; 3], over: [u8; 3], weight: f64) -> [u8; 3] {
    let mix = |channel: usize| f64::from(under[channel]) * (1.0 - weight) + f64::from(over[channel]) * weight;
    [0, 1, 2].map(|channel| mix(channel).round() as u8)
}

/// An image to draw on.
struct Canvas(Image);

impl Canvas {
    fn new(width: u32, height: u32) -> Self {
        Self(Image { width, height, pixels: PAPER.repeat(width as usize * height as usize) })
    }

    fn set(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        let at = ((y * self.0.width + x) * 3) as usize;
        self.0.pixels[at..at + 3].copy_from_slice(&colour);
    }
}

#[cfg(test)]
mod tests {
    use hawk_spec::Source;

    use super::*;

    const RECOVERED: CellSource = CellSource::Target(Drawn::Recovered);
    const LEFT: CellSource = CellSource::Drafted(Source::LEFT);
    const FAR: CellSource = CellSource::Drafted(Source::new("V2"));

    fn at(image: &Image, x: u32, y: u32) -> [u8; 3] {
        let at = ((y * image.width + x) * 3) as usize;
        [0, 1, 2].map(|channel| image.pixels[at + channel])
    }

    #[test]
    fn cells_bear_the_tint_of_their_source() {
        // Two rows of two cells of 2 x 2 pixels.
        let image = Image { width: 4, height: 4, pixels: (0..48).map(|value| value * 5).collect() };
        let sources = [RECOVERED, LEFT, FAR, LEFT];
        let shown = overlay(&image, &sources).unwrap();
        assert_eq!((shown.width, shown.height), (2 * 48 + 36, 48 + 36 + 16));
        for (cell, source) in (0..).zip(sources) {
            // A pixel inside the first image pixel of the cell, in both copies, and the line
            // without tint at the end of the cell.
            let (x, y) = (cell % 2 * 24 + 3, cell / 2 * 24 + 5);
            let own =
                [0, 1, 2].map(|channel| image.pixels[(((cell / 2 * 2) * 4 + cell % 2 * 2) * 3 + channel) as usize]);
            assert_eq!(at(&shown, 12 + x, 12 + y), own);
            assert_eq!(at(&shown, 72 + x, 12 + y), blend(own, tint(source).0, TINT), "cell {cell}");
            let (x, y) = (x / 24 * 24 + 23, y);
            assert_eq!(at(&shown, 72 + x, 12 + y), at(&shown, 12 + x, 12 + y));
        }
        let strip = [13, 60, 118].map(|x| at(&shown, x, 48 + 24 + 3));
        assert_eq!(strip, [RECOVERED, LEFT, FAR].map(|source| blend(PAPER, tint(source).0, TINT)));
        assert_eq!(at(&shown, 0, 0), PAPER);
    }

    #[test]
    fn colours_differ_and_shares_add_up() {
        let shares = source_shares(&[LEFT, RECOVERED, FAR, LEFT]);
        let listed: Vec<_> = shares.iter().map(|share| (share.source, share.cells, share.colour)).collect();
        assert_eq!(listed, [(RECOVERED, 1, "grey"), (LEFT, 2, "amber"), (FAR, 1, "green")]);
        assert_eq!(shares.iter().map(|share| share.share).sum::<f64>(), 1.0);
        assert_ne!(tint(FAR).0, tint(CellSource::Drafted(Source::numbered('V', 1))).0);
    }

    #[test]
    fn cells_that_do_not_fill_the_image_are_refused() {
        let image = Image { width: 4, height: 4, pixels: vec![0; 48] };
        for cells in [0, 3, 5, 17] {
            assert!(overlay(&image, &vec![LEFT; cells]).unwrap_err().to_string().contains("cells in 4 x 4"));
        }
    }
}
