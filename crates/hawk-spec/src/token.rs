//! Types for numbers, so that a code is never taken for a vocabulary id, or a cell for a node.

use std::fmt;

macro_rules! index_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index into a slice.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

index_newtype! {
    /// An id of the target's vocabulary: text, structure tokens and image codes together.
    TokenId
}
index_newtype! {
    /// A VQ code, `0..codes`, an input of the image decoder.
    /// [`Layout::token`](crate::Layout::token) gives its vocabulary id.
    Code
}
index_newtype! {
    /// A cell of the latent grid, by raster index: `row * cols + col`.
    Cell
}
index_newtype! {
    /// A position in the token sequence, prompt and structure tokens included.
    Position
}
index_newtype! {
    /// A node of a [`TokenTree`](crate::TokenTree), in insertion order.
    NodeId
}
index_newtype! {
    /// The number of an image among those of one seed. It separates their noise.
    ImageIndex
}

impl NodeId {
    /// The anchor: the last committed token.
    pub const ROOT: NodeId = NodeId(0);
}

/// The seed of an image's noise: the key of the counter-based generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(pub u64);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
