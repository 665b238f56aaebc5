//! After a warm-up a target pass and its commit allocate nothing, on no thread.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{Checkpoint, ModelSource, PassLimits, Readout, Rows, Stream, Target, TransformerConfig, Workspace};
use hawk_spec::TokenId;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
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

const PARENTS: [Option<usize>; 7] = [None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(4)];
const STEPS: usize = 8;
const WARM_UP: usize = 2;

fn load(name: &str, precision: Precision) -> Target {
    let source = ModelSource::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name));
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

/// A thread allocates while it starts.
fn wait_for_helpers(pool: &Pool) {
    let (caller, helped) = (std::thread::current().id(), AtomicBool::new(false));
    while !helped.load(SeqCst) {
        pool.run(64, &|_| {
            std::thread::yield_now();
            helped.fetch_or(std::thread::current().id() != caller, SeqCst);
        });
    }
}

/// Two streams with a tree each, of which different paths are committed.
fn step(target: &Target, pool: &Pool, workspace: &mut Workspace, streams: &mut [Stream]) {
    for (i, stream) in streams.iter_mut().enumerate() {
        for (row, parent) in PARENTS.iter().enumerate() {
            let readout = if row == 2 { Readout::Nothing } else { Readout::Logits };
            stream.rows.push(TokenId((7 * row + i) as u32), *parent, readout);
        }
    }
    let first = target.config().readable().start;
    let staged = target.forward(pool, workspace, streams, first + 3..first + 90).unwrap();
    assert!(staged.all_logits().iter().all(|logit| logit.is_finite()));
    staged.commit(&[Some(6), Some(5)]);
}

// One test, because the count is of all threads.
#[test]
fn a_pass_and_its_commit_allocate_nothing() {
    let pool = Pool::new(2);
    wait_for_helpers(&pool);
    for name in ["chameleon", "chameleon-swin", "llama-gqa", "janus", "llamagen-c2i"] {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let target = load(name, precision);
            let (rows, tokens) = (PARENTS.len(), STEPS * 4 + PARENTS.len());
            let mut workspace =
                target.workspace(PassLimits { rows: 2 * rows, readouts: 2 * rows, tokens, vocabulary: 87 });
            let mut streams = [(); 2].map(|()| target.stream(tokens));
            streams.iter_mut().for_each(|stream| stream.rows = Rows::with_capacity(rows, 4));
            let mut before = 0;
            for i in 0..STEPS {
                if i == WARM_UP {
                    before = ALLOCATIONS.load(SeqCst);
                }
                step(&target, &pool, &mut workspace, &mut streams);
            }
            assert_eq!(ALLOCATIONS.load(SeqCst) - before, 0, "{name} {precision}");
            assert_eq!(streams.each_ref().map(Stream::committed), [STEPS * 4, STEPS * 3]);
        }
    }
}
