//! Makes the pictures and captions that small models learn from: the recipe `emoji`.
//!
//! Packages of the npm registry, pinned to their bytes ([`recipe`], [`cache`], [`archive`]), hold drawings ([`catalogue`]) of what the
//! emoji standard names ([`concepts`]). They are drawn ([`picture`]), captioned ([`words`], [`colour`]), split ([`split`]) and composed to
//! [`scenes`]; [`make`] puts everything in order and on disk. The result is a function of the recipe and of scenes, styles, things and limit
//! in [`EmojiSettings`] alone: its digest is the same on any number of threads, after any number of interruptions.

mod archive;
mod cache;
mod catalogue;
mod colour;
mod concepts;
mod cutout;
pub(crate) mod make;
pub(crate) mod manifest;
mod recipe;
pub(crate) mod scenes;
pub(crate) mod settings;
mod split;
mod words;
