//! The VQ decoder on a device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cubecl::prelude::CubeCount;
use hawk_files::{Result, VqConfig, VqTokenizer};
use hawk_nn::{DecoderNet, Image, PixelDecoder, Then, VqLayers, VqMaps, Window, Zoom};
use hawk_spec::{Code, Grid};

use crate::kernels::reduce;
use crate::kernels::vq::{self as kernels, STATISTICS_PART, TILE};
use crate::launch::{cubes, units};
use crate::memory::{Buffer, Memory};

/// As taming-transformers' `Normalize`.
const EPS: f32 = 1e-6;
/// Tiles of pixels in a row of cubes: devices bound each direction.
const ROW: usize = 4096;

/// A VQ decoder on a device. Where a feature map exceeds the largest buffer of the device, the host
/// decodes.
pub(crate) struct GpuVq {
    net: DecoderNet<GpuLayers>,
    layers: GpuLayers,
    host: Box<dyn PixelDecoder>,
}

impl GpuVq {
    pub(crate) fn load(memory: &Arc<Memory>, vq: &VqTokenizer, host: Box<dyn PixelDecoder>) -> Result<Self> {
        let layers = GpuLayers { memory: Arc::clone(memory), planned: AtomicU64::new(0) };
        let net = DecoderNet::load(&layers, vq.config.clone(), &vq.checkpoint)?;
        Ok(Self { net, layers, host })
    }
}

impl PixelDecoder for GpuVq {
    fn config(&self) -> &VqConfig {
        self.net.config()
    }

    fn codebook(&self) -> &[f32] {
        self.net.codebook()
    }

    fn decode(&self, codes: &[Code], grid: Grid) -> Result<Image> {
        let (memory, cells) = (&self.layers.memory, grid.cells() as usize);
        let latents = self.net.latents(codes, grid)?;
        // Attention has as many weights as pairs of cells.
        let bytes = 4 * self.net.widest(grid).max(cells.saturating_mul(cells)) as u64;
        if bytes > memory.largest() {
            return self.host.decode(codes, grid);
        }
        memory.plan("feature maps", 4 * bytes, bytes)?;
        let latents = Map {
            buffer: memory.upload(latents),
            height: grid.rows() as usize,
            width: grid.cols() as usize,
            channels: self.config().embed_dim,
        };
        let colours = self.net.colours(&self.layers, latents);
        let read = memory.read(&colours.buffer, colours.numbers());
        memory.give_back(4 * bytes);
        self.net.image(bytemuck::cast_slice(&read?), grid)
    }
}

/// Layers on a device.
struct GpuLayers {
    memory: Arc<Memory>,
    /// Bytes that were planned.
    planned: AtomicU64,
}

impl Drop for GpuLayers {
    fn drop(&mut self) {
        self.memory.give_back(*self.planned.get_mut());
    }
}

/// A convolution: weights `[out, window, window, in]`.
struct Conv {
    window: Window,
    inputs: usize,
    outputs: usize,
    weights: Buffer,
    bias: Buffer,
}

/// A GroupNorm.
struct Norm {
    groups: usize,
    weight: Buffer,
    bias: Buffer,
}

/// A feature map, `[height width, channels]`.
struct Map {
    buffer: Buffer,
    height: usize,
    width: usize,
    channels: usize,
}

impl Map {
    fn pixels(&self) -> usize {
        self.height * self.width
    }

    fn numbers(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Cubes for the numbers of each row of pixels, a unit each.
    fn by_rows(&self) -> CubeCount {
        cubes((self.width * self.channels).div_ceil(reduce::UNITS as usize), self.height)
    }
}

impl GpuLayers {
    fn plan(&self, numbers: usize) -> Result<()> {
        let bytes = 4 * numbers as u64;
        self.memory.plan("the VQ decoder", bytes, bytes)?;
        self.planned.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl VqLayers for GpuLayers {
    type Conv = Conv;
    type Norm = Norm;

    fn conv(&self, window: Window, inputs: usize, weights: &[f32], bias: Vec<f32>) -> Result<Conv> {
        self.plan(weights.len() + bias.len())?;
        let (outputs, taps) = (bias.len(), window.side() * window.side());
        let mut along_inputs = vec![0.0; weights.len()];
        for (filter, out) in weights.chunks(taps * inputs).zip(along_inputs.chunks_mut(taps * inputs)) {
            for (input, of_input) in filter.chunks(taps).enumerate() {
                of_input.iter().enumerate().for_each(|(tap, weight)| out[tap * inputs + input] = *weight);
            }
        }
        let (weights, bias) = (self.memory.upload(along_inputs), self.memory.upload(bias));
        Ok(Conv { window, inputs, outputs, weights, bias })
    }

    fn norm(&self, groups: usize, weight: Vec<f32>, bias: Vec<f32>) -> Result<Norm> {
        self.plan(2 * bias.len())?;
        Ok(Norm { groups, weight: self.memory.upload(weight), bias: self.memory.upload(bias) })
    }
}

/// A product of the patches of a map with weights.
struct Patches<'a> {
    input: &'a Map,
    window: Window,
    zoom: Zoom,
    weights: &'a Buffer,
    bias: &'a Buffer,
    outputs: usize,
    /// Numbers from one output's weights to the next, and from one step's to the next.
    strides: [usize; 2],
}

impl Patches<'_> {
    fn run(&self, memory: &Memory) -> Map {
        let (input, zoom) = (self.input, self.zoom);
        let [height, width] = [input.height, input.width].map(|side| zoom.output(side));
        let out = Map { buffer: memory.empty(height * width * self.outputs), height, width, channels: self.outputs };
        let (tiles, outputs) = (out.pixels().div_ceil(TILE as usize), self.outputs.div_ceil(TILE as usize));
        let row = tiles.min(ROW);
        let count = CubeCount::Static(row as u32, tiles.div_ceil(row) as u32, outputs as u32);
        // SAFETY: weights and biases are those of the outputs, and `out` has a number of each for every
        // pixel.
        unsafe {
            kernels::convolve::launch_unchecked(
                &memory.client,
                count,
                units(kernels::UNITS),
                input.buffer.arg(),
                self.weights.arg(),
                self.bias.arg(),
                out.buffer.arg(),
                input.height as u32,
                input.width as u32,
                input.channels as u32,
                self.outputs as u32,
                self.strides[0] as u32,
                self.strides[1] as u32,
                row as u32,
                self.window.side() as u32,
                if zoom == Zoom::Twice { 2 } else { 1 },
            );
        }
        out
    }
}

impl VqMaps for GpuLayers {
    type Layers = Self;
    type Map = Map;

    fn convolve(&self, conv: &Conv, input: &Map, zoom: Zoom) -> Map {
        assert!(zoom != Zoom::Half && conv.inputs == input.channels, "a decoder's convolutions");
        let steps = conv.inputs * conv.window.side() * conv.window.side();
        let patches = Patches {
            input,
            window: conv.window,
            zoom,
            weights: &conv.weights,
            bias: &conv.bias,
            outputs: conv.outputs,
            strides: [steps, 1],
        };
        patches.run(&self.memory)
    }

    fn normalize(&self, norm: &Norm, input: &Map, then: Then) -> Map {
        let (memory, channels) = (&self.memory, input.channels);
        let (members, parts) = (channels / norm.groups, input.pixels().div_ceil(STATISTICS_PART as usize));
        let statistics = memory.empty(2 * norm.groups * parts);
        let scale_and_shift = memory.empty(2 * channels);
        let out = Map { buffer: memory.empty(input.numbers()), ..*input };
        // SAFETY: the buffers have the sizes that the kernels name.
        unsafe {
            kernels::statistics::launch_unchecked(
                &memory.client,
                cubes(parts, norm.groups),
                units(reduce::UNITS),
                input.buffer.arg(),
                statistics.arg(),
                input.pixels() as u32,
                channels as u32,
                members as u32,
                parts as u32,
            );
            kernels::scale_and_shift::launch_unchecked(
                &memory.client,
                cubes(channels.div_ceil(reduce::UNITS as usize), 1),
                units(reduce::UNITS),
                statistics.arg(),
                norm.weight.arg(),
                norm.bias.arg(),
                scale_and_shift.arg(),
                input.pixels() as u32,
                channels as u32,
                members as u32,
                parts as u32,
                EPS,
            );
            kernels::normalize::launch_unchecked(
                &memory.client,
                input.by_rows(),
                units(reduce::UNITS),
                input.buffer.arg(),
                scale_and_shift.arg(),
                out.buffer.arg(),
                (input.width * channels) as u32,
                channels as u32,
                then == Then::Silu,
            );
        }
        out
    }

    fn mix(&self, q: &Map, k: &Map, v: &Map) -> Map {
        let (pixels, channels) = (q.pixels(), q.channels);
        let nothing = self.memory.zeros(pixels.max(channels));
        let product = |input: &Map, weights: &Map, outputs: usize, strides: [usize; 2]| {
            let (window, zoom) = (Window::One, Zoom::Same);
            Patches { input, window, zoom, weights: &weights.buffer, bias: &nothing, outputs, strides }
                .run(&self.memory)
        };
        let weights = product(q, k, pixels, [channels, 1]);
        // SAFETY: a cube is a row of the weights.
        unsafe {
            kernels::softmax::launch_unchecked(
                &self.memory.client,
                cubes(q.width, q.height),
                units(reduce::UNITS),
                weights.buffer.arg(),
                pixels as u32,
                1.0 / (channels as f32).sqrt(),
            );
        }
        product(&weights, v, channels, [1, channels])
    }

    fn add(&self, sum: Map, other: &Map) -> Map {
        // SAFETY: both maps have the same size.
        unsafe {
            kernels::add::launch_unchecked(
                &self.memory.client,
                sum.by_rows(),
                units(reduce::UNITS),
                sum.buffer.arg(),
                other.buffer.arg(),
                (sum.width * sum.channels) as u32,
            );
        }
        sum
    }
}
