//! Images in the terminal, in 24-bit colour: two pixels per character as half blocks, or one pixel
//! per blank where the locale has no half blocks.

use std::fmt::Write;
use std::io::IsTerminal;

use clap::ValueEnum;
use hawk::Image;

use super::terminal::{Characters, Terminal, columns};

/// The widest preview, in characters.
const MAX_COLUMNS: u32 = 64;

/// When images are shown in the terminal.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Preview {
    /// In terminals with 24-bit colour (COLORTERM=truecolor), unless NO_COLOR is set
    Auto,
    /// On any output
    Always,
    /// On no output
    Never,
}

impl Preview {
    /// The image as text for standard output, if it is wanted.
    pub(crate) fn of(self, image: &Image) -> Option<String> {
        let columns = columns().map_or(MAX_COLUMNS, u32::from).clamp(1, MAX_COLUMNS);
        self.wanted().then(|| picture(image, columns, Characters::of_environment()))
    }

    fn wanted(self) -> bool {
        match self {
            Preview::Always => true,
            Preview::Never => false,
            Preview::Auto => {
                let colour = std::env::var("COLORTERM").unwrap_or_default();
                std::io::stdout().is_terminal()
                    && ["truecolor", "24bit"].contains(&colour.as_str())
                    && Terminal::of_environment() == Terminal::Colours
            }
        }
    }
}

/// The image as text, shrunk to at most `columns` characters per line.
fn picture(image: &Image, columns: u32, characters: Characters) -> String {
    let step = image.width.div_ceil(columns).max(1);
    let colour = |x: u32, y: u32| {
        let at = ((y.min(image.height - 1) * image.width + x) * 3) as usize;
        let [r, g, b] = [0, 1, 2].map(|channel| image.pixels[at + channel]);
        format!("{r};{g};{b}")
    };
    let mut text = String::new();
    for y in (0..image.height).step_by(2 * step as usize) {
        for x in (0..image.width).step_by(step as usize) {
            let _ = match characters {
                Characters::Unicode => {
                    write!(text, "\x1b[38;2;{}m\x1b[48;2;{}m▀", colour(x, y), colour(x, y + step))
                }
                Characters::Ascii => write!(text, "\x1b[48;2;{}m ", colour(x, y)),
            };
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
        let text = picture(&image, 64, Characters::Unicode);
        assert_eq!((text.matches('▀').count(), text.lines().count()), (4, 2));
        assert!(text.starts_with("\x1b[38;2;0;1;2m\x1b[48;2;6;7;8m▀"));
        let text = picture(&image, 64, Characters::Ascii);
        assert_eq!((text.matches(' ').count(), text.is_ascii()), (4, true));
    }

    #[test]
    fn large_images_are_shrunk_to_the_terminal() {
        let image = Image { width: 200, height: 100, pixels: vec![0; 60_000] };
        for (columns, shown) in [(64, 50), (40, 40), (1, 1)] {
            let text = picture(&image, columns, Characters::Unicode);
            assert_eq!(text.lines().next().unwrap().matches('▀').count(), shown);
        }
    }
}
