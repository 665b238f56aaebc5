//! Makes captioned pictures from emoji: the recipe `emoji`.
//!
//! 1. [`cache`] fetches npm packages that [`recipe`] pins to their bytes, and [`archive`] reads
//!    their files.
//! 2. [`concepts`] reads what the emoji standard names, and [`catalogue`] finds the drawings of
//!    these concepts.
//! 3. [`cutout`] renders the drawings; [`words`] and [`colour`] write their captions.
//! 4. [`split`] holds out concepts and styles for validation.
//! 5. [`scenes`] composes several drawings.
//! 6. [`make`] runs these steps and writes the files.
//!
//! The result depends on the recipe and on the fields `scenes`, `styles`, `things` and `limit` of
//! [`EmojiSettings`](settings::EmojiSettings) only. The number of threads and interruptions do not
//! change it.

mod archive;
mod cache;
mod catalogue;
mod colour;
mod concepts;
mod cutout;
pub(crate) mod make;
pub(crate) mod manifest;
mod objects;
mod recipe;
pub(crate) mod scenes;
pub(crate) mod settings;
mod split;
mod words;
