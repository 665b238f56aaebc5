//! One seed, one image: whatever decoder, budget, batch and number of threads.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use hawk::{
    Decoder, Decoding, Engine, Generated, LoadOptions, Precision, Request, Rule, Seed, TreeShape, built_in_model,
};
use hawk_spec::Code;

const STYLES: [&str; 3] = ["fluent 3d style", "noto style", "twemoji style"];
const THINGS: [&str; 18] = [
    "red apple",
    "fire engine",
    "octopus",
    "rocket",
    "tiger face",
    "hamburger",
    "castle",
    "whale",
    "pizza",
    "guitar",
    "snowman",
    "grinning face",
    "umbrella",
    "blue heart",
    "mushroom",
    "alarm clock",
    "rainbow",
    "key",
];

fn engine(precision: Precision, threads: usize) -> Engine {
    Engine::load(built_in_model(), LoadOptions { precision, threads }).unwrap()
}

/// 54 captions, and the empty one.
fn prompts() -> impl Iterator<Item = (u64, String)> {
    let captions = THINGS.iter().flat_map(|thing| STYLES.map(|style| format!("{thing}, {style}")));
    (0..).zip(captions.chain([String::new()]))
}

/// What may change without changing an image.
#[derive(Clone, Copy, Debug)]
struct How {
    decoder: Decoder,
    nodes: usize,
    batch: usize,
}

const PLAIN: How = How { decoder: Decoder::Ar, nodes: 1, batch: 1 };

/// The images of a prompt in the order of their numbers.
#[track_caller]
fn draw(engine: &Engine, prompt: &str, seed: u64, images: std::ops::Range<u32>, how: How) -> Vec<Generated> {
    let request = Request {
        prompt: prompt.to_owned(),
        seed: Seed(seed),
        images,
        sampling: engine.config().defaults,
        decoding: Decoding::new(how.decoder, Rule::Replay, TreeShape::Budget(how.nodes)).unwrap(),
        batch: how.batch,
    };
    let mut images = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images;
    images.sort_by_key(|image| image.index);
    images
}

fn codes(images: &[Generated]) -> Vec<&[Code]> {
    images.iter().map(|image| &image.codes[..]).collect()
}

#[test]
fn decoders_budgets_batches_and_threads_agree_on_55_prompts() {
    let (one, two) = (engine(Precision::Bf16, 1), engine(Precision::Bf16, 2));
    let mut drafted = 0;
    for (seed, prompt) in prompts() {
        let plain = draw(&one, &prompt, seed, 0..1, PLAIN);
        let nodes = [2, 3, 5, 8, 16][seed as usize % 5];
        let guessed = draw(&two, &prompt, seed, 0..1, How { decoder: Decoder::Neighbour, nodes, batch: 1 });
        assert_eq!(codes(&guessed), codes(&plain), "{prompt:?}, {nodes} nodes");
        assert_eq!(guessed[0].image, plain[0].image, "{prompt:?}");
        drafted += guessed[0].stats.accepted;
        if seed.is_multiple_of(6) {
            let together = How { decoder: Decoder::Neighbour, nodes, batch: 3 };
            let four = draw(&one, &prompt, seed, 0..4, together);
            let alone = draw(&two, &prompt, seed, 2..3, PLAIN);
            assert_eq!(codes(&four[..1]), codes(&plain), "{prompt:?}: first of four");
            assert_eq!(codes(&four[2..3]), codes(&alone), "{prompt:?}: third of four");
            assert_ne!(four[0].codes, four[1].codes, "images of one seed have noise of their own");
        }
    }
    assert!(drafted > 500, "only {drafted} guesses were accepted: is the drafter dead?");
}

#[test]
fn the_other_precisions_agree_with_themselves() {
    for precision in [Precision::F32, Precision::Int8] {
        let (one, two) = (engine(precision, 1), engine(precision, 2));
        for (seed, prompt) in prompts().step_by(9) {
            let plain = draw(&two, &prompt, seed, 0..1, PLAIN);
            let guessed = draw(&one, &prompt, seed, 0..2, How { decoder: Decoder::Neighbour, nodes: 6, batch: 2 });
            assert_eq!(codes(&guessed[..1]), codes(&plain), "{precision} {prompt:?}");
        }
    }
}

#[test]
fn a_checkpoint_stored_in_bf16_gives_the_same_image_in_f32() {
    let (bf16, f32) = (engine(Precision::Bf16, 2), engine(Precision::F32, 2));
    let same = prompts().step_by(11).filter(|(seed, prompt)| {
        codes(&draw(&bf16, prompt, *seed, 0..1, PLAIN)) == codes(&draw(&f32, prompt, *seed, 0..1, PLAIN))
    });
    assert_eq!(same.count(), 5);
}
