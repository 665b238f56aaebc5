//! The built-in model drawn in many ways, each compared with plain decoding.

use std::ops::{ControlFlow, Range};

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

pub(crate) fn engine(precision: Precision, threads: usize) -> Engine {
    Engine::load(built_in_model(), LoadOptions { precision, threads }).unwrap()
}

/// The empty caption, and 54 others.
pub(crate) fn prompts() -> impl Iterator<Item = (u64, String)> {
    let captions = THINGS.iter().flat_map(|thing| STYLES.map(|style| format!("{thing}, {style}")));
    (0..).zip([String::new()].into_iter().chain(captions))
}

/// What may change without changing an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    decoder: Decoder,
    tree: &'static str,
    batch: usize,
}

pub(crate) const PLAIN: How = How { decoder: Decoder::AR, tree: "1", batch: 1 };
const PLAIN_TOGETHER: How = How { batch: 4, ..PLAIN };

/// Ways of guessing.
const WAYS: [How; 20] = [
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
    How { decoder: Decoder::SCD, tree: "8", batch: 1 },
    How { decoder: Decoder::SCD, tree: "3", batch: 3 },
    How { decoder: Decoder::SCD, tree: "auto", batch: 2 },
    How { decoder: Decoder::SJD, tree: "6", batch: 2 },
    How { decoder: Decoder::SOAR, tree: "4", batch: 4 },
    How { decoder: Decoder::SOAR, tree: "24", batch: 1 },
    How { decoder: Decoder::SOAR, tree: "3x2x1x1x1", batch: 2 },
    How { decoder: Decoder::SOAR, tree: "auto", batch: 3 },
];

/// The images of a prompt in the order of their numbers.
#[track_caller]
pub(crate) fn draw(engine: &Engine, prompt: &str, seed: u64, images: Range<u32>, how: How) -> Vec<Generated> {
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

pub(crate) fn codes(images: &[Generated]) -> Vec<&[Code]> {
    images.iter().map(|image| &image.codes[..]).collect()
}

/// What is compared.
#[derive(Clone, Copy)]
pub(crate) struct Sweep {
    pub(crate) precision: Precision,
    /// Every `step`-th prompt is drawn.
    pub(crate) step: usize,
    /// The way of guessing of the first prompt; the next prompt has the next way.
    pub(crate) first_way: usize,
    /// Fewest images of a prompt; there are as many as fit into the batch of its way. At least 2.
    pub(crate) images: usize,
}

/// What was found equal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compared {
    pub(crate) images: usize,
    /// Guesses accepted by trees whose size does not depend on the machine.
    pub(crate) accepted: u64,
}

/// Draws every prompt by plain decoding and by a way of guessing, on other threads.
///
/// # Panics
/// When an image differs.
pub(crate) fn check(sweep: Sweep) -> Compared {
    let precision = sweep.precision;
    let (one, two) = (engine(precision, 1), engine(precision, 2));
    let mut compared = Compared::default();
    for (turn, (seed, prompt)) in prompts().step_by(sweep.step).enumerate() {
        let (plain_on, guessed_on) = if turn % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let how = WAYS[(sweep.first_way + turn) % WAYS.len()];
        let images = 0..how.batch.max(sweep.images) as u32;
        let plain = draw(plain_on, &prompt, seed, images.clone(), PLAIN_TOGETHER);
        let guessed = draw(guessed_on, &prompt, seed, images, how);
        assert_eq!(codes(&guessed), codes(&plain), "{precision} {prompt:?}, {how:?}");
        let last = plain.len() - 1;
        assert_eq!(guessed[last].image, plain[last].image, "{precision} {prompt:?}, {how:?}");
        assert_ne!(plain[0].codes, plain[1].codes, "images of one seed have noise of their own");
        if turn % 4 == 0 {
            let alone = draw(guessed_on, &prompt, seed, 1..2, PLAIN);
            assert_eq!(codes(&alone), codes(&plain[1..2]), "{precision} {prompt:?}, alone");
        }
        compared.images += plain.len();
        if how.tree != "auto" {
            compared.accepted += guessed.iter().map(|image| image.stats.accepted).sum::<u64>();
        }
    }
    compared
}
