//! Solves symmetric systems of equations.

/// The lower triangle `L` of a matrix `L L^T`.
pub(super) struct Factor {
    /// Row `i` has `i + 1` numbers.
    rows: Vec<Vec<f64>>,
}

/// Factors a symmetric matrix `[n, n]` without negative eigenvalues, after `added`, which is above
/// 0, was added to its diagonal (Cholesky).
pub(super) fn factored(matrix: &[f32], added: f64) -> Factor {
    let size = matrix.len().isqrt();
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(size);
    for (i, line) in matrix.chunks_exact(size.max(1)).enumerate() {
        let mut row: Vec<f64> = Vec::with_capacity(i + 1);
        for (j, known) in rows.iter().enumerate() {
            row.push((f64::from(line[j]) - dot(&row, &known[..j])) / known[j]);
        }
        // Rounding may make a square of almost nothing negative.
        let square = f64::from(line[i]) + added - dot(&row, &row);
        row.push(square.max(added * 1e-6).sqrt());
        rows.push(row);
    }
    Factor { rows }
}

impl Factor {
    /// Number of unknowns.
    pub(super) fn size(&self) -> usize {
        self.rows.len()
    }

    /// The `x` with `L L^T x = right`.
    pub(super) fn solve(&self, right: &[f32]) -> Vec<f32> {
        let mut x: Vec<f64> = Vec::with_capacity(right.len());
        for (row, value) in self.rows.iter().zip(right) {
            x.push((f64::from(*value) - dot(&x, &row[..x.len()])) / row[x.len()]);
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            x[i] /= row[i];
            let solved = x[i];
            x.iter_mut().zip(&row[..i]).for_each(|(x, factor)| *x -= factor * solved);
        }
        x.into_iter().map(|x| x as f32).collect()
    }
}

/// The sum of products of two rows of one length, in eight parts that a processor adds at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_parts, a_rest) = a.as_chunks::<8>();
    let (b_parts, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_parts.iter().zip(b_parts) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        // The products of the columns of a matrix of 30 x 12 numbers, and 0.5 on the diagonal.
        let column = |at: usize| (0..30usize).map(move |row| ((row * 7 + at * at * 3 + 1) % 11) as f32 - 5.0);
        let products = |i: usize, j: usize| column(i).zip(column(j)).map(|(a, b)| a * b).sum::<f32>();
        let matrix: Vec<f32> = (0..144).map(|at| products(at / 12, at % 12)).collect();
        let wanted: Vec<f32> = (0..12u8).map(|at| f32::from(at) * 0.25 - 1.0).collect();
        let with = |i: usize, j: usize| matrix[i * 12 + j] + if i == j { 0.5 } else { 0.0 };
        let right: Vec<f32> = (0..12).map(|i| (0..12).map(|j| with(i, j) * wanted[j]).sum()).collect();
        let solved = factored(&matrix, 0.5).solve(&right);
        assert!(solved.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{solved:?}");
    }
}
