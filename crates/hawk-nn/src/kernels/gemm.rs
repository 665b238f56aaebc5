//! `Y[rows, n] = X[rows, k] W[n, k]^T` for a few rows against packed weights.
//!
//! Every output is one chain of fused multiply-adds over k in rising order, whatever the number of rows, threads or lanes: a row has the same
//! bits alone and in company. Blocks of up to [`TILE_ROWS`] rows share the weights of a block of k while these are in the first cache; the
//! weights ahead are fetched evenly over the row blocks, so that memory and arithmetic overlap.

use std::ops::Range;

use super::matrix::{Matrix, PANEL, Precision};
use super::pool::Pool;
use super::simd::{Isa, Kernel, LANES, Simd, dispatch_on};

/// Rows whose sums fit into the registers of AVX2.
const TILE_ROWS: usize = 6;
/// Rows whose sums are kept beside the weights of one panel.
pub(crate) const CHUNK_ROWS: usize = 48;
/// Weights that all row blocks use before the next are read.
const BLOCK_BYTES: usize = 8192;
/// How far ahead weights are fetched.
const AHEAD_BYTES: usize = 8192;
/// Multiply-adds between two fetches.
const GROUP: usize = 8;
/// Weights per parallel chunk, about.
const CHUNK_BYTES: usize = 32 * 1024;
/// Largest magnitude of a rounded activation: with 127 and [`BLOCK_BYTES`] / 16 steps the exact sum stays inside i32.
const QUANT_MAX: f32 = 16383.0;

/// What is done with a finished sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// `y = sum`.
    Store,
    /// `y += sum`, the residual connection.
    Add,
    /// Panels alternate gate and up: `y = silu(gate) * up`.
    SiluGate,
}

/// Rows of activations, rounded as well where the weights are int8. Allocated once.
pub(crate) struct Activations {
    rounded: Vec<i16>,
    scales: Vec<f32>,
}

impl Activations {
    /// Room for `rows` rows of up to `k` inputs.
    pub(crate) fn new(precision: Precision, rows: usize, k: usize) -> Self {
        match precision {
            Precision::Int8 => Self { rounded: vec![0; rows * k.next_multiple_of(16)], scales: vec![0.0; rows] },
            Precision::F32 | Precision::Bf16 => Self { rounded: Vec::new(), scales: Vec::new() },
        }
    }

    /// Rounds `x` `[rows, k]` to 15 bits with one scale per row.
    fn round(&mut self, isa: Isa, x: &[f32], rows: usize, k: usize) {
        let stride = k.next_multiple_of(2);
        assert!(rows <= self.scales.len() && rows * stride <= self.rounded.len());
        for row in 0..rows {
            let kernel = Round { x: &x[row * k..][..k], out: &mut self.rounded[row * stride..][..stride] };
            // SAFETY: the instruction set was detected; the slices carry their lengths.
            self.scales[row] = unsafe { dispatch_on(isa, kernel) };
        }
    }
}

struct Round<'a> {
    x: &'a [f32],
    out: &'a mut [i16],
}

impl Kernel for Round<'_> {
    type Output = f32;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        let most = self.x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let inverse = if most > 0.0 { QUANT_MAX / most } else { 0.0 };
        let whole = self.x.len() / LANES * LANES;
        let mut tail = [0.0; LANES];
        tail[..self.x.len() - whole].copy_from_slice(&self.x[whole..]);
        let mut rounded = [0_i16; LANES];
        // SAFETY: `whole` elements are inside both slices; the tail goes through arrays of one vector.
        unsafe {
            let factor = S::splat(inverse);
            for i in (0..whole).step_by(LANES) {
                S::store_i16(self.out.as_mut_ptr().add(i), S::mul(S::load(self.x.as_ptr().add(i)), factor));
            }
            S::store_i16(rounded.as_mut_ptr(), S::mul(S::load(tail.as_ptr()), factor));
        }
        let left = self.out.len() - whole;
        self.out[whole..].copy_from_slice(&rounded[..left]);
        most / QUANT_MAX
    }
}

/// A kind of weights inside a tile: how a step is read and added.
trait Weights<S: Simd> {
    type X;
    type Sum: Copy;
    const STEP_BYTES: usize;
    unsafe fn begin(prior: *const f32) -> [Self::Sum; 2];
    /// Adds one step for `R` rows; `x` of row r lies `r * stride` further.
    unsafe fn step<const R: usize>(w: *const u8, x: *const Self::X, stride: usize, sums: &mut [[Self::Sum; 2]; R]);
    unsafe fn end(sums: [Self::Sum; 2], out: *mut f32);
    const X_STEP: usize;
}

struct FloatWeights;
struct Bf16Weights;
struct Int8Weights;

macro_rules! float_weights {
    ($kind:ty, $bytes:literal, $w:ident => $load:expr) => {
        // SAFETY (all bodies): the caller of the tile gives valid pointers and the instruction set.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl<S: Simd> Weights<S> for $kind {
            type X = f32;
            type Sum = S::F;
            const STEP_BYTES: usize = $bytes * PANEL;
            const X_STEP: usize = 1;
            #[inline(always)]
            unsafe fn begin(prior: *const f32) -> [S::F; 2] {
                unsafe { [S::load(prior), S::load(prior.add(LANES))] }
            }
            #[inline(always)]
            unsafe fn step<const R: usize>($w: *const u8, x: *const f32, stride: usize, sums: &mut [[S::F; 2]; R]) {
                unsafe {
                    let w: [S::F; 2] = $load;
                    for (r, sum) in sums.iter_mut().enumerate() {
                        let x = S::splat(*x.add(r * stride));
                        *sum = [S::fma(w[0], x, sum[0]), S::fma(w[1], x, sum[1])];
                    }
                }
            }
            #[inline(always)]
            unsafe fn end(sums: [S::F; 2], out: *mut f32) {
                unsafe {
                    S::store(out, sums[0]);
                    S::store(out.add(LANES), sums[1]);
                }
            }
        }
    };
}
float_weights!(FloatWeights, 4, w => [S::load(w.cast()), S::load(w.cast::<f32>().add(LANES))]);
float_weights!(Bf16Weights, 2, w => S::load_bf16(w.cast()));

// SAFETY (all bodies): the caller of the tile gives valid pointers and the instruction set.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<S: Simd> Weights<S> for Int8Weights {
    type X = i16;
    type Sum = S::I;
    const STEP_BYTES: usize = 2 * PANEL;
    const X_STEP: usize = 2;
    #[inline(always)]
    unsafe fn begin(_: *const f32) -> [S::I; 2] {
        unsafe { [S::zero_i(); 2] }
    }
    #[inline(always)]
    unsafe fn step<const R: usize>(w: *const u8, x: *const i16, stride: usize, sums: &mut [[S::I; 2]; R]) {
        unsafe {
            let w = [S::load_i8(w.cast()), S::load_i8(w.add(PANEL).cast())];
            for (r, sum) in sums.iter_mut().enumerate() {
                let x = S::splat_pair(x.add(r * stride));
                *sum = [S::madd(sum[0], w[0], x), S::madd(sum[1], w[1], x)];
            }
        }
    }
    #[inline(always)]
    unsafe fn end(sums: [S::I; 2], out: *mut f32) {
        unsafe {
            for (half, sum) in sums.into_iter().enumerate() {
                let out = out.add(half * LANES);
                S::store(out, S::add(S::load(out), S::to_f32(sum)));
            }
        }
    }
}

/// `steps` steps for `R` rows, continuing the sums at `out` `[R][16]`; fetches `lines` of every group's weights, `ahead` bytes further on.
#[inline(always)]
unsafe fn tile<S: Simd, W: Weights<S>, const R: usize>(
    w: *const u8,
    x: *const W::X,
    stride: usize,
    steps: usize,
    out: *mut f32,
    lines: Range<usize>,
) {
    // SAFETY: the caller gives `steps` steps of weights, R rows of x and R x 16 sums; a prefetch may point anywhere.
    unsafe {
        let mut sums = [W::begin(out); R];
        for (r, sum) in sums.iter_mut().enumerate() {
            *sum = W::begin(out.add(r * PANEL));
        }
        let whole = steps / GROUP * GROUP;
        for group in (0..whole).step_by(GROUP) {
            let w = w.add(group * W::STEP_BYTES);
            for line in lines.clone() {
                S::prefetch(w.wrapping_add(AHEAD_BYTES + line * 64));
            }
            for step in 0..GROUP {
                W::step(w.add(step * W::STEP_BYTES), x.add((group + step) * W::X_STEP), stride, &mut sums);
            }
        }
        for step in whole..steps {
            W::step(w.add(step * W::STEP_BYTES), x.add(step * W::X_STEP), stride, &mut sums);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            W::end(sum, out.add(r * PANEL));
        }
    }
}

/// One panel against rows, summed into `sums` `[rows][16]`.
pub(crate) struct Panel {
    pub(crate) precision: Precision,
    pub(crate) w: *const u8,
    pub(crate) x: *const u8,
    /// Elements between two rows of x.
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) steps: usize,
    pub(crate) sums: *mut f32,
}

impl Panel {
    #[inline(always)]
    unsafe fn blocks<S: Simd, W: Weights<S>>(&self) {
        let count = self.rows.div_ceil(TILE_ROWS);
        let lines = GROUP * W::STEP_BYTES / 64;
        let block_steps = BLOCK_BYTES / W::STEP_BYTES;
        for start in (0..self.steps).step_by(block_steps) {
            let steps = block_steps.min(self.steps - start);
            let mut first = 0;
            for block in 0..count {
                let rows = (self.rows + block) / count;
                let share = lines * block / count..lines * (block + 1) / count;
                // SAFETY: the fields promise the weights, the rows and the sums that the indices stay inside of.
                unsafe {
                    let w = self.w.add(start * W::STEP_BYTES);
                    let x = self.x.cast::<W::X>().add(first * self.stride + start * W::X_STEP);
                    let out = self.sums.add(first * PANEL);
                    match rows {
                        1 => tile::<S, W, 1>(w, x, self.stride, steps, out, share),
                        2 => tile::<S, W, 2>(w, x, self.stride, steps, out, share),
                        3 => tile::<S, W, 3>(w, x, self.stride, steps, out, share),
                        4 => tile::<S, W, 4>(w, x, self.stride, steps, out, share),
                        5 => tile::<S, W, 5>(w, x, self.stride, steps, out, share),
                        _ => tile::<S, W, 6>(w, x, self.stride, steps, out, share),
                    }
                }
                first += rows;
            }
        }
    }
}

impl Kernel for &Panel {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's promise is passed on.
        unsafe {
            match self.precision {
                Precision::F32 => self.blocks::<S, FloatWeights>(),
                Precision::Bf16 => self.blocks::<S, Bf16Weights>(),
                Precision::Int8 => self.blocks::<S, Int8Weights>(),
            }
        }
    }
}

/// Where the results go.
struct Output {
    y: *mut f32,
    /// Elements between two rows.
    stride: usize,
}

// SAFETY: every chunk of a product writes its own rows and columns of `y`.
unsafe impl Sync for Output {}

/// One product on the pool.
pub(crate) struct Product<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) isa: Isa,
    pub(crate) weights: &'a Matrix,
    /// The panels to compute; their outputs are the columns of y, the first panel's first output at column 0.
    pub(crate) panels: Range<usize>,
    pub(crate) epilogue: Epilogue,
}

impl<'a> Product<'a> {
    /// All outputs, stored.
    pub(crate) fn new(pool: &'a Pool, isa: Isa, weights: &'a Matrix) -> Self {
        Self { pool, isa, weights, panels: 0..weights.panels(), epilogue: Epilogue::Store }
    }

    /// Columns of y.
    pub(crate) fn columns(&self) -> usize {
        let outputs = (self.panels.end * PANEL).min(self.weights.n()) - self.panels.start * PANEL;
        if self.epilogue == Epilogue::SiluGate { outputs / 2 } else { outputs }
    }

    /// `x` `[rows, k]` to `y` `[rows, columns]`.
    pub(crate) fn run(&self, activations: &mut Activations, x: &[f32], rows: usize, y: &mut [f32]) {
        let (k, columns) = (self.weights.k(), self.columns());
        assert!(x.len() >= rows * k && y.len() >= rows * columns && self.panels.end <= self.weights.panels());
        let precision = self.weights.precision();
        let (input, stride) = if precision == Precision::Int8 {
            activations.round(self.isa, x, rows, k);
            (activations.rounded.as_ptr().cast::<u8>(), k.next_multiple_of(2))
        } else {
            (x.as_ptr().cast(), k)
        };
        let task = Task {
            product: self,
            input,
            stride,
            row_scales: &activations.scales,
            rows,
            output: Output { y: y.as_mut_ptr(), stride: columns },
        };
        task.run();
    }
}

struct Task<'a> {
    product: &'a Product<'a>,
    input: *const u8,
    stride: usize,
    row_scales: &'a [f32],
    rows: usize,
    output: Output,
}

// SAFETY: the input is only read, the output is `Sync`.
unsafe impl Sync for Task<'_> {}

impl Task<'_> {
    fn run(&self) {
        let Product { pool, weights, panels, epilogue, .. } = self.product;
        let unit = if *epilogue == Epilogue::SiluGate { 2 } else { 1 };
        let group = (CHUNK_BYTES / weights.panel_bytes().max(1)).max(1).next_multiple_of(unit);
        let (groups, row_chunks) = (panels.len().div_ceil(group), self.rows.div_ceil(CHUNK_ROWS));
        pool.run(groups * row_chunks, &|chunk| {
            let first = panels.start + chunk % groups * group;
            let row = chunk / groups * CHUNK_ROWS;
            let rows = CHUNK_ROWS.min(self.rows - row);
            for panel in (first..panels.end.min(first + group)).step_by(unit) {
                self.finish(panel, row, rows);
            }
        });
    }

    /// The sums of a panel, scaled.
    fn sum(&self, panel: usize, row: usize, rows: usize) -> [[f32; PANEL]; CHUNK_ROWS] {
        let Product { weights, isa, .. } = self.product;
        let mut sums = [[0.0; PANEL]; CHUNK_ROWS];
        let x_bytes = if weights.precision() == Precision::Int8 { 2 } else { 4 };
        let kernel = Panel {
            precision: weights.precision(),
            w: weights.panel(panel),
            // SAFETY: `row` is one of the input's rows.
            x: unsafe { self.input.add(row * self.stride * x_bytes) },
            stride: self.stride,
            rows,
            steps: weights.steps(),
            sums: sums.as_mut_ptr().cast(),
        };
        // SAFETY: the panel holds `steps` steps, the input `rows` rows of `stride` elements from `row` on, and `sums` has room for them.
        unsafe { dispatch_on(*isa, &kernel) };
        if let Some(scales) = weights.panel_scales(panel) {
            for (sums, row_scale) in sums.iter_mut().zip(&self.row_scales[row..row + rows]) {
                for (sum, scale) in sums.iter_mut().zip(scales) {
                    *sum = *sum * scale * row_scale;
                }
            }
        }
        sums
    }

    fn finish(&self, panel: usize, row: usize, rows: usize) {
        let Product { panels, isa, epilogue, .. } = self.product;
        let mut sums = self.sum(panel, row, rows);
        let mut column = (panel - panels.start) * PANEL;
        if *epilogue == Epilogue::SiluGate {
            let up = self.sum(panel + 1, row, rows);
            super::math::silu_on(*isa, sums[..rows].as_flattened_mut());
            sums[..rows].iter_mut().flatten().zip(up.iter().flatten()).for_each(|(gate, up)| *gate *= up);
            column /= 2;
        }
        let width = PANEL.min(self.output.stride - column);
        for (i, sums) in sums[..rows].iter().enumerate() {
            // SAFETY: this chunk alone writes these columns of these rows, which lie inside y.
            let y = unsafe {
                std::slice::from_raw_parts_mut(self.output.y.add((row + i) * self.output.stride + column), width)
            };
            match epilogue {
                Epilogue::Add => y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum),
                Epilogue::Store | Epilogue::SiluGate => y.copy_from_slice(&sums[..width]),
            }
        }
    }
}

/// `Y[rows, n] = X[rows, k] W^T` with scratch of its own; the engine's passes use a kept one.
///
/// # Panics
/// Where `x` or `y` are too short for `rows`.
pub fn matmul(pool: &Pool, weights: &Matrix, x: &[f32], rows: usize, y: &mut [f32]) {
    let mut activations = Activations::new(weights.precision(), rows, weights.k());
    Product::new(pool, Isa::detect(), weights).run(&mut activations, x, rows, y);
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

    fn product(pool: &Pool, isa: Isa, weights: &Matrix, x: &[f32], rows: usize) -> Vec<f32> {
        let mut y = vec![f32::NAN; rows * weights.n()];
        let mut activations = Activations::new(weights.precision(), rows, weights.k());
        Product::new(pool, isa, weights).run(&mut activations, x, rows, &mut y);
        y
    }

    const SHAPES: [(usize, usize); 5] = [(16, 8), (48, 64), (33, 145), (100, 320), (32, 1408)];
    const PRECISIONS: [(Precision, f64); 3] =
        [(Precision::F32, 2e-6), (Precision::Bf16, 4e-3), (Precision::Int8, 1e-2)];

    #[test]
    fn a_row_has_the_same_bits_alone_and_in_company_on_any_threads_and_lanes() {
        let pools = [Pool::new(1), Pool::new(2), Pool::new(3)];
        for (n, k) in SHAPES {
            for (precision, _) in PRECISIONS {
                let (weights, _) = matrix(precision, n, k);
                let x = numbers(64 * k, 3);
                let alone: Vec<f32> =
                    x.chunks(k).flat_map(|row| product(&pools[0], Isa::Scalar, &weights, row, 1)).collect();
                for rows in 1..=64 {
                    for pool in &pools {
                        let y = product(pool, Isa::detect(), &weights, &x, rows);
                        assert_eq!(
                            y,
                            alone[..rows * n],
                            "{precision} {n}x{k}, {rows} rows, {} threads",
                            pool.threads()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_product_is_the_product() {
        let pool = Pool::new(2);
        for (n, k) in SHAPES {
            for (precision, limit) in PRECISIONS {
                let (weights, w) = matrix(precision, n, k);
                let x = numbers(5 * k, 3);
                let (mut error, mut size) = (0.0, 0.0);
                for (i, &y) in product(&pool, Isa::detect(), &weights, &x, 5).iter().enumerate() {
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
        let pool = Pool::new(2);
        let (weights, _) = matrix(Precision::F32, 96, 64);
        let x = numbers(3 * 64, 9);
        let plain = product(&pool, Isa::detect(), &weights, &x, 3);
        let mut activations = Activations::new(Precision::F32, 3, 64);
        let mut sum = vec![1.0; plain.len()];
        let add = Product { epilogue: Epilogue::Add, ..Product::new(&pool, Isa::detect(), &weights) };
        add.run(&mut activations, &x, 3, &mut sum);
        assert!(sum.iter().zip(&plain).all(|(sum, plain)| *sum == 1.0 + plain));
        let gated = Product { epilogue: Epilogue::SiluGate, ..Product::new(&pool, Isa::detect(), &weights) };
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
    fn a_range_of_panels_is_a_part_of_the_whole() {
        let pool = Pool::new(1);
        let (weights, _) = matrix(Precision::Bf16, 100, 32);
        let x = numbers(2 * 32, 1);
        let all = product(&pool, Isa::detect(), &weights, &x, 2);
        let part = Product { panels: 1..4, ..Product::new(&pool, Isa::detect(), &weights) };
        let mut y = vec![0.0; 2 * 48];
        part.run(&mut Activations::new(Precision::Bf16, 2, 32), &x, 2, &mut y);
        assert_eq!(y[..48], all[16..64]);
        assert_eq!(y[48..], all[116..164]);
    }
}
