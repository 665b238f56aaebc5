//! The device that training computes on.

use burn::tensor::Device;

/// The device of this build: libtorch with the feature `tch`, otherwise burn's own CPU backend.
/// burn's CPU backend needs no installation.
pub(crate) fn device() -> Device {
    #[cfg(feature = "tch")]
    #[expect(deprecated, reason = "burn drops libtorch after 0.22; nothing else of it is as fast on a processor")]
    return Device::libtorch();
    #[cfg(not(feature = "tch"))]
    Device::flex()
}
