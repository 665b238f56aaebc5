//! One seed, one image: whatever decoder, budget, batch and number of threads.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use hawk::{
    Decoder, Decoding, Engine, Generated, LoadOptions, Precision, Request, Rule, Sampling, Seed, Tree, built_in_model,
};
use hawk_spec::Code;

const STYLES: [&str; 2] = ["fluent 3d style", "fluent flat style"];
const THINGS: [&str; 27] = [
    "red apple",
    "fire engine",
    "octopus",
    "rocket",
    "tiger",
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
    "unicorn",
    "key",
    "cat",
    "sunflower",
    "birthday cake",
    "balloon",
    "penguin",
    "trophy",
    "strawberry",
    "sailboat",
    "jack-o-lantern",
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
    tree: &'static str,
    batch: usize,
}

const PLAIN: How = How { decoder: Decoder::AR, tree: "1", batch: 1 };
const PLAIN_TOGETHER: How = How { batch: 4, ..PLAIN };

/// Ways of guessing, of which every prompt meets one.
const WAYS: [How; 12] = [
    How { decoder: Decoder::HAWK, tree: "4", batch: 1 },
    How { decoder: Decoder::MEDUSA, tree: "4", batch: 2 },
    How { decoder: Decoder::HAWK_VERTICAL, tree: "5", batch: 3 },
    How { decoder: Decoder::NEIGHBOUR, tree: "3", batch: 4 },
    How { decoder: Decoder::HAWK, tree: "16", batch: 4 },
    How { decoder: Decoder::MEDUSA, tree: "12", batch: 1 },
    How { decoder: Decoder::HAWK_VERTICAL, tree: "20", batch: 2 },
    How { decoder: Decoder::HAWK, tree: "auto", batch: 3 },
    How { decoder: Decoder::HAWK, tree: "4x2x1x1", batch: 2 },
    How { decoder: Decoder::NEIGHBOUR, tree: "16", batch: 1 },
    How { decoder: Decoder::HAWK, tree: "24", batch: 1 },
    How { decoder: Decoder::HAWK_PAPER, tree: "6", batch: 4 },
];

/// The images of a prompt in the order of their numbers.
#[track_caller]
fn draw(engine: &Engine, prompt: &str, seed: u64, images: std::ops::Range<u32>, how: How) -> Vec<Generated> {
    let request = Request {
        prompt: prompt.to_owned(),
        seed: Seed(seed),
        images,
        // The law unwarped: by its defaults the model may draw what it knows by heart twice.
        sampling: Sampling::new(3.0, 1.0, 0, 1.0).unwrap(),
        decoding: Decoding::new(how.decoder, Rule::Replay, how.tree.parse::<Tree>().unwrap()).unwrap(),
        batch: how.batch,
    };
    let mut images = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images;
    images.sort_by_key(|image| image.index);
    images
}

fn codes(images: &[Generated]) -> Vec<&[Code]> {
    images.iter().map(|image| &image.codes[..]).collect()
}

/// Four images of every `step`-th prompt: plain decoding against a way of guessing, on other threads. Returns the pairs of (prompt, noise)
/// that were compared, and how many guesses were accepted.
fn check(precision: Precision, step: usize) -> (usize, u64) {
    let (one, two) = (engine(precision, 1), engine(precision, 2));
    let (mut pairs, mut accepted) = (0, 0);
    for (turn, (seed, prompt)) in prompts().step_by(step).enumerate() {
        let (plain_on, guessed_on) = if turn % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let plain = draw(plain_on, &prompt, seed, 0..4, PLAIN_TOGETHER);
        let how = WAYS[turn % WAYS.len()];
        let guessed = draw(guessed_on, &prompt, seed, 0..4, how);
        assert_eq!(codes(&guessed), codes(&plain), "{precision} {prompt:?}, {how:?}");
        assert_eq!(guessed[3].image, plain[3].image, "{precision} {prompt:?}, {how:?}");
        assert_ne!(plain[0].codes, plain[1].codes, "images of one seed have noise of their own");
        if turn % 8 == 0 {
            let alone = draw(guessed_on, &prompt, seed, 2..3, PLAIN);
            assert_eq!(codes(&alone), codes(&plain[2..3]), "{precision} {prompt:?}, alone");
        }
        pairs += plain.len();
        accepted += guessed.iter().map(|image| image.stats.accepted).sum::<u64>();
    }
    (pairs, accepted)
}

#[test]
fn every_decoder_draws_plain_decodings_image_in_bf16() {
    let (pairs, accepted) = check(Precision::Bf16, 1);
    assert_eq!(pairs, 220);
    assert!(accepted > 5_000, "only {accepted} guesses were accepted: is a drafter dead?");
}

#[test]
fn every_decoder_draws_plain_decodings_image_in_int8() {
    assert_eq!(check(Precision::Int8, 1).0, 220);
}

#[test]
fn every_decoder_draws_plain_decodings_image_in_f32() {
    assert_eq!(check(Precision::F32, 5).0, 44);
}

#[test]
fn a_checkpoint_stored_in_bf16_gives_the_same_image_in_f32() {
    let (bf16, f32) = (engine(Precision::Bf16, 2), engine(Precision::F32, 2));
    for (seed, prompt) in prompts().step_by(11) {
        let [bf16, f32] = [&bf16, &f32].map(|engine| draw(engine, &prompt, seed, 0..1, PLAIN));
        assert_eq!(codes(&bf16), codes(&f32), "{prompt:?}");
    }
}
