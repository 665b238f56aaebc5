//! The kernels against their definitions, on every instruction set.

use super::search::{BOUNDS, Search};
use super::shape::{Divide, Guide};
use super::{border::keep_largest, run::GROUP, top_p::TopP};
use crate::isa::Isa;

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_here())
}

fn random(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / 16_777_216.0
}

/// Scores of several shapes, padded: smooth, with ties, with -inf, of a huge range, all equal.
fn scores(shape: usize, codes: usize, state: &mut u64) -> Vec<f32> {
    let mut scores: Vec<f32> = (0..codes)
        .map(|_| {
            let x = random(state);
            match shape {
                0 => x * 12.0 - 6.0,
                1 => (x * 6.0).floor() - 3.0,
                2 if x < 0.4 => f32::NEG_INFINITY,
                2 => x,
                3 => (x - 0.5) * 3.0e38,
                4 => x * 1.0e-40,
                _ => -0.0,
            }
        })
        .collect();
    scores.resize(codes.next_multiple_of(GROUP), f32::NEG_INFINITY);
    scores
}

const SHAPES: usize = 6;
const CODES: [usize; 7] = [1, 7, 31, 32, 33, 100, 1000];

#[test]
fn guidance_and_division_round_every_operation() {
    let mut state = 1;
    for isa in isas() {
        for codes in CODES {
            let [cond, uncond] = [(); 2].map(|()| scores(0, codes, &mut state)[..codes].to_vec());
            let mut out = vec![0.0; codes.next_multiple_of(GROUP)];
            let highest = Guide { cond: &cond, uncond: Some((&uncond, 3.7)), out: &mut out }.on(isa);
            let mut wanted: Vec<f32> = cond.iter().zip(&uncond).map(|(c, u)| u + 3.7 * (c - u)).collect();
            assert_eq!((&out[..codes], highest), (&wanted[..], wanted.iter().copied().reduce(f32::max)), "{isa}");
            assert!(out[codes..].iter().all(|pad| *pad == f32::NEG_INFINITY));
            Divide { scores: &mut out, divisor: 0.3 }.on(isa);
            wanted.iter_mut().for_each(|score| *score /= 0.3);
            assert_eq!(&out[..codes], &wanted[..], "{isa}");
            Guide { cond: &cond, uncond: None, out: &mut out }.on(isa);
            assert_eq!(&out[..codes], &cond[..], "{isa}");
        }
    }
}

#[test]
fn no_score_that_is_no_score_is_overlooked() {
    for isa in isas() {
        for codes in CODES {
            for at in [0, codes / 2, codes - 1] {
                for bad in [f32::NAN, -f32::NAN, f32::INFINITY] {
                    let mut cond = vec![1.0; codes];
                    cond[at] = bad;
                    let mut out = vec![0.0; codes.next_multiple_of(GROUP)];
                    assert_eq!(Guide { cond: &cond, uncond: None, out: &mut out }.on(isa), None, "{isa} {bad}");
                    cond[at] = f32::NEG_INFINITY;
                    let highest = if codes == 1 { f32::NEG_INFINITY } else { 1.0 };
                    assert_eq!(Guide { cond: &cond, uncond: None, out: &mut out }.on(isa), Some(highest), "{isa}");
                }
            }
        }
    }
}

#[test]
fn the_largest_are_those_of_a_stable_sort() {
    let mut state = 2;
    for isa in isas() {
        for (shape, codes) in (0..SHAPES).flat_map(|shape| CODES.map(|codes| (shape, codes))) {
            let given = scores(shape, codes, &mut state);
            let mut order: Vec<usize> = (0..codes).collect();
            order.sort_by(|a, b| given[*b].partial_cmp(&given[*a]).expect("no NaN").then(a.cmp(b)));
            for k in [1, 2, codes / 3, codes - 1, codes, codes + 5].into_iter().filter(|k| *k > 0) {
                let (mut kept, mut wanted) = (given.clone(), given.clone());
                keep_largest(isa, &mut kept, k);
                order.iter().skip(k).for_each(|code| wanted[*code] = f32::NEG_INFINITY);
                assert_eq!(kept, wanted, "{isa}: {k} of {codes}, shape {shape}");
            }
        }
    }
}

#[test]
fn what_top_p_is_sure_of_is_so() {
    let (mut state, mut sure, mut all) = (3, 0, 0);
    for isa in isas() {
        for (shape, codes) in (0..SHAPES).flat_map(|shape| CODES.map(|codes| (shape, codes))) {
            let given = scores(shape, codes, &mut state);
            let highest = given.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if highest == f32::NEG_INFINITY {
                continue;
            }
            let mut order: Vec<usize> = (0..codes).collect();
            order.sort_by(|a, b| given[*b].partial_cmp(&given[*a]).expect("no NaN").then(a.cmp(b)));
            let weight = |code: usize| (f64::from(given[code]) - f64::from(highest)).exp();
            let total: f64 = (0..codes).map(weight).sum();
            let mut top_p = TopP::new(codes);
            for p in [1e-6, 0.1, 0.5, 0.8, 0.95, 0.999] {
                let floor = top_p.floor(isa, &given, highest, p).expect("p is far enough from 1");
                let mut before = 0.0;
                for &code in &order {
                    let (score, kept) = (given[code], before < p * total && given[code] > f32::NEG_INFINITY);
                    assert!(score >= floor || !kept, "{isa}: {score} is kept and below {floor}");
                    if score >= floor {
                        let certain = top_p.surely_keeps(isa, score);
                        assert!(!certain || kept, "{isa}: {score} is not kept, p {p}, shape {shape}");
                        sure += usize::from(certain);
                        all += usize::from(kept);
                    }
                    before += weight(code);
                }
            }
        }
    }
    // Ties at the border are not sure: a fifth of these scores.
    assert!(sure * 2 > all, "{sure} of {all}");
}

/// Philox4x32-10, word by word.
fn philox(mut key: [u32; 2], mut c: [u32; 4]) -> [u32; 4] {
    for _ in 0..10 {
        let [a, b] = [0xD251_1F53_u64 * u64::from(c[0]), 0xCD9E_8D57_u64 * u64::from(c[2])];
        c = [(b >> 32) as u32 ^ c[1] ^ key[0], b as u32, (a >> 32) as u32 ^ c[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

#[test]
fn every_word_is_philoxs_and_no_code_is_left_out() {
    // Known answer of Random123.
    assert_eq!(philox([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    let bounds: [f32; BOUNDS] = std::array::from_fn(|top| top as f32);
    let keys = [[0xfedc_ba98, 0x7654_3210], [0, 0], [u32::MAX, 7]];
    let counters = [[5, 6, u32::MAX], [0, 0, 0], [255, 1, 4]];
    for (isa, (key, counter)) in isas().flat_map(|isa| keys.into_iter().zip(counters).map(move |c| (isa, c))) {
        for codes in CODES {
            let mut scores = vec![0.0; codes];
            scores.resize(codes.next_multiple_of(GROUP), f32::NEG_INFINITY);
            let top = |code: usize| {
                let [c1, c2, c3] = counter;
                philox(key, [code as u32 / 4, c1, c2, c3])[code % 4] >> 22
            };
            // One code's bound alone reaches its own: the word decides who is visited.
            for least in [0, 1, 500, 1000, 1023] {
                let mut visited = Vec::new();
                let mut visit = |code: usize, _: f32| {
                    visited.push(code);
                    least as f32
                };
                let least = least as f32;
                Search { scores: &scores, floor: f32::MIN, key, counter, bounds: &bounds, least, visit: &mut visit }
                    .on(isa);
                let wanted: Vec<usize> = (0..codes).filter(|code| top(*code) as f32 >= least).collect();
                assert_eq!(visited, wanted, "{isa} {codes} {least}");
            }
        }
    }
}
