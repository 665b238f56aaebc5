//! Pixels: drawings become cut-outs (trimmed, transparent around), cut-outs are put on grounds.

use hawk_nn::{Error, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::{self, FilterType as Resampling};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage, Rgba, RgbaImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

/// Side of a picture, and of the object in it: a margin of 3 % on each side.
pub(crate) const SIDE: u32 = 128;
pub(crate) const OBJECT_SIDE: u32 = 120;
/// Side at which vector drawings are drawn before they are made smaller.
const DRAWN_SIDE: u32 = 2 * OBJECT_SIDE;
/// Largest side of a drawing made of pixels.
const MAX_SIDE: u32 = 4096;
/// Alpha from which a pixel belongs to the object's box.
const VISIBLE: u8 = 8;

/// A picture on its ground, `SIDE` pixels square, RGB.
pub(crate) struct Picture(pub(crate) Vec<u8>);

/// An object without ground, its longest side `OBJECT_SIDE`.
pub(crate) struct Cutout {
    /// Colours multiplied by alpha.
    pixels: RgbaImage,
}

impl Cutout {
    /// Draws an SVG file. Text, and pictures that it refers to, are left out.
    pub(crate) fn of_svg(svg: &str) -> Result<Self> {
        let options = Options {
            image_href_resolver: ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..Options::default()
        };
        let tree = Tree::from_str(svg, &options).map_err(|e| Error::input(format!("cannot use the SVG: {e}")))?;
        let scale = DRAWN_SIDE as f32 / tree.size().width().max(tree.size().height());
        let all = rendered(&tree, Transform::from_scale(scale, scale), (DRAWN_SIDE, DRAWN_SIDE))?;
        let [left, top, width, height] = visible_box(&all)?;
        // Drawn again so that the object itself, not its sheet, has the size.
        let closer = DRAWN_SIDE as f32 / width.max(height) as f32;
        let transform = Transform::from_scale(scale * closer, scale * closer)
            .post_translate(-(left as f32) * closer, -(top as f32) * closer);
        let size = [width, height].map(|side| ((side as f32 * closer).ceil() as u32).max(1));
        Self::trimmed(&rendered(&tree, transform, (size[0], size[1]))?)
    }

    /// Reads a WebP file.
    pub(crate) fn of_webp(bytes: &[u8]) -> Result<Self> {
        let failed = |e| Error::input(format!("cannot read the WebP: {e}"));
        let mut reader = image::ImageReader::with_format(std::io::Cursor::new(bytes), ImageFormat::WebP);
        let mut limits = image::Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
        reader.limits(limits);
        Self::trimmed(&multiplied(reader.decode().map_err(failed)?.to_rgba8()))
    }

    /// Reads what [`Cutout::to_png`] wrote.
    pub(crate) fn of_png(bytes: &[u8]) -> Result<Self> {
        let failed = |e| Error::input(format!("cannot read the PNG: {e}"));
        let pixels = image::load_from_memory_with_format(bytes, ImageFormat::Png).map_err(failed)?.to_rgba8();
        Ok(Self { pixels: multiplied(pixels) })
    }

    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        let mut plain = self.pixels.clone();
        for Rgba([r, g, b, a]) in plain.pixels_mut() {
            let divided = |c: u8| {
                if *a == 0 { 0 } else { ((u32::from(c) * 255 + u32::from(*a) / 2) / u32::from(*a)).min(255) as u8 }
            };
            [*r, *g, *b] = [divided(*r), divided(*g), divided(*b)];
        }
        png(plain.as_raw(), plain.dimensions(), ExtendedColorType::Rgba8)
    }

    fn trimmed(pixels: &RgbaImage) -> Result<Self> {
        let [left, top, width, height] = visible_box(pixels)?;
        let object = imageops::crop_imm(pixels, left, top, width, height).to_image();
        Ok(Self { pixels: fitted(&object, OBJECT_SIDE) })
    }

    /// The object with its longest side at most `side`.
    pub(crate) fn fitted(&self, side: u32) -> Self {
        Self { pixels: fitted(&self.pixels, side) }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        self.pixels.dimensions()
    }

    /// The colours of the pixels that hide what is behind them.
    pub(crate) fn solid_colours(&self) -> impl Iterator<Item = [u8; 3]> {
        self.pixels.pixels().filter(|pixel| pixel.0[3] > 200).map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]])
    }
}

impl Picture {
    pub(crate) fn ground(colour: [u8; 3]) -> Self {
        Self(colour.iter().copied().cycle().take((SIDE * SIDE * 3) as usize).collect())
    }

    /// Puts an object with its middle at `(x, y)`, which must leave room for it.
    pub(crate) fn put(&mut self, object: &Cutout, (x, y): (u32, u32)) {
        let (width, height) = object.size();
        let (left, top) = (x.saturating_sub(width / 2), y.saturating_sub(height / 2));
        for (column, row, Rgba([r, g, b, a])) in object.pixels.enumerate_pixels() {
            let (column, row) = (left + column, top + row);
            if column >= SIDE || row >= SIDE {
                continue;
            }
            let at = ((row * SIDE + column) * 3) as usize;
            for (ground, colour) in self.0[at..at + 3].iter_mut().zip([r, g, b]) {
                let behind = (u32::from(*ground) * (255 - u32::from(*a)) + 127) / 255;
                *ground = (behind + u32::from(*colour)).min(255) as u8;
            }
        }
    }

    /// The picture made small, RGB.
    pub(crate) fn thumb(&self, side: u32) -> Vec<u8> {
        let whole = RgbImage::from_raw(SIDE, SIDE, self.0.clone()).unwrap_or_default();
        imageops::resize(&whole, side, side, Resampling::Triangle).into_raw()
    }

    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        png(&self.0, (SIDE, SIDE), ExtendedColorType::Rgb8)
    }

    /// Reads what [`Picture::to_png`] wrote.
    pub(crate) fn of_png(bytes: &[u8]) -> Option<Self> {
        let picture = image::load_from_memory_with_format(bytes, ImageFormat::Png).ok()?.to_rgb8();
        (picture.dimensions() == (SIDE, SIDE)).then(|| Self(picture.into_raw()))
    }
}

/// A PNG file of these pixels.
pub(crate) fn png(pixels: &[u8], (width, height): (u32, u32), colours: ExtendedColorType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    let written = encoder.write_image(pixels, width, height, colours);
    written.map_err(|e| Error::input(format!("cannot write the PNG: {e}")))?;
    Ok(bytes)
}

fn rendered(tree: &Tree, transform: Transform, (width, height): (u32, u32)) -> Result<RgbaImage> {
    let mut pixmap = Pixmap::new(width, height).ok_or_else(|| Error::input("the SVG has no size"))?;
    resvg::render(tree, transform, &mut pixmap.as_mut());
    RgbaImage::from_raw(width, height, pixmap.take()).ok_or_else(|| Error::input("the SVG has no size"))
}

/// Left, top, width and height of what can be seen.
fn visible_box(pixels: &RgbaImage) -> Result<[u32; 4]> {
    let mut found: Option<[u32; 4]> = None;
    for (x, y, _) in pixels.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] >= VISIBLE) {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        found = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
    }
    let [left, top, right, bottom] = found.ok_or_else(|| Error::input("the drawing is empty"))?;
    Ok([left, top, right - left + 1, bottom - top + 1])
}

/// Colours multiplied by alpha: only those may be mixed with their neighbours.
fn multiplied(mut pixels: RgbaImage) -> RgbaImage {
    for Rgba([r, g, b, a]) in pixels.pixels_mut() {
        let by_alpha = |c: u8| ((u32::from(c) * u32::from(*a) + 127) / 255) as u8;
        [*r, *g, *b] = [by_alpha(*r), by_alpha(*g), by_alpha(*b)];
    }
    pixels
}

fn fitted(pixels: &RgbaImage, side: u32) -> RgbaImage {
    let (width, height) = pixels.dimensions();
    let longest = width.max(height);
    let [width, height] = [width, height].map(|length| ((length * side + longest / 2) / longest).max(1));
    let mut out = imageops::resize(pixels, width, height, Resampling::Lanczos3);
    for Rgba([r, g, b, a]) in out.pixels_mut() {
        // Lanczos overshoots at edges; a colour above its alpha would shine.
        [*r, *g, *b] = [(*r).min(*a), (*g).min(*a), (*b).min(*a)];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
        <rect x="10" y="40" width="20" height="10" fill="#ff0000"/><image href="/etc/passwd" width="9" height="9"/></svg>"##;

    #[test]
    fn a_drawing_is_trimmed_and_fills_its_place() {
        let cutout = Cutout::of_svg(SVG).unwrap();
        assert_eq!(cutout.size(), (120, 60));
        let mut picture = Picture::ground([255; 3]);
        picture.put(&cutout, (64, 64));
        let at = |x: u32, y: u32| &picture.0[((y * SIDE + x) * 3) as usize..][..3];
        assert_eq!((at(64, 64), at(6, 40)), (&[255, 0, 0][..], &[255, 0, 0][..]));
        assert_eq!((at(2, 64), at(64, 30), at(64, 97)), (&[255; 3][..], &[255; 3][..], &[255; 3][..]));
    }

    #[test]
    fn cutouts_and_pictures_survive_their_files() {
        let cutout = Cutout::of_svg(SVG).unwrap();
        let read = Cutout::of_png(&cutout.to_png().unwrap()).unwrap();
        assert_eq!(read.size(), cutout.size());
        let mut picture = Picture::ground([9, 99, 199]);
        picture.put(&read, (64, 64));
        assert_eq!(Picture::of_png(&picture.to_png().unwrap()).unwrap().0, picture.0);
        assert!(Picture::of_png(b"no picture").is_none());
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        assert!(Cutout::of_svg("<svg").is_err());
        assert!(Cutout::of_svg(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>"#).is_err());
        assert!(Cutout::of_webp(b"RIFF").is_err());
    }
}
