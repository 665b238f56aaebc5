//! Names of colours, from pixels.

/// Fraction of the pixels that a colour must cover to be named.
const MAJORITY: f64 = 0.5;

/// The name of the colour of the majority of the pixels, if there is one.
pub(crate) fn dominant(pixels: impl Iterator<Item = [u8; 3]>) -> Option<&'static str> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    let mut all = 0usize;
    for pixel in pixels {
        all += 1;
        let name = name(pixel);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let (name, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count as f64 > MAJORITY * all as f64).then_some(name)
}

/// The name of a colour by hue, lightness and saturation. Unsaturated colours are grey.
pub(crate) fn name([r, g, b]: [u8; 3]) -> &'static str {
    let [r, g, b] = [r, g, b].map(i32::from);
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let (spread, lightness) = (high - low, (high + low) / 2);
    if high < 50 {
        return "black";
    }
    // Saturation relative to the largest one at this lightness, so that pale blue-greys are grey.
    let saturation = 100 * spread / (255 - (2 * lightness - 255).abs()).max(1);
    if spread < 24 || saturation < 22 {
        return match lightness {
            225.. => "white",
            60.. => "grey",
            _ => "black",
        };
    }
    let hue = if high == r {
        60 * (g - b) / spread
    } else if high == g {
        120 + 60 * (b - r) / spread
    } else {
        240 + 60 * (r - g) / spread
    };
    match hue.rem_euclid(360) {
        0..15 | 346.. if lightness > 175 => "pink",
        0..40 | 346.. if lightness < 115 && saturation < 60 => "brown",
        15..40 if lightness < 115 && saturation < 75 => "brown",
        15..45 if lightness > 150 && saturation < 65 => "beige",
        12..40 if lightness < 95 => "brown",
        0..15 | 346.. => "red",
        15..38 => "orange",
        38..66 => "yellow",
        66..168 => "green",
        168..256 => "blue",
        256..292 => "purple",
        _ if lightness < 90 => "purple",
        _ => "pink",
    }
}

/// Whether fewer than a third of the pixels are close to the background colour.
pub(crate) fn stands_out(pixels: impl Iterator<Item = [u8; 3]>, ground: [u8; 3]) -> bool {
    const NEAR: i32 = 70;
    let (mut all, mut near) = (0usize, 0usize);
    for pixel in pixels {
        all += 1;
        let squares = pixel.iter().zip(ground).map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2));
        near += usize::from(squares.sum::<i32>() < NEAR * NEAR);
    }
    near * 3 < all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_their_names() {
        for (pixel, expected) in [
            ([220, 40, 40], "red"),
            ([250, 150, 30], "orange"),
            ([250, 220, 60], "yellow"),
            ([60, 160, 60], "green"),
            ([50, 110, 220], "blue"),
            ([140, 80, 200], "purple"),
            ([250, 150, 190], "pink"),
            ([120, 75, 45], "brown"),
            ([110, 62, 66], "brown"),
            ([222, 184, 135], "beige"),
            ([245, 245, 248], "white"),
            ([150, 158, 165], "grey"),
            ([200, 212, 220], "grey"),
            ([20, 22, 24], "black"),
        ] {
            assert_eq!(name(pixel), expected, "{pixel:?}");
        }
    }

    #[test]
    fn only_a_majority_is_named() {
        let red = std::iter::repeat_n([220, 40, 40], 6);
        assert_eq!(dominant(red.clone().chain(std::iter::repeat_n([20, 22, 24], 4))), Some("red"));
        assert_eq!(dominant(red.chain(std::iter::repeat_n([20, 22, 24], 6))), None);
        assert_eq!(dominant(std::iter::empty()), None);
        assert!(!stands_out(std::iter::repeat_n([250; 3], 3), [255; 3]));
        assert!(stands_out(std::iter::repeat_n([200, 20, 20], 3), [255; 3]));
    }
}
