//! Measures how well a model draws what captions say.
//!
//! No neural network judges. The images are compared with the pictures of the corpus that the model
//! was trained on:
//!
//! - A style is right if the nearest picture of the concept has that style.
//! - An order is right if the image is nearer to the scene than to the scene with its halves
//!   exchanged.
//! - A background is right if its colour is the nearest one to the colour along the image's border.
//! - A number is right if the foreground is most similar to the mean foreground of scenes with that
//!   number.

mod counts;
mod features;
pub(crate) mod measures;
pub(crate) mod run;
