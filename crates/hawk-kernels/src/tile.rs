//! The innermost loops: panels of packed weights against a few rows.
//!
//! - Up to [`PLACES`] panels take turns, a slice of k each, because the memory answers reads in
//!   several places 1.5 times faster than in one.
//! - Rows are cut into blocks of up to [`TILE_ROWS`](Simd::TILE_ROWS). All blocks use a slice while
//!   it is in the first-level cache.
//! - A block goes through as many panels together as their sums fit into the registers.
//! - Sums wait in memory between slices.
//!
//! Invariant: every output is one chain of fused multiply-adds over k, in an order that depends on
//! nothing but the number format.

use std::hint::black_box;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::null;

use crate::activations::InputBlock;
use crate::isa::{Kernel, Simd};
use crate::matrix::{BLOCK, PANEL};
use crate::weights::{GROUP, Pitches, Place, Weights};

/// Rows that go through a panel together.
pub const CHUNK_ROWS: usize = 48;
/// Panels that are read at once.
pub const PLACES: usize = 4;
/// Rows that one base register reaches: at 0, 1 and 2 strides.
const REACHED: usize = 3;

/// A place in every [`REACHED`] rows of the largest tile.
type Inputs = [*const u8; 4];

/// One slice of `N` neighbouring panels for a block of `R` rows.
struct Tile<W: Weights, const R: usize, const N: usize> {
    w: *const u8,
    pitch: usize,
    x: *const u8,
    stride: usize,
    steps: usize,
    place: Place,
    pitches: Pitches,
    /// Lines of every group that are prefetched `ahead` bytes further on.
    lines: Range<usize>,
    ahead: usize,
    weights: PhantomData<W>,
}

impl<W: Weights, const R: usize, const N: usize> Kernel for Tile<W, R, N> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (mut w, mut x, mut place, mut left) = (self.w, self.inputs(), self.place, self.steps);
        while left > 0 {
            let steps = left.min(W::BLOCK_STEPS);
            // SAFETY: the fields hold `left` more steps.
            unsafe { self.block::<S>(w, x, place, steps) };
            left -= steps;
            w = w.wrapping_add(steps * W::STEP_BYTES);
            x = x.map(|x| x.wrapping_add(steps * W::input_bytes::<S>()));
            place = Place {
                inputs: place.inputs.wrapping_add(1),
                scales: place.scales.wrapping_add(PANEL),
                sums: place.sums,
            };
        }
    }
}

impl<W: Weights, const R: usize, const N: usize> Tile<W, R, N> {
    /// The first inputs of every third row.
    #[inline(always)]
    fn inputs(&self) -> Inputs {
        // Hidden from the compiler, which would compute each row's address from the one before: 1.3
        // times slower in int8 from 11 rows on.
        let input = |row| if row < R { black_box(self.x.wrapping_add(row * self.stride)) } else { self.x };
        std::array::from_fn(|i| input(i * REACHED))
    }

    /// Steps that are scaled together.
    #[inline(always)]
    unsafe fn block<S: Simd>(&self, mut w: *const u8, mut x: Inputs, place: Place, steps: usize) {
        // SAFETY: the fields hold `steps` steps of N panels, R rows of x and of sums; a prefetch
        // may point anywhere.
        unsafe {
            let mut sums = [[W::begin::<S>(place); N]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = W::begin::<S>(place.at(self.pitches, r, n));
                }
            }
            let input_bytes = W::input_bytes::<S>();
            for _ in 0..steps / GROUP {
                for n in 0..N {
                    for line in self.lines.clone() {
                        S::prefetch(w.wrapping_add(n * self.pitch + self.ahead + line * 64));
                    }
                }
                for step in 0..GROUP {
                    self.step::<S>(w.add(step * W::STEP_BYTES), x, step * input_bytes, &mut sums);
                }
                (w, x) = (w.add(GROUP * W::STEP_BYTES), x.map(|x| x.wrapping_add(GROUP * input_bytes)));
            }
            for step in 0..steps % GROUP {
                self.step::<S>(w.add(step * W::STEP_BYTES), x, step * input_bytes, &mut sums);
            }
            let mut scales = [W::scale::<S>(place); N];
            for (n, scale) in scales.iter_mut().enumerate().skip(1) {
                *scale = W::scale::<S>(place.at(self.pitches, 0, n));
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (n, sum) in sums.into_iter().enumerate() {
                    W::end::<S>(sum, scales[n], place.at(self.pitches, r, n));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(&self, w: *const u8, x: Inputs, at: usize, sums: &mut [[W::Sum<S>; N]; R]) {
        // SAFETY: as in `run`.
        unsafe {
            for part in 0..W::parts::<S>() {
                let mut loaded = [W::load::<S>(w, part); N];
                for (n, loaded) in loaded.iter_mut().enumerate().skip(1) {
                    *loaded = W::load::<S>(w.add(n * self.pitch), part);
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = W::input::<S>(x[r / REACHED].add(at + r % REACHED * self.stride), part);
                    for (sum, w) in sums.iter_mut().zip(loaded) {
                        *sum = W::add::<S>(*sum, w, x);
                    }
                }
            }
        }
    }
}

/// The number format of panels and rows.
#[derive(Clone, Copy)]
pub enum Numbers {
    /// Both f32.
    F32,
    /// Panels of f16, rows of f32.
    F16,
    /// Both rounded to bf16, two steps of k together.
    Bf16,
    /// Both rounded to 8 bits.
    Int8 {
        /// The first panel's scales in bf16, `[blocks][16]`; those of the next panel follow.
        scales: *const u16,
        /// The first row's blocks; those of the next row follow.
        inputs: *const InputBlock,
    },
}

/// Panels against rows, added to sums. It runs as a [`Kernel`]; whoever runs it promises that the
/// pointers are valid for the sizes.
pub struct Panels {
    /// The number format.
    pub numbers: Numbers,
    /// The first panel.
    pub w: *const u8,
    /// Bytes from one panel to the next.
    pub pitch: usize,
    /// Number of panels; at most [`PLACES`] are read at once.
    pub panels: usize,
    /// The first row.
    pub x: *const u8,
    /// Bytes between two rows of x.
    pub stride: usize,
    /// Number of rows.
    pub rows: usize,
    /// Steps of a panel: see [`Matrix::steps`](crate::matrix::Matrix::steps).
    pub steps: usize,
    /// The sums of the first row with the first panel; 16 lie together.
    pub sums: *mut f32,
    /// Elements between the sums of two rows.
    pub row_pitch: usize,
    /// Elements between the sums of two panels.
    pub panel_pitch: usize,
}

impl Panels {
    /// Multiplies slice by slice.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the fields hold what they promise.
    #[inline(always)]
    pub(crate) unsafe fn slices<S: Simd, W: Weights>(&self) {
        let blocks = self.rows.div_ceil(W::tile_rows::<S>());
        let [alone, several] = W::SLICE_BYTES;
        let most = if blocks == 1 && !S::FETCHES_ALONE { alone } else { several } / W::STEP_BYTES;
        // Of equal length: what a slice prefetches is as long as the slice.
        let count = self.steps.div_ceil(most).max(1);
        let slice = self.steps.div_ceil(count).next_multiple_of(W::BLOCK_STEPS.min(2 * GROUP)).max(1);
        let most = S::MOST_PANELS.min(S::MOST_SUMS / self.rows.div_ceil(blocks));
        for start in (0..self.steps).step_by(slice) {
            let mut next = 0;
            while next < self.panels {
                let together = [4, 2, 1].into_iter().find(|n| *n <= most.min(self.panels - next)).unwrap_or(1);
                let panels = next..next + together;
                next = panels.end;
                let mut first = 0;
                for block in 0..blocks {
                    let rows = first..first + (self.rows + block) / blocks;
                    first = rows.end;
                    // SAFETY: the caller's promise is passed on.
                    unsafe {
                        self.tile::<S, W>(
                            start..self.steps.min(start + slice),
                            panels.clone(),
                            rows,
                            fetched::<S, W>(block, blocks),
                        )
                    };
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<S: Simd, W: Weights>(
        &self,
        steps: Range<usize>,
        panels: Range<usize>,
        rows: Range<usize>,
        lines: Range<usize>,
    ) {
        // SAFETY: the caller's promise is passed on.
        unsafe {
            macro_rules! sized {
                ($r:literal, $n:literal) => {
                    self.sized::<S, W, $r, $n>(steps, panels.start, rows.start, lines)
                };
            }
            macro_rules! of_rows {
                ($($r:literal)*) => {
                    match (rows.len(), panels.len()) {
                        $(($r, 4) if S::MOST_PANELS >= 4 && S::MOST_SUMS >= 4 * $r => sized!($r, 4),
                        ($r, 2) if S::MOST_SUMS >= 2 * $r => sized!($r, 2),
                        ($r, _) if W::tile_rows::<S>() >= $r => sized!($r, 1),)*
                        _ => unreachable!("no block has more rows than a tile"),
                    }
                };
            }
            of_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
        }
    }

    #[inline(always)]
    unsafe fn sized<S: Simd, W: Weights, const R: usize, const N: usize>(
        &self,
        steps: Range<usize>,
        panel: usize,
        row: usize,
        lines: Range<usize>,
    ) {
        let start = steps.start * W::STEP_BYTES;
        // After a panel's last slice the next group's panel is fetched.
        let last = steps.end == self.steps;
        let ahead = if last { self.panels * self.pitch - start } else { steps.len() * W::STEP_BYTES };
        let block = start / (BLOCK * PANEL);
        let (scales, inputs) = match self.numbers {
            Numbers::Int8 { scales, inputs } => (scales.wrapping_add(block * PANEL), inputs.wrapping_add(block)),
            Numbers::F32 | Numbers::F16 | Numbers::Bf16 => (null(), null()),
        };
        let pitches = Pitches {
            row_sums: self.row_pitch,
            panel_sums: self.panel_pitch,
            blocks: self.steps * W::STEP_BYTES / (BLOCK * PANEL),
        };
        // SAFETY: the fields promise the weights, the rows and the sums that the ranges are inside
        // of.
        unsafe {
            let tile = Tile::<W, R, N> {
                w: self.w.add(panel * self.pitch + start),
                pitch: self.pitch,
                x: self.x.add(row * self.stride + steps.start * W::input_bytes::<S>()),
                stride: self.stride,
                steps: steps.len(),
                place: Place { sums: self.sums, inputs, scales }.at(pitches, row, panel),
                pitches,
                lines,
                ahead,
                weights: PhantomData,
            };
            tile.run::<S>();
        }
    }
}

/// The lines of a group that a block of rows prefetches. The first of several blocks waits for
/// memory anyway, and its reads keep the hardware prefetcher busy. The others find their weights in
/// the cache and share the prefetching.
#[inline(always)]
fn fetched<S: Simd, W: Weights>(block: usize, blocks: usize) -> Range<usize> {
    let lines = GROUP * W::STEP_BYTES / 64;
    match block {
        0 if blocks == 1 && S::FETCHES_ALONE => 0..lines,
        0 if blocks == 1 => 0..W::FETCHED_ALONE,
        0 => 0..0,
        _ => lines * (block - 1) / (blocks - 1)..lines * block / (blocks - 1),
    }
}
