//! Devices and how they are found.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cubecl::device::WgpuDeviceKind;
use hawk_files::{Checkpoint, Error, Result, TransformerConfig, VqTokenizer};
use hawk_kernels::Precision;
use hawk_nn::{Backend, Cpu, Device, PixelDecoder};

use crate::backend::GpuBackend;
use crate::kernels::numbers::Numbers;
use crate::launch::Gather;
use crate::memory::{Limit, Memory};
use crate::vq::GpuVq;
use crate::weights::Target;

/// An interface to GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// NVIDIA's.
    Cuda,
    /// Of most GPUs on Linux and Windows.
    Vulkan,
    /// Apple's.
    Metal,
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

/// A GPU, or a driver that computes like one in software.
pub struct Gpu {
    api: Api,
    software: bool,
    class: String,
    memory: Arc<Memory>,
    /// What stays on the host.
    cpu: Cpu,
}

impl Gpu {
    /// Opens the device number `index` of an interface, real GPUs first, and so many threads for
    /// what stays on the host.
    ///
    /// # Errors
    /// This program was built without the interface, there is no such device, it cannot be opened, or its kernels cannot
    /// be compiled.
    pub fn open(api: Api, index: usize, threads: usize) -> Result<Self> {
        let (device, software) = find(api, index)?;
        // A device that its driver refuses is a panic of the library.
        let client = catch_unwind(AssertUnwindSafe(|| device.client())).map_err(|_| {
            Error::environment("the device cannot be opened").at(format!("{api}:{index}")).hint("--device cpu")
        })?;
        let properties = client.properties();
        let name = properties.identity.name.clone();
        let limit = match properties.memory.max_memory() {
            _ if software => Limit::Host,
            Some(bytes) => Limit::Bytes(bytes),
            None => Limit::Unknown,
        };
        let class = format!("{api} {name}");
        let memory = Arc::new(Memory::new(client, format!("{api}:{index} ({name})"), limit));
        check_kernels(&memory)?;
        Ok(Self { api, software, class, memory, cpu: Cpu::new(threads)? })
    }

    /// Whether there is such a device and it is no driver in software. It may still refuse to be opened.
    #[must_use]
    pub fn is_hardware(api: Api, index: usize) -> bool {
        find(api, index).is_ok_and(|(_, software)| !software)
    }

    /// The interface and the device's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.memory.name
    }

    /// Its memory, for tests of kernels.
    #[cfg(all(test, feature = "wgpu"))]
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The interface.
    #[must_use]
    pub fn api(&self) -> Api {
        self.api
    }

    /// Whether the device is a driver on a CPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.software
    }
}

/// Runs one kernel and compares what it wrote. CubeCL compiles kernels on a thread of its own: where that fails the thread
/// prints why, and reads after it return what the memory held before.
fn check_kernels(memory: &Memory) -> Result<()> {
    let numbers: Vec<f32> = (1..=64).map(|i| i as f32).collect();
    let out = memory.zeros(numbers.len());
    let gather = Gather {
        x: &memory.upload(numbers.clone()),
        pick: &memory.upload(vec![0_u32]),
        out: &out,
        rows: 1,
        width: numbers.len(),
        stride: numbers.len(),
        numbers: Numbers::F32,
    };
    gather.run(memory);
    let read = memory.read(&out, numbers.len())?;
    if *read == *bytemuck::cast_slice::<f32, u8>(&numbers) {
        return Ok(());
    }
    Err(Error::environment("the device does not run kernels")
        .at(&memory.name)
        .expected("a copy of 64 numbers")
        .got("other numbers")
        .hint("the messages above may say why; CUDA with NVRTC needs a toolkit, whose folder CUDA_PATH names"))
}

/// A device by its number, and whether it is software.
fn find(api: Api, index: usize) -> Result<(cubecl::Device, bool)> {
    let at = || format!("{api}:{index}");
    let feature = if api == Api::Cuda { "cuda" } else { "wgpu" };
    let unavailable = |e: cubecl::device::DeviceUnavailable| match e {
        cubecl::device::DeviceUnavailable::NotLinked(_) => Error::input("this program was built without the device")
            .at(at())
            .hint(format!("build it with the cargo feature `{feature}`")),
        cubecl::device::DeviceUnavailable::NoSuchDevice { .. } => {
            Error::environment("there is no such device").at(at()).hint("--device cpu computes on the processor")
        }
    };
    let on = |kind: WgpuDeviceKind| match api {
        Api::Vulkan => cubecl::Device::vulkan(kind),
        _ => cubecl::Device::metal_msl(kind),
    };
    if api == Api::Cuda {
        return cubecl::Device::cuda(index).map(|device| (device, false)).map_err(unavailable);
    }
    let mut left = index;
    let kinds: [fn(usize) -> WgpuDeviceKind; 4] =
        [WgpuDeviceKind::DiscreteGpu, WgpuDeviceKind::IntegratedGpu, WgpuDeviceKind::VirtualGpu, WgpuDeviceKind::Other];
    for kind in kinds {
        for number in 0.. {
            match on(kind(number)) {
                Ok(device) if left == 0 => return Ok((device, false)),
                Ok(_) => left -= 1,
                Err(_) => break,
            }
        }
    }
    match on(WgpuDeviceKind::Cpu) {
        Ok(device) if left == 0 => Ok((device, true)),
        Ok(_) => {
            Err(Error::environment("there is no such device").at(at()).hint("--device cpu computes on the processor"))
        }
        Err(e) => Err(unavailable(e)),
    }
}

impl Device for Gpu {
    fn load(&self, config: TransformerConfig, from: &Checkpoint, precision: Precision) -> Result<Box<dyn Backend>> {
        if let Some(packed) = from.packed_for() {
            return Err(Error::input("a GPU cannot read weights that are packed for CPUs")
                .expected("the model as it was published")
                .got(format!("packed for {packed}"))
                .hint("--device cpu, or the model that `hawk convert` read"));
        }
        let target = Arc::new(Target::load(&self.memory, config, from, precision)?);
        Ok(Box::new(GpuBackend {
            target,
            heads: None,
            threads: Arc::clone(self.cpu.pool()),
            class: self.class.clone(),
        }))
    }

    fn load_vq(&self, vq: &VqTokenizer) -> Result<Box<dyn PixelDecoder>> {
        Ok(Box::new(GpuVq::load(&self.memory, vq, self.cpu.load_vq(vq)?)?))
    }

    fn threads(&self) -> usize {
        self.cpu.threads()
    }
}
