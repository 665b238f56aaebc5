//! soar, and soar with single parts changed.

use super::Soar;
use super::growth::{Branches, Worth};
use super::parts::{ALL, Copies, Parts};
use super::spatial::Ranked;
use crate::drafter::contract::{DefaultTree, DrafterKind, Heads, Media};
use crate::request::decoder::Decoder;

macro_rules! soar {
    ($name:literal, $help:literal, $parts:expr) => {
        Decoder::custom(
            &const {
                DrafterKind {
                    name: $name,
                    help: $help,
                    tree: DefaultTree::Auto { otherwise: 4 },
                    heads: Heads::Spatial,
                    media: Media::Any,
                    make: |setup| Ok(Box::new(Soar::new(setup, $parts))),
                }
            },
        )
    };
}

impl Decoder {
    /// Jacobi drafts with a memory, and branches.
    pub const SOAR: Decoder = soar!(
        "soar",
        "Jacobi drafts from the best fitting of several passes, with branches; uses spatial heads if there are any",
        ALL
    );

    /// `soar` with one part off or changed, for measurements of the parts. No [`str::parse`] finds them.
    pub const SOAR_PARTS: [Decoder; 11] = [
        soar!("soar-1-law", "only the law of the last pass", Parts { laws: 1, ..ALL }),
        soar!("soar-2-laws", "the laws of two passes", Parts { laws: 2, ..ALL }),
        soar!("soar-no-laws", "no laws of earlier passes, but copies", Parts { laws: 0, copies: Copies::Both, ..ALL }),
        soar!("soar-no-heads", "no spatial heads", Parts { spatial: None, ..ALL }),
        soar!("soar-all-codes", "spatial heads rank all codes", Parts { spatial: Some(Ranked::All), ..ALL }),
        soar!("soar-random", "no copies", Parts { copies: Copies::Off, ..ALL }),
        soar!("soar-copies", "copies of both neighbours", Parts { copies: Copies::Both, ..ALL }),
        soar!("soar-left", "copies of the left neighbour", Parts { copies: Copies::Left, ..ALL }),
        soar!("soar-above", "copies of the cell above", Parts { copies: Copies::Above, ..ALL }),
        soar!("soar-chain", "no branches", Parts { branches: Branches::Never, ..ALL }),
        soar!(
            "soar-best",
            "best first, without the worth of laws for later passes",
            Parts { worth: Worth::ChanceAlone, ..ALL }
        ),
    ];
}
