//! Where a model computes.

use std::fmt;

use hawk::{Engine, LoadOptions, ModelSource, Result};
use hawk_nn::CPU;

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use crate::output::note;

#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct DeviceArgs {
    /// Device to compute on: auto, cpu, cuda[:N], vulkan[:N] or metal[:N]; auto is a GPU that has the memory, else the CPU
    #[arg(long, value_name = "D", default_value = "auto", value_parser = device)]
    pub(crate) device: DeviceChoice,
}

/// A device by kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    Auto,
    Cpu,
    Gpu(Api, usize),
}

/// An interface to GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Cuda,
    Vulkan,
    Metal,
}

impl Api {
    const ALL: [Self; 3] = [Self::Cuda, Self::Vulkan, Self::Metal];
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
        })
    }
}

/// Reads a device.
fn device(text: &str) -> std::result::Result<DeviceChoice, String> {
    let (name, number) = match text.split_once(':') {
        Some((name, number)) => (name, number.parse().ok()),
        None => (text, Some(0)),
    };
    let api = Api::ALL.into_iter().find(|api| api.to_string() == name);
    match (text, api, number) {
        ("auto", ..) => Ok(DeviceChoice::Auto),
        ("cpu", ..) => Ok(DeviceChoice::Cpu),
        (_, Some(api), Some(number)) => Ok(DeviceChoice::Gpu(api, number)),
        _ => {
            Err("expected auto, cpu, cuda, vulkan or metal, the last three also with a number, such as cuda:1"
                .to_owned())
        }
    }
}

impl DeviceArgs {
    /// The CPU, for commands that have no choice.
    pub(crate) const CPU: Self = Self { device: DeviceChoice::Cpu };

    /// For an image that a device of this class drew: the CPU for one of the CPU's, unless another device was asked for.
    pub(crate) fn or_recorded(&self, class: &str) -> Self {
        let device = match self.device {
            DeviceChoice::Auto if class == CPU => DeviceChoice::Cpu,
            device => device,
        };
        Self { device }
    }

    /// Loads a model on the device.
    pub(crate) fn load(&self, source: ModelSource, options: LoadOptions) -> Result<Engine> {
        match self.load_on_gpu(source.clone(), options)? {
            Some(engine) => Ok(engine),
            None => Engine::load(source, options),
        }
    }

    /// Loads a model on the GPU that was chosen; none where the CPU was.
    pub(crate) fn load_on_gpu(&self, source: ModelSource, options: LoadOptions) -> Result<Option<Engine>> {
        match self.device {
            DeviceChoice::Cpu => Ok(None),
            DeviceChoice::Auto => auto(source, options),
            DeviceChoice::Gpu(api, index) => on_gpu(source, options, api, index).map(Some),
        }
    }
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn auto(_: ModelSource, _: LoadOptions) -> Result<Option<Engine>> {
    Ok(None)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn on_gpu(_: ModelSource, _: LoadOptions, api: Api, _: usize) -> Result<Engine> {
    let feature = if api == Api::Cuda { "cuda" } else { "wgpu" };
    Err(hawk::Error::input("this program was built without GPUs")
        .at("--device")
        .expected("cpu")
        .got(api)
        .hint(format!("build it with the cargo feature `{feature}`")))
}

/// The first GPU that takes the model, else the CPU. Drivers that compute in software are not tried.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn auto(source: ModelSource, options: LoadOptions) -> Result<Option<Engine>> {
    let mut reason = "no GPU was found";
    for api in Api::ALL {
        if !hawk_gpu::Gpu::is_hardware(api.into(), 0) {
            continue;
        }
        let load = || -> Result<(Engine, String)> {
            let gpu = hawk_gpu::Gpu::open(api.into(), 0, options.threads)?;
            Ok((Engine::load_on(source.clone(), &gpu, options.precision)?, gpu.name().to_owned()))
        };
        match load() {
            Ok((engine, name)) => {
                note(format_args!("note: --device auto chose {name}"));
                return Ok(Some(engine));
            }
            Err(e) => {
                note(format_args!("note: --device auto leaves out {api}: {e}"));
                reason = "no GPU takes the model";
            }
        }
    }
    note(format_args!("note: --device auto chose the CPU: {reason}"));
    Ok(None)
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn on_gpu(source: ModelSource, options: LoadOptions, api: Api, index: usize) -> Result<Engine> {
    let gpu = hawk_gpu::Gpu::open(api.into(), index, options.threads).map_err(|e| e.at("--device"))?;
    if gpu.is_software() {
        note(format_args!("note: {} computes in software, on the processor", gpu.name()));
    }
    Engine::load_on(source, &gpu, options.precision)
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl From<Api> for hawk_gpu::Api {
    fn from(api: Api) -> Self {
        match api {
            Api::Cuda => Self::Cuda,
            Api::Vulkan => Self::Vulkan,
            Api::Metal => Self::Metal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_by_kind_and_number() {
        for (text, wanted) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("vulkan", DeviceChoice::Gpu(Api::Vulkan, 0)),
            ("cuda:3", DeviceChoice::Gpu(Api::Cuda, 3)),
            ("metal:0", DeviceChoice::Gpu(Api::Metal, 0)),
        ] {
            assert_eq!(device(text), Ok(wanted));
        }
        for text in ["", "gpu", "cuda:", "cuda:x", "cpu:1", "auto:0", "Vulkan", "cuda:-1"] {
            assert!(device(text).is_err(), "{text}");
        }
    }
}
