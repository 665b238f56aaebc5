//! Images over HTTP, as the OpenAI client asks for them. Requests of several clients share target passes,
//! and never change each other's images.
//!
//! ```no_run
//! use std::net::TcpListener;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use hawk::{Decoder, Decoding, Engine, LoadOptions, ModelSource, Rule};
//! use hawk_server::{ApiKeys, Cors, Server, Settings};
//!
//! let engine = Engine::load(ModelSource::Dir("model".into()), LoadOptions::default())?;
//! let settings = Settings {
//!     model: "my-model".to_owned(),
//!     decoding: Decoding::with_defaults(Decoder::SCD, Rule::Replay),
//!     slots: 8,
//!     queue: 128,
//!     prompt_bytes: 4096,
//!     deadline: Duration::from_secs(600),
//!     grace: Duration::from_secs(10),
//!     keys: ApiKeys::none(),
//!     cors: Cors::Off,
//! };
//! let server = Server::new(Arc::new(engine), settings)?;
//! let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| hawk::Error::environment(e.to_string()))?;
//! server.run(listener, || false)?;
//! # Ok::<(), hawk::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Server`] | the engine, the threads that decode and paint, and the paths |
//! | [`Settings`] | slots, bounds, keys, defaults |
//! | [`ApiKeys`] | what clients must show |
//!
//! # What it does not do
//!
//! It parses no arguments, prints nothing, and speaks no TLS: a proxy in front of it does. It writes no
//! files.

mod api;
mod decode;
mod keys;
mod metrics;
mod page;
mod server;
mod settings;

pub use keys::ApiKeys;
pub use server::{Ended, Server};
pub use settings::{Cors, MAX_IMAGES, Settings};
