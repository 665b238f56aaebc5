//! Plain autoregressive decoding: nothing is proposed.

use hawk_spec::{TokenTree, TreeError};

use super::context::View;
use super::contract::{DefaultTree, Drafter, DrafterKind, Heads, Media};
use crate::request::decoder::Decoder;

impl Decoder {
    /// Plain autoregressive decoding, one cell a pass.
    pub const AR: Decoder = Decoder::custom(&DrafterKind {
        name: "ar",
        help: "plain autoregressive decoding: one cell per pass",
        tree: DefaultTree::Nodes(1),
        heads: Heads::Unused,
        media: Media::Any,
        make: |_| Ok(Box::new(Plain)),
    });
}

struct Plain;

impl Drafter for Plain {
    fn propose(&mut self, _: &View<'_>, _: &mut TokenTree) -> Result<(), TreeError> {
        Ok(())
    }
}
