//! The probability that the rule `rejection` rejects all candidates of a node.

/// The residual law after a rejection, `normalise(max(0, p - q))`, and its mass before it is normalised: the
/// probability of the rejection. `p` becomes the residual.
fn reject(p: &mut [f64], q: &[f64]) -> f64 {
    let mut mass = 0.0;
    for (p, q) in p.iter_mut().zip(q) {
        *p = (*p - q).max(0.0);
        mass += *p;
    }
    if mass > 0.0 {
        p.iter_mut().for_each(|p| *p /= mass);
    }
    mass
}

/// The probability that the first n candidates are all rejected, for n from 1 to `most`.
///
/// Candidate k is drawn from the law `k mod laws` of `laws`, each from the whole law. Whether it is accepted depends
/// on the laws alone: rejection k has probability TV(p_k, q_k), where p_k is the residual so far. The result is
/// exact; nothing is drawn.
///
/// # Panics
/// There is no law.
#[must_use]
pub fn rejection_with_replacement(target: &[f64], laws: &[&[f64]], most: usize) -> Vec<f64> {
    let (mut p, mut all) = (target.to_vec(), 1.0);
    let mut after = Vec::with_capacity(most);
    for candidate in 0..most {
        if all > 0.0 {
            all *= reject(&mut p, laws[candidate % laws.len()]);
        }
        after.push(all);
    }
    after
}

/// As [`rejection_with_replacement`], for candidates that are drawn without replacement from their law, as the
/// decoders draw them. The codes are drawn by `uniform`, numbers in [0, 1) by the index of the candidate; the
/// result is the probability given these codes, whose mean over draws is the probability.
///
/// # Panics
/// There is no law.
#[must_use]
pub fn rejection_without_replacement(
    target: &[f64],
    laws: &[&[f64]],
    most: usize,
    uniform: &mut dyn FnMut(usize) -> f64,
) -> Vec<f64> {
    let mut left: Vec<Vec<f64>> = laws.iter().map(|law| law.to_vec()).collect();
    let (mut p, mut all) = (target.to_vec(), 1.0);
    let mut after = Vec::with_capacity(most);
    for candidate in 0..most {
        let law = &mut left[candidate % laws.len()];
        let mass: f64 = law.iter().sum();
        // A law whose codes have all been drawn has no further candidate.
        if all > 0.0 && mass > 0.0 {
            law.iter_mut().for_each(|q| *q /= mass);
            let code = draw(law, uniform(candidate));
            all *= 1.0 - (p[code] / law[code]).min(1.0);
            reject(&mut p, law);
            law[code] = 0.0;
        }
        after.push(all);
    }
    after
}

/// The code at which the sum of the probabilities passes `u`.
fn draw(law: &[f64], u: f64) -> usize {
    let (mut sum, mut last) = (0.0, 0);
    for (code, &q) in law.iter().enumerate().filter(|(_, q)| **q > 0.0) {
        (sum, last) = (sum + q, code);
        if sum > u {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: [f64; 4] = [0.5, 0.3, 0.15, 0.05];
    const Q: [f64; 4] = [0.1, 0.2, 0.3, 0.4];

    #[test]
    fn one_candidate_is_rejected_with_the_total_variation() {
        let variation = crate::laws::total_variation(&P, &Q);
        let after = rejection_with_replacement(&P, &[&Q], 6);
        assert!((after[0] - variation).abs() < 1e-12);
        assert!(after.windows(2).all(|pair| pair[1] <= pair[0]));
        // By hand: the residual of the first rejection is (0.8, 0.2, 0, 0).
        assert!((after[1] - variation * 0.7).abs() < 1e-12);
        let same = rejection_with_replacement(&P, &[&P], 3);
        assert_eq!(same, [0.0; 3]);
    }

    /// All sequences of codes without replacement, with their probability.
    fn enumerate(law: &[f64], length: usize) -> Vec<(Vec<usize>, f64)> {
        let mut all = vec![(Vec::new(), 1.0)];
        for _ in 0..length {
            let longer = |(codes, weight): (Vec<usize>, f64)| {
                let left: f64 = (0..law.len()).filter(|code| !codes.contains(code)).map(|code| law[code]).sum();
                let open: Vec<usize> = (0..law.len()).filter(|code| !codes.contains(code)).collect();
                open.into_iter()
                    .map(move |code| ([codes.clone(), vec![code]].concat(), weight * law[code] / left))
                    .collect::<Vec<_>>()
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        all
    }

    #[test]
    fn draws_without_replacement_have_the_mean_of_all_draws() {
        for most in 1..=3 {
            let mut exact = 0.0;
            for (codes, weight) in enumerate(&Q, most) {
                // The numbers that draw just these codes.
                let mut drawn: Vec<usize> = Vec::new();
                let mut uniform = |at: usize| {
                    let left: f64 = (0..4).filter(|code| !drawn.contains(code)).map(|code| Q[code]).sum();
                    let below: f64 =
                        (0..codes[at]).filter(|code| !drawn.contains(code)).map(|code| Q[code] / left).sum();
                    drawn.push(codes[at]);
                    below + 1e-9
                };
                exact += weight * rejection_without_replacement(&P, &[&Q], most, &mut uniform)[most - 1];
            }
            let draws: u32 = 20_000;
            let mut state = 12_345_u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1_u64 << 53) as f64
            };
            let sum: f64 =
                (0..draws).map(|_| rejection_without_replacement(&P, &[&Q], most, &mut |_| next())[most - 1]).sum();
            let mean = sum / f64::from(draws);
            assert!((mean - exact).abs() < 0.01, "{most}: {mean} {exact}");
            assert!(exact <= rejection_with_replacement(&P, &[&Q], most)[most - 1] + 1e-9, "{most}");
        }
    }

    #[test]
    fn a_law_that_is_used_up_brings_no_more() {
        let point = [0.0, 1.0, 0.0, 0.0];
        let after = rejection_without_replacement(&P, &[&point], 3, &mut |_| 0.5);
        assert!(after.iter().all(|rejected| (rejected - 0.7).abs() < 1e-12), "{after:?}");
    }
}
