//! Replay: for one seed every drafter writes what plain AR writes. And the stream of random numbers behind it.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod common;

use common::{Toy, ToyLaws, hash};
use hawk_spec::{
    Cell, Chooser, Code, DecodeStats, DraftLaw, Drawn, Greedy, ImageIndex, LawError, NodeId, Noise, Purpose, Rule,
    Seed, Source, TextNoise, TokenTree, Verdict, Verifier, draw_at, philox4x32_10, probabilities,
};
use proptest::prelude::*;

fn plain_ar(toy: Toy, noise: Noise, cells: u32) -> Vec<Code> {
    let mut image = Vec::new();
    for cell in (0..cells).map(Cell) {
        image.push(noise.at(cell, Purpose::Replay).argmax(&toy.scores(&image)).unwrap());
    }
    image
}

/// Decodes with a tree of random shape and codes in every step.
fn with_random_trees(toy: Toy, mut noise: Noise, cells: u32, salt: u64) -> (Vec<Code>, DecodeStats) {
    let mut tree = TokenTree::with_capacity(12, toy.codes as usize);
    let mut verifier = Verifier::new(Rule::Replay, toy.codes as usize);
    let mut verdict = Verdict::with_capacity(12);
    let (mut image, mut stats) = (Vec::new(), DecodeStats::default());
    while image.len() < cells as usize {
        let done = image.len() as u32;
        tree.reset(Cell(done), cells - done);
        for guess in 0..16 {
            let at = |which: u32, below: u32| (hash(salt, &[done, guess, which]) * f64::from(below)) as u32;
            let parent = NodeId(at(0, tree.len() as u32));
            // A full tree or the grid's end refuses some guesses; the others stand.
            let _ = tree.propose(parent, Code(at(1, toy.codes)), DraftLaw::Deterministic, Source::ABOVE);
        }
        verifier.verify(&tree, &mut ToyLaws::new(toy, &image, &tree), &mut noise, &mut verdict).unwrap();
        stats.record(&tree, &verdict);
        image.extend(verdict.codes(&tree));
    }
    (image, stats)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_gives_the_image_of_plain_ar(salt: u64, seed: u64, image: u32, codes in 2u32..6, cells in 1u32..20) {
        let (toy, noise) = (Toy { salt, codes }, Noise { seed: Seed(seed), image: ImageIndex(image) });
        let (drafted, stats) = with_random_trees(toy, noise, cells, salt ^ 1);
        prop_assert_eq!(drafted, plain_ar(toy, noise, cells));
        prop_assert_eq!(stats.committed, u64::from(cells));
        prop_assert_eq!(stats.accepted + stats.recovered + stats.bonus, u64::from(cells));
        prop_assert_eq!(stats.recovered + stats.bonus, stats.target_passes);
        let above: Vec<_> = stats.tallies().collect();
        prop_assert_eq!(above.iter().map(|(_, _, tally)| tally.accepted).sum::<u64>(), stats.accepted);
        let ordered = above.iter().all(|(source, _, tally)| {
            *source == Source::ABOVE && tally.accepted <= tally.tested && tally.tested <= tally.proposed
        });
        prop_assert!(ordered);
    }

    #[test]
    fn the_quick_argmax_is_the_plain_one(
        seed: u64,
        image: u32,
        cell: u32,
        scores in prop::collection::vec(
            prop_oneof![
                4 => -20.0f32..20.0,
                1 => Just(f32::NEG_INFINITY),
                // Equal scores, and scores so large that the noise is rounded away: ties.
                2 => Just(1.5f32),
                1 => Just(3e18f32),
            ],
            1..300,
        ),
        scale in prop_oneof![Just(1.0f32), Just(0.01), Just(0.0)],
    ) {
        let scores: Vec<f32> = scores.iter().map(|s| if s.is_finite() { s * scale } else { *s }).collect();
        prop_assume!(scores.iter().any(|score| score.is_finite()));
        let noise = Noise { seed: Seed(seed), image: ImageIndex(image) }.at(Cell(cell), Purpose::Replay);
        let mut best: Option<(f64, Code)> = None;
        for (code, &score) in (0..).map(Code).zip(&scores).filter(|(_, score)| score.is_finite()) {
            let value = f64::from(score) + noise.gumbel(code);
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, code));
            }
        }
        prop_assert_eq!(noise.argmax(&scores).unwrap(), best.unwrap().1);
    }
}

#[test]
fn the_true_image_as_draft_is_accepted_whole() {
    let (toy, mut noise) = (Toy { salt: 8, codes: 5 }, Noise { seed: Seed(1), image: ImageIndex(2) });
    let truth = plain_ar(toy, noise, 9);
    let mut tree = TokenTree::with_capacity(16, 5);
    tree.reset(Cell(0), 9);
    let mut node = NodeId::ROOT;
    for &code in &truth[..8] {
        node = tree.propose(node, code, DraftLaw::Deterministic, Source::LEFT).unwrap();
    }
    let mut verdict = Verdict::with_capacity(16);
    Verifier::new(Rule::Replay, 5).verify(&tree, &mut ToyLaws::new(toy, &[], &tree), &mut noise, &mut verdict).unwrap();
    assert!(verdict.codes(&tree).eq(truth));
    assert_eq!(verdict.next.drawn, Drawn::Bonus);
}

#[test]
fn philox_known_answers() {
    // Random123 1.14, tests/kat_vectors, "philox4x32 10".
    let known = [
        ([0; 2], [0; 4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 2], [u32::MAX; 4], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0xa409_3822, 0x299f_31d0],
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (key, counter, words) in known {
        assert_eq!(philox4x32_10(key, counter), words);
    }
}

#[test]
fn the_noise_is_keyed_as_documented() {
    let image = Noise { seed: Seed(0x0123_4567_89ab_cdef), image: ImageIndex(7) };
    let noise = image.at(Cell(42), Purpose::Replay);
    let words = philox4x32_10([0x89ab_cdef, 0x0123_4567], [25, 42, 7, 0]);
    assert_eq!(noise.words(25), words);
    let u = (f64::from(words[3]) + 0.5) / 4_294_967_296.0;
    assert!((noise.gumbel(Code(103)) - -(-u.ln()).ln()).abs() < 1e-14);
    // The same bits on every platform.
    assert_eq!(noise.gumbel(Code(103)).to_bits(), 4_605_576_114_797_142_392);
}

#[test]
fn text_has_noise_of_its_own() {
    let (image, cell) = (Noise { seed: Seed(9), image: ImageIndex(2) }, Cell(5));
    let words = philox4x32_10([9, 0], [25, 5, 2, 1]);
    assert_eq!(image.at(cell, Purpose::Text).words(25), words);
    let flat = [0.0; 64];
    let drawn = |noise: &mut dyn Chooser| -> Vec<Code> {
        (0..20).map(|cell| noise.replay(Cell(cell), &flat).unwrap()).collect()
    };
    let (cells, text) = (drawn(&mut image.clone()), drawn(&mut TextNoise(image)));
    assert_ne!(cells, text);
    for (cell, &code) in (0..).map(Cell).zip(&text) {
        assert_eq!(image.at(cell, Purpose::Text).argmax(&flat), Ok(code));
        let best = (0..64).map(Code).max_by(|a, b| {
            let noise = |code: &Code| image.at(cell, Purpose::Text).gumbel(*code);
            noise(a).total_cmp(&noise(b))
        });
        assert_eq!(best, Some(code));
    }
}

#[test]
fn greedy_takes_the_likelier_outcome_and_the_lower_code() {
    let scores = [1.0, f32::NEG_INFINITY, 3.0, 3.0];
    assert_eq!(Greedy.replay(Cell(0), &scores), Ok(Code(2)));
    assert_eq!(Greedy.draw(Cell(0), &[0.1, 0.4, 0.1, 0.4]), Code(1));
    assert!(Greedy.accept(Cell(0), 0, 0.6) && !Greedy.accept(Cell(0), 0, 0.4));
    assert!(matches!(Greedy.replay(Cell(0), &[f32::NAN]), Err(LawError::NotALogit { code: Code(0), .. })));
}

#[test]
fn sampled_frequencies_follow_the_softmax() {
    let scores = [0.0f32, 1.0, -1.0, f32::NEG_INFINITY, 2.0, 0.5];
    let mut law = [0.0; 6];
    probabilities(&scores, &mut law).unwrap();
    let draws = 60_000u32;
    let mut noise = Noise { seed: Seed(11), image: ImageIndex(0) };
    let (mut by_argmax, mut by_draw) = ([0u32; 6], [0u32; 6]);
    for cell in (0..draws).map(Cell) {
        by_argmax[noise.replay(cell, &scores).unwrap().index()] += 1;
        by_draw[noise.draw(cell, &law).index()] += 1;
    }
    for counts in [by_argmax, by_draw] {
        assert_eq!(counts[3], 0);
        // Chi-square with 4 degrees of freedom: above 18.5 one time in a thousand.
        assert!(chi_square(&counts, &law, draws) < 18.5, "{counts:?} for {law:?}");
    }
}

#[test]
fn acceptance_is_uniform_and_independent_of_the_candidate() {
    let mut noise = Noise { seed: Seed(12), image: ImageIndex(3) };
    let (draws, bins) = (40_000u32, 20);
    for candidate in 0..3 {
        let mut counts = vec![0u32; bins];
        for cell in (0..draws).map(Cell) {
            let u = noise.at(cell, Purpose::Accept).uniform(candidate);
            assert!((0.0..1.0).contains(&u));
            assert!(!noise.accept(cell, candidate, u) && noise.accept(cell, candidate, u.next_up()));
            counts[(u * bins as f64) as usize] += 1;
        }
        // 19 degrees of freedom: above 43.8 one time in a thousand.
        assert!(chi_square(&counts, &vec![1.0 / bins as f64; bins], draws) < 43.8);
    }
}

fn chi_square(counts: &[u32], law: &[f64], draws: u32) -> f64 {
    let term =
        |(&count, &p): (&u32, &f64)| if p > 0.0 { (f64::from(count) / f64::from(draws) - p).powi(2) / p } else { 0.0 };
    counts.iter().zip(law).map(term).sum::<f64>() * f64::from(draws)
}

#[test]
fn inverse_transform_never_takes_an_impossible_code() {
    let law = [0.0, 0.25, 0.0, 0.75 - 1e-12, 0.0];
    assert_eq!(draw_at(&law, 0.0), Some(Code(1)));
    assert_eq!(draw_at(&law, 0.25), Some(Code(3)));
    assert_eq!(draw_at(&law, 1.0f64.next_down()), Some(Code(3)));
    assert_eq!(draw_at(&[0.0, 0.0], 0.5), None);
}

#[test]
fn bad_scores_are_refused() {
    let noise = Noise { seed: Seed(0), image: ImageIndex(0) }.at(Cell(0), Purpose::Replay);
    let refuse = |scores: &[f32]| noise.argmax(scores).unwrap_err();
    assert!(matches!(refuse(&[0.0, f32::NAN]), LawError::NotALogit { code: Code(1), .. }));
    assert_eq!(refuse(&[f32::INFINITY]), LawError::NotALogit { code: Code(0), value: f32::INFINITY });
    assert_eq!(refuse(&[f32::NEG_INFINITY; 3]), LawError::NothingLeft { codes: 3 });
    assert_eq!(refuse(&[]), LawError::NothingLeft { codes: 0 });
}
