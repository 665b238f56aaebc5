//! The colours of a scene: by time of day and weather, with chance in them.

use super::{
    attributes::{Side, Style, Time, Weather},
    colour::{Colour, grey, hex, mix, scale, smooth, times},
    noise::Noise,
    scene::Scene,
};
use crate::random::Random;

/// What colours depend on; small, so that closures take a copy.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) style: Style,
    pub(super) time: Time,
    pub(super) weather: Weather,
    /// The sky from the top of the picture to the horizon.
    pub(super) sky: [Colour; 3],
    /// What things are multiplied by.
    pub(super) light: Colour,
    /// What far things fade to.
    pub(super) haze: Colour,
    /// The side of clouds that the light falls on, and the other one.
    pub(super) clouds: [Colour; 2],
    /// Added to the redness of the land, about -0.1 to 0.1.
    pub(super) warmth: f32,
    /// -1 for light from the left, 1 from the right.
    pub(super) light_side: f32,
    pub(super) noise: Noise,
}

struct Tones {
    skies: &'static [[u32; 3]],
    light: u32,
    clouds: [u32; 2],
}

const DAWN: Tones = Tones {
    skies: &[
        [0x7E9AD6, 0xE0B8D2, 0xFFDCC0],
        [0x92A8DE, 0xF4C0CC, 0xFFE8C4],
        [0x78AECB, 0xBFD6D8, 0xFFD8CC],
        [0xA99BD6, 0xF2B4C4, 0xFFD2B0],
    ],
    light: 0xF2D2CE,
    clouds: [0xFFF0E2, 0xD8A6BC],
};
const DAY: Tones = Tones {
    skies: &[
        [0x2F78D2, 0x78B8F0, 0xD2ECFA],
        [0x1E68BE, 0x60AAE2, 0xBEE2F0],
        [0x54A0E2, 0x96CEF0, 0xE4F2F6],
        [0x2E8EC8, 0x78C8DC, 0xDCF4EC],
    ],
    light: 0xFFFFF6,
    clouds: [0xFFFFFF, 0xB4C4D8],
};
const SUNSET: Tones = Tones {
    skies: &[
        [0x5A3C86, 0xE25C54, 0xFFC05A],
        [0x8A3A6C, 0xF06E3C, 0xFFD46E],
        [0x483E88, 0xE0626A, 0xFFB060],
        [0xA8343C, 0xF0602C, 0xFFC854],
    ],
    light: 0xF2B698,
    clouds: [0xFFC27A, 0x8E4262],
};
const DUSK: Tones = Tones {
    skies: &[
        [0x24265C, 0x60468E, 0xCE7CA4],
        [0x1E3464, 0x545C9E, 0xB892BC],
        [0x38245E, 0x7A4A92, 0xD686AC],
        [0x2A2C6A, 0x6C5AA6, 0xC49AC8],
    ],
    light: 0x988EC6,
    clouds: [0xC890B8, 0x4C3C78],
};
const NIGHT: Tones = Tones {
    skies: &[
        [0x060A24, 0x0E1E4C, 0x28487E],
        [0x08101E, 0x0E2C48, 0x205870],
        [0x0E0A2A, 0x1C1A50, 0x3C3C78],
        [0x040818, 0x0A1838, 0x1C3862],
    ],
    light: 0x5E74B4,
    clouds: [0x56689C, 0x1C2850],
};

impl Look {
    pub(super) fn new(scene: &Scene, random: &mut Random) -> Self {
        let tones = match scene.time {
            Time::Dawn => &DAWN,
            Time::Day => &DAY,
            Time::Sunset => &SUNSET,
            Time::Dusk => &DUSK,
            Time::Night => &NIGHT,
        };
        let (one, two) = (random.pick(tones.skies).map(hex), random.pick(tones.skies).map(hex));
        let part = random.unit() * 0.5;
        let mut sky = [0, 1, 2].map(|stop| mix(one[stop], two[stop], part));
        let mut clouds = tones.clouds.map(hex);
        let mut light = hex(tones.light);
        let dull = match scene.weather {
            Weather::Clear | Weather::Cloudy => 0.0,
            Weather::Overcast => 0.75,
            Weather::Fog => 0.45,
            Weather::Rain => 0.65,
            Weather::Snow => 0.6,
        };
        for stop in &mut sky {
            *stop = mix(*stop, pale(*stop, sky_grey(scene.time)), dull);
        }
        for side in &mut clouds {
            *side = mix(*side, pale(*side, sky_grey(scene.time)), dull);
        }
        let kept = if scene.time == Time::Night { 1.15 } else { 0.92 };
        light = mix(light, scale([grey(light); 3], kept), dull * 0.6);
        let side = scene.light.map(|light| light.side);
        let from_left = match side {
            Some(Side::Left) => true,
            Some(Side::Right) => false,
            Some(Side::Middle) | None => random.chance(0.5),
        };
        Self {
            style: scene.style,
            time: scene.time,
            weather: scene.weather,
            haze: mix(sky[2], sky[1], 0.35),
            sky,
            light,
            clouds,
            warmth: random.between(-0.08, 0.08),
            light_side: if from_left { -1.0 } else { 1.0 },
            noise: Noise::new(random.next_u64()),
        }
    }

    pub(super) fn paper(&self) -> bool {
        self.style == Style::PaperCut
    }

    /// A thing's colour in this light, at a distance of 0 (near) to 1 (lost in the haze).
    pub(super) fn tone(&self, colour: Colour, distance: f32) -> Colour {
        let warm = [1.0 + self.warmth, 1.0, 1.0 - self.warmth];
        self.veiled(times(times(colour, warm), self.light), distance)
    }

    /// What `tone` makes of a thing in front, which keeps some of its own colour in the dark.
    pub(super) fn close(&self, colour: Colour) -> Colour {
        let own = match self.time {
            Time::Night => 0.17,
            Time::Dusk => 0.12,
            Time::Dawn | Time::Day | Time::Sunset => 0.05,
        };
        mix(self.tone(colour, 0.0), colour, own)
    }

    /// What `tone` makes of snow, which stays whiter than other things in coloured light.
    pub(super) fn snow(&self, colour: Colour, distance: f32) -> Colour {
        let pale = grey(self.light);
        let light = mix(self.light, [pale + 0.12, pale + 0.14, pale + 0.2], 0.5);
        self.veiled(times(colour, light).map(|value| value.min(1.0)), distance)
    }

    fn veiled(&self, colour: Colour, distance: f32) -> Colour {
        let least = if self.time == Time::Night { 0.09 } else { 0.0 };
        let veil = if self.weather == Weather::Fog { 0.15 + 0.75 * distance } else { distance };
        mix(colour, self.haze, veil.clamp(least, 0.95))
    }

    /// Ground of a colour: in the light and out of it.
    pub(super) fn ground(&self, colour: Colour, distance: f32) -> [Colour; 2] {
        let cool = mix(self.sky[0], hex(0x4A62A0), 0.4);
        if grey(colour) > 0.8 {
            let shady = self.snow(mix(scale(colour, 0.86), hex(0xA8BEE4), 0.4), distance);
            return [self.snow(colour, distance), mix(shady, cool, 0.14 * (1.0 - distance))];
        }
        let shady = mix(self.tone(scale(colour, 0.76), distance), cool, 0.26 * (1.0 - distance));
        [self.tone(scale(colour, 1.1), distance), shady]
    }

    /// A colour that glows by itself.
    pub(super) fn glow(&self, colour: Colour, distance: f32) -> Colour {
        mix(colour, self.haze, distance)
    }

    /// Whether lamps are lit.
    pub(super) fn lamps(&self) -> bool {
        matches!(self.time, Time::Dusk | Time::Night)
    }

    /// Soft texture: 1 in paper, about `1 - amount` to `1 + amount` in paint. `length` is a
    /// feature's size in pixels.
    pub(super) fn texture(&self, x: f32, y: f32, length: f32, amount: f32) -> f32 {
        if self.paper() { 1.0 } else { 1.0 + amount * 1.6 * self.noise.fractal(x / length * 0.7, y / length * 1.3, 2) }
    }

    /// 0 below 0, 1 above: over `softness` pixels in paint, sharp in paper.
    pub(super) fn edge(&self, value: f32, softness: f32) -> f32 {
        let half = if self.paper() { 0.6 } else { softness.max(0.6) };
        smooth(-half, half, value)
    }
}

/// The grey that a sky takes under clouds.
fn sky_grey(time: Time) -> Colour {
    match time {
        Time::Dawn => hex(0xCDBFC6),
        Time::Day => hex(0xB2BCC6),
        Time::Sunset => hex(0xDCA07C),
        Time::Dusk => hex(0x807C9E),
        Time::Night => hex(0x445276),
    }
}

/// The colour with the lightness of its own, in part, and the hue of `towards`.
fn pale(colour: Colour, towards: Colour) -> Colour {
    let factor = 0.75 + 0.25 * (grey(colour) / grey(towards).max(0.05)).min(1.6);
    scale(towards, factor)
}
