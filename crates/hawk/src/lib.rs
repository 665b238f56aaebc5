//! Images from text with autoregressive image models, several cells per target pass.
//!
//! A drafter proposes cells, the model (the target) tests them in one pass, and a rule accepts or
//! rejects them. Under [`Rule::Replay`] every decoder draws the same pixels as plain decoding.
//!
//! ```
//! use std::ops::ControlFlow;
//! use hawk::{Decoder, Decoding, Engine, LoadOptions, Request, Rule, Seed};
//!
//! let engine = Engine::load(hawk::built_in_model(), LoadOptions::default())?;
//! let request = Request {
//!     prompt: "red apple, fluent 3d style".to_owned(),
//!     seed: Seed(7),
//!     images: 0..1,
//!     sampling: engine.config().defaults,
//!     decoding: Decoding::with_defaults(Decoder::NEIGHBOUR, Rule::Replay),
//!     batch: 1,
//! };
//! let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
//! let apple = &outcome.images[0];
//! assert_eq!((apple.image.width, apple.image.height), (128, 128));
//! assert!(apple.stats.acceptance_length() > 1.0);
//! # Ok::<(), hawk::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Engine`] | a loaded image model that answers requests |
//! | [`Model`] | the parts of a loaded image model: weights, configuration, tokenizer |
//! | [`Device`], [`Backend`] | a place to load weights to, and a transformer loaded there |
//! | [`Request`] | prompt, seed, numbers of images, sampling, decoding |
//! | [`Decoding`] | a [`Decoder`], a rule and the bound of its trees |
//! | [`Decoder`], [`Drafter`] | a kind of drafter by name, and one drafter at work |
//! | [`Batch`], [`Job`] | the decoding loop, and one image or text in it |
//! | [`Event`], [`CellSource`] | the progress of a request: cells as they are committed |
//! | [`Outcome`], [`Generated`], [`Timings`] | the results of a request |
//! | [`Engine::observe`], [`Observed`] | hidden state and law at every cell of a finished image |
//! | [`TextEngine`], [`TextRequest`], [`GeneratedText`] | the same for text |
//! | [`TunerMemory`], [`TunedSize`] | what the autotuner of tree sizes keeps between runs, and what it chose |
//! | [`Record`] | the settings of an image in its PNG, enough to make it again |
//!
//! A drafter of your own implements [`Drafter`] and becomes a decoder by [`Decoder::custom`].
//!
//! # What it does not do
//!
//! It parses no arguments, prints nothing, downloads nothing and chooses no seeds. It trains no
//! model and no heads.

mod analyse;
mod builtin;
mod decode;
mod drafter;
mod engine;
mod model;
mod prompt;
mod record;
mod request;
mod size;
mod text;
mod tuning;

pub use analyse::{
    CodeGrid, Inspection, JacobiLaws, JacobiRun, Observed, SequenceParts, decode, inspect, logits,
    logits_after_features, packed_for,
};
#[cfg(feature = "built-in")]
pub use builtin::built_in_model;
pub use builtin::{BUILT_IN, PROMPTS};
pub use decode::batch::Batch;
pub use decode::job::{BatchEvent, BatchLimits, Finished, Happened, Job, JobId};
pub use decode::tree_size::memory::TunerMemory;
pub use drafter::candidates::joint_law;
pub use drafter::context::{HeadAsks, Seen, View};
pub use drafter::contract::{DefaultTree, Drafter, DrafterKind, Heads, Media, Needs, Setup};
pub use drafter::mode::DraftMode;
pub use engine::{DraftMemory, Engine};
pub use hawk_nn::kernels::Precision;
pub use hawk_nn::{
    Arrangement, Attention, Backend, Cpu, Device, Error, Fault, Image, ImageSize, ModelSource, ReadBack, Result,
};
pub use hawk_spec::{
    Cell, Code, DecodeStats, DraftLaw, Grid, ImageIndex, LawError, NodeId, Noise, Rule, Sampling, Seed, Source,
    TokenId, TokenTree, TreeError, TreeShape, Verdict,
};
pub use model::{LoadOptions, Model};
pub use prompt::{Conditioning, Prefix};
pub use record::png::{read_png, write_plain_png, write_png};
pub use record::{Record, RecordedSampling, RecordedStats};
pub use request::decoder::Decoder;
pub use request::decoding::Decoding;
pub use request::event::{CellSource, Event, Failure, Generated, Outcome, Timings};
pub use request::rule::{AnyRule, LossyRule};
pub use request::tree::{AUTO_NODES, MAX_NODES, Tree};
pub use request::{MAX_BATCH, Request};
pub use text::{GeneratedText, PromptStyle, Stop, TextEngine, TextEvent, TextRequest, TextSampling, TextStream};
pub use tuning::TunedSize;
