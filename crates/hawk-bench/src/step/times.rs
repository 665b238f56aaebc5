//! The times of passes, and of reading what they read.

use std::ops::Range;
use std::time::{Duration, Instant};

use hawk_files::{Error, Result};
use hawk_kernels::{Isa, Threads};
use hawk_nn::{MATRICES, Target};

use super::ceilings::{READ_TOGETHER, best_s, read};
use super::pass::Step;

/// Row counts take turns this often, so that a slow moment of the machine does not meet one alone.
pub(super) const ROUNDS: u32 = 8;

/// The least time, in ms, in which the threads read what a pass over `streams` streams (one or two)
/// reads, without arithmetic. Each matrix is a parallel region of its own, as in a pass, where each
/// needs the result of the one before. Keys and values of a layer are one more region. A pass
/// cannot be faster.
///
/// # Errors
/// As [`Step::new`].
pub fn reading_ms(
    target: &Target,
    pool: &Threads,
    vocabulary: &Range<usize>,
    streams: usize,
    effort: Duration,
) -> Result<f64> {
    let step = Step::new(target, pool, vocabulary.clone(), streams)?;
    let mut regions: Vec<Vec<&[f32]>> = Vec::new();
    for (number, (matrix, panels)) in target.matrices(vocabulary.clone()).enumerate() {
        regions.push(pieces(matrix.bytes_in(panels), 4 * pool.threads()).collect());
        let (layer, part) = (number / MATRICES, number % MATRICES);
        if part == 0 && layer < target.config().layers {
            let keys_and_values = step.streams.iter().flat_map(|stream| stream.committed_bytes(layer));
            regions.push(keys_and_values.map(bytemuck::cast_slice).collect());
        }
    }
    let isa = Isa::detect();
    let best = best_s(effort, || {
        for region in &regions {
            pool.run(region.len(), &|piece| {
                read(isa, region[piece]);
            });
        }
    });
    Ok(1e3 * best)
}

/// About so many pieces of a matrix; a panel's bytes are whole vectors of f32.
fn pieces(bytes: &[u8], count: usize) -> std::slice::Chunks<'_, f32> {
    let numbers: &[f32] = bytemuck::cast_slice(bytes);
    numbers.chunks(numbers.len().div_ceil(count).next_multiple_of(READ_TOGETHER))
}

/// Times of the passes over one number of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PassTimes {
    /// R.
    pub rows: usize,
    /// Passes that were timed.
    pub passes: usize,
    /// The fastest pass.
    pub min_ms: f64,
    /// The median pass.
    pub median_ms: f64,
}

/// Times passes over each number of rows for about `effort` each. Every round times at least one
/// pass of each.
///
/// # Errors
/// As [`Step::new`]; or `rows` is empty or contains 0.
pub fn time_passes(
    target: &Target,
    pool: &Threads,
    vocabulary: &Range<usize>,
    rows: &[usize],
    effort: Duration,
) -> Result<Vec<PassTimes>> {
    let Some(&most) = rows.iter().max().filter(|_| !rows.contains(&0)) else {
        return Err(Error::input("no rows to time").expected("numbers from 1 on").got(format!("{rows:?}")));
    };
    let mut step = Step::new(target, pool, vocabulary.clone(), most)?;
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (&rows, times) in rows.iter().zip(&mut times) {
            step.lay_out(rows);
            // The passes before it left other data in the caches.
            step.pass(pool)?;
            let begin = Instant::now();
            loop {
                let start = Instant::now();
                step.pass(pool)?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                if begin.elapsed() >= effort / ROUNDS {
                    break;
                }
            }
        }
    }
    Ok(rows.iter().zip(times).map(|(&rows, times)| median_of(rows, times)).collect())
}

/// The fastest and the median of some passes' times in ms, at least one.
pub(super) fn median_of(rows: usize, mut times: Vec<f64>) -> PassTimes {
    times.sort_by(f64::total_cmp);
    PassTimes { rows, passes: times.len(), min_ms: times[0], median_ms: times[times.len() / 2] }
}
