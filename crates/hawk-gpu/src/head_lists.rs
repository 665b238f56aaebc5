//! Logits of draft heads, read as short lists.
//!
//! Drafts need no exact law. So the device lists the best codes of a row with their logits, and the
//! mass of all others. The host gives the others one logit, which keeps that mass.

#[cfg(all(test, feature = "wgpu"))]
mod tests;

use hawk_files::Result;
use hawk_nn::PassPlan;

use crate::kernels::head_lists::{self as kernels, ENTRY, HEADER};
use crate::kernels::reduce::UNITS;
use crate::launch::{cubes, units};
use crate::memory::{Buffer, Memory, Unread};

/// Most codes of a list.
const LONGEST: usize = 256;

/// The memory in which lists are made.
pub(crate) struct HeadLists {
    lists: Buffer,
    /// Codes of a row.
    pub(crate) codes: usize,
}

impl HeadLists {
    /// Words of the memory for the passes of a plan.
    pub(crate) fn words(plan: &PassPlan) -> usize {
        plan.head_rows.saturating_mul(words_of(plan.ids.len()))
    }

    pub(crate) fn new(memory: &Memory, plan: &PassPlan) -> Self {
        Self { lists: memory.empty(Self::words(plan)), codes: plan.ids.len() }
    }

    /// Lists the first `rows` rows of `logits`, `[rows][codes]`.
    pub(crate) fn run(&self, memory: &Memory, logits: &Buffer, rows: usize) -> Unread {
        let codes = self.codes;
        // SAFETY: `logits` and the lists have the rows, and a row has as many codes as a list.
        unsafe {
            kernels::best_logits::launch_unchecked(
                &memory.client,
                cubes(rows, 1),
                units(UNITS),
                logits.arg(),
                self.lists.arg(),
                codes as u32,
                list_of(codes) as u32,
            );
        }
        Unread { buffer: self.lists.clone(), words: rows * words_of(codes) }
    }

    /// Adds a row to `out`, as its list in `lists` tells it. Returns the bytes that were read for it.
    ///
    /// # Errors
    /// The device is lost.
    pub(crate) fn tell(
        &self,
        memory: &Memory,
        logits: &Buffer,
        lists: &[u32],
        row: usize,
        out: &mut Vec<f32>,
    ) -> Result<usize> {
        let (codes, first) = (self.codes, out.len());
        let list = &lists[row * words_of(codes)..][..words_of(codes)];
        if f32::from_bits(list[kernels::WRONG as usize]) > 0.0 {
            // The caller tells what is wrong with them.
            let whole = memory.read_part(logits, row * codes..(row + 1) * codes)?;
            out.extend_from_slice(bytemuck::cast_slice(&whole));
            return Ok(whole.len());
        }
        out.resize(first + codes, logit_of_others(list, codes));
        for entry in list[HEADER as usize..].chunks_exact(ENTRY as usize) {
            out[first + entry[0] as usize] = f32::from_bits(entry[1]);
        }
        Ok(0)
    }
}

/// Number of listed codes of a row of so many.
fn list_of(codes: usize) -> usize {
    codes.min(LONGEST)
}

/// Words of a row's list.
fn words_of(codes: usize) -> usize {
    HEADER as usize + list_of(codes) * ENTRY as usize
}

/// The one logit of the codes that are not in a list: with it they have the mass that the device found. It is at most
/// the smallest listed one, and finite where their mass vanishes.
fn logit_of_others(list: &[u32], codes: usize) -> f32 {
    let [highest, rest] = [kernels::HIGHEST, kernels::REST].map(|at| f32::from_bits(list[at as usize]));
    let others = (codes - list_of(codes)).max(1) as f32;
    let entries = list[HEADER as usize..].chunks_exact(ENTRY as usize);
    let smallest = entries.map(|entry| f32::from_bits(entry[1])).fold(highest, f32::min);
    smallest.min(highest + (rest / others).max(f32::MIN_POSITIVE).ln())
}
