//! Jobs of several users in one batch: they come and go between passes, and never change each other's images.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use hawk::{
    Batch, Decoder, Decoding, DefaultTree, Drafter, DrafterKind, Engine, Finished, Happened, Heads, Job, JobId,
    LoadOptions, Media, Noise, Request, Result, Rule, Sampling, Seed, Seen, TreeShape, View, built_in_model,
};
use hawk_spec::{ImageIndex, TokenTree, TreeError};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::load(built_in_model(), LoadOptions::default()).unwrap());

/// What a user asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Asked {
    prompt: &'static str,
    seed: u64,
    image: u32,
    cfg: f32,
    decoder: Decoder,
    rule: Rule,
    nodes: usize,
}

const ASKED: [Asked; 8] = {
    let (prompt, rule) = ("red apple, fluent 3d style", Rule::Replay);
    let apple = Asked { prompt, seed: 5, image: 0, cfg: 3.0, decoder: Decoder::NEIGHBOUR, rule, nodes: 3 };
    [
        apple,
        Asked { image: 1, decoder: Decoder::HAWK, nodes: 8, ..apple },
        Asked { prompt: "a frog", seed: 6, cfg: 1.0, decoder: Decoder::AR, nodes: 1, ..apple },
        Asked { image: 2, decoder: Decoder::MEDUSA, nodes: 5, rule: Rule::Rejection, ..apple },
        Asked { prompt: "rocket, fluent flat style", seed: 7, decoder: Decoder::HAWK_PAPER, nodes: 8, ..apple },
        Asked { prompt: "a frog", seed: 8, decoder: Decoder::HAWK, rule: Rule::Rejection, nodes: 4, ..apple },
        Asked { image: 3, decoder: Decoder::SCD, nodes: 8, ..apple },
        Asked { prompt: "a frog", seed: 9, decoder: Decoder::SCD, rule: Rule::Rejection, nodes: 4, ..apple },
    ]
};

impl Asked {
    fn sampling(self) -> Sampling {
        Sampling::new(self.cfg, 1.0, 0, 0.9).unwrap()
    }

    fn decoding(self) -> Decoding {
        Decoding::new(self.decoder, self.rule, TreeShape::Budget(self.nodes)).unwrap()
    }

    fn job(self) -> Job {
        let noise = Noise { seed: Seed(self.seed), image: ImageIndex(self.image) };
        let conditioning = ENGINE.conditioning(self.prompt).unwrap();
        ENGINE.model().job(&conditioning, noise, self.sampling(), self.decoding()).unwrap()
    }

    /// Its codes when it is drawn alone.
    fn alone(self) -> Vec<hawk_spec::Code> {
        let request = Request {
            prompt: self.prompt.to_owned(),
            seed: Seed(self.seed),
            images: self.image..self.image + 1,
            sampling: self.sampling(),
            decoding: self.decoding(),
            batch: 1,
        };
        ENGINE.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images.remove(0).codes
    }
}

/// Steps until a job ends; gives what finished in that step.
fn step(batch: &mut Batch) -> Vec<(JobId, Result<Finished>)> {
    let events: Vec<_> = batch.step().unwrap().collect();
    let ends = events.into_iter().filter_map(|event| match event.happened {
        Happened::Finished => Some((event.job, None)),
        Happened::Failed(error) => Some((event.job, Some(error))),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    ends.into_iter().map(|(job, error)| (job, error.map_or_else(|| Ok(batch.take(job).unwrap()), Err))).collect()
}

#[test]
fn batch_mates_never_change_an_image() {
    let alone: Vec<_> = ASKED.iter().map(|asked| asked.alone()).collect();
    let mut batch = ENGINE.batch(3, 8).unwrap();
    let (mut waiting, mut under_way, mut done) = (0..ASKED.len(), HashMap::new(), 0);
    for steps in 0.. {
        // They arrive one by one, 40 steps apart, where there is room.
        if steps % 40 == 0
            && batch.has_room()
            && let Some(next) = waiting.next()
        {
            under_way.insert(batch.admit(ASKED[next].job()).unwrap(), next);
        }
        for (job, finished) in step(&mut batch) {
            let asked = under_way.remove(&job).unwrap();
            assert_eq!(finished.unwrap().codes, alone[asked], "{:?}", ASKED[asked]);
            done += 1;
        }
        if done == ASKED.len() {
            break;
        }
    }
    assert!(batch.is_empty());
}

#[test]
fn a_prompt_is_read_once_and_a_full_batch_refuses() {
    let mut batch = ENGINE.batch(3, 3).unwrap();
    let apple = ASKED[0];
    let jobs: Vec<JobId> = (0..3).map(|image| batch.admit(Asked { image, ..apple }.job()).unwrap()).collect();
    assert!(!batch.has_room());
    assert!(batch.admit(apple.job()).unwrap_err().to_string().contains("full"));
    let mut finished: Vec<_> = Vec::new();
    while finished.len() < 2 {
        finished.extend(step(&mut batch));
    }
    // The next one finds the prompt of those that have finished.
    let last = batch.admit(Asked { image: 3, ..apple }.job()).unwrap();
    while !batch.is_empty() {
        finished.extend(step(&mut batch));
    }
    let reads = |job: &JobId| {
        let (_, finished) = finished.iter().find(|(id, _)| id == job).unwrap();
        finished.as_ref().unwrap().stats.prefill_passes
    };
    assert!(reads(&jobs[0]) > 0);
    assert_eq!([&jobs[1], &jobs[2], &last].map(reads), [0, 0, 0]);
    // A job with more nodes than there is room for leaves the batch as it is.
    let large = Asked { nodes: 4, ..apple }.job();
    assert!(batch.admit(large).unwrap_err().to_string().contains("nodes"));
    assert!(batch.is_empty() && batch.has_room());
}

#[test]
fn cancelling_one_job_leaves_the_others_alone() {
    let mut batch = ENGINE.batch(2, 8).unwrap();
    let (kept, cancelled) = (batch.admit(ASKED[0].job()).unwrap(), batch.admit(ASKED[4].job()).unwrap());
    for _ in 0..20 {
        assert!(step(&mut batch).is_empty());
    }
    batch.cancel(cancelled);
    batch.cancel(cancelled);
    // Its place is taken while the other goes on.
    let third = batch.admit(ASKED[1].job()).unwrap();
    let mut finished = HashMap::new();
    while !batch.is_empty() {
        finished.extend(step(&mut batch).into_iter().map(|(job, finished)| (job, finished.unwrap().codes)));
    }
    assert_eq!(finished.len(), 2);
    assert_eq!((&finished[&kept], &finished[&third]), (&ASKED[0].alone(), &ASKED[1].alone()));
}

/// Fails after some steps.
struct Failing(u32);

const FAILING: DrafterKind = DrafterKind {
    name: "failing",
    help: "fails",
    tree: DefaultTree::Nodes(2),
    heads: Heads::Unused,
    media: Media::Any,
    make: |_| Ok(Box::new(Failing(30))),
};

impl Drafter for Failing {
    fn propose(&mut self, _: &View<'_>, _: &mut TokenTree) -> std::result::Result<(), TreeError> {
        Ok(())
    }

    fn observe(&mut self, _: &mut Seen<'_>) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| hawk::Error::input("enough"))?;
        Ok(())
    }
}

#[test]
fn an_error_of_one_job_ends_that_job_alone() {
    let mut batch = ENGINE.batch(2, 8).unwrap();
    let good = batch.admit(ASKED[1].job()).unwrap();
    let bad = batch.admit(Asked { decoder: Decoder::custom(const { &FAILING }), nodes: 2, ..ASKED[0] }.job()).unwrap();
    let mut ends = HashMap::new();
    while !batch.is_empty() {
        ends.extend(step(&mut batch));
    }
    assert!(ends[&bad].as_ref().unwrap_err().to_string().contains("enough"));
    assert_eq!(ends[&good].as_ref().unwrap().codes, ASKED[1].alone());
}

/// Fails in the image of index 1 alone.
struct FailingImage(ImageIndex);

static FAILING_IMAGE: DrafterKind =
    DrafterKind { name: "failing-image", make: |_| Ok(Box::new(FailingImage(ImageIndex(0)))), ..FAILING };

impl Drafter for FailingImage {
    fn start(&mut self, _: Seed, image: ImageIndex) {
        self.0 = image;
    }

    fn propose(&mut self, _: &View<'_>, _: &mut TokenTree) -> std::result::Result<(), TreeError> {
        Ok(())
    }

    fn observe(&mut self, _: &mut Seen<'_>) -> Result<()> {
        if self.0 == ImageIndex(1) { Err(hawk::Error::input("enough")) } else { Ok(()) }
    }
}

#[test]
fn a_request_keeps_its_finished_images_and_names_the_failed_one() {
    let request = Request {
        prompt: ASKED[0].prompt.to_owned(),
        seed: Seed(5),
        images: 0..3,
        sampling: ASKED[0].sampling(),
        decoding: Decoding::new(Decoder::custom(&FAILING_IMAGE), Rule::Replay, TreeShape::Budget(2)).unwrap(),
        batch: 2,
    };
    let mut told = Vec::new();
    let outcome = ENGINE.generate(&request, &mut |event| {
        if let hawk::Event::ImageFailed(failure) = event {
            told.push(failure.index);
        }
        ControlFlow::Continue(())
    });
    let outcome = outcome.unwrap();
    let mut finished: Vec<u32> = outcome.images.iter().map(|image| image.index).collect();
    finished.sort_unstable();
    assert_eq!((finished, told), (vec![0, 2], vec![1]));
    assert_eq!(outcome.failures.iter().map(|failure| failure.index).collect::<Vec<_>>(), [1]);
    let error = outcome.without_failures().unwrap_err().to_string();
    assert!(error.contains("enough") && error.contains("image 1"), "{error}");
    // Where every image fails there is nothing to keep.
    let alone = Request { images: 1..2, ..request };
    let error = ENGINE.generate(&alone, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(error.contains("enough"), "{error}");
}

#[test]
fn a_batch_moves_between_threads() {
    let mut batch = ENGINE.batch(1, 3).unwrap();
    batch.admit(ASKED[0].job()).unwrap();
    for _ in 0..10 {
        step(&mut batch);
    }
    let finished = std::thread::spawn(move || {
        loop {
            if let Some((_, finished)) = step(&mut batch).pop() {
                return finished.unwrap().codes;
            }
        }
    });
    assert_eq!(finished.join().unwrap(), ASKED[0].alone());
}
