//! Attention of the rows of one stream against its committed tokens and their own ancestors.
//!
//! Keys are scored in slots. Scores are then gathered in logical order: committed tokens, ancestors
//! from the oldest, the row itself. So a row in a tree has the same bits as the same token in a
//! chain.

use hawk_kernels::{CHUNK_ROWS, Isa, LayerNorm, PANEL, PLACES, Panels, Softmax, dispatch_on};

use super::kv::KvHead;
use super::rope::Rope;
use crate::rows::Rows;

/// A LayerNorm per head: weights and biases `[heads][E]`.
pub(crate) struct HeadNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) eps: f32,
}

impl HeadNorm {
    fn apply(&self, isa: Isa, head: usize, x: &mut [f32]) {
        let range = head * x.len()..(head + 1) * x.len();
        LayerNorm { x, weight: &self.weight[range.clone()], bias: &self.bias[range], eps: self.eps }.on(isa);
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
    /// Position of the first token.
    pub(crate) start: usize,
    pub(crate) capacity: usize,
    pub(crate) kv: KvHead,
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
    /// The pointers are valid for the rows, heads and strides of the fields, and nobody else uses
    /// these parts meanwhile.
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
        let position = self.start + self.committed + self.rows.path(row).len() - 1;
        let slot = self.committed + row;
        // SAFETY: the caller of `run` promises rows of `stride` elements and heads of `capacity`
        // positions.
        unsafe {
            for head in 0..self.group {
                let query = self.queries.add(row * self.stride + head * self.head_dim);
                let query = std::slice::from_raw_parts_mut(query, self.head_dim);
                if let Some([norm, _]) = self.norms {
                    norm.apply(self.isa, self.kv_head * self.group + head, query);
                }
                self.rope.turn(self.isa, position, query);
            }
            let key = std::slice::from_raw_parts_mut(self.key.add(row * self.stride), self.head_dim);
            if let Some([_, norm]) = self.norms {
                norm.apply(self.isa, self.kv_head, key);
            }
            self.rope.turn(self.isa, position, key);
            let value = std::slice::from_raw_parts(self.value.add(row * self.stride), self.head_dim);
            self.kv.put(slot, key, value);
        }
    }

    /// Scores of a head's queries with the keys in all slots.
    unsafe fn score(&self, head: usize) {
        let panels = (self.committed + self.rows.len()).div_ceil(PANEL);
        for first in (0..self.rows.len()).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(self.rows.len() - first);
            for panel in (0..panels).step_by(PLACES) {
                // SAFETY: as in `place`; a row of scores is `capacity` long, a multiple of 16.
                unsafe {
                    for row in first..first + rows {
                        self.row_scores(row, head)[panel * PANEL..]
                            .iter_mut()
                            .take(PLACES * PANEL)
                            .for_each(|score| *score = 0.0);
                    }
                    let kernel = Panels {
                        numbers: self.kv.numbers(),
                        w: self.kv.key_panel(panel),
                        pitch: self.kv.key_pitch(),
                        panels: PLACES.min(panels - panel),
                        x: self.queries.add(first * self.stride + head * self.head_dim).cast(),
                        stride: self.stride * size_of::<f32>(),
                        rows,
                        steps: self.head_dim,
                        sums: self.scores_at(first, head).wrapping_add(panel * PANEL),
                        row_pitch: self.score_stride,
                        panel_pitch: PANEL,
                    };
                    dispatch_on(self.isa, &kernel);
                }
            }
        }
    }

    /// Scores in logical order, and their softmax.
    unsafe fn weigh(&self, head: usize) {
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        for row in 0..self.rows.len() {
            // SAFETY: as in `place`.
            let scores = unsafe { self.row_scores(row, head) };
            let path = self.rows.path(row);
            // In place: the number of a row is at least its depth, so no score is overwritten
            // before it is read.
            for (depth, ancestor) in path.iter().enumerate() {
                scores[self.committed + depth] = scores[self.committed + ancestor];
            }
            Softmax { scores: &mut scores[..self.committed + path.len()], scale }.on(self.isa);
        }
    }

    /// Sums the values weighted by the scores: committed tokens for all rows together, then the
    /// ancestors of each row.
    unsafe fn sum(&self, head: usize) {
        let panels = self.head_dim.div_ceil(PANEL);
        for first in (0..self.rows.len()).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(self.rows.len() - first);
            for panel in (0..panels).step_by(PLACES) {
                let panels = PLACES.min(panels - panel);
                let mut sums = [[[0.0_f32; PANEL]; PLACES]; CHUNK_ROWS];
                let add = |slot: usize, score: *const f32, steps: usize, sums: &mut [[[f32; PANEL]; PLACES]]| {
                    // SAFETY: as in `place`; the slots are inside the capacity, and there are as
                    // many rows of scores as of sums.
                    unsafe {
                        let kernel = Panels {
                            numbers: self.kv.numbers(),
                            w: self.kv.value_panel(panel, slot),
                            pitch: self.kv.value_pitch(),
                            panels,
                            x: score.cast(),
                            stride: self.score_stride * size_of::<f32>(),
                            rows: sums.len(),
                            steps,
                            sums: sums.as_mut_ptr().cast(),
                            row_pitch: PLACES * PANEL,
                            panel_pitch: PANEL,
                        };
                        dispatch_on(self.isa, &kernel);
                    }
                };
                let scores = |row: usize| self.scores_at(row, head).cast_const();
                add(0, scores(first), self.committed, &mut sums[..rows]);
                for (row, sums) in (first..first + rows).zip(sums.chunks_mut(1)) {
                    for (depth, ancestor) in self.rows.path(row).iter().enumerate() {
                        add(self.committed + ancestor, scores(row).wrapping_add(self.committed + depth), 1, sums);
                    }
                    let width = (panels * PANEL).min(self.head_dim - panel * PANEL);
                    let column = head * self.head_dim + panel * PANEL;
                    // SAFETY: as in `place`.
                    unsafe {
                        let out = self.out.add(row * self.out_stride + column);
                        std::ptr::copy_nonoverlapping(sums.as_ptr().cast(), out, width);
                    }
                }
            }
        }
    }

    /// The first score of a row. A pointer to all rows: one from a slice may not leave its row.
    fn scores_at(&self, row: usize, head: usize) -> *mut f32 {
        self.scores.wrapping_add(row * self.score_stride + head * self.capacity)
    }

    #[allow(clippy::mut_from_ref)]
    unsafe fn row_scores(&self, row: usize, head: usize) -> &mut [f32] {
        // SAFETY: as in `place`.
        unsafe { std::slice::from_raw_parts_mut(self.scores_at(row, head), self.capacity) }
    }
}
