//! Measures how well a model draws what captions say, how uncertain its law is, and how much two
//! images of a caption differ.
//!
//! No neural network judges. Captions of emoji are measured against the pictures that the model was
//! trained on:
//!
//! - A style is right if the nearest picture of the concept has that style.
//! - An order is right if the image is nearer to the scene than to the scene with its halves
//!   exchanged.
//! - A background is right if its colour is the nearest one to the colour along the image's border.
//! - A number is right if the foreground is most similar to the mean foreground of scenes with that
//!   number.
//!
//! Captions of painted pictures are measured by rules whose accuracy is measured on painted
//! pictures, too:
//!
//! - Time of day, terrain, rendering, sun or moon, aurora, ground and number: a rule that is
//!   [learned](painted) from painted pictures of other seeds.
//! - Thing, style and order: the cut-out that fits the image best.

mod counts;
pub(crate) mod drawing;
mod emoji;
mod features;
pub(crate) mod figures;
mod law;
mod measures;
mod painted;
pub(crate) mod run;
pub(crate) mod settings;
