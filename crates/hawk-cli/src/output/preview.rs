//! Images in the terminal: two pixels per character, as half blocks in 24-bit colour.

use std::fmt::Write;
use std::io::IsTerminal;

use clap::ValueEnum;
use hawk::Image;

/// The widest preview, in characters.
const MAX_COLUMNS: u32 = 64;

/// When images are shown in the terminal.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Preview {
    /// In terminals with 24-bit colour (COLORTERM=truecolor)
    Auto,
    /// On any output
    Always,
    /// On no output
    Never,
}

impl Preview {
    /// Whether to show images on standard output.
    pub(crate) fn wanted(self) -> bool {
        match self {
            Preview::Always => true,
            Preview::Never => false,
            Preview::Auto => {
                let colour = std::env::var("COLORTERM").unwrap_or_default();
                std::io::stdout().is_terminal() && ["truecolor", "24bit"].contains(&colour.as_str())
            }
        }
    }
}

/// The image as text, shrunk to at most [`MAX_COLUMNS`] characters per line.
pub(crate) fn half_blocks(image: &Image) -> String {
    let step = image.width.div_ceil(MAX_COLUMNS).max(1);
    let colour = |x: u32, y: u32| {
        let at = ((y.min(image.height - 1) * image.width + x) * 3) as usize;
        let [r, g, b] = [0, 1, 2].map(|channel| image.pixels[at + channel]);
        format!("{r};{g};{b}")
    };
    let mut text = String::new();
    for y in (0..image.height).step_by(2 * step as usize) {
        for x in (0..image.width).step_by(step as usize) {
            let _ = write!(text, "\x1b[38;2;{}m\x1b[48;2;{}m▀", colour(x, y), colour(x, y + step));
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_holds_two_pixels() {
        let image = Image { width: 2, height: 3, pixels: (0..18).collect() };
        let text = half_blocks(&image);
        assert_eq!((text.matches('▀').count(), text.lines().count()), (4, 2));
        assert!(text.starts_with("\x1b[38;2;0;1;2m\x1b[48;2;6;7;8m▀"));
    }

    #[test]
    fn large_images_are_shrunk() {
        let image = Image { width: 200, height: 100, pixels: vec![0; 60_000] };
        assert_eq!(half_blocks(&image).lines().next().unwrap().matches('▀').count(), 50);
    }
}
