//! What the drafters with Jacobi guesses share.

use hawk_spec::{Cell, Code, Noise, Purpose, Source};

/// A guess of the target's law in an earlier pass.
pub(super) const LAST: Source = Source::new("last");
/// A code without a reason.
pub(super) const RANDOM: Source = Source::new("random");

/// One of `codes` codes, all alike. It is no draw from a law: nothing else depends on its random number.
pub(super) fn random_code(noise: Noise, cell: Cell, codes: u32) -> Code {
    Code(noise.at(cell, Purpose::Draft).words(u32::MAX)[0] % codes)
}
