//! The Fréchet distance between the features of two sets of pictures, each taken as a normal law.

use hawk::{Error, Result};
use nalgebra::{DMatrix, DVector, RowDVector};

/// The features of the pictures that others are compared with.
pub(crate) struct Reference {
    mean: RowDVector<f64>,
    /// Sum of the variances.
    spread: f64,
    /// R with R Rᵀ the covariance, `[features, at most features]`.
    root: DMatrix<f64>,
}

/// A set of pictures beside the reference.
pub(crate) struct Compared<'a> {
    reference: &'a Reference,
    /// `[pictures, features]`.
    features: DMatrix<f64>,
    /// The features times R: what the covariances have in common needs no more.
    shared: DMatrix<f64>,
    /// Sum of the squared features of each picture.
    squares: Vec<f64>,
}

/// The Fréchet distance between two sets of features: |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½), covariances with one
/// picture less in the divisor, as numpy has them.
///
/// # Errors
/// A set has fewer than 2 pictures, pictures have other numbers of features, or a feature is not finite.
pub fn frechet_distance(pictures: &[Vec<f32>], others: &[Vec<f32>]) -> Result<f64> {
    let reference = Reference::new(others)?;
    let compared = reference.beside(pictures)?;
    Ok(compared.distance(&(0..pictures.len()).collect::<Vec<_>>()))
}

impl Reference {
    /// # Errors
    /// As [`frechet_distance`].
    pub(crate) fn new(features: &[Vec<f32>]) -> Result<Self> {
        let matrix = matrix(features, None)?;
        let (mean, freedom) = (matrix.row_mean(), matrix.nrows() as f64 - 1.0);
        let mut centred = matrix;
        centred.row_iter_mut().for_each(|mut row| row -= &mean);
        let spread = centred.norm_squared() / freedom;
        // Of few pictures the pictures themselves are a root, of many the eigenvectors are a smaller one.
        let root = if centred.nrows() <= centred.ncols() {
            centred.transpose() / freedom.sqrt()
        } else {
            let eigen = (centred.tr_mul(&centred) / freedom).symmetric_eigen();
            let scale = eigen.eigenvalues.map(|value| value.max(0.0).sqrt());
            eigen.eigenvectors * DMatrix::from_diagonal(&scale)
        };
        Ok(Self { mean, spread, root })
    }

    /// # Errors
    /// As [`frechet_distance`].
    pub(crate) fn beside(&self, pictures: &[Vec<f32>]) -> Result<Compared<'_>> {
        let features = matrix(pictures, Some(self.mean.len()))?;
        let shared = &features * &self.root;
        let squares = features.row_iter().map(|row| row.norm_squared()).collect();
        Ok(Compared { reference: self, features, shared, squares })
    }
}

impl Compared<'_> {
    /// The distance of the pictures with these numbers, which may repeat; at least 2.
    pub(crate) fn distance(&self, pictures: &[usize]) -> f64 {
        let mut times = vec![0_usize; self.features.nrows()];
        pictures.iter().for_each(|&picture| times[picture] += 1);
        let drawn: Vec<(usize, f64)> =
            (0..).zip(&times).filter(|(_, n)| **n > 0).map(|(at, n)| (at, *n as f64)).collect();
        let count = pictures.len() as f64;
        let weights = DVector::from_iterator(times.len(), times.iter().map(|&n| n as f64 / count));
        let mean = self.features.tr_mul(&weights).transpose();
        let squares: f64 = drawn.iter().map(|&(at, n)| n * self.squares[at]).sum();
        let spread = (squares - count * mean.norm_squared()) / (count - 1.0);
        // (C₁ C₂)^½ has the singular values of A R as its eigenvalues, with AᵀA = C₁. A picture that was drawn n
        // times is one row of √n times its length.
        let shared_mean = self.shared.tr_mul(&weights).transpose();
        let mut shared = self.shared.select_rows(drawn.iter().map(|(at, _)| at));
        for (mut row, (_, n)) in shared.row_iter_mut().zip(&drawn) {
            row -= &shared_mean;
            row *= (n / (count - 1.0)).sqrt();
        }
        let common: f64 = shared.singular_values().sum();
        let apart = (&mean - &self.reference.mean).norm_squared();
        apart + spread + self.reference.spread - 2.0 * common
    }
}

/// Features as a matrix of a row per picture.
fn matrix(features: &[Vec<f32>], width: Option<usize>) -> Result<DMatrix<f64>> {
    let width = width.or_else(|| features.first().map(Vec::len)).unwrap_or(0);
    if features.len() < 2 || width == 0 {
        return Err(Error::input("too few pictures for a distance").expected("at least 2").got(features.len()));
    }
    if let Some(other) = features.iter().find(|of| of.len() != width) {
        return Err(Error::input("pictures with other features").expected(width).got(other.len()));
    }
    // A search for singular values does not end where a number is not finite.
    if let Some(x) = features.iter().flatten().find(|x| !x.is_finite()) {
        return Err(Error::input("a feature is not finite").expected("finite numbers").got(x));
    }
    Ok(DMatrix::from_row_iterator(features.len(), width, features.iter().flatten().map(|x| f64::from(*x))))
}
