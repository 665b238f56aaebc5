//! The comparison with a drawer that needs no model.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use hawk::{
    CellSource, DecodeStats, Decoder, Decoding, Generated, Image, Outcome, Request, Result, Rule, Sampling, Seed, Tree,
    TreeShape,
};
use hawk_bench::{Measured, Plan, compare};
use hawk_spec::{Code, Drawn, Source};

const CELLS: u32 = 6;

/// Draws by seed alone; tree decoders guess every second cell, in half the passes.
fn fake(request: &Request) -> Outcome {
    let codes: Vec<Code> = (0..CELLS).map(|cell| Code(cell * 10 + request.seed.0 as u32)).collect();
    let drafts = request.decoding.decoder() != Decoder::AR;
    let source = |cell: u32| match drafts && cell.is_multiple_of(2) {
        true => CellSource::Drafted(Source::LEFT),
        false => CellSource::Target(Drawn::Recovered),
    };
    let passes = if drafts { u64::from(CELLS) / 2 } else { u64::from(CELLS) };
    let mut stats = DecodeStats::default();
    (stats.target_passes, stats.committed) = (passes, u64::from(CELLS));
    let generated = Generated {
        index: 0,
        image: Image { width: 1, height: 1, pixels: vec![0; 3] },
        codes,
        sources: (0..CELLS).map(source).collect(),
        stats,
        elapsed: Duration::ZERO,
    };
    Outcome { images: vec![generated], ..Outcome::default() }
}

fn plan(contenders: Vec<Decoding>) -> Plan {
    Plan {
        prompts: ["a", "b"].map(|text| text.to_owned().into()).to_vec(),
        seed: Seed(40),
        images: 3,
        sampling: Sampling::new(1.0, 1.0, 0, 1.0).unwrap(),
        contenders,
    }
}

fn neighbour(rule: Rule, nodes: usize) -> Decoding {
    Decoding::new(Decoder::NEIGHBOUR, rule, TreeShape::Budget(nodes)).unwrap()
}

/// Compares by `draw`; returns the outcome and what was drawn in which order.
fn check(contenders: Vec<Decoding>, draw: impl Fn(&Request) -> Outcome) -> (Result<Vec<Measured>>, Vec<Request>) {
    let (mut drawn, mut heard) = (Vec::new(), 0);
    let plan = plan(contenders);
    let mut keep = |request: &Request| {
        drawn.push(request.clone());
        Ok(draw(request))
    };
    let measured = compare(&plan, &mut keep, &mut |_| heard += 1);
    assert_eq!(drawn.len(), heard);
    if measured.is_ok() {
        assert_eq!(heard, plan.drawings());
    }
    (measured, drawn)
}

#[test]
fn every_contender_draws_every_image_beside_plain_decoding() {
    let (replay, rejection) = (neighbour(Rule::Replay, 4), neighbour(Rule::Rejection, 8));
    let (measured, drawn) = check(vec![replay, rejection, replay], fake);
    let measured = measured.unwrap();
    let ar = |rule| Decoding::with_defaults(Decoder::AR, rule);
    let want = [ar(Rule::Replay), ar(Rule::Rejection), replay, rejection];
    assert_eq!(measured.iter().map(|one| one.decoding).collect::<Vec<_>>(), want);
    for one in &measured {
        assert_eq!((one.times.len(), one.speedups.len(), one.images.len()), (3, 3, 3));
        let drafts = one.decoding.decoder() != Decoder::AR;
        assert_eq!(one.drafted, if drafts { [3, 0, 3, 0, 3, 0] } else { [0; 6] });
        assert_eq!(one.stats.acceptance_length(), if drafts { 2.0 } else { 1.0 });
        assert!(drafts || one.speedups == [1.0; 3]);
    }
    // A rehearsal of the first image, then each image once, prompts in a circle, everyone in turn, in a rotating order.
    let turns: Vec<&[Request]> = drawn.chunks(4).collect();
    let images: Vec<(&str, u64)> = turns.iter().map(|turn| (turn[0].prompt.as_str(), turn[0].seed.0)).collect();
    assert_eq!(images, [("a", 40), ("a", 40), ("b", 41), ("a", 42)]);
    for (number, turn) in turns.iter().enumerate() {
        assert!(turn.iter().all(|request| request.seed == turn[0].seed && request.prompt == turn[0].prompt));
        let mut order = want;
        order.rotate_left(number);
        assert_eq!(turn.iter().map(|request| request.decoding).collect::<Vec<_>>(), order);
    }
}

#[test]
fn autotuned_contenders_draw_other_images_first() {
    let auto = Decoding::new(Decoder::NEIGHBOUR, Rule::Replay, Tree::Auto).unwrap();
    let (measured, drawn) = check(vec![neighbour(Rule::Replay, 4), auto], fake);
    assert_eq!(measured.unwrap()[2].times.len(), 3);
    let (before, after) = drawn.split_at(4);
    let seeds: Vec<u64> = before.iter().map(|request| request.seed.0).collect();
    assert_eq!(seeds, [43, 44, 45, 46]);
    assert!(before.iter().all(|request| request.decoding == auto));
    assert!(after.len() == 4 * 3 && after.iter().all(|request| request.seed.0 < 43));
}

#[test]
fn another_image_than_plain_decodings_is_an_error_by_name() {
    let one_cell_off = |of: Decoding| {
        move |request: &Request| {
            let mut outcome = fake(request);
            if request.decoding == of {
                outcome.images[0].codes[3] = Code(999);
            }
            outcome
        }
    };
    let (good, wrong) = (neighbour(Rule::Replay, 4), neighbour(Rule::Replay, 7));
    let (measured, drawn) = check(vec![good, wrong], one_cell_off(wrong));
    let error = measured.unwrap_err().to_string();
    for named in ["decoder neighbour", "rule replay", "tree 7", "1 of 6 cells", "\"a\"", "seed 40"] {
        assert!(error.contains(named), "{named}: {error}");
    }
    assert_eq!(drawn.len(), 3, "it is found in the rehearsal");
    let cut = |request: &Request| {
        let mut outcome = fake(request);
        outcome.images[0].codes.truncate(if request.decoding == wrong { 5 } else { 6 });
        outcome
    };
    assert!(check(vec![wrong], cut).0.is_err());
    // Under rejection another image is another draw of the same law.
    let other = neighbour(Rule::Rejection, 4);
    assert!(check(vec![other], one_cell_off(other)).0.is_ok());
}

#[test]
fn nothing_to_compare_is_refused() {
    assert!(check(Vec::new(), fake).0.is_err());
    let error = check(vec![neighbour(Rule::Replay, 2)], |_| Outcome::default()).0.unwrap_err();
    assert!(error.to_string().contains("no image"));
}
