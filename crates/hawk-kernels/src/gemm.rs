//! `Y[rows, n] = X[rows, k] W[n, k]^T` for a few rows against packed weights.
//!
//! A row has the same bits whatever rows are beside it, on any number of threads and any
//! instruction set: see `tile.rs`. Sums of int8 products are exact inside a block of inputs.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::activations::{Activations, Input};
use crate::isa::{Isa, Kernel, LANES, Simd, dispatch_on};
use crate::math::silu_vector;
use crate::matrix::{Matrix, PANEL, Precision};
use crate::threads::Threads;
use crate::tile::{CHUNK_ROWS, Numbers, PLACES, Panels};

/// Chunks of a product that each thread should find at least, so that none waits long for another.
const CHUNKS_PER_THREAD: usize = 4;

/// What is done with a finished sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// `y = sum`.
    Store,
    /// `y += sum`, the residual connection.
    Add,
    /// Panels alternate gate and up: `y = silu(gate) * up`.
    SiluGate,
}

/// Where the results go.
struct Output {
    y: *mut f32,
    /// Elements between two rows.
    stride: usize,
}

// SAFETY: every chunk of a product writes its own rows and columns of `y`.
unsafe impl Sync for Output {}

/// One product, computed by all threads.
pub struct Product<'a> {
    /// Compute it.
    pub threads: &'a Threads,
    /// The instruction set.
    pub isa: Isa,
    /// W.
    pub weights: &'a Matrix,
    /// The panels to compute. Their outputs are the columns of y; the first panel's first output is
    /// column 0.
    pub panels: Range<usize>,
    /// What is done with the sums.
    pub epilogue: Epilogue,
}

impl<'a> Product<'a> {
    /// All outputs, stored.
    pub fn new(threads: &'a Threads, isa: Isa, weights: &'a Matrix) -> Self {
        Self { threads, isa, weights, panels: 0..weights.panels(), epilogue: Epilogue::Store }
    }

    /// Columns of y.
    pub fn columns(&self) -> usize {
        let outputs = (self.panels.end * PANEL).min(self.weights.n()).saturating_sub(self.panels.start * PANEL);
        if self.epilogue == Epilogue::SiluGate { outputs / 2 } else { outputs }
    }

    /// `x` `[rows, k]` to `y` `[rows, columns]`.
    ///
    /// # Panics
    /// `x`, `y` or `activations` are too short for `rows`, the panels are not in the matrix or, for
    /// [`Epilogue::SiluGate`], not whole pairs, `activations` are for another precision, or this CPU
    /// lacks the instruction set.
    pub fn run(&self, activations: &mut Activations, x: &[f32], rows: usize, y: &mut [f32]) {
        self.isa.check();
        assert!(self.panels.start <= self.panels.end && self.panels.end <= self.weights.panels());
        let whole_pairs = self.panels.len().is_multiple_of(2) && self.weights.n().is_multiple_of(2 * PANEL);
        assert!(self.epilogue != Epilogue::SiluGate || whole_pairs, "gates and ups are not whole pairs of panels");
        let (k, columns) = (self.weights.k(), self.columns());
        let fits = |length: usize, width: usize| rows.checked_mul(width).is_some_and(|needed| needed <= length);
        assert!(fits(x.len(), k) && fits(y.len(), columns), "x or y is too short for {rows} rows");
        assert!(activations.precision() == self.weights.precision(), "activations for weights of another precision");
        let input = activations.of(self.threads, self.isa, x, rows, k);
        let task = Task { product: self, input, rows, output: Output { y: y.as_mut_ptr(), stride: columns } };
        task.run();
    }
}

struct Task<'a> {
    product: &'a Product<'a>,
    input: Input,
    rows: usize,
    output: Output,
}

// SAFETY: the input is only read, the output is `Sync`.
unsafe impl Sync for Task<'_> {}

impl Task<'_> {
    fn run(&self) {
        let Product { threads, isa, panels, epilogue, .. } = self.product;
        let unit = if *epilogue == Epilogue::SiluGate { 2 } else { 1 };
        let most = panels.len() / (CHUNKS_PER_THREAD * threads.threads());
        let group = most.clamp(1, PLACES).next_multiple_of(unit);
        let (groups, row_chunks) = (panels.len().div_ceil(group), self.rows.div_ceil(CHUNK_ROWS));
        threads.run(groups * row_chunks, &|chunk| {
            let first = panels.start + chunk % groups * group;
            let row = chunk / groups * CHUNK_ROWS;
            let chunk = Chunk {
                task: self,
                panels: first..panels.end.min(first + group),
                rows: row..self.rows.min(row + CHUNK_ROWS),
            };
            // SAFETY: the instruction set was detected; no other chunk has these panels and rows.
            unsafe { dispatch_on(*isa, chunk) };
        });
    }
}

/// A few panels of a product for up to [`CHUNK_ROWS`] rows.
struct Chunk<'a> {
    task: &'a Task<'a>,
    panels: Range<usize>,
    rows: Range<usize>,
}

impl Kernel for Chunk<'_> {
    type Output = ();
    const BEST: Isa = Isa::Amx;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Product { weights, epilogue, .. } = self.task.product;
        let rows = self.rows.len();
        let mut memory = [MaybeUninit::<[f32; PANEL]>::uninit(); PLACES * CHUNK_ROWS];
        let memory = &mut memory[..self.panels.len() * rows];
        memory.fill(MaybeUninit::new([0.0; PANEL]));
        // SAFETY: it was just filled.
        let sums = unsafe { memory.assume_init_mut() };
        let (input, first) = (&self.task.input, self.panels.start);
        let numbers = match weights.precision() {
            Precision::F32 => Numbers::F32,
            Precision::Bf16 => Numbers::Bf16,
            Precision::F16 => Numbers::F16,
            Precision::Int8 => {
                let blocks = input.blocks.wrapping_add(self.rows.start * weights.blocks());
                Numbers::Int8 { scales: weights.panel_scales(first), inputs: blocks }
            }
        };
        // SAFETY: the panels hold `steps` steps each, the input `stride` bytes for each of the rows,
        // and `sums` has room for them.
        unsafe {
            let kernel = Panels {
                numbers,
                w: weights.panel(first),
                pitch: weights.panel_bytes(),
                panels: self.panels.len(),
                x: input.inputs.add(self.rows.start * input.stride),
                stride: input.stride,
                rows,
                steps: weights.steps(),
                sums: sums.as_mut_ptr().cast(),
                row_pitch: PANEL,
                panel_pitch: rows * PANEL,
            };
            kernel.run::<S>();
        }
        match epilogue {
            Epilogue::Store => self.write(sums, 1, |y, sum| *y = sum),
            Epilogue::Add => self.write(sums, 1, |y, sum| *y += sum),
            Epilogue::SiluGate => {
                for pair in sums.chunks_exact_mut(2 * rows) {
                    let (gates, ups) = pair.split_at_mut(rows);
                    // SAFETY: the caller gives the instruction set.
                    unsafe { gate::<S>(gates.as_flattened_mut(), ups.as_flattened()) };
                }
                self.write(sums, 2, |y, sum| *y = sum);
            }
        }
    }
}

impl Chunk<'_> {
    /// Puts the sums of every `unit`-th panel into their columns.
    #[inline(always)]
    fn write(&self, sums: &[[f32; PANEL]], unit: usize, put: impl Fn(&mut f32, f32)) {
        let Output { y, stride } = self.task.output;
        let first = (self.panels.start - self.task.product.panels.start) / unit;
        for (panel, sums) in sums.chunks_exact(self.rows.len()).step_by(unit).enumerate() {
            let column = (first + panel) * PANEL;
            let width = PANEL.min(stride - column);
            for (row, sums) in self.rows.clone().zip(sums) {
                // SAFETY: this chunk alone writes these columns of these rows, which lie inside y.
                let y = unsafe { std::slice::from_raw_parts_mut(y.add(row * stride + column), width) };
                y.iter_mut().zip(sums).for_each(|(y, sum)| put(y, *sum));
            }
        }
    }
}

/// `silu(gate) * up`, into the gates.
#[inline(always)]
unsafe fn gate<S: Simd>(gates: &mut [f32], ups: &[f32]) {
    for (gate, up) in gates.chunks_exact_mut(LANES).zip(ups.chunks_exact(LANES)) {
        // SAFETY: each is one vector.
        unsafe {
            let silu = silu_vector::<S>(S::load(gate.as_ptr()));
            S::store(gate.as_mut_ptr(), S::mul(silu, S::load(up.as_ptr())));
        }
    }
}

/// `Y[rows, n] = X[rows, k] W^T` with memory of its own; [`Product`] takes memory that is kept.
///
/// # Panics
/// Where `x` or `y` are too short for `rows`.
pub fn matmul(threads: &Threads, weights: &Matrix, x: &[f32], rows: usize, y: &mut [f32]) {
    let mut activations = Activations::new(weights.precision(), rows, weights.k());
    Product::new(threads, Isa::detect(), weights).run(&mut activations, x, rows, y);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    fn matrix(precision: Precision, n: usize, k: usize) -> (Matrix, Vec<f32>) {
        let w = numbers(n * k, 7);
        (Matrix::pack(precision, n, k, &mut |row, out| out.copy_from_slice(&w[row * k..][..k])), w)
    }

    fn product(threads: &Threads, isa: Isa, weights: &Matrix, x: &[f32], rows: usize) -> Vec<f32> {
        let mut y = vec![f32::NAN; rows * weights.n()];
        let mut activations = Activations::new(weights.precision(), rows, weights.k());
        Product::new(threads, isa, weights).run(&mut activations, x, rows, &mut y);
        y
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (threads, (weights, _)) = (Threads::new(1), matrix(Precision::F32, 48, 8));
        let run = |product: Product<'_>, x: &[f32], y: usize| {
            let mut y = vec![0.0; y];
            let mut activations = Activations::new(Precision::F32, 2, 8);
            let run = std::panic::AssertUnwindSafe(|| product.run(&mut activations, x, 2, &mut y));
            std::panic::catch_unwind(run).is_ok()
        };
        let whole = || Product::new(&threads, Isa::Scalar, &weights);
        let x = [0.0; 16];
        assert!(run(whole(), &x, 96));
        assert!(!run(whole(), &x[1..], 96) && !run(whole(), &x, 95));
        assert!(!run(Product { panels: 2..4, ..whole() }, &x, 96));
        assert!(!run(Product { epilogue: Epilogue::SiluGate, ..whole() }, &x, 96), "three panels are no pairs");
    }

    const SHAPES: [(usize, usize); 5] = [(16, 8), (48, 64), (33, 145), (100, 320), (32, 1408)];
    const PRECISIONS: [(Precision, f64); 4] =
        [(Precision::F32, 2e-6), (Precision::Bf16, 4e-3), (Precision::F16, 4e-4), (Precision::Int8, 1e-2)];

    #[test]
    fn a_row_has_the_same_bits_alone_and_in_company_on_any_threads_and_lanes() {
        for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_here()) {
            println!("skipped: this CPU does not have {isa}");
        }
        let pools = [Threads::new(1), Threads::new(2), Threads::new(3)];
        for (n, k) in SHAPES {
            for (precision, _) in PRECISIONS {
                let (weights, _) = matrix(precision, n, k);
                let x = numbers(64 * k, 3);
                let alone: Vec<f32> =
                    x.chunks(k).flat_map(|row| product(&pools[0], Isa::Scalar, &weights, row, 1)).collect();
                for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
                    let pools = if isa == Isa::detect() { &pools[..] } else { &pools[..1] };
                    for (rows, threads) in (1..=64).flat_map(|rows| pools.iter().map(move |threads| (rows, threads))) {
                        let (y, threads) = (product(threads, isa, &weights, &x, rows), threads.threads());
                        assert!(y == alone[..rows * n], "{isa} {precision} {n}x{k}, {rows} rows, {threads} threads");
                    }
                }
            }
        }
    }

    #[test]
    fn the_product_is_the_product() {
        let threads = Threads::new(2);
        for (n, k) in SHAPES {
            for (precision, limit) in PRECISIONS {
                let (weights, w) = matrix(precision, n, k);
                let x = numbers(5 * k, 3);
                let (mut error, mut size) = (0.0, 0.0);
                for (i, &y) in product(&threads, Isa::detect(), &weights, &x, 5).iter().enumerate() {
                    let (x, w) = (&x[i / n * k..][..k], &w[i % n * k..][..k]);
                    let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    error += (exact - f64::from(y)).powi(2);
                    size += exact * exact;
                }
                let relative = (error / size).sqrt();
                assert!(relative < limit, "{precision} {n}x{k}: {relative:.1e}");
            }
        }
    }

    #[test]
    fn epilogues_add_and_gate() {
        let threads = Threads::new(2);
        let (weights, _) = matrix(Precision::F32, 96, 64);
        let x = numbers(3 * 64, 9);
        let plain = product(&threads, Isa::detect(), &weights, &x, 3);
        let mut activations = Activations::new(Precision::F32, 3, 64);
        let mut sum = vec![1.0; plain.len()];
        let add = Product { epilogue: Epilogue::Add, ..Product::new(&threads, Isa::detect(), &weights) };
        add.run(&mut activations, &x, 3, &mut sum);
        assert!(sum.iter().zip(&plain).all(|(sum, plain)| *sum == 1.0 + plain));
        let gated = Product { epilogue: Epilogue::SiluGate, ..Product::new(&threads, Isa::detect(), &weights) };
        let mut y = vec![0.0; 3 * 48];
        gated.run(&mut activations, &x, 3, &mut y);
        for (i, y) in y.iter().enumerate() {
            let (row, column) = (i / 48, i % 48);
            let at = row * 96 + column / 16 * 32 + column % 16;
            let (gate, up) = (plain[at], plain[at + 16]);
            let exact = gate / (1.0 + (-gate).exp()) * up;
            assert!((y - exact).abs() <= 1e-6 * (1.0 + exact.abs()), "{y} for {exact}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_not_rounded_away() {
        let threads = Threads::new(1);
        let (weights, _) = matrix(Precision::Int8, 16, 64);
        for fault in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(2 * 64, 1);
            x[70] = fault;
            let y = product(&threads, Isa::detect(), &weights, &x, 2);
            assert!(y[..16].iter().all(|y| y.is_finite()) && y[16..].iter().all(|y| y.is_nan()));
        }
    }

    #[test]
    fn a_range_of_panels_is_a_part_of_the_whole() {
        let threads = Threads::new(1);
        let (weights, _) = matrix(Precision::Bf16, 100, 32);
        let x = numbers(2 * 32, 1);
        let all = product(&threads, Isa::detect(), &weights, &x, 2);
        let part = Product { panels: 1..4, ..Product::new(&threads, Isa::detect(), &weights) };
        let mut y = vec![0.0; 2 * 48];
        part.run(&mut Activations::new(Precision::Bf16, 2, 32), &x, 2, &mut y);
        assert_eq!(y[..48], all[16..64]);
        assert_eq!(y[48..], all[116..164]);
    }
}
