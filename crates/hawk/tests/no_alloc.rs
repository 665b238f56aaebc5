//! After its first steps a session allocates nothing until an image is finished, on any thread.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use hawk::{
    Decoder, Decoding, Engine, Event, LoadOptions, ModelSource, Precision, PromptStyle, Request, Rule, Sampling, Seed,
    TextEngine, TextEvent, TextRequest, TextSampling, TreeShape, built_in_model,
};
use hawk_nn::Progress;
use hawk_spec::Code;
use hawk_synth::{SynthModel, synthesize, synthesize_heads};

#[path = "common/oracle_heads.rs"]
mod oracle_heads;

use oracle_heads::{Target, write_oracle_heads};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Whether the first thread has allocated: it is the test harness's, which allocates again when a test takes long.
static BEGUN: AtomicBool = AtomicBool::new(false);

thread_local! {
    static HARNESS: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

impl Counting {
    /// Counts an allocation by any thread but the harness's.
    fn count() {
        if !BEGUN.swap(true, Relaxed) {
            HARNESS.set(true);
        }
        if !HARNESS.get() {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// A test on the harness's thread would see nothing.
fn this_thread_is_counted() {
    let before = allocations();
    drop(std::hint::black_box(Box::new(0)));
    assert_eq!(allocations() - before, 1);
}

#[test]
fn a_step_allocates_nothing() {
    this_thread_is_counted();
    images();
    text();
}

fn text() {
    let dir = tempfile::tempdir().unwrap();
    let (model, heads) = (dir.path().join("model"), dir.path().join("heads"));
    let silent: Progress = Arc::new(|_, _| ());
    synthesize(SynthModel::TinyLlama, 3, &model, &silent).unwrap();
    std::fs::write(model.join("generation_config.json"), r#"{ "eos_token_id": null }"#).unwrap();
    let model = ModelSource::Dir(model);
    synthesize_heads(&model, "tiny", 5, &heads, &silent).unwrap();
    let engine = TextEngine::load(model, LoadOptions { precision: Precision::Bf16, threads: 2 }).unwrap();
    let engine = engine.with_heads(&ModelSource::Dir(heads)).unwrap();
    let drawn = TextSampling::Drawn { sampling: Sampling::new(1.0, 1.0, 50, 0.9).unwrap(), seed: Seed(1) };
    for (sampling, rule) in [(TextSampling::Greedy, Rule::Replay), (drawn, Rule::Replay), (drawn, Rule::Rejection)] {
        let request = TextRequest {
            prompt: "The hawk".to_owned(),
            style: PromptStyle::Plain,
            sampling,
            decoding: Decoding::new(Decoder::MEDUSA, rule, TreeShape::Budget(7)).unwrap(),
            max_tokens: 100,
        };
        let (mut steps, mut before) = (0, 0);
        engine
            .generate(&request, &mut |event| {
                if let TextEvent::TokensCommitted { .. } = event {
                    let now = allocations();
                    assert!(steps == 0 || now == before, "{rule}, step {steps}: {} allocations", now - before);
                    (steps, before) = (steps + 1, now);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(steps > 20);
    }
}

fn images() {
    for (precision, decoder, rule) in [
        (Precision::F32, Decoder::NEIGHBOUR, Rule::Replay),
        (Precision::Bf16, Decoder::AR, Rule::Replay),
        (Precision::Int8, Decoder::HAWK, Rule::Replay),
        (Precision::Int8, Decoder::SCD, Rule::Replay),
        (Precision::Bf16, Decoder::SCD, Rule::Rejection),
        (Precision::Int8, Decoder::SJD, Rule::Replay),
        (Precision::Int8, Decoder::SOAR, Rule::Replay),
        (Precision::Bf16, Decoder::SOAR, Rule::Rejection),
        (Precision::Bf16, Decoder::HAWK, Rule::Rejection),
    ] {
        let mut engine = Engine::load(built_in_model(), LoadOptions { precision, threads: 2 }).unwrap();
        if decoder == Decoder::SOAR {
            let (dir, codes) = (tempfile::tempdir().unwrap(), [Code(7); 256]);
            let digest = engine.digest().unwrap().to_owned();
            let sizes = Target { hidden: engine.backend().config().hidden, side: 16, codes: 4096, digest: &digest };
            write_oracle_heads(dir.path(), &sizes, &codes);
            engine = engine.with_heads(&ModelSource::Dir(dir.path().to_owned())).unwrap();
        }
        let request = Request {
            prompt: "red apple, fluent 3d style".to_owned(),
            seed: Seed(1),
            images: 0..1,
            sampling: engine.config().defaults,
            decoding: Decoding::new(decoder, rule, TreeShape::Budget(if decoder == Decoder::AR { 1 } else { 7 }))
                .unwrap(),
            batch: 1,
        };
        let (mut steps, mut before) = (0, 0);
        engine
            .generate(&request, &mut |event| {
                if let Event::CellsCommitted { .. } = event {
                    let now = allocations();
                    assert!(
                        steps == 0 || now == before,
                        "{precision} {decoder} {rule}, step {steps}: {} allocations",
                        now - before
                    );
                    (steps, before) = (steps + 1, now);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(steps > 50);
    }
}
