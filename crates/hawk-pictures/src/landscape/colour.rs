//! Colours as three numbers.

/// Red, green and blue, each in 0 to 1, as a screen has them.
pub(super) type Colour = [f32; 3];

/// A colour from its hexadecimal form.
pub(super) const fn hex(value: u32) -> Colour {
    [(value >> 16 & 255) as f32 / 255.0, (value >> 8 & 255) as f32 / 255.0, (value & 255) as f32 / 255.0]
}

/// `from` at `part` 0, `to` at `part` 1.
pub(super) fn mix(from: Colour, to: Colour, part: f32) -> Colour {
    [0, 1, 2].map(|c| from[c] + (to[c] - from[c]) * part)
}

/// The colour times a number.
pub(super) fn scale(colour: Colour, factor: f32) -> Colour {
    colour.map(|value| value * factor)
}

/// The product of two colours.
pub(super) fn times(colour: Colour, light: Colour) -> Colour {
    [0, 1, 2].map(|c| colour[c] * light[c])
}

/// The mean of the three channels.
pub(super) fn grey(colour: Colour) -> f32 {
    0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smooth(low: f32, high: f32, value: f32) -> f32 {
    let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}
