//! What is kept out of training: a function of names alone, so that it never moves when more pictures are painted.

use sha2::{Digest, Sha256};

/// Share of combinations that training does not show.
const HELD_OUT: f64 = 0.05;

/// Whether a combination with this name is kept out of training; `kind` says of what.
#[must_use]
pub fn is_held_out(kind: &str, name: &str) -> bool {
    let digest = Sha256::digest(format!("{kind} {name}"));
    let number = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    // 53 bits are what an f64 holds exactly.
    ((number >> 11) as f64 / (1u64 << 53) as f64) < HELD_OUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_is_held_out_and_never_moves() {
        let held_out = (0..5000).filter(|i| is_held_out("pair", &format!("thing {i}"))).count();
        assert!((200..300).contains(&held_out), "{held_out}");
        let first: Vec<usize> = (0..100).filter(|i| is_held_out("pair", &format!("thing {i}"))).collect();
        assert_eq!(first, [17, 25, 36, 56, 74, 96]);
    }
}
