//! Selects what is held out of training, by names only. The selection does not change with the set
//! of pictures.

use sha2::{Digest, Sha256};

use hawk_pictures::Split;

/// Fraction of families that are held out in all styles, and fraction that is held out in one
/// style.
const NEW_CONCEPTS: f64 = 0.02;
const NEW_STYLES: f64 = 0.10;
/// Fraction of combinations of parts that are held out.
const NEW_SCENES: f64 = 0.05;

/// A hash of a text in `0..1`.
fn fraction(of: &str) -> f64 {
    // An f64 holds 53 bits exactly.
    (number(of) >> 11) as f64 / (1u64 << 53) as f64
}

/// A 64-bit hash of a text.
pub(crate) fn number(of: &str) -> u64 {
    let digest = Sha256::digest(of.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The split of a family in the styles with these `drawings`. `all` has the sorted drawings of the
/// family.
pub(crate) fn of_family(family: &str, drawings: &str, all: &[&str]) -> Split {
    let fraction = fraction(&format!("family {family}"));
    if fraction < NEW_CONCEPTS {
        return Split::NewConcept;
    }
    if fraction < NEW_CONCEPTS + NEW_STYLES && all.len() > 1 {
        let held_out = number(&format!("style {family}")) as usize % all.len();
        if all[held_out] == drawings {
            return Split::NewStyle;
        }
    }
    Split::Train
}

/// The split of all scenes with these parts.
pub(crate) fn of_scene(parts: &str) -> Split {
    if fraction(&format!("scene {parts}")) < NEW_SCENES { Split::NewScene } else { Split::Train }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_stated_and_one_style_is_lost_at_most() {
        let all = ["fluent", "noto", "twemoji"];
        let (mut concepts, mut styles) = (0, 0);
        for i in 0..5000 {
            let splits = all.map(|drawings| of_family(&format!("thing {i}"), drawings, &all));
            concepts += usize::from(splits == [Split::NewConcept; 3]);
            let lost = splits.iter().filter(|split| **split == Split::NewStyle).count();
            assert!(lost <= 1 && (lost == 0 || !splits.contains(&Split::NewConcept)));
            styles += lost;
        }
        assert!((70..130).contains(&concepts), "{concepts}");
        assert!((430..570).contains(&styles), "{styles}");
        assert!((0..500).all(|i| of_family(&format!("thing {i}"), "noto", &["noto"]) != Split::NewStyle));
        let scenes = (0..5000).filter(|i| of_scene(&format!("{i}")) == Split::NewScene).count();
        assert!((200..300).contains(&scenes), "{scenes}");
    }

    #[test]
    fn the_split_never_moves() {
        assert_eq!(number("family dog"), 9_283_074_551_201_572_184);
    }
}
