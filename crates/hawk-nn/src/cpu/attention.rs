//! Attention of the rows of one stream against its committed tokens and their own ancestors.
//!
//! Keys are scored in slots. Scores are then gathered in logical order: committed tokens, ancestors
//! from the oldest, the row itself. Values are added in this order, too. So a row in a tree has the
//! same bits as the same token in a chain.
//!
//! Where keys and values are bf16, queries and weights of the sum are rounded to bf16 as well, and
//! products take two positions together: the second is added before the first.

use std::mem::MaybeUninit;

use hawk_kernels::{
    CHUNK_ROWS, Isa, LayerNorm, PANEL, PLACES, Panels, Softmax, Turn, dispatch_on, round_in_place, rounded_bf16_bytes,
};

use super::kv::{KvFormat, KvHead};
use crate::rows::Rows;
use crate::weights::layer::HeadNorm;
use crate::weights::rotary::Rope;

/// Norms one head of queries or keys.
fn apply(norm: &HeadNorm, isa: Isa, head: usize, x: &mut [f32]) {
    let range = head * x.len()..(head + 1) * x.len();
    LayerNorm { x, weight: &norm.weight[range.clone()], bias: &norm.bias[range], eps: norm.eps }.on(isa);
}

/// Turns the pairs of a head by its position.
fn turn(rope: &Rope, isa: Isa, position: usize, x: &mut [f32]) {
    let (cos, sin) = rope.at(position);
    Turn { x, cos, sin }.on(isa);
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

    /// Scores of all heads' queries with the keys in all slots, as [`run`](Self::run) makes them before it weighs them.
    ///
    /// # Safety
    /// As [`run`](Self::run), which has put queries and keys in place.
    pub(crate) unsafe fn score_all(&self) {
        // SAFETY: the caller's promise.
        (0..self.group).for_each(|head| unsafe { self.score(head) });
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
                    apply(norm, self.isa, self.kv_head * self.group + head, query);
                }
                turn(self.rope, self.isa, position, query);
                if self.kv.format() == KvFormat::Bf16 {
                    round_in_place(self.isa, query);
                }
            }
            let key = std::slice::from_raw_parts_mut(self.key.add(row * self.stride), self.head_dim);
            if let Some([_, norm]) = self.norms {
                apply(norm, self.isa, self.kv_head, key);
            }
            turn(self.rope, self.isa, position, key);
            let value = std::slice::from_raw_parts(self.value.add(row * self.stride), self.head_dim);
            self.kv.put(self.isa, slot, key, value);
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
                        steps: self.head_dim / self.kv.format().together(),
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
            let positions = self.committed + path.len();
            Softmax { scores: &mut scores[..positions], scale }.on(self.isa);
            if self.kv.format() == KvFormat::Bf16 {
                // The last position may have no other of its pair. The capacity is whole pairs.
                let pairs = positions.next_multiple_of(2);
                scores[positions..pairs].fill(0.0);
                round_in_place(self.isa, &mut scores[..pairs]);
            }
        }
    }

    /// Sums the values weighted by the scores: committed tokens for all rows together, then the
    /// ancestors of each row.
    unsafe fn sum(&self, head: usize) {
        let (panels, together) = (self.head_dim.div_ceil(PANEL), self.kv.format().together());
        let whole = self.committed / together * together;
        let mut memory = [MaybeUninit::<[[f32; PANEL]; PLACES]>::uninit(); CHUNK_ROWS];
        for first in (0..self.rows.len()).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(self.rows.len() - first);
            for panel in (0..panels).step_by(PLACES) {
                let panels = PLACES.min(panels - panel);
                let memory = &mut memory[..rows];
                memory.fill(MaybeUninit::new([[0.0; PANEL]; PLACES]));
                // SAFETY: as in `place`; the sums were just filled.
                unsafe {
                    let sums = memory.assume_init_mut();
                    let values = Values { unit: self, panel, panels };
                    let weights = self.scores_at(first, head).cast_const();
                    values.add(0, weights, whole / together, sums);
                    for (row, sums) in (first..first + rows).zip(sums.chunks_mut(1)) {
                        values.add_tail(whole, self.rows.path(row), self.scores_at(row, head), sums);
                        let width = (panels * PANEL).min(self.head_dim - panel * PANEL);
                        let column = head * self.head_dim + panel * PANEL;
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

/// Some panels of the values of a unit.
struct Values<'a> {
    unit: &'a Unit<'a>,
    panel: usize,
    panels: usize,
}

impl Values<'_> {
    /// Adds the values of the positions from `slot` on, `steps` times as many as lie together.
    ///
    /// # Safety
    /// As [`Unit::run`]; there are as many rows of weights as of sums.
    unsafe fn add(&self, slot: usize, weights: *const f32, steps: usize, sums: &mut [[[f32; PANEL]; PLACES]]) {
        let Unit { kv, isa, score_stride, .. } = self.unit;
        let kernel = Panels {
            numbers: kv.numbers(),
            w: kv.value_panel(self.panel, slot),
            pitch: kv.value_pitch(),
            panels: self.panels,
            x: weights.cast(),
            stride: score_stride * size_of::<f32>(),
            rows: sums.len(),
            steps,
            sums: sums.as_mut_ptr().cast(),
            row_pitch: PLACES * PANEL,
            panel_pitch: PANEL,
        };
        // SAFETY: the caller's promise.
        unsafe { dispatch_on(*isa, &kernel) };
    }

    /// Adds the values of the logical positions from `whole` on, which is even in bf16: committed
    /// ones, then the row's path. Runs of neighbouring slots are one product.
    ///
    /// # Safety
    /// As [`Values::add`]; `weights` are those of the row, in the form that the product reads.
    unsafe fn add_tail(&self, whole: usize, path: &[usize], weights: *const f32, sums: &mut [[[f32; PANEL]; PLACES]]) {
        let Unit { kv, isa, committed, .. } = self.unit;
        let (format, count) = (kv.format(), committed - whole + path.len());
        let together = format.together();
        let bytes = match format {
            KvFormat::F32 => size_of::<f32>(),
            KvFormat::Bf16 => rounded_bf16_bytes(*isa),
        };
        // The slot of a logical position, counted from `whole`.
        let slot = |at: usize| match at.checked_sub(committed - whole) {
            None => whole + at,
            Some(depth) => committed + path[depth],
        };
        let weight = |at: usize| weights.cast::<u8>().wrapping_add((whole + at) * bytes);
        // Whether the positions that a step takes together lie together.
        let fits = |at: usize| {
            let alone = together == 1 || at + 1 >= count;
            slot(at).is_multiple_of(together) && (alone || slot(at + 1) == slot(at) + 1)
        };
        let mut at = 0;
        while at < count {
            let start = at;
            while at < count && fits(at) && slot(at) == slot(start) + (at - start) {
                at += together;
            }
            if at > start {
                // SAFETY: the caller's promise.
                unsafe { self.add(slot(start), weight(start).cast(), (at - start) / together, sums) };
                continue;
            }
            for single in (at..count.min(at + together)).rev() {
                let mut pair = [0_u8; 2 * size_of::<f32>()];
                // SAFETY: a number of the row's weights, and its place in a pair.
                unsafe {
                    let place = pair.as_mut_ptr().add(slot(single) % together * bytes);
                    std::ptr::copy_nonoverlapping(weight(single), place, bytes);
                    self.add(slot(single), pair.as_ptr().cast(), 1, sums);
                }
            }
            at += together;
        }
    }
}
