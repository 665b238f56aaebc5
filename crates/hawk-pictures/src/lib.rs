//! Pictures to train the built-in model on, 128 x 128 pixels: landscapes that this crate paints itself, things cut out of emoji, and things
//! that stand in landscapes.
//!
//! Every picture is a pure function of a seed and an index, so a data set is described by two numbers.
//!
//! ```
//! use hawk_pictures::{landscape::Scene, random::Random};
//!
//! let mut random = Random::new(7, 0);
//! let scene = Scene::random(&mut random);
//! let (picture, stage) = scene.paint(&mut random);
//! assert_eq!(picture.rgb.len(), 128 * 128 * 3);
//! assert!(stage.feet.start >= stage.ground_top);
//! println!("{}", scene.caption(&mut random));
//! ```
//!
//! The nouns: a [`Picture`](picture::Picture) is pixels; a [`Scene`](landscape::Scene) is what a caption can name; a
//! [`Stage`](landscape::Stage) is where a thing may stand in the painted scene; a [`Thing`](things::Thing) is a cut-out with its names; a
//! [`Sample`](sample::Sample) is a picture with captions, of a [`Mixture`](mixture::Mixture); an [`Order`](order::Order) says how many of
//! them [`folder`] brings to disk as PNG files, or [`shards`] as raw pixels.

mod begun;
mod composites;
mod files;
pub mod folder;
mod habitat;
pub mod landscape;
mod list;
pub mod mixture;
pub mod order;
pub mod picture;
pub mod random;
pub mod recipe;
mod record;
pub mod sample;
pub mod shards;
pub mod sheet;
pub mod split;
pub mod things;

pub use composites::composite;
pub use record::{Counts, Split, Tally};
