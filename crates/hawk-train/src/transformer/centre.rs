//! Which value a norm subtracts.

/// What is subtracted before a norm scales its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Centre {
    /// The mean, as in LayerNorm.
    Mean,
    /// Nothing, as in RMSNorm.
    Zero,
}
