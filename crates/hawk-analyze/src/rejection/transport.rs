//! The least rejection that any exact rule can have with the same candidates.

/// The probability with which n candidates must be rejected, whatever the rule, if what is kept shall follow `target`.
/// Candidates are drawn apart from the whole `laws`; `counts` says how many come from each.
///
/// The best rule is an optimal transport between the law of the candidates and the target's, with a mass that arrives
/// where the target's code is among the candidates (Sun et al., "SpecTr", arXiv 2310.15141). By the theorem of
/// max-flow and min-cut (Hu et al., "Towards Optimal Multi-draft Speculative Decoding", arXiv 2502.18779) the
/// rejection is
///
/// ```text
/// max over sets H of codes:  Q(H) - p(H),   Q(H) = the product over the laws of q(H)^count
/// ```
///
/// With one law the best H has the codes of the largest q / p (the same paper), so the result is exact. With several
/// laws the sets of the largest weighted mean of their q over p are tried: the result is then a lower bound.
///
/// # Panics
/// There is no law, or not a count for each.
#[must_use]
pub fn least_rejection(target: &[f64], laws: &[&[f64]], counts: &[usize]) -> f64 {
    assert!(!laws.is_empty() && laws.len() == counts.len(), "{} counts for {} laws", counts.len(), laws.len());
    let orders = Orders::new(target, laws);
    orders.least_rejection(counts)
}

/// The sets that are tried, as prefixes of orders of the codes: sums of p and of each q.
pub(crate) struct Orders {
    laws: usize,
    /// By order, by prefix: p(H), then q(H) of each law.
    sums: Vec<Vec<f64>>,
}

impl Orders {
    pub(crate) fn new(target: &[f64], laws: &[&[f64]]) -> Self {
        let sums = weights(laws.len()).iter().map(|weights| sums(target, laws, weights)).collect();
        Self { laws: laws.len(), sums }
    }

    /// See [`least_rejection`].
    pub(crate) fn least_rejection(&self, counts: &[usize]) -> f64 {
        let of = |prefix: &[f64]| {
            let all = prefix[1..].iter().zip(counts).map(|(q, &count)| q.powi(count as i32)).product::<f64>();
            all - prefix[0]
        };
        let prefixes = self.sums.iter().flat_map(|sums| sums.chunks(self.laws + 1));
        prefixes.map(of).fold(0.0, f64::max)
    }
}

/// Weights of the laws in the orders that are tried.
fn weights(laws: usize) -> Vec<Vec<f64>> {
    let alone = (0..laws).map(|at| (0..laws).map(|law| if law == at { 1.0 } else { 0.0 }).collect());
    match laws {
        1 => vec![vec![1.0]],
        2 => (0..=4).map(|share| vec![f64::from(share) / 4.0, 1.0 - f64::from(share) / 4.0]).collect(),
        _ => alone.chain(std::iter::once(vec![1.0; laws])).collect(),
    }
}

fn sums(target: &[f64], laws: &[&[f64]], weights: &[f64]) -> Vec<f64> {
    let mixed = |code: usize| laws.iter().zip(weights).map(|(law, weight)| weight * law[code]).sum::<f64>();
    // Without a share of q a code only costs.
    let mut order: Vec<(f64, usize)> = (0..target.len())
        .filter_map(|code| Some((mixed(code), code)).filter(|(q, _)| *q > 0.0))
        .map(|(q, code)| (q / target[code], code))
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut sum = vec![0.0; laws.len() + 1];
    let mut all = Vec::with_capacity(order.len() * sum.len());
    for (_, code) in order {
        sum[0] += target[code];
        sum[1..].iter_mut().zip(laws).for_each(|(sum, law)| *sum += law[code]);
        all.extend_from_slice(&sum);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::rules::rejection_with_replacement;
    use super::*;

    /// Laws from a generator of fixed numbers.
    fn laws(codes: usize, count: usize, salt: u64) -> Vec<Vec<f64>> {
        let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f64 / f64::from(1 << 24)).powi(3) + 1e-3
        };
        let law = |_| {
            let weights: Vec<f64> = (0..codes).map(|_| next()).collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / sum).collect()
        };
        (0..count).map(law).collect()
    }

    /// The linear program itself: the largest flow from all tuples of candidates to the codes among them, by
    /// augmenting paths.
    fn largest_flow(target: &[f64], sources: &[&[f64]]) -> f64 {
        let codes = target.len();
        let tuples = codes.pow(sources.len() as u32);
        let tuple = |at: usize| (0..sources.len() as u32).map(move |place| at / codes.pow(place) % codes);
        let mut supply: Vec<f64> =
            (0..tuples).map(|at| tuple(at).zip(sources).map(|(code, law)| law[code]).product()).collect();
        let mut demand = target.to_vec();
        let mut flow = vec![vec![0.0; codes]; tuples];
        let mut total = 0.0;
        loop {
            // Breadth first from every tuple with supply; a code leads back to tuples that send to it.
            let mut before_code = vec![None; codes];
            let mut before_tuple: Vec<Option<usize>> = vec![None; tuples];
            let mut queue: Vec<usize> = (0..tuples).filter(|&at| supply[at] > 1e-13).collect();
            let starts = queue.clone();
            let (mut head, mut end) = (0, None);
            while head < queue.len() && end.is_none() {
                let at = queue[head];
                head += 1;
                for code in tuple(at) {
                    if before_code[code].is_some() {
                        continue;
                    }
                    before_code[code] = Some(at);
                    if demand[code] > 1e-13 {
                        end = Some(code);
                        break;
                    }
                    for other in 0..tuples {
                        if flow[other][code] > 1e-13 && before_tuple[other].is_none() && !starts.contains(&other) {
                            before_tuple[other] = Some(code);
                            queue.push(other);
                        }
                    }
                }
            }
            let Some(end) = end else { return total };
            let mut path = Vec::new();
            let (mut code, mut amount) = (end, demand[end]);
            let start = loop {
                let at = before_code[code].unwrap();
                path.push((at, code, 1.0));
                match before_tuple[at] {
                    None => break at,
                    Some(back) => {
                        amount = f64::min(amount, flow[at][back]);
                        path.push((at, back, -1.0));
                        code = back;
                    }
                }
            };
            amount = amount.min(supply[start]);
            path.iter().for_each(|&(at, code, sign)| flow[at][code] += sign * amount);
            supply[start] -= amount;
            demand[end] -= amount;
            total += amount;
        }
    }

    #[test]
    fn one_law_has_the_rejection_of_the_linear_program() {
        for salt in 1..30 {
            for (codes, count) in [(3, 1), (3, 2), (4, 2), (3, 4), (4, 3)] {
                let all = laws(codes, 2, salt);
                let (p, q) = (&all[0][..], &all[1][..]);
                let want = 1.0 - largest_flow(p, &vec![q; count]);
                let got = least_rejection(p, &[q], &[count]);
                assert!((got - want).abs() < 1e-9, "{salt} {codes} {count}: {got} {want}");
            }
        }
    }

    #[test]
    fn several_laws_have_a_lower_bound_that_is_mostly_met() {
        let mut met = 0;
        for salt in 1..40 {
            let all = laws(4, 3, salt);
            let (p, q, r) = (&all[0][..], &all[1][..], &all[2][..]);
            let want = 1.0 - largest_flow(p, &[q, r]);
            let got = least_rejection(p, &[q, r], &[1, 1]);
            assert!(got <= want + 1e-9, "{salt}: {got} {want}");
            met += u32::from((got - want).abs() < 1e-9);
        }
        assert!(met > 30, "{met} of 39");
    }

    #[test]
    fn no_rule_rejects_less() {
        for salt in 1..50 {
            let all = laws(9, 3, salt);
            let (p, q, r) = (&all[0][..], &all[1][..], &all[2][..]);
            let (one, two) = (rejection_with_replacement(p, &[q], 8), rejection_with_replacement(p, &[q, r], 8));
            for count in 1..=8 {
                assert!(least_rejection(p, &[q], &[count]) <= one[count - 1] + 1e-12);
                assert!(least_rejection(p, &[q, r], &[count.div_ceil(2), count / 2]) <= two[count - 1] + 1e-12);
            }
            // With one candidate the rule is the best.
            assert!((least_rejection(p, &[q], &[1]) - one[0]).abs() < 1e-12);
        }
    }
}
