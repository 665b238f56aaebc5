//! Attention of the rows of one stream against its committed tokens and their own ancestors.
//!
//! Keys are scored in slots, then gathered in logical order (committed tokens, ancestors from the oldest, the row itself), so that a row in a tree
//! has the same bits as the same token in a chain.

use crate::kernels::{CHUNK_ROWS, Isa, PANEL, Panel, Precision, dispatch_on, exp_on, lane_sum, layer_norm};
use crate::kv::{Rows, key_at};

/// A LayerNorm per head: weights and biases `[heads][E]`.
pub(crate) struct HeadNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) eps: f32,
}

impl HeadNorm {
    fn apply(&self, head: usize, x: &mut [f32]) {
        let range = head * x.len()..(head + 1) * x.len();
        layer_norm(x, &self.weight[range.clone()], &self.bias[range], self.eps);
    }
}

/// Rotary tables: cosines and sines `[positions][E/2]`, as transformers computes them in f32.
pub(crate) struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rope {
    pub(crate) fn new(base: f32, head_dim: usize, positions: usize) -> Self {
        let half = head_dim / 2;
        let frequency = |i: usize| 1.0 / libm::pow(f64::from(base), (2 * i) as f64 / head_dim as f64) as f32;
        let angles: Vec<f32> = (0..positions * half).map(|at| (at / half) as f32 * frequency(at % half)).collect();
        let of = |f: fn(f64) -> f64| angles.iter().map(|angle| f(f64::from(*angle)) as f32).collect();
        Self { cos: of(libm::cos), sin: of(libm::sin), half }
    }

    /// Turns pairs `(x[i], x[i + E/2])`.
    fn turn(&self, position: usize, x: &mut [f32]) {
        let (first, second) = x.split_at_mut(self.half);
        let range = position * self.half..(position + 1) * self.half;
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(&self.cos[range.clone()]).zip(&self.sin[range]) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// Attention of one kv head of one stream in one layer, with the query heads that share it.
pub(crate) struct Unit<'a> {
    pub(crate) isa: Isa,
    pub(crate) rows: &'a Rows,
    pub(crate) rope: &'a Rope,
    pub(crate) norms: Option<&'a [HeadNorm; 2]>,
    pub(crate) kv_head: usize,
    /// Query heads of a kv head.
    pub(crate) group: usize,
    pub(crate) head_dim: usize,
    pub(crate) committed: usize,
    pub(crate) capacity: usize,
    pub(crate) keys: *mut f32,
    pub(crate) values: *mut f32,
    /// Query head 0 of row 0, and key and value of this kv head of row 0; rows lie `stride` apart.
    pub(crate) queries: *mut f32,
    pub(crate) key: *mut f32,
    pub(crate) value: *const f32,
    pub(crate) stride: usize,
    /// Scores of query head 0 of row 0, `capacity` long; rows lie `score_stride` apart.
    pub(crate) scores: *mut f32,
    pub(crate) score_stride: usize,
    /// Result of query head 0 of row 0; rows lie `out_stride` apart.
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
}

impl Unit<'_> {
    /// # Safety
    /// The pointers are valid for the rows, heads and strides that the fields tell, and nobody else uses these parts meanwhile.
    pub(crate) unsafe fn run(&self) {
        for row in 0..self.rows.len() {
            // SAFETY: the caller's promise.
            unsafe { self.place(row) };
        }
        for head in 0..self.group {
            // SAFETY: the caller's promise.
            unsafe {
                self.score(head);
                self.weigh(head);
                self.sum(head);
            }
        }
    }

    /// Norms and turns a row's queries and key, and writes its key and value into its slot.
    unsafe fn place(&self, row: usize) {
        let position = self.committed + self.rows.path(row).len() - 1;
        let slot = self.committed + row;
        // SAFETY: the caller of `run` promises rows of `stride` elements and heads of `capacity` positions.
        unsafe {
            for head in 0..self.group {
                let query = self.queries.add(row * self.stride + head * self.head_dim);
                let query = std::slice::from_raw_parts_mut(query, self.head_dim);
                if let Some([norm, _]) = self.norms {
                    norm.apply(self.kv_head * self.group + head, query);
                }
                self.rope.turn(position, query);
            }
            let key = std::slice::from_raw_parts_mut(self.key.add(row * self.stride), self.head_dim);
            if let Some([_, norm]) = self.norms {
                norm.apply(self.kv_head, key);
            }
            self.rope.turn(position, key);
            for (e, key) in key.iter().enumerate() {
                *self.keys.add(key_at(slot, e, self.head_dim)) = *key;
                let value = *self.value.add(row * self.stride + e);
                *self.values.add((e / PANEL * self.capacity + slot) * PANEL + e % PANEL) = value;
            }
        }
    }

    /// Scores of a head's queries with the keys in all slots.
    unsafe fn score(&self, head: usize) {
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let slots = self.committed + self.rows.len();
        for first in (0..self.rows.len()).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(self.rows.len() - first);
            for panel in 0..slots.div_ceil(PANEL) {
                let mut sums = [[0.0_f32; PANEL]; CHUNK_ROWS];
                // SAFETY: as in `place`; a row of scores is `capacity` long, a multiple of 16.
                unsafe {
                    let kernel = Panel {
                        precision: Precision::F32,
                        w: self.keys.add(panel * PANEL * self.head_dim).cast(),
                        x: self.queries.add(first * self.stride + head * self.head_dim).cast(),
                        stride: self.stride,
                        rows,
                        steps: self.head_dim,
                        sums: sums.as_mut_ptr().cast(),
                    };
                    dispatch_on(self.isa, &kernel);
                    for (i, sums) in sums[..rows].iter().enumerate() {
                        let scores = &mut self.row_scores(first + i, head)[panel * PANEL..][..PANEL];
                        scores.iter_mut().zip(sums).for_each(|(score, sum)| *score = sum * scale);
                    }
                }
            }
        }
    }

    /// Scores in logical order, then `e^(score - largest)` divided by their sum.
    unsafe fn weigh(&self, head: usize) {
        for row in 0..self.rows.len() {
            // SAFETY: as in `place`.
            let scores = unsafe { self.row_scores(row, head) };
            let path = self.rows.path(row);
            // In place: a row's number is at least its depth, so that no score is overwritten before it is read.
            for (depth, ancestor) in path.iter().enumerate() {
                scores[self.committed + depth] = scores[self.committed + ancestor];
            }
            let scores = &mut scores[..self.committed + path.len()];
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|score| *score -= largest);
            exp_on(self.isa, scores);
            let total = lane_sum(scores, |x| x);
            scores.iter_mut().for_each(|score| *score /= total);
        }
    }

    /// Values weighed by the scores: committed tokens for all rows together, then each row's ancestors.
    unsafe fn sum(&self, head: usize) {
        for first in (0..self.rows.len()).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(self.rows.len() - first);
            for panel in 0..self.head_dim.div_ceil(PANEL) {
                let mut sums = [[0.0_f32; PANEL]; CHUNK_ROWS];
                // SAFETY: as in `place`.
                let values = unsafe { self.values.add(panel * self.capacity * PANEL) };
                let add = |slot: usize, score: *const f32, rows: usize, steps: usize, sums: &mut [[f32; PANEL]]| {
                    let kernel = Panel {
                        precision: Precision::F32,
                        // SAFETY: as in `place`; the slot is inside the capacity.
                        w: unsafe { values.add(slot * PANEL).cast() },
                        x: score.cast(),
                        stride: self.score_stride,
                        rows,
                        steps,
                        sums: sums.as_mut_ptr().cast(),
                    };
                    // SAFETY: as in `place`; `sums` has `rows` rows.
                    unsafe { dispatch_on(self.isa, &kernel) };
                };
                // SAFETY: as in `place`.
                let scores = |row: usize| unsafe { self.row_scores(row, head).as_ptr() };
                add(0, scores(first), rows, self.committed, &mut sums);
                for (i, sums) in sums[..rows].chunks_mut(1).enumerate() {
                    let score = scores(first + i);
                    for (depth, ancestor) in self.rows.path(first + i).iter().enumerate() {
                        let slot = self.committed + ancestor;
                        add(slot, score.wrapping_add(self.committed + depth), 1, 1, sums);
                    }
                    let width = PANEL.min(self.head_dim - panel * PANEL);
                    let column = head * self.head_dim + panel * PANEL;
                    // SAFETY: as in `place`.
                    unsafe {
                        let out = self.out.add((first + i) * self.out_stride + column);
                        std::ptr::copy_nonoverlapping(sums.as_ptr().cast(), out, width);
                    }
                }
            }
        }
    }

    #[allow(clippy::mut_from_ref)]
    unsafe fn row_scores(&self, row: usize, head: usize) -> &mut [f32] {
        // SAFETY: as in `place`.
        unsafe {
            let start = self.scores.add(row * self.score_stride + head * self.capacity);
            std::slice::from_raw_parts_mut(start, self.capacity)
        }
    }
}
