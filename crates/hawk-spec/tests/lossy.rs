//! The rules that change the law do what they say, and do change it.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod common;

use std::sync::Arc;

use common::Toy;
use hawk_spec::{
    Cell, Code, DraftLaw, Enumerator, LawError, LossyRule, Neighbours, NodeId, Replacement, Rule, Source, TargetLaws,
    TokenTree, Verdict, Verifier,
};

struct One(Vec<f32>);

impl TargetLaws for One {
    fn scores(&mut self, _: NodeId) -> Result<&[f32], LawError> {
        Ok(&self.0)
    }
}

/// The law of the first cell under a verifier, with one guess drawn from `q`.
fn law_under(mut verifier: Verifier, scores: &[f32], q: &[f64]) -> Vec<f64> {
    let (mut tree, mut e) = (TokenTree::with_capacity(4, scores.len()), Enumerator::new());
    let (mut verdict, mut law) = (Verdict::with_capacity(4), vec![0.0; scores.len()]);
    while e.next_branch() {
        tree.reset(Cell(0), 2);
        let draft = DraftLaw::Drawn { law: tree.add_law(q).unwrap(), replacement: Replacement::With };
        let guess = Code(e.pick(q) as u32);
        tree.propose(NodeId::ROOT, guess, draft, Source::LEFT).unwrap();
        verifier.verify(&tree, &mut One(scores.to_vec()), &mut e, &mut verdict).unwrap();
        law[verdict.codes(&tree).next().unwrap().index()] += e.weight();
    }
    law
}

fn lantern(lambda: f64, codebook: &[f32], k: usize) -> LossyRule {
    LossyRule::Lantern { lambda, neighbours: Arc::new(Neighbours::of_codebook(codebook, 1, k)) }
}

#[test]
fn neighbours_are_the_nearest() {
    let neighbours = Neighbours::of_codebook(&[0.0, 10.0, 1.0, 9.0, 4.0], 1, 2);
    assert_eq!(neighbours.of(Code(0)), [Code(2), Code(4)]);
    assert_eq!(neighbours.of(Code(1)), [Code(3), Code(4)]);
    assert_eq!(Neighbours::of_codebook(&[0.0, 1.0], 1, 10).of(Code(0)), [Code(1)]);
}

#[test]
fn lantern_without_a_loan_is_rejection_and_with_one_is_not() {
    let toy = Toy { salt: 4, codes: 5 };
    let (p, q) = (toy.law(&[]), Toy { salt: 9, codes: 5 }.law(&[]));
    let difference = |law: &[f64]| law.iter().zip(&p).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let codebook = [0.0, 0.1, 0.2, 5.0, 5.1];
    let scores = toy.scores(&[]);
    assert!(difference(&law_under(Verifier::new(Rule::Rejection, 5), &scores, &q)) < 1e-12);
    assert!(difference(&law_under(Verifier::lossy(lantern(1.0, &codebook, 3), 5), &scores, &q)) < 1e-12);
    let changed = law_under(Verifier::lossy(lantern(2.0, &codebook, 3), 5), &scores, &q);
    assert!(difference(&changed) > 1e-3 && (changed.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn lantern_lends_at_most_lambda_times_the_own_mass() {
    // p = 0.1 0.2 0.7, guess 0 for certain: accepted with min(lambda * 0.1, 0.1 + 0.2).
    let scores = [0.1_f32, 0.2, 0.7].map(f32::ln);
    for (lambda, accepted) in [(1.0, 0.1), (2.0, 0.2), (9.0, 0.3)] {
        let law = law_under(Verifier::lossy(lantern(lambda, &[0.0, 1.0, 9.0], 1), 3), &scores, &[1.0, 0.0, 0.0]);
        assert!((law[0] - accepted).abs() < 1e-6, "{lambda}: {law:?}");
    }
}

#[test]
fn typical_accepts_what_is_not_unlikely() {
    let scores = [0.6_f32, 0.3, 0.1, 1e-9].map(f32::ln);
    for (guess, certain) in [(0, true), (1, true), (2, true), (3, false)] {
        let mut q = vec![0.0; 4];
        q[guess] = 1.0;
        let law = law_under(Verifier::lossy(LossyRule::TYPICAL, 4), &scores, &q);
        assert_eq!((law[guess] - 1.0).abs() < 1e-9, certain, "{guess}: {law:?}");
    }
}
