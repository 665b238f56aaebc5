//! What the handlers share.

use std::sync::{Arc, OnceLock};

use hawk::Engine;

use crate::decode::scheduler::Scheduler;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// What the handlers share.
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) scheduler: Scheduler,
    pub(crate) settings: Settings,
    pub(crate) metrics: Arc<Metrics>,
    /// The OpenAPI document, which names the sizes and decoders of this model.
    pub(crate) document: String,
    /// The model for the page, and the colours of its codes once they were asked for.
    pub(crate) model: String,
    pub(crate) colours: OnceLock<Vec<u8>>,
    /// When the server started, in seconds since 1970.
    pub(crate) started: u64,
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs())
}
