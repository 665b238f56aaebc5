//! Cut-outs: drawings trimmed to their visible part, with a transparent background.

use hawk_files::{Error, Result};
use image::imageops::{self, FilterType as Resampling};
use image::{ExtendedColorType, ImageFormat, Rgba, RgbaImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

use crate::pictures::canvas::{Canvas, SIDE_U32, encode_png};

/// The longest side of a cut-out: 3 % of the picture stay free on each side.
pub(crate) const OBJECT_SIDE: u32 = 120;
/// Side at which vector drawings are rendered before they are scaled down.
const RENDER_SIDE: u32 = 2 * OBJECT_SIDE;
/// Largest side of a WebP drawing.
const MAX_SIDE: u32 = 4096;
/// Smallest alpha of a visible pixel.
const VISIBLE: u8 = 8;

/// A drawing with a transparent background.
pub(crate) struct Cutout {
    /// Premultiplied by alpha.
    pixels: RgbaImage,
}

impl Cutout {
    /// Renders an SVG file. Text and referenced images are left out.
    ///
    /// # Errors
    /// The SVG is invalid or empty.
    pub(crate) fn from_svg(svg: &str) -> Result<Self> {
        let options = Options {
            image_href_resolver: ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..Options::default()
        };
        let tree = Tree::from_str(svg, &options).map_err(|e| Error::input(format!("invalid SVG: {e}")))?;
        let scale = RENDER_SIDE as f32 / tree.size().width().max(tree.size().height());
        let all = rendered(&tree, Transform::from_scale(scale, scale), RENDER_SIDE, RENDER_SIDE)?;
        let visible = VisibleBox::of(&all)?;
        // Rendered again, so that the object itself and not its page has the full size.
        let zoom = RENDER_SIDE as f32 / visible.width.max(visible.height) as f32;
        let transform = Transform::from_scale(scale * zoom, scale * zoom)
            .post_translate(-(visible.left as f32) * zoom, -(visible.top as f32) * zoom);
        let zoomed = |side: u32| ((side as f32 * zoom).ceil() as u32).max(1);
        Self::trimmed(&rendered(&tree, transform, zoomed(visible.width), zoomed(visible.height))?)
    }

    /// Reads a WebP file.
    ///
    /// # Errors
    /// The file is damaged, too large or empty.
    pub(crate) fn from_webp(bytes: &[u8]) -> Result<Self> {
        let failed = |e| Error::input(format!("cannot read the WebP: {e}"));
        let mut reader = image::ImageReader::with_format(std::io::Cursor::new(bytes), ImageFormat::WebP);
        let mut limits = image::Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
        reader.limits(limits);
        Self::trimmed(&premultiplied(reader.decode().map_err(failed)?.to_rgba8()))
    }

    /// Reads what [`Cutout::to_png`] wrote.
    ///
    /// # Errors
    /// The file is damaged.
    pub(crate) fn from_png(bytes: &[u8]) -> Result<Self> {
        let failed = |e| Error::input(format!("cannot read the PNG: {e}"));
        let pixels = image::load_from_memory_with_format(bytes, ImageFormat::Png).map_err(failed)?.to_rgba8();
        Ok(Self { pixels: premultiplied(pixels) })
    }

    /// # Errors
    /// The PNG library fails.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        let mut plain = self.pixels.clone();
        for Rgba([r, g, b, a]) in plain.pixels_mut() {
            let divided = |c: u8| {
                if *a == 0 { 0 } else { ((u32::from(c) * 255 + u32::from(*a) / 2) / u32::from(*a)).min(255) as u8 }
            };
            [*r, *g, *b] = [divided(*r), divided(*g), divided(*b)];
        }
        encode_png(plain.as_raw(), plain.width(), plain.height(), ExtendedColorType::Rgba8)
    }

    fn trimmed(pixels: &RgbaImage) -> Result<Self> {
        let VisibleBox { left, top, width, height } = VisibleBox::of(pixels)?;
        let object = imageops::crop_imm(pixels, left, top, width, height).to_image();
        Ok(Self { pixels: fitted(&object, OBJECT_SIDE) })
    }

    /// The cut-out scaled so that its longest side is `side`.
    pub(crate) fn fitted(&self, side: u32) -> Self {
        Self { pixels: fitted(&self.pixels, side) }
    }

    /// Paints the cut-out with its centre at column `x` and row `y`. Pixels outside of the canvas
    /// are lost.
    pub(crate) fn paint(&self, canvas: &mut Canvas, x: u32, y: u32) {
        let (width, height) = self.size();
        let (left, top) = (x.saturating_sub(width / 2), y.saturating_sub(height / 2));
        for (column, row, Rgba([r, g, b, a])) in self.pixels.enumerate_pixels() {
            let (column, row) = (left + column, top + row);
            if column >= SIDE_U32 || row >= SIDE_U32 {
                continue;
            }
            let at = ((row * SIDE_U32 + column) * 3) as usize;
            for (ground, colour) in canvas.0[at..at + 3].iter_mut().zip([r, g, b]) {
                let behind = (u32::from(*ground) * (255 - u32::from(*a)) + 127) / 255;
                *ground = (behind + u32::from(*colour)).min(255) as u8;
            }
        }
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.pixels.dimensions()
    }

    /// The colours of the opaque pixels.
    pub(crate) fn solid_colours(&self) -> impl Iterator<Item = [u8; 3]> {
        self.pixels.pixels().filter(|pixel| pixel.0[3] > 200).map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]])
    }
}

fn rendered(tree: &Tree, transform: Transform, width: u32, height: u32) -> Result<RgbaImage> {
    let mut pixmap = Pixmap::new(width, height).ok_or_else(|| Error::input("the SVG has no size"))?;
    resvg::render(tree, transform, &mut pixmap.as_mut());
    RgbaImage::from_raw(width, height, pixmap.take()).ok_or_else(|| Error::input("the SVG has no size"))
}

/// The smallest rectangle that holds all visible pixels.
struct VisibleBox {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl VisibleBox {
    fn of(pixels: &RgbaImage) -> Result<Self> {
        let visible = || pixels.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] >= VISIBLE);
        let columns = || visible().map(|(x, _, _)| x);
        let rows = || visible().map(|(_, y, _)| y);
        let (Some(left), Some(right), Some(top), Some(bottom)) =
            (columns().min(), columns().max(), rows().min(), rows().max())
        else {
            return Err(Error::input("the drawing is empty"));
        };
        Ok(Self { left, top, width: right - left + 1, height: bottom - top + 1 })
    }
}

/// Premultiplies by alpha. Resampling is only correct for premultiplied colours.
fn premultiplied(mut pixels: RgbaImage) -> RgbaImage {
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
        // Lanczos overshoots at edges. A premultiplied colour cannot exceed its alpha.
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
        let cutout = Cutout::from_svg(SVG).unwrap();
        assert_eq!(cutout.size(), (120, 60));
        let mut picture = Canvas::filled([255; 3]);
        cutout.paint(&mut picture, 64, 64);
        let at = |x: u32, y: u32| &picture.0[((y * SIDE_U32 + x) * 3) as usize..][..3];
        assert_eq!((at(64, 64), at(6, 40)), (&[255, 0, 0][..], &[255, 0, 0][..]));
        assert_eq!((at(2, 64), at(64, 30), at(64, 97)), (&[255; 3][..], &[255; 3][..], &[255; 3][..]));
    }

    #[test]
    fn cutouts_and_pictures_survive_their_files() {
        let cutout = Cutout::from_svg(SVG).unwrap();
        let read = Cutout::from_png(&cutout.to_png().unwrap()).unwrap();
        assert_eq!(read.size(), cutout.size());
        let mut picture = Canvas::filled([9, 99, 199]);
        read.paint(&mut picture, 64, 64);
        assert_eq!(Canvas::from_png(&picture.to_png().unwrap()).unwrap().0, picture.0);
        assert!(Canvas::from_png(b"no picture").is_none());
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        assert!(Cutout::from_svg("<svg").is_err());
        assert!(Cutout::from_svg(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>"#).is_err());
        assert!(Cutout::from_webp(b"RIFF").is_err());
    }
}
