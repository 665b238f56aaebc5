//! What is behind things: white, a plain colour, or a colour softly shaded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::cutout::Cutout;
use crate::picture::{Picture, SIDE};
use crate::random::Random;
use crate::recipe::EMOJI;

/// A pixel nearer than this to its ground, in sums of squares of 255, vanishes in it.
const NEAR: i32 = 70 * 70;
/// How often another ground is drawn where a thing would vanish.
const TRIES: usize = 20;

/// A colour with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colour {
    /// `light blue`.
    pub name: String,
    /// Red, green and blue.
    pub rgb: [u8; 3],
}

/// What is behind things.
#[derive(Clone, Debug, PartialEq)]
pub enum Ground {
    /// White.
    White,
    /// One colour.
    Plain(&'static Colour),
    /// A colour that gets lighter along a way.
    Shaded(&'static Colour, Shading),
}

/// How a colour gets lighter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shading {
    way: Way,
    /// Share of white at the light end.
    light: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Up,
    Down,
    ToCorner,
    ToMiddle,
}

static COLOURS: LazyLock<Vec<Colour>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Recipe {
        backgrounds: BTreeMap<String, [u8; 3]>,
    }
    let recipe: Recipe = serde_json::from_str(EMOJI).expect("the recipe inside the program is whole");
    recipe.backgrounds.into_iter().map(|(name, rgb)| Colour { name, rgb }).collect()
});

impl Ground {
    /// A ground that none of the things vanishes in: white for half of them, where that can be.
    pub fn behind(things: &[&Cutout], random: &mut Random) -> Option<Self> {
        (0..TRIES).map(|_| Self::any(random)).find(|ground| things.iter().all(|thing| ground.shows(thing)))
    }

    fn any(random: &mut Random) -> Self {
        let kind = random.below(100);
        let colour = &COLOURS[random.below(COLOURS.len())];
        let way = [Way::Up, Way::Down, Way::ToCorner, Way::ToMiddle][random.below(4)];
        // A black that is made much lighter is grey.
        let most = if colour.name == "black" { 0.14 } else { 0.32 };
        let light = most * [0.5, 1.0][random.below(2)];
        match kind {
            0..50 => Self::White,
            50..65 => Self::Plain(colour),
            _ => Self::Shaded(colour, Shading { way, light }),
        }
    }

    /// Whether few pixels of a thing are like the ground.
    fn shows(&self, thing: &Cutout) -> bool {
        let (mut all, mut near) = (0usize, 0usize);
        let ends = [self.at(0.0), self.at(1.0)];
        for pixel in thing.solid_colours() {
            let like = |ground: &[u8; 3]| {
                let squares = pixel.iter().zip(ground).map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2));
                squares.sum::<i32>() < NEAR
            };
            all += 1;
            near += usize::from(ends.iter().any(like));
        }
        near * 3 < all
    }

    /// The colour where the shading has gone `lightness` (0 to 1) of its way.
    fn at(&self, lightness: f32) -> [u8; 3] {
        match self {
            Self::White => [255; 3],
            Self::Plain(colour) => colour.rgb,
            Self::Shaded(colour, shading) => {
                let white = shading.light * lightness;
                colour.rgb.map(|c| (f32::from(c) + (255.0 - f32::from(c)) * white).round() as u8)
            }
        }
    }

    /// The ground alone.
    #[must_use]
    pub fn paint(&self) -> Picture {
        let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
        let last = (SIDE - 1) as f32;
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (x, y) = (x as f32 / last, y as f32 / last);
                let lightness = match self {
                    Self::Shaded(_, shading) => shading.way.lightness(x, y),
                    Self::White | Self::Plain(_) => 0.0,
                };
                rgb.extend(self.at(lightness));
            }
        }
        Picture { rgb }
    }

    /// The colour's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::White => "white",
            Self::Plain(colour) | Self::Shaded(colour, _) => &colour.name,
        }
    }

    /// `on a light blue background`.
    #[must_use]
    pub fn phrase(&self) -> String {
        let article = if self.name().starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("on {article} {} background", self.name())
    }

    /// `on a soft light blue gradient`, where it is one.
    #[must_use]
    pub fn gradient_phrase(&self) -> Option<String> {
        matches!(self, Self::Shaded(..)).then(|| format!("on a soft {} gradient", self.name()))
    }
}

impl Way {
    fn lightness(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Up => 1.0 - y,
            Self::Down => y,
            Self::ToCorner => 1.0 - (x + y) / 2.0,
            Self::ToMiddle => (1.0 - 1.4 * ((x - 0.5).powi(2) + (y - 0.5).powi(2)).sqrt()).clamp(0.0, 1.0),
        }
    }
}
