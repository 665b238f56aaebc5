//! Pixels of a thing without its ground, and how they come onto a picture.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::{self, FilterType as Resampling};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, Rgba, RgbaImage};

use crate::picture::{Picture, SIDE};
use hawk_files::{Error, Result};

/// Longest side of a cut-out that is read.
const MAX_SIDE: u32 = 1024;
/// Alpha from which a pixel hides what is behind it.
const SOLID: u8 = 200;
/// Alpha from which a pixel can be seen.
const VISIBLE: u8 = 24;
/// Share of the height, from below, that touches the ground.
const FOOT: f32 = 0.08;

/// A thing without ground. Colours are multiplied by alpha: only those may be mixed with their neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutout {
    pixels: RgbaImage,
}

/// What of a cut-out touches the ground, in pixels from its left edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foot {
    /// Middle of what touches.
    pub middle: f32,
    /// From the first to the last pixel that touches.
    pub width: f32,
}

impl Cutout {
    /// Reads a PNG with transparency.
    ///
    /// # Errors
    /// The bytes are no PNG, or one of more than 1024 pixels a side, or nothing can be seen on it.
    pub fn of_png(bytes: &[u8]) -> Result<Self> {
        let failed = |e| Error::input(format!("cannot read the PNG: {e}")).at("the cut-out");
        let mut reader = image::ImageReader::with_format(std::io::Cursor::new(bytes), ImageFormat::Png);
        let mut limits = image::Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
        reader.limits(limits);
        let mut pixels = reader.decode().map_err(failed)?.to_rgba8();
        if pixels.pixels().all(|pixel| pixel.0[3] < VISIBLE) {
            return Err(Error::input("nothing is seen on it").at("the cut-out"));
        }
        for Rgba([r, g, b, a]) in pixels.pixels_mut() {
            let by_alpha = |c: u8| ((u32::from(c) * u32::from(*a) + 127) / 255) as u8;
            [*r, *g, *b] = [by_alpha(*r), by_alpha(*g), by_alpha(*b)];
        }
        Ok(Self { pixels })
    }

    /// The cut-out as a PNG file.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut plain = self.pixels.clone();
        for Rgba([r, g, b, a]) in plain.pixels_mut() {
            let alpha = u32::from(*a).max(1);
            let divided = |c: u8| ((u32::from(c) * 255 + alpha / 2) / alpha).min(255) as u8;
            [*r, *g, *b] = [divided(*r), divided(*g), divided(*b)];
        }
        let (width, height) = plain.dimensions();
        let encoded = |filter: FilterType| {
            let mut bytes = Vec::new();
            let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, filter);
            let written = encoder.write_image(plain.as_raw(), width, height, ExtendedColorType::Rgba8);
            written.map_err(|e| Error::input(format!("cannot write the PNG: {e}")).at("the cut-out"))?;
            Ok(bytes)
        };
        // Flat drawings and soft ones are smallest with different filters.
        let filters = [FilterType::NoFilter, FilterType::Sub, FilterType::Up, FilterType::Paeth, FilterType::Adaptive];
        let files = filters.into_iter().map(encoded).collect::<Result<Vec<_>>>()?;
        Ok(files.into_iter().min_by_key(Vec::len).unwrap_or_default())
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.pixels.dimensions()
    }

    /// Red, green, blue, alpha of each pixel, rows from the top; colours are multiplied by alpha.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.pixels.as_raw()
    }

    /// The same with its longest side `side` pixels.
    #[must_use]
    pub fn fitted(&self, side: u32) -> Self {
        let (width, height) = self.size();
        let longest = width.max(height);
        if longest == side {
            return self.clone();
        }
        let [width, height] = [width, height].map(|length| ((length * side + longest / 2) / longest).max(1));
        let mut pixels = imageops::resize(&self.pixels, width, height, Resampling::CatmullRom);
        for Rgba([r, g, b, a]) in pixels.pixels_mut() {
            // The filter overshoots at edges; a colour above its alpha would shine.
            [*r, *g, *b] = [(*r).min(*a), (*g).min(*a), (*b).min(*a)];
        }
        Self { pixels }
    }

    /// Left and right exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self { pixels: imageops::flip_horizontal(&self.pixels) }
    }

    /// The cut-out without the lowest `share` (0 to 1) of its rows; one row stays.
    #[must_use]
    pub(crate) fn without_bottom(&self, share: f32) -> Self {
        let (width, height) = self.size();
        let kept = ((height as f32 * (1.0 - share)).round() as u32).clamp(1, height);
        Self { pixels: imageops::crop_imm(&self.pixels, 0, 0, width, kept).to_image() }
    }

    /// Every colour multiplied by `light` (red, green, blue; 1 changes nothing).
    #[must_use]
    pub fn lit(&self, light: [f32; 3]) -> Self {
        let mut pixels = self.pixels.clone();
        for Rgba([r, g, b, a]) in pixels.pixels_mut() {
            for (colour, light) in [r, g, b].into_iter().zip(light) {
                *colour = (f32::from(*colour) * light).round().min(f32::from(*a)) as u8;
            }
        }
        Self { pixels }
    }

    /// Red, green, blue, each multiplied by alpha, and alpha; `x` and `y` lie inside.
    pub(crate) fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        self.pixels.get_pixel(x, y).0
    }

    /// The colours of the pixels that hide what is behind them.
    pub fn solid_colours(&self) -> impl Iterator<Item = [u8; 3]> {
        self.pixels.pixels().filter(|pixel| pixel.0[3] > SOLID).map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]])
    }

    /// What touches the ground.
    #[must_use]
    pub fn foot(&self) -> Foot {
        let (width, height) = self.size();
        let rows = ((height as f32 * FOOT).ceil() as u32).clamp(1, height);
        let touches = |x: &u32| (height - rows..height).any(|y| self.pixels.get_pixel(*x, y).0[3] >= VISIBLE);
        let first = (0..width).find(touches).unwrap_or(0);
        let last = (0..width).rev().find(touches).unwrap_or(width - 1);
        Foot { middle: (first + last + 1) as f32 / 2.0, width: (last + 1 - first) as f32 }
    }

    /// Puts the cut-out onto a picture, its top left pixel at `(left, top)`; what lies outside is left out.
    pub fn put(&self, picture: &mut Picture, left: i32, top: i32) {
        for (column, row, Rgba([r, g, b, a])) in self.pixels.enumerate_pixels() {
            let (x, y) = (left + column as i32, top + row as i32);
            if !(0..SIDE as i32).contains(&x) || !(0..SIDE as i32).contains(&y) {
                continue;
            }
            let at = (y as usize * SIDE + x as usize) * 3;
            for (ground, colour) in picture.rgb[at..at + 3].iter_mut().zip([r, g, b]) {
                let behind = (u32::from(*ground) * (255 - u32::from(*a)) + 127) / 255;
                *ground = (behind + u32::from(*colour)).min(255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutout(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Cutout {
        Cutout { pixels: RgbaImage::from_fn(width, height, |x, y| Rgba(pixel(x, y))) }
    }

    #[test]
    fn a_cutout_survives_its_file() {
        let cutout = cutout(40, 20, |x, y| if x > y { [200, 100, 0, 255] } else { [50, 25, 0, 64] });
        assert_eq!(Cutout::of_png(&cutout.to_png().unwrap()).unwrap(), cutout);
        assert!(Cutout::of_png(b"no picture").is_err());
        let empty = cutout.lit([0.0; 3]).fitted(10);
        assert_eq!(empty.size(), (10, 5));
    }

    #[test]
    fn an_empty_cutout_is_refused() {
        let empty = cutout(4, 4, |_, _| [0; 4]).to_png().unwrap();
        assert!(Cutout::of_png(&empty).unwrap_err().to_string().contains("nothing is seen"));
    }

    #[test]
    fn what_touches_the_ground_is_found() {
        // A table: a board on two legs, one of them to the right.
        let table = cutout(40, 50, |x, y| if y < 10 || x == 10 || x == 35 { [9, 9, 9, 255] } else { [0; 4] });
        assert_eq!(table.foot(), Foot { middle: 23.0, width: 26.0 });
        assert_eq!(table.mirrored().foot(), Foot { middle: 17.0, width: 26.0 });
    }

    #[test]
    fn what_is_under_water_is_cut_off() {
        let half = cutout(4, 10, |_, y| if y < 9 { [9, 9, 9, 255] } else { [8, 8, 8, 255] }).without_bottom(0.1);
        assert_eq!((half.size(), half.pixel(0, 8)), ((4, 9), [9, 9, 9, 255]));
        assert_eq!(half.without_bottom(1.0).size(), (4, 1));
    }

    #[test]
    fn a_thing_hides_what_is_behind_it_and_stays_inside() {
        let mut picture = Picture { rgb: vec![100; SIDE * SIDE * 3] };
        let half = cutout(8, 8, |x, _| if x < 4 { [200, 0, 0, 255] } else { [50, 0, 0, 128] });
        half.put(&mut picture, -2, 124);
        let at = |x: usize, y: usize| &picture.rgb[(y * SIDE + x) * 3..][..3];
        assert_eq!((at(0, 124), at(3, 127), at(6, 124)), (&[200, 0, 0][..], &[100, 50, 50][..], &[100; 3][..]));
    }
}
