//! The built-in model, grown: the same images, by every decoder, and the same drafts accepted.
#![cfg(feature = "built-in")]
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;

use hawk::{
    Decoder, Decoding, Engine, Generated, LoadOptions, ModelSource, Precision, Request, Rule, Seed, Tree,
    built_in_model,
};
use hawk_synth::{Grown, GrownSizes};

fn draw(engine: &Engine, decoder: Decoder) -> Generated {
    let decoding = match decoder.needs_heads() {
        true => Decoding::new(decoder, Rule::Replay, "4".parse::<Tree>().unwrap()).unwrap(),
        false => Decoding::with_defaults(decoder, Rule::Replay),
    };
    let request = Request {
        prompt: "octopus, fluent flat style".to_owned(),
        seed: Seed(4),
        images: 0..1,
        sampling: engine.config().defaults,
        decoding,
        batch: 1,
    };
    engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images.remove(0)
}

#[test]
fn the_built_in_model_draws_the_same_image_after_growing() {
    let dir = tempfile::tempdir().unwrap();
    let options = LoadOptions { precision: Precision::F32, threads: 2 };
    let source = built_in_model();
    let own = Engine::load(source.clone(), options).unwrap();
    let own = [Decoder::AR, Decoder::HAWK].map(|decoder| draw(&own, decoder));
    // Not a power of two: the logits differ in their last bits. No cell of this image is that near
    // to a tie.
    let sizes = GrownSizes { hidden: Some(448), layers: Some(9), inner: Some(1040) };
    let out = dir.path().join("grown");
    Grown::new(&source, "built-in", sizes, 1).unwrap().write(&out, &(Arc::new(|_, _| ()) as _)).unwrap();
    let grown = Engine::load(ModelSource::Dir(out), options).unwrap();
    for (decoder, own) in [Decoder::AR, Decoder::HAWK].into_iter().zip(&own) {
        let grown = draw(&grown, decoder);
        assert_eq!(grown.codes, own.codes, "{decoder}");
        assert_eq!(grown.stats.accepted, own.stats.accepted, "{decoder}");
        assert!(grown.image == own.image);
    }
    assert!(own[0].stats.accepted == 0 && own[1].stats.accepted > 20);
}
