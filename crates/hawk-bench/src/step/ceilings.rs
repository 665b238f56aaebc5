//! What threads can read and multiply at best.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hawk_kernels::{Isa, Kernel, LANES, Line, PANEL, Precision, Simd, Threads, dispatch_on};
use hawk_nn::PassCost;

/// Most independent sums: enough to hide the latency of a multiply-add on every instruction set.
const CHAINS: usize = 12;
/// Multiply-adds of every chain in a chunk.
const CHAIN_STEPS: usize = 20_000;
/// Inputs of one step under bf16 and under int8.
const PAIR: usize = 2;
const QUAD: usize = 4;
/// Numbers that one chunk of a read covers.
const READ_CHUNK: usize = 1 << 16;
/// Places of a chunk that are read at once, and vectors that are read there in a row.
const PLACES: usize = 4;
const VECTORS: usize = 2;
/// A buffer of more says nothing new: it fits into no cache as it is.
const MOST_READ: usize = 1 << 29;
/// How long each ceiling is measured.
const CEILING_TIME: Duration = Duration::from_millis(150);
/// Numbers that [`read`] takes together.
pub(super) const READ_TOGETHER: usize = PLACES * VECTORS * LANES;

/// What the threads of a pool can do at best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Threads that it was measured on.
    pub threads: usize,
    /// Size of the buffer that was read over and over.
    pub buffer_bytes: usize,
    /// Read bandwidth.
    pub bytes_per_s: f64,
    /// Multiply-adds of numbers of the precision, each two operations.
    pub operations_per_s: f64,
}

impl Ceilings {
    /// Reads a buffer of `bytes`, at most half a gigabyte, and runs independent multiply-adds of a
    /// precision. Takes the best of many passes each.
    pub fn measure(pool: &Threads, precision: Precision, bytes: usize) -> Self {
        let bytes = bytes.min(MOST_READ);
        let (isa, numbers) = (Isa::detect(), vec![1.0_f32; bytes / size_of::<f32>()]);
        let read = best_s(CEILING_TIME, || {
            pool.run(numbers.len().div_ceil(READ_CHUNK), &|chunk| {
                let end = numbers.len().min((chunk + 1) * READ_CHUNK);
                read(isa, &numbers[chunk * READ_CHUNK..end]);
            });
        });
        let chunks = 4 * pool.threads();
        let multiply = best_s(CEILING_TIME, || {
            pool.run(chunks, &|_| {
                // SAFETY: the instruction set was detected.
                unsafe {
                    match precision {
                        Precision::F32 | Precision::F16 => _ = black_box(dispatch_on(isa, MultiplyAdd)),
                        Precision::Bf16 => _ = black_box(dispatch_on(isa, DotPairs)),
                        Precision::Int8 => _ = black_box(dispatch_on(isa, Dot)),
                    }
                }
            });
        });
        // SAFETY: as above.
        let chains = unsafe { dispatch_on(isa, Chains) };
        let products = match precision {
            Precision::F32 | Precision::F16 => PANEL,
            Precision::Bf16 => PAIR * PANEL,
            Precision::Int8 => QUAD * PANEL,
        };
        Self {
            threads: pool.threads(),
            buffer_bytes: bytes,
            bytes_per_s: bytes as f64 / read,
            operations_per_s: (2 * chunks * CHAIN_STEPS * chains * products) as f64 / multiply,
        }
    }

    /// The better of two measurements, each ceiling for itself.
    #[must_use]
    pub fn or_better(self, other: Self) -> Self {
        let bytes_per_s = self.bytes_per_s.max(other.bytes_per_s);
        Self { bytes_per_s, operations_per_s: self.operations_per_s.max(other.operations_per_s), ..self }
    }

    /// The roofline bound of a pass over `rows` rows in ms: `max(bytes / bandwidth, 2 weights rows
    /// / peak)`.
    pub fn bound_ms(&self, cost: PassCost, rows: usize) -> f64 {
        let multiply = 2.0 * cost.weights as f64 * rows as f64 / self.operations_per_s;
        1e3 * multiply.max(cost.bytes as f64 / self.bytes_per_s)
    }
}

/// The fastest of the passes that `effort` has room for, in seconds.
pub(super) fn best_s(effort: Duration, mut pass: impl FnMut()) -> f64 {
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed() < effort {
        let start = Instant::now();
        pass();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Reads numbers, and keeps the compiler from leaving that out.
pub(super) fn read(isa: Isa, numbers: &[f32]) {
    // SAFETY: the instruction set was detected.
    black_box(unsafe { dispatch_on(isa, Read(numbers)) });
}

/// Adds up numbers in several places at once: a single place leaves the memory idle at the end of
/// every page.
struct Read<'a>(&'a [f32]);

impl Kernel for Read<'_> {
    type Output = [f32; LANES];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Output {
        let (mut out, place) = ([0.0; LANES], self.0.len() / PLACES);
        // SAFETY: `PLACES` times `place` numbers are in the slice; an end that fills no whole
        // vectors is left out.
        unsafe {
            let mut sums = [[S::splat(0.0); VECTORS]; PLACES];
            for at in (0..place / (VECTORS * LANES)).map(|i| i * VECTORS * LANES) {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = S::add(*sum, S::load(self.0.as_ptr().add(i * place + at + j * LANES)));
                    }
                }
            }
            for sum in sums.as_flattened() {
                S::store(out.as_mut_ptr(), S::add(*sum, S::load(out.as_ptr())));
            }
        }
        out
    }
}

/// How many sums [`MultiplyAdd`] adds to: as many as a tile has.
struct Chains;

impl Kernel for Chains {
    type Output = usize;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        S::TILE_ROWS.min(CHAINS)
    }
}

struct MultiplyAdd;

impl Kernel for MultiplyAdd {
    type Output = [f32; PANEL];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Output {
        let mut out = [0.0; PANEL];
        // SAFETY: stores go to an array of one panel's outputs.
        unsafe {
            let (factor, term) = (S::splat16(black_box(0.999)), S::splat16(black_box(0.001)));
            let mut sums = [S::splat16(black_box(1.5)); CHAINS];
            for _ in 0..CHAIN_STEPS {
                for sum in sums.iter_mut().take(S::TILE_ROWS) {
                    *sum = S::fma16(*sum, factor, term);
                }
            }
            for sum in sums {
                S::store16(out.as_mut_ptr(), S::add16(sum, S::load16(out.as_ptr())));
            }
        }
        out
    }
}

/// Products of bf16, added up as the kernels of bf16 do it.
struct DotPairs;

impl Kernel for DotPairs {
    type Output = [f32; PANEL];
    const BEST: Isa = Isa::Avx512Bf16;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Output {
        // Aligned as packed weights are.
        let weights = black_box([Line::ZERO; 1]);
        let inputs = black_box([0_u8; 4 * PAIR]);
        let mut out = [0.0; PANEL];
        // SAFETY: loads are from arrays of a step's weights and inputs, stores go to an array of one
        // panel's outputs.
        unsafe {
            let mut sums = [S::splat16(black_box(1.5)); CHAINS];
            for _ in 0..CHAIN_STEPS {
                for part in 0..S::PAIR_PARTS {
                    let w = S::load_pairs(weights.as_ptr().cast(), part);
                    let x = S::splat_pair(inputs.as_ptr(), part);
                    for sum in sums.iter_mut().take(S::TILE_ROWS) {
                        *sum = S::dot_pairs(*sum, w, x);
                    }
                }
            }
            for sum in sums {
                S::store16(out.as_mut_ptr(), S::add16(sum, S::load16(out.as_ptr())));
            }
        }
        out
    }
}

/// Products of bytes, added up as the kernels of int8 do it.
struct Dot;

impl Kernel for Dot {
    type Output = [f32; PANEL];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Output {
        let (weights, inputs) = (black_box([3_u8; QUAD * PANEL]), black_box([1_u8; 2 * QUAD]));
        let mut out = [0.0; PANEL];
        // SAFETY: loads are from arrays of a step's weights and inputs, stores go to an array of one
        // panel's outputs.
        unsafe {
            let mut sums = [S::splat_i32(black_box(1)); CHAINS];
            for _ in 0..CHAIN_STEPS {
                for part in 0..S::PARTS {
                    let (w, x) = (S::load_u8(weights.as_ptr(), part), S::splat_quad(inputs.as_ptr(), part));
                    for sum in sums.iter_mut().take(S::TILE_ROWS) {
                        *sum = S::dot(*sum, w, x);
                    }
                }
            }
            for sum in sums {
                S::store16(out.as_mut_ptr(), S::add16(S::to_f32(sum), S::load16(out.as_ptr())));
            }
        }
        out
    }
}
