//! Products whose weights stay in the second-level cache: the arithmetic without the memory.

use std::time::{Duration, Instant};

use hawk_kernels::{Matrix, Precision, Threads, matmul};
use serde::Serialize;

use super::ceilings::Ceilings;

/// Outputs and inputs of the matrix. It takes 0.25 MB in int8 and 1 MB in f32.
const SIDE: usize = 512;

/// Products of a matrix of 512 x 512 on one thread, over a number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CachedRow {
    /// R.
    pub rows: usize,
    /// The fastest product, the rounding of its inputs included.
    pub fastest_us: f64,
    /// Multiply-adds of the precision, two operations each.
    pub gop_per_s: f64,
    /// The part of the peak that one thread has with nothing but multiply-adds.
    pub of_peak: f64,
}

/// Times products for about `effort` for each number of rows.
pub fn cached_products(precision: Precision, rows: &[usize], effort: Duration) -> Vec<CachedRow> {
    let pool = Threads::new(1);
    let matrix = Matrix::pack(precision, SIDE, SIDE, &mut |row, out| {
        out.iter_mut()
            .enumerate()
            .for_each(|(at, weight)| *weight = ((row * 31 + at * 17) % 101) as f32 / 1000.0 - 0.05);
    });
    let most = rows.iter().max().copied().unwrap_or(0);
    let x: Vec<f32> = (0..most * SIDE).map(|at| ((at * 37) % 199) as f32 / 199.0 - 0.5).collect();
    let mut y = vec![0.0; most * SIDE];
    let mut fastest = vec![f64::INFINITY; rows.len()];
    let mut peak = Ceilings::measure(&pool, precision, matrix.bytes());
    // In turn, so that a slow moment of the machine meets all of them.
    let begin = Instant::now();
    while begin.elapsed() < effort * rows.len() as u32 {
        for (fastest, &rows) in fastest.iter_mut().zip(rows) {
            for _ in 0..50 {
                let start = Instant::now();
                matmul(&pool, &matrix, &x[..rows * SIDE], rows, &mut y[..rows * SIDE]);
                *fastest = fastest.min(start.elapsed().as_secs_f64());
            }
        }
    }
    peak = peak.or_better(Ceilings::measure(&pool, precision, matrix.bytes()));
    let row = |(&rows, &seconds): (&usize, &f64)| {
        let operations_per_s = (2 * SIDE * SIDE * rows) as f64 / seconds;
        let of_peak = operations_per_s / peak.operations_per_s;
        CachedRow { rows, fastest_us: seconds * 1e6, gop_per_s: operations_per_s / 1e9, of_peak }
    };
    rows.iter().zip(&fastest).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_rows_has_a_time_and_a_part_of_the_peak() {
        let rows = cached_products(Precision::Int8, &[1, 4], Duration::from_millis(5));
        assert_eq!(rows.iter().map(|row| row.rows).collect::<Vec<_>>(), [1, 4]);
        assert!(rows.iter().all(|row| row.fastest_us > 0.0 && row.gop_per_s > 0.0 && row.of_peak > 0.0));
    }
}
