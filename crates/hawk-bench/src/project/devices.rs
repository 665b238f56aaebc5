//! Devices by their data sheets.

use hawk::Precision;

/// What a pass can reach of a data sheet's bandwidth, and of its peak.
const OF_BANDWIDTH: f64 = 0.8;
const OF_PEAK: f64 = 0.6;

/// How reading of weights and arithmetic share the time of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The longer of the two counts: thousands of threads hide one behind the other.
    Hidden,
    /// The longer of the two counts, and 0.7 of the shorter: few threads hide little of one behind the
    /// other. The share is that of the grown models on a Zen 4 (see `docs/performance.md`).
    Partly,
}

/// What a pass costs on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Bandwidth of reading weights, keys and values.
    pub bytes_per_s: f64,
    /// Multiply-adds, two operations each.
    pub operations_per_s: f64,
    /// Time between two kernels of a GPU, or to open and close a parallel region.
    pub launch_s: f64,
    /// How the first two share the time.
    pub overlap: Overlap,
}

/// A device as its maker describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device {
    /// As it is typed.
    pub name: &'static str,
    /// What it is, with the figures of its data sheet.
    pub title: &'static str,
    /// GB/s.
    gb_per_s: f64,
    /// Dense operations in bf16 or f16 with f32 sums, 10^12/s.
    half_teraops: f64,
    /// Dense operations in int8, 10^12/s.
    int8_teraops: f64,
    /// Microseconds between two kernels, with recorded graphs where the device has them.
    launch_us: f64,
    overlap: Overlap,
}

impl Device {
    /// The devices that are known.
    pub const ALL: [Self; 6] = [
        Self {
            name: "h100",
            title: "NVIDIA H100 SXM: 3350 GB/s, 989 Tflop/s bf16",
            gb_per_s: 3350.0,
            half_teraops: 989.0,
            int8_teraops: 1979.0,
            launch_us: 2.0,
            overlap: Overlap::Hidden,
        },
        Self {
            name: "rtx-4090",
            title: "NVIDIA RTX 4090: 1008 GB/s, 165 Tflop/s bf16",
            gb_per_s: 1008.0,
            half_teraops: 165.0,
            int8_teraops: 660.0,
            launch_us: 2.0,
            overlap: Overlap::Hidden,
        },
        Self {
            name: "rtx-3090",
            title: "NVIDIA RTX 3090: 936 GB/s, 71 Tflop/s bf16",
            gb_per_s: 936.0,
            half_teraops: 71.0,
            int8_teraops: 284.0,
            launch_us: 2.5,
            overlap: Overlap::Hidden,
        },
        Self {
            name: "m4-max",
            title: "Apple M4 Max, 40 GPU cores: 546 GB/s, 34 Tflop/s f16",
            gb_per_s: 546.0,
            half_teraops: 34.0,
            int8_teraops: 34.0,
            launch_us: 5.0,
            overlap: Overlap::Hidden,
        },
        Self {
            name: "desktop",
            title: "16 Zen 5 cores with AVX-512 at 4.5 GHz, two channels of DDR5-5600: 90 GB/s, 9.2 Tflop/s bf16",
            gb_per_s: 90.0,
            half_teraops: 9.2,
            int8_teraops: 18.4,
            launch_us: 4.0,
            overlap: Overlap::Partly,
        },
        Self {
            name: "amx-server",
            title: "56 Sapphire Rapids cores with AMX at 2.2 GHz, eight channels of DDR5-4800: 307 GB/s, 252 Tflop/s bf16",
            gb_per_s: 307.0,
            half_teraops: 252.0,
            int8_teraops: 504.0,
            launch_us: 8.0,
            overlap: Overlap::Partly,
        },
    ];

    /// What a pass can reach here: 0.8 of the bandwidth and 0.6 of the peak. None in f32, which is not
    /// what these devices are used for.
    #[must_use]
    pub fn speed(&self, precision: Precision) -> Option<Speed> {
        let teraops = match precision {
            Precision::F32 => return None,
            Precision::Bf16 | Precision::F16 => self.half_teraops,
            Precision::Int8 => self.int8_teraops,
        };
        Some(Speed {
            bytes_per_s: OF_BANDWIDTH * self.gb_per_s * 1e9,
            operations_per_s: OF_PEAK * teraops * 1e12,
            launch_s: self.launch_us * 1e-6,
            overlap: self.overlap,
        })
    }
}
