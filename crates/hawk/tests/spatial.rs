//! Spatial heads: those that are right are accepted, and no image depends on them.
#![allow(clippy::unwrap_used)]

#[path = "common/oracle_heads.rs"]
mod oracle_heads;

use std::ops::ControlFlow;
use std::path::Path;

use hawk::{
    AnyRule, CellSource, Decoder, Decoding, Engine, Generated, LoadOptions, ModelSource, Request, Rule, Seed,
    TreeShape, built_in_model,
};
use oracle_heads::{Target, write_oracle_heads};

fn draw(engine: &Engine, decoder: Decoder, rule: impl Into<AnyRule>, nodes: usize) -> Generated {
    let request = Request {
        prompt: "frog, fluent flat style".to_owned(),
        seed: Seed(11),
        images: 0..1,
        sampling: engine.config().defaults,
        decoding: Decoding::new(decoder, rule, TreeShape::Budget(nodes)).unwrap(),
        batch: 1,
    };
    engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images.remove(0)
}

fn load() -> Engine {
    Engine::load(built_in_model(), LoadOptions::default()).unwrap()
}

fn heads(engine: &Engine, dir: &Path, image: &Generated) {
    let (hidden, codes) = (engine.backend().config().hidden, engine.config().layout.codes() as usize);
    write_oracle_heads(dir, &Target { hidden, side: 16, codes, digest: engine.digest().unwrap() }, &image.codes);
}

#[test]
fn heads_that_are_right_are_accepted_and_change_no_image() {
    let dir = tempfile::tempdir().unwrap();
    let engine = load();
    let plain = draw(&engine, Decoder::AR, Rule::Replay, 1);
    let without = draw(&engine, Decoder::SOAR, Rule::Replay, 8);
    let rejection = draw(&engine, Decoder::SOAR, Rule::Rejection, 8);
    heads(&engine, dir.path(), &plain);
    let engine = engine.with_heads(&ModelSource::Dir(dir.path().to_owned())).unwrap();
    let with = draw(&engine, Decoder::SOAR, Rule::Replay, 8);
    assert!(plain.codes == without.codes && plain.codes == with.codes, "another image than plain decoding's");
    let [few, many] = [&with, &without].map(|image| image.stats.target_passes);
    assert!(few <= 256 / 8 + 6 && 3 * few < 2 * many, "{few} passes with heads, {many} without");
    let guessed =
        with.sources.iter().filter(|source| matches!(source, CellSource::Drafted(of) if of.label() == "spatial"));
    assert!(guessed.count() > 180);
    // A variant that leaves them out is as good as without, and rejection reads no guess of theirs.
    let off = Decoder::SOAR_PARTS.into_iter().find(|part| part.name() == "soar-no-heads").unwrap();
    assert_eq!(draw(&engine, off, Rule::Replay, 8).stats.target_passes, many);
    assert_eq!(draw(&engine, Decoder::SOAR, Rule::Rejection, 8).codes, rejection.codes);
}

#[test]
fn every_part_of_scd_and_soar_draws_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let engine = load();
    let plain = draw(&engine, Decoder::AR, Rule::Replay, 1);
    heads(&engine, dir.path(), &plain);
    let engine = engine.with_heads(&ModelSource::Dir(dir.path().to_owned())).unwrap();
    for decoder in [Decoder::SCD, Decoder::SOAR] {
        for &variant in decoder.variants() {
            assert!(variant.name().starts_with(&format!("{decoder}-")), "{variant}");
            assert_eq!(draw(&engine, variant, Rule::Replay, 6).codes, plain.codes, "{variant}");
        }
    }
}

#[test]
fn heads_of_other_models_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let engine = load();
    let plain = draw(&engine, Decoder::AR, Rule::Replay, 1);
    heads(&engine, dir.path(), &plain);
    let file = dir.path().join("config.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let digest = engine.digest().unwrap().to_owned();
    for (from, to, words) in [
        (digest.as_str(), "0".repeat(64).as_str(), "trained for another model"),
        ("[16,16]", "[8,8]", "cells"),
        ("\"hidden_size\":384", "\"hidden_size\":64", "hidden_size"),
        ("\"rank\":256", "\"rank\":255", "codes"),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        std::fs::write(&file, good.replace(from, to)).unwrap();
        let error = load().with_heads(&ModelSource::Dir(dir.path().to_owned())).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}
