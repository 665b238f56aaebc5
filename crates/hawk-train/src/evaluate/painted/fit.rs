//! Compares images with cut-outs: which thing is drawn, in which style, and on which side.
//!
//! A cut-out is put on the image's own background, in every size and place that the painter uses.
//! The best place is where the squared distance to the image falls most.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use hawk_nn::Image;
use hawk_pictures::picture::Picture;
use hawk_pictures::things::{Cutout, Thing, Things};
use rayon::prelude::*;

use crate::evaluate::features::{SMALL, border_colour, small};
use crate::pictures::canvas::SIDE;

/// Pixels of a value of a small picture.
const SQUARE: usize = SIDE / SMALL;
/// Sizes in pixels of things that are alone, and of those that stand with others.
const ALONE: [usize; 3] = [80, 96, 112];
const TOGETHER: [usize; 2] = [48, 56];
/// Places lie this far apart, in values of a small picture: a cell of 8 pixels.
const STEP: usize = 2;

/// Things by style and name, in the sizes that the painter uses.
pub(super) struct Cutouts<'a> {
    things: BTreeMap<(&'a str, &'a str), Sizes>,
}

struct Sizes {
    alone: Vec<Stamp>,
    together: Vec<Stamp>,
}

/// A cut-out in the middle of a square, reduced as small pictures are.
struct Stamp {
    /// Side of the square, in values of a small picture.
    side: usize,
    /// `[side, side]`: red, green and blue as they are on black, and the share of the ground that is
    /// seen.
    values: Vec<[f32; 4]>,
}

/// An image to compare with.
struct Compared {
    small: Vec<f32>,
    background: [f32; 3],
}

impl<'a> Cutouts<'a> {
    pub(super) fn new(things: &'a Things) -> Self {
        let sizes = |thing: &'a Thing| {
            let in_size = |side: &usize| thing.cutout.fitted(*side as u32);
            let stamps = |cutouts: &[Cutout]| cutouts.iter().map(Stamp::new).collect();
            let mut alone: Vec<Cutout> = ALONE.iter().map(in_size).collect();
            if thing.names.mirror {
                alone.extend(alone.clone().iter().map(Cutout::mirrored));
            }
            let together: Vec<Cutout> = TOGETHER.iter().map(in_size).collect();
            let sizes = Sizes { alone: stamps(&alone), together: stamps(&together) };
            ((thing.names.style.as_str(), thing.names.phrase.as_str()), sizes)
        };
        Self { things: things.all().par_iter().map(sizes).collect() }
    }

    /// The name of the thing of this style that fits an image of one thing best.
    pub(super) fn concept(&self, style: &str, image: &Image) -> &'a str {
        let image = Compared::new(image);
        self.best(|of| of.0 == style, &image).map_or("", |(_, phrase)| phrase)
    }

    /// The style whose drawing of this thing fits an image of one thing best.
    pub(super) fn style(&self, phrase: &str, image: &Image) -> &'a str {
        let image = Compared::new(image);
        self.best(|of| of.1 == phrase, &image).map_or("", |(style, _)| style)
    }

    /// Number of styles that have this thing.
    pub(super) fn styles_of(&self, phrase: &str) -> usize {
        self.things.keys().filter(|of| of.1 == phrase).count()
    }

    fn best(&self, wanted: impl Fn(&(&'a str, &'a str)) -> bool, image: &Compared) -> Option<(&'a str, &'a str)> {
        let candidates: Vec<_> = self.things.iter().filter(|(names, _)| wanted(names)).collect();
        let everywhere = |side: usize| 0..=SMALL - side;
        let fit =
            |(names, sizes): (&(&'a str, &'a str), &Sizes)| (image.fit(&sizes.alone, &everywhere, &everywhere), *names);
        let fits: Vec<(f32, (&str, &str))> = candidates.into_par_iter().map(fit).collect();
        fits.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, names)| names)
    }

    /// Whether the first of two things fits the left half (or the upper one) and the second the
    /// other half better than the other way round; `None` where a thing is not known.
    pub(super) fn is_in_order(&self, style: &str, things: [&str; 2], layout: &str, image: &Image) -> Option<bool> {
        let image = Compared::new(image);
        let [first, second] = things.map(|phrase| self.things.get(&(style, phrase)));
        let fit = |sizes: &Sizes, half: usize| {
            let along = move |side: usize| if half == 0 { 0..=SMALL / 2 - side } else { SMALL / 2..=SMALL - side };
            let across = |side: usize| 0..=SMALL - side;
            match layout {
                "above" => image.fit(&sizes.together, &along, &across),
                _ => image.fit(&sizes.together, &across, &along),
            }
        };
        let (first, second) = (first?, second?);
        Some(fit(first, 0) + fit(second, 1) < fit(second, 0) + fit(first, 1))
    }
}

/// The rows, or columns, at which a thing of a side may begin, in values of a small picture.
type Begins<'a> = &'a dyn Fn(usize) -> RangeInclusive<usize>;

impl Compared {
    fn new(image: &Image) -> Self {
        Self { small: small(image), background: border_colour(image) }
    }

    /// By how much the squared distance changes where the best of the stamps is put at its best
    /// place instead of the background.
    fn fit(&self, stamps: &[Stamp], rows: Begins<'_>, columns: Begins<'_>) -> f32 {
        let mut best = f32::INFINITY;
        for Stamp { side, values } in stamps {
            let seen = |[r, g, b, ground]: &[f32; 4]| {
                let [red, green, blue] = self.background;
                [r + ground * red, g + ground * green, b + ground * blue]
            };
            let put: Vec<[f32; 3]> = values.iter().map(seen).collect();
            for row in rows(*side).step_by(STEP) {
                for column in columns(*side).step_by(STEP) {
                    best = best.min(self.gain(&put, *side, row, column));
                }
            }
        }
        best
    }

    /// The squared distance to what was put, minus that to the background.
    fn gain(&self, put: &[[f32; 3]], side: usize, top: usize, left: usize) -> f32 {
        let mut sum = 0.0;
        for (row, put) in put.chunks_exact(side).enumerate() {
            let image = &self.small[3 * ((top + row) * SMALL + left)..][..3 * side];
            for (image, put) in image.chunks_exact(3).zip(put) {
                for channel in 0..3 {
                    let (far, ground) = (image[channel] - put[channel], image[channel] - self.background[channel]);
                    sum += far * far - ground * ground;
                }
            }
        }
        sum
    }
}

impl Stamp {
    fn new(cutout: &Cutout) -> Self {
        let side = cutout.size().0.max(cutout.size().1) as usize / SQUARE;
        let [black, white] = [0, 255].map(|level| put_in_the_corner(cutout, [level; 3]));
        let at = |at: usize| 3 * (at / side * SMALL + at % side);
        let value = |from: usize| [black[from], black[from + 1], black[from + 2], (white[from] - black[from]) / 255.0];
        Self { side, values: (0..side * side).map(|index| value(at(index))).collect() }
    }
}

/// A small picture of a cut-out in the middle of a square in the top left corner.
fn put_in_the_corner(cutout: &Cutout, ground: [u8; 3]) -> Vec<f32> {
    let (width, height) = cutout.size();
    let side = width.max(height);
    let mut picture = Picture { rgb: ground.repeat(SIDE * SIDE) };
    cutout.put(&mut picture, ((side - width) / 2) as i32, ((side - height) / 2) as i32);
    small(&Image { width: SIDE as u32, height: SIDE as u32, pixels: picture.rgb })
}
