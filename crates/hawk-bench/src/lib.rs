//! Compares decoders of one engine: how fast, how much is accepted, whether the images are plain
//! decoding's.
//!
//! ```
//! use hawk::{Decoder, Decoding, Engine, LoadOptions, Rule, Seed};
//! use hawk_bench::{Plan, Row, compare};
//!
//! let engine = Engine::load(hawk::built_in_model(), LoadOptions::default())?;
//! let plan = Plan {
//!     prompts: vec!["red apple, fluent 3d style".to_owned().into()],
//!     seed: Seed(1),
//!     images: 1,
//!     sampling: engine.config().defaults,
//!     contenders: vec![Decoding::with_defaults(Decoder::NEIGHBOUR, Rule::Replay)],
//! };
//! let measured = compare(&plan, &mut |request| hawk_bench::draw(&engine, request), &mut |_| {})?;
//! let rows: Vec<Row> = measured.iter().map(|measured| Row::new(measured, &plan, &engine)).collect();
//! assert_eq!((rows[0].decoder.as_str(), rows[0].acceptance_length), ("ar", 1.0));
//! assert!(rows[1].acceptance_length > 1.0 && rows[1].same_image_as_ar == Some(true));
//! # Ok::<(), hawk::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Plan`], [`compare`] | who is compared on which images; every image is drawn by all in turn |
//! | [`Comparison`], [`Drawing`] | the same turn by turn, for runs that are stopped and go on |
//! | [`Measured`] | what one contender did over all images |
//! | [`Row`], [`Spread`] | the same as figures |
//! | [`Report`] | the rows with settings and machine, as JSON and as one [`page`](Report::page) |
//! | [`project`](mod@project) | what recorded acceptance would bring on a device that is not at hand |
//! | [`plot`](mod@plot) | parts of pages and plots, which other reports use too |
//! | [`overlay`], [`SourceShare`] | which source each cell of an image came from |
//!
//! # What it does not do
//!
//! It writes no files and prints nothing. It times nothing that it has not found equal first.

#![deny(unsafe_code)]

mod decoders;
mod overlay;
mod page;
pub mod plot;
pub mod project;
mod report;
pub mod step;

pub use decoders::{Comparison, Draw, Drawing, Measured, Plan, Prompt, Turn, compare, draw};
pub use overlay::{SourceShare, overlay, source_shares};
pub use report::{Budget, ImageParts, KindRow, Machine, PassParts, Report, Row, Settings, SourceRow, Spread};
