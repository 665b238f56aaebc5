//! Warping against a plain reading of its definition.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use hawk_spec::{Code, LawError, Pipeline, Sampling, SamplingError, Stage, Warper, probabilities};
use proptest::prelude::*;

fn sampling(cfg: f32, temperature: f32, top_k: u32, top_p: f32) -> Sampling {
    Sampling::new(cfg, temperature, top_k, top_p).unwrap()
}

fn warp(s: &Sampling, pipeline: Pipeline, cond: &[f32], uncond: Option<&[f32]>) -> Result<Vec<f32>, LawError> {
    let mut scores = vec![0.0; cond.len()];
    Warper::new(pipeline, cond.len()).warp(s, cond, uncond, &mut scores)?;
    Ok(scores)
}

/// Codes by value, largest first, ties by the lower code.
fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // A stable sort of ascending codes keeps ties in order.
    order.sort_by(|&a, &b| values[b].partial_cmp(&values[a]).unwrap());
    order
}

fn plain_top_k(scores: &mut [f32], k: usize) {
    let order = ranked(&scores.iter().map(|&score| f64::from(score)).collect::<Vec<_>>());
    let kept = if k == 0 { scores.len() } else { k };
    order.iter().skip(kept).for_each(|&code| scores[code] = f32::NEG_INFINITY);
}

fn plain_top_p(scores: &mut [f32], p: f64) {
    if p == 1.0 {
        return;
    }
    let mut law = vec![0.0; scores.len()];
    probabilities(scores, &mut law).unwrap();
    let mut mass = 0.0;
    for code in ranked(&law) {
        if mass >= p {
            scores[code] = f32::NEG_INFINITY;
        }
        mass += law[code];
    }
}

fn logit() -> impl Strategy<Value = f32> {
    // Few distinct values, so that ties at the border are common.
    prop_oneof![-8.0f32..8.0, (-3i8..4).prop_map(f32::from), Just(-0.0f32)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn warping_is_its_definition(
        logits in prop::collection::vec((logit(), logit()), 2..300),
        cfg in prop_oneof![Just(1.0f32), Just(3.0), 0.0f32..8.0],
        temperature in prop_oneof![Just(1.0f32), 0.1f32..3.0],
        top_k in prop_oneof![Just(0u32), 1u32..320],
        top_p in prop_oneof![Just(1.0f32), 0.05f32..1.0],
        top_k_first: bool,
    ) {
        let (cond, uncond): (Vec<f32>, Vec<f32>) = logits.into_iter().unzip();
        let s = sampling(cfg, temperature, top_k, top_p);
        let mut wanted: Vec<f32> = cond.iter().zip(&uncond).map(|(c, u)| u + cfg * (c - u)).collect();
        if cfg == 1.0 {
            wanted.copy_from_slice(&cond);
        }
        let pipeline = if top_k_first {
            plain_top_k(&mut wanted, top_k as usize);
            wanted.iter_mut().for_each(|score| *score /= temperature);
            Pipeline::LUMINA
        } else {
            wanted.iter_mut().for_each(|score| *score /= temperature);
            plain_top_k(&mut wanted, top_k as usize);
            Pipeline::new(&[Stage::Guidance, Stage::Mask, Stage::Temperature, Stage::TopK, Stage::TopP]).unwrap()
        };
        plain_top_p(&mut wanted, f64::from(top_p));
        prop_assert_eq!(warp(&s, pipeline, &cond, Some(&uncond)).unwrap(), wanted);
    }
}

#[test]
fn ties_go_to_the_lower_code() {
    let none = f32::NEG_INFINITY;
    let top_2 = warp(&sampling(1.0, 1.0, 2, 1.0), Pipeline::LUMINA, &[-0.0, 0.0, 1.0, 0.0], None);
    assert_eq!(top_2.unwrap(), [0.0, none, 1.0, none]);
    let half = warp(&sampling(1.0, 1.0, 0, 0.5), Pipeline::LUMINA, &[2.0; 4], None);
    assert_eq!(half.unwrap(), [2.0, 2.0, none, none]);
}

#[test]
fn guidance_rounds_each_operation() {
    let (cond, uncond, cfg) = ([1.000_000_1f32, 0.3], [0.1f32, 7.7], 3.3f32);
    let warped = warp(&sampling(cfg, 1.0, 0, 1.0), Pipeline::LUMINA, &cond, Some(&uncond)).unwrap();
    let fused = |code: usize| cfg.mul_add(cond[code] - uncond[code], uncond[code]);
    let separate = |code: usize| uncond[code] + cfg * (cond[code] - uncond[code]);
    assert_eq!(warped, [separate(0), separate(1)]);
    assert!((0..2).any(|code| fused(code) != separate(code)), "the example must tell them apart");
}

#[test]
fn what_is_no_law_is_refused() {
    let s = sampling(3.0, 1.0, 1, 0.5);
    let lumina = |cond: &[f32], uncond: Option<&[f32]>| warp(&s, Pipeline::LUMINA, cond, uncond).unwrap_err();
    assert!(matches!(lumina(&[0.0, f32::NAN], Some(&[0.0; 2])), LawError::NotALogit { code: Code(1), .. }));
    assert!(matches!(lumina(&[0.0, 0.0], Some(&[f32::INFINITY, 0.0])), LawError::NotALogit { code: Code(0), .. }));
    assert_eq!(lumina(&[0.0; 2], None), LawError::NoUnconditional { cfg: 3.0 });
    assert_eq!(lumina(&[0.0; 2], Some(&[0.0; 3])), LawError::Length { what: "uncond", expected: 2, got: 3 });
    let plain = sampling(1.0, 1e-20, 0, 1.0);
    let nothing = warp(&plain, Pipeline::LUMINA, &[f32::NEG_INFINITY; 2], None);
    assert_eq!(nothing.unwrap_err(), LawError::NothingLeft { codes: 2 });
    let hot = warp(&plain, Pipeline::LUMINA, &[1e30, 0.0], None);
    assert_eq!(hot.unwrap_err(), LawError::NotALogit { code: Code(0), value: f32::INFINITY });
}

#[test]
fn settings_name_field_range_and_value() {
    let message = |cfg, temperature, top_p| Sampling::new(cfg, temperature, 0, top_p).unwrap_err().to_string();
    assert_eq!(message(-1.0, 1.0, 1.0), "cfg must be 0 to 100, got -1.0");
    assert_eq!(message(f32::NAN, 1.0, 1.0), "cfg must be 0 to 100, got NaN");
    assert_eq!(message(1e38, 1.0, 1.0), "cfg must be 0 to 100, got 1e38");
    assert_eq!(message(3.0, 0.0, 1.0), "temperature must be finite and at least 1e-20, got 0.0");
    assert_eq!(message(3.0, 9e-21, 1.0), "temperature must be finite and at least 1e-20, got 9e-21");
    assert_eq!(message(3.0, f32::INFINITY, 1.0), "temperature must be finite and at least 1e-20, got inf");
    assert_eq!(message(3.0, 1.0, 1.5), "top_p must be above 0 and at most 1, got 1.5");
    assert!(sampling(3.0, 1.0, 0, 1.0).guided() && !sampling(1.0, 1.0, 0, 1.0).guided());
}

/// At the ends of every range the law of large logits still has its most likely code.
#[test]
fn every_setting_in_range_leaves_a_law() {
    let cond = [3e15f32, -1e15, 0.0, 1e-40];
    let uncond = [1e15f32, 2e15, -0.5, 0.0];
    for cfg in [0.0, f32::from_bits(1), 1.0, 3.0, 100.0] {
        for temperature in [1e-20, 1e-10, 1.0, 1e10, f32::MAX] {
            for top_k in [0, 1, 2, u32::MAX] {
                for top_p in [f32::from_bits(1), 1e-20, 0.5, 1.0 - f32::EPSILON, 1.0] {
                    for pipeline in [Pipeline::LUMINA, Pipeline::TEMPERATURE_FIRST] {
                        let s = sampling(cfg, temperature, top_k, top_p);
                        let scores = warp(&s, pipeline, &cond, Some(&uncond)).unwrap();
                        let mut chances = vec![0.0; cond.len()];
                        probabilities(&scores, &mut chances).unwrap();
                        assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{s:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn pipelines_start_with_guidance_and_mask() {
    use Stage::{Guidance, Mask, Temperature, TopK, TopP};
    assert_eq!(Pipeline::new(&[Guidance, Mask, TopK, Temperature, TopP]).unwrap(), Pipeline::LUMINA);
    for bad in [&[][..], &[Guidance], &[Mask, Guidance], &[Guidance, TopK, Mask], &[Guidance, Mask, TopK, TopK]] {
        assert_eq!(Pipeline::new(bad).unwrap_err(), SamplingError::Pipeline { given: bad.to_vec() });
    }
    let no_top_p = Pipeline::new(&[Guidance, Mask, Temperature, TopK]).unwrap();
    assert_eq!(no_top_p.check(&sampling(3.0, 1.0, 5, 0.9)).unwrap_err(), SamplingError::NoStage { field: "top_p" });
    assert!(no_top_p.check(&sampling(3.0, 0.7, 5, 1.0)).is_ok());
}
