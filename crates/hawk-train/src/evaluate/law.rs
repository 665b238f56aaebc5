//! Measures of the target's law.

use hawk_spec::Code;

/// The entropy in nats of the softmax of `scores`. Codes with a score of -inf are not drawn.
pub(super) fn entropy(scores: &[f32]) -> f64 {
    let highest = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let (mut sum, mut weighted) = (0.0, 0.0);
    for below in scores.iter().filter(|score| score.is_finite()).map(|&score| f64::from(score) - highest) {
        let share = below.exp();
        sum += share;
        weighted += share * below;
    }
    sum.ln() - weighted / sum
}

/// The share of cells in which two images have the same code, `0..=1`.
pub(super) fn equal_codes(one: &[Code], other: &[Code]) -> f64 {
    let equal = one.iter().zip(other).filter(|(a, b)| a == b).count();
    equal as f64 / one.len().max(1) as f64
}

/// The mean of the shares of equal codes over all pairs of these images; none of fewer than two.
pub(super) fn equal_codes_of_pairs(images: &[&[Code]]) -> Option<f64> {
    let pairs = images.iter().enumerate().flat_map(|(i, one)| images[i + 1..].iter().map(move |other| (one, other)));
    let shares: Vec<f64> = pairs.map(|(one, other)| equal_codes(one, other)).collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_law_has_the_logarithm_of_its_codes() {
        assert!((entropy(&[-3.0; 4096]) - 4096f64.ln()).abs() < 1e-9);
        let mut scores = [f32::NEG_INFINITY; 100];
        scores[40] = 7.0;
        assert_eq!(entropy(&scores), 0.0);
        (scores[2], scores[99]) = (7.0, 7.0);
        assert!((entropy(&scores) - 3f64.ln()).abs() < 1e-9);
        // Probabilities 3/4 and 1/4.
        let expected = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((entropy(&[3f32.ln(), 0.0, f32::NEG_INFINITY]) - expected).abs() < 1e-6);
    }

    #[test]
    fn equal_codes_are_counted_by_cell() {
        let [one, two, three] = [[1, 2, 3, 4], [1, 2, 3, 5], [0, 2, 1, 5]].map(|codes| codes.map(Code));
        assert_eq!((equal_codes(&one, &one), equal_codes(&one, &two), equal_codes(&one, &three)), (1.0, 0.75, 0.25));
        assert_eq!(equal_codes_of_pairs(&[&one, &two, &three]), Some((0.75 + 0.25 + 0.5) / 3.0));
        assert_eq!(equal_codes_of_pairs(&[&one]), None);
    }
}
