//! Text and pixels as parts of a page.

use hawk::{Image, Result, write_plain_png};

/// Longest side of an image on the page.
const MAX_SIDE: u32 = 256;

/// Text that cannot be markup, in elements and in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(' '),
            // They may not stand in a page at all.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// An image as the address of itself, shrunk where it is large.
///
/// # Errors
/// An image that no PNG can hold.
pub fn data_uri(image: &Image) -> Result<String> {
    let step = image.width.max(image.height).div_ceil(MAX_SIDE);
    let png = if step > 1 { write_plain_png(&shrunk(image, step))? } else { write_plain_png(image)? };
    Ok(format!("data:image/png;base64,{}", base64(&png)))
}

/// The means of squares of `step` pixels. A rest at the right and the bottom is cut off.
fn shrunk(image: &Image, step: u32) -> Image {
    let (width, height) = ((image.width / step).max(1), (image.height / step).max(1));
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let (mut sum, mut count) = (0_u32, 0);
                for row in y * step..((y + 1) * step).min(image.height) {
                    for col in x * step..((x + 1) * step).min(image.width) {
                        sum += u32::from(image.pixels[((row * image.width + col) * 3) as usize + channel]);
                        count += 1;
                    }
                }
                pixels.push((sum / count) as u8);
            }
        }
    }
    Image { width, height, pixels }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standards() {
        for (plain, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), want);
        }
    }

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape("<b a='\"'>&\n\0"), "&lt;b a=&#39;&quot;&#39;&gt;&amp; \u{fffd}");
    }

    #[test]
    fn large_images_shrink_to_means() {
        let image = Image { width: 5, height: 2, pixels: (0..30).collect() };
        let small = shrunk(&image, 2);
        assert_eq!((small.width, small.height), (2, 1));
        assert_eq!(small.pixels[0], ((3 + 15 + 18) / 4) as u8);
        assert!(data_uri(&image).unwrap().starts_with("data:image/png;base64,iVBOR"));
    }
}
