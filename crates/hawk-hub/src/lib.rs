//! Pulls models from a Hugging Face hub into the cache that its ecosystem shares, and finds them there.
//!
//! ```no_run
//! use hawk_hub::{Event, Repository, Settings, pull};
//!
//! let repository: Repository = "Alpha-VLLM/Lumina-mGPT-7B-768".parse()?;
//! let folder = pull(&repository, &Settings::from_env()?, &mut |event| {
//!     if let Event::FileStarted { name, .. } = event {
//!         println!("{name}");
//!     }
//! })?;
//! println!("the model is in {}", folder.display());
//! # Ok::<(), hawk_files::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Repository`] | a repository of models and one of its revisions: `ORG/NAME@REVISION` |
//! | [`Settings`] | the hub's address, the cache's folder, the token |
//! | [`pull`], [`Event`] | download of a revision, and its progress |
//! | [`find_model`] | a folder or the name of a pulled repository, as the folder to load |
//!
//! The cache holds `models--ORG--NAME/{blobs,refs,snapshots}`, the layout of the `huggingface_hub` package.
//! A snapshot is a folder of links to blobs, so that two revisions share their equal files.
//!
//! # What it does not do
//!
//! It prints nothing and loads no model. It writes into the cache only. It opens a connection only inside [`pull`].

mod client;
mod event;
mod listing;
#[cfg(test)]
mod listing_tests;
mod pull;
mod repository;
mod settings;

pub use event::Event;
pub use pull::pull;
pub use repository::{Repository, find_model};
pub use settings::{Settings, user_cache};
