//! What a server is told when it starts.

use std::time::Duration;

use hawk::Decoding;

use crate::keys::ApiKeys;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model's name: in records, in answers, and as the `model` of requests.
    pub model: String,
    /// Decoder, rule and tree of requests that name none.
    pub decoding: Decoding,
    /// Most images in a target pass, 1 to [`MAX_BATCH`](hawk::MAX_BATCH). Fewer where memory is short.
    pub slots: usize,
    /// Most images that wait, at least [`MAX_IMAGES`].
    pub queue: usize,
    /// Longest prompt in bytes.
    pub prompt_bytes: usize,
    /// Time after which a request is given up, from its arrival.
    pub deadline: Duration,
    /// Time that requests have to finish when the server stops.
    pub grace: Duration,
    /// Keys of clients.
    pub keys: ApiKeys,
    /// Which other websites may use the server from a browser.
    pub cors: Cors,
}

/// Which other websites may use the server from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// None.
    #[default]
    Off,
    /// These origins, such as `https://example.org`.
    Origins(Vec<String>),
}

/// Most images of one request.
pub const MAX_IMAGES: u32 = 10;
/// Most partial images of one image.
pub(crate) const MAX_PARTIAL_IMAGES: u32 = 3;
/// Most nodes of a tree.
pub(crate) const MAX_TREE_NODES: usize = 32;
/// Most bytes of a request beside its prompt. JSON may write a byte as six.
pub(crate) const OTHER_BODY_BYTES: usize = 16 << 10;
