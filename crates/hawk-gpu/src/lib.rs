//! A transformer on GPUs: a backend of `hawk-nn` whose kernels are written once, in CubeCL, for CUDA, Vulkan and Metal.
//!
//! `Gpu` is the device. `Gpu::open` finds it, and loads models as [`Cpu`](hawk_nn::Cpu) does:
//!
//! ```no_run
//! # #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
//! # fn main() {}
//! # #[cfg(any(feature = "wgpu", feature = "cuda"))]
//! # fn main() -> hawk_files::Result<()> {
//! use hawk_gpu::{Api, Gpu};
//!
//! let gpu = Gpu::open(Api::Vulkan, 0, 4)?;
//! println!("{}", gpu.name());
//! # Ok(())
//! # }
//! ```
//!
//! A row of a pass has the same bits whatever other rows run in the pass, on one device and driver.
//! Other devices may round otherwise.
//!
//! The device lists the best codes of each node, and the host decides among them in f64.

#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod backend;
mod device;
mod embedding;
mod head_lists;
mod heads;
mod kernels;
mod launch;
mod matrix;
mod memory;
mod pass;
mod passes;
mod projection;
mod ranking;
mod readouts;
mod streams;
mod vq;
mod weights;
mod widths;
mod workspace;

pub use device::{Api, Gpu};
