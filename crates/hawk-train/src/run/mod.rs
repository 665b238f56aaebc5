//! What every training run needs, whatever it trains.
//!
//! Nothing here knows a kind of model. `heads`, `vq` and `transformer` import from here.

pub(crate) mod curve;
pub(crate) mod device;
pub(crate) mod draw;
pub(crate) mod files;
pub(crate) mod learner;
pub(crate) mod limits;
pub(crate) mod params;
pub(crate) mod precision;
pub(crate) mod progress;
pub(crate) mod random;
pub(crate) mod schedule;
pub(crate) mod state;
pub(crate) mod steps;
