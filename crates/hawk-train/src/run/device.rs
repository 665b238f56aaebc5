//! Where training computes.

use burn::tensor::Device;

/// The device of this build: libtorch where the feature `tch` is on, else burn's own processor backend, which needs nothing installed.
pub(crate) fn device() -> Device {
    #[cfg(feature = "tch")]
    #[expect(deprecated, reason = "burn drops libtorch after 0.22; nothing else of it is as fast on a processor")]
    return Device::libtorch();
    #[cfg(not(feature = "tch"))]
    Device::flex()
}
