//! Where the time of a pass goes.

use std::ops::Range;
use std::time::{Duration, Instant};

use hawk_files::Result;
use hawk_kernels::Threads;
use hawk_nn::{MATRICES, Part, Target};
use serde::Serialize;

use super::pass::Step;

/// Empty regions of a measurement.
const REGIONS: usize = 200;

/// The parts of a pass over a number of rows, medians in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PartsRow {
    /// R.
    pub rows: usize,
    /// The whole pass.
    pub pass_ms: f64,
    /// Products with weights, the rounding of their inputs included.
    pub products_ms: f64,
    /// Attention, with norms and rotations of queries and keys.
    pub attention_ms: f64,
    /// Norms of hidden states, and embeddings.
    pub norms_ms: f64,
    /// What opening and closing as many empty parallel regions takes; it is contained in the parts.
    pub regions_ms: f64,
}

/// Times the parts of passes over each number of rows for about `effort` each.
///
/// # Errors
/// As [`Step::new`].
pub fn time_parts(
    target: &Target,
    pool: &Threads,
    vocabulary: &Range<usize>,
    rows: &[usize],
    effort: Duration,
) -> Result<Vec<PartsRow>> {
    // Those of the layers' matrices and of their attention, and the logits'.
    let regions = target.config().layers * (MATRICES + 1) + 1;
    let regions_ms = region_ms(pool, effort) * regions as f64;
    let row = |&rows: &usize| -> Result<PartsRow> {
        let mut step = Step::new(target, pool, vocabulary.clone(), rows)?;
        step.workspace.time_parts();
        let (begin, mut times) = (Instant::now(), vec![Vec::new(); Part::ALL.len() + 1]);
        while begin.elapsed() < effort || times[0].len() < 3 {
            let start = Instant::now();
            step.pass(pool)?;
            times[Part::ALL.len()].push(start.elapsed());
            for part in Part::ALL {
                times[part as usize].push(step.workspace.parts().of(part));
            }
        }
        let [products_ms, attention_ms, norms_ms, pass_ms] = std::array::from_fn(|at| median_ms(&mut times[at]));
        Ok(PartsRow { rows, pass_ms, products_ms, attention_ms, norms_ms, regions_ms })
    };
    rows.iter().map(row).collect()
}

/// The median time of an empty parallel region, in ms, from about `effort` / 4.
pub fn region_ms(pool: &Threads, effort: Duration) -> f64 {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < effort / 4 || times.is_empty() {
        let start = Instant::now();
        for _ in 0..REGIONS {
            pool.run(4 * pool.threads(), &|chunk| _ = std::hint::black_box(chunk));
        }
        times.push(start.elapsed());
    }
    median_ms(&mut times) / REGIONS as f64
}

fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
