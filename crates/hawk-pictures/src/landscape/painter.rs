//! What every part of a scene is painted with.

use super::{
    attributes::{Season, Style},
    canvas::{Canvas, Cover, Profile, Shape},
    colour::{Colour, hex, mix, scale},
    look::Look,
    scene::Scene,
};
use crate::{picture::SIDE, random::Random};

/// The sun's or the moon's place in pixels.
#[derive(Clone, Copy)]
pub(super) struct Disc {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) radius: f32,
}

/// A scene that is being painted.
pub(super) struct Painter<'a> {
    pub(super) scene: &'a Scene,
    pub(super) look: Look,
    pub(super) random: Random,
    pub(super) canvas: Canvas,
    /// What rough water mirrors, where that is not the canvas: a rainbow is not seen in it.
    pub(super) mirror: Option<Canvas>,
    /// The row where land or water begins, in pixels from the top.
    pub(super) horizon: f32,
    pub(super) disc: Option<Disc>,
}

impl Painter<'_> {
    /// Whether it is winter here.
    pub(super) fn snowy(&self) -> bool {
        self.scene.season == Some(Season::Winter)
    }

    /// Paints what lies below a profile. `colour` gets a pixel's place and its depth below the
    /// profile.
    pub(super) fn land(&mut self, top: &Profile, colour: impl Fn(f32, f32, f32) -> Colour) {
        let cover = Cover::below(top);
        self.throw_shadow(&cover, 0, -1, 0.42);
        let paper = self.look.paper();
        self.canvas.fill(&cover, |x, y| {
            let depth = y + 0.5 - top[x as usize];
            let colour = colour(x, y, depth);
            let rim = if paper && depth < 1.5 { 1.08 } else { 1.0 };
            (scale(colour, rim), 1.0)
        });
    }

    /// Fills a shape with one colour.
    pub(super) fn flat(&mut self, shape: Shape, colour: Colour) {
        self.veil(shape, colour, 1.0);
    }

    /// Fills a shape with one colour that lets through what is behind.
    pub(super) fn veil(&mut self, shape: Shape, colour: Colour, opacity: f32) {
        if let Some(cover) = shape.cover() {
            self.canvas.fill(&cover, |_, _| (colour, opacity));
        }
    }

    /// Fills a shape that, in paper, throws a shadow.
    pub(super) fn cut(&mut self, shape: Shape, colour: impl Fn(f32, f32) -> Colour) {
        if let Some(cover) = shape.cover() {
            self.throw_shadow(&cover, 1, 1, 0.34);
            self.canvas.fill(&cover, |x, y| (colour(x, y), 1.0));
        }
    }

    /// As `cut`, for a colour that changes within a pixel.
    pub(super) fn cut_finely(&mut self, shape: Shape, colour: impl Fn(f32, f32) -> Colour) {
        self.cut(shape, |x, y| {
            let points = [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)];
            let colours = points.map(|(dx, dy)| colour(x + 0.5 + dx, y + 0.5 + dy));
            [0, 1, 2].map(|c| colours.iter().map(|colour| colour[c]).sum::<f32>() / 4.0)
        });
    }

    fn throw_shadow(&mut self, cover: &Cover, right: isize, down: isize, strength: f32) {
        if self.look.style == Style::PaperCut {
            let dark = scale(self.look.light, 0.12);
            self.canvas.fill(&cover.shadow(right, down), |_, _| (dark, strength));
        }
    }

    /// A gentle line about `height` rows from the top, which rises and falls by `swing`.
    pub(super) fn gentle(&mut self, height: f32, swing: f32, length: f32) -> Profile {
        let noise = self.look.noise.other(self.random.next_u64() as u32);
        std::array::from_fn(|x| height + swing * noise.line(x as f32 / length, 2))
    }

    /// Whether something from `left` to `right` that reaches up to `top` would hide the sun or the
    /// moon.
    pub(super) fn hides_light(&self, left: f32, right: f32, top: f32) -> bool {
        self.disc.is_some_and(|disc| {
            left < disc.x + disc.radius + 3.0 && right > disc.x - disc.radius - 3.0 && top < disc.y + disc.radius + 2.0
        })
    }

    /// A place across, away from the sun or the moon.
    pub(super) fn spot(&mut self, margin: f32) -> f32 {
        let random = &mut self.random;
        let spots: [f32; 4] = std::array::from_fn(|_| random.between(margin, SIDE as f32 - margin));
        match self.disc {
            None => spots[0],
            Some(disc) => {
                spots.into_iter().max_by(|a, b| (a - disc.x).abs().total_cmp(&(b - disc.x).abs())).unwrap_or(64.0)
            }
        }
    }

    /// The colour of grass or of what covers it in this season, before the light.
    pub(super) fn meadow(&mut self) -> Colour {
        let random = &mut self.random;
        let (one, two) = match self.scene.season {
            Some(Season::Spring) => (hex(0x8CC252), hex(0x5FAE5A)),
            Some(Season::Autumn) => (hex(0xC69A48), hex(0x9A8444)),
            Some(Season::Winter) => (hex(0xF0F4FA), hex(0xE2EAF6)),
            Some(Season::Summer) | None => random.pick(&[
                (hex(0x6FA048), hex(0x4F8C46)),
                (hex(0x88A64E), hex(0x5C8A3E)),
                (hex(0x4E9058), hex(0x3E7C58)),
            ]),
        };
        mix(one, two, random.unit())
    }
}
