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
//! | [`Proxy`], [`Patience`] | the way to the hub, and how long it is borne with |
//! | [`pull`], [`Event`] | download of a revision, and its progress |
//! | [`Server`] | a server of plain files, such as a registry of packages |
//! | [`find_model`] | a folder or the name of a pulled repository, as the folder to load |
//!
//! The cache holds `models--ORG--NAME/{blobs,refs,snapshots}`, the layout of the `huggingface_hub` package.
//! A snapshot is a folder of links to blobs, so that two revisions share their equal files. `.locks` beside it holds a
//! lock per blob, as that package has it.
//!
//! # What it does not do
//!
//! It prints nothing and loads no model. It writes into the cache only. It opens a connection only inside [`pull`]
//! and [`Server::fetch`].

mod address;
mod answer;
mod client;
mod digest;
mod download;
mod event;
mod http;
mod listing;
#[cfg(test)]
mod listing_tests;
mod lock;
mod patience;
mod pull;
mod repository;
mod server;
mod settings;
mod snapshot;

pub use address::Proxy;
pub use event::Event;
pub use patience::Patience;
pub use pull::pull;
pub use repository::{Repository, find_model};
pub use server::Server;
pub use settings::{Settings, user_cache};
