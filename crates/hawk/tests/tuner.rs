//! Autotuned trees: drafters are heard before they are judged, and what was learnt goes on.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use hawk::{Decoder, Decoding, Engine, LoadOptions, Request, Rule, Seed, Tree, TunerMemory, built_in_model};

fn engine() -> Engine {
    Engine::load(built_in_model(), LoadOptions { threads: 2, ..LoadOptions::default() }).unwrap()
}

fn request(decoder: Decoder, batch: usize) -> Request {
    Request {
        prompt: "red apple, fluent 3d style".to_owned(),
        seed: Seed(1),
        images: 0..4,
        sampling: hawk::Sampling::new(3.0, 1.0, 0, 1.0).unwrap(),
        decoding: Decoding::new(decoder, Rule::Replay, Tree::Auto).unwrap(),
        batch,
    }
}

/// Candidates that were proposed in the four images of a request.
fn proposed(engine: &Engine, request: &Request) -> u64 {
    let outcome = engine.generate(request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome.images.len(), 4);
    outcome.images.iter().flat_map(|image| image.stats.tallies()).map(|(.., tally)| tally.proposed).sum()
}

#[test]
fn vertical_heads_propose_before_they_are_judged() {
    for batch in [1, 4] {
        let proposed = proposed(&engine(), &request(Decoder::HAWK_VERTICAL, batch));
        assert!(proposed >= 32, "{proposed} candidates in batches of {batch}");
    }
}

#[test]
fn a_second_engine_goes_on_from_the_first() {
    let (first, request) = (engine(), request(Decoder::HAWK, 1));
    proposed(&first, &request);
    let learnt = first.tuned_sizes();
    assert_eq!(learnt.len(), 1);
    assert_eq!((learnt[0].decoding, learnt[0].images), (request.decoding, 1));
    assert!(learnt[0].trial_passes > 24 && learnt[0].passes > learnt[0].trial_passes);
    let mut memory = TunerMemory::new("here", 5);
    first.remember_tuning(&mut memory).unwrap();
    // Plain decoding for the next 400 passes, whatever was learnt here.
    let mut file: serde_json::Value = serde_json::from_slice(&memory.to_json()).unwrap();
    let class = &mut file["tuners"][0]["tuner"]["classes"][0];
    (class["size"], class["left"]) = (0.into(), 400.into());
    let file = file.to_string();
    let trial_passes = |machine: &str| {
        let second = engine();
        second.recall_tuning(&TunerMemory::new(machine, 6).from_json(file.as_bytes())).unwrap();
        let request = Request { images: 0..1, ..request.clone() };
        second.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
        second.tuned_sizes()[0].trial_passes
    };
    assert_eq!(trial_passes("here"), 0);
    assert!(trial_passes("another") > 24, "there it begins as the first did");
}
