//! After a warm-up a target pass and its commit allocate nothing, on no thread of the pass.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{Checkpoint, ModelSource, PassLimits, Readout, Rows, Stream, Target, TransformerConfig, Workspace};
use hawk_spec::TokenId;

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
        if !BEGUN.swap(true, SeqCst) {
            HARNESS.set(true);
        }
        if !HARNESS.get() {
            ALLOCATIONS.fetch_add(1, SeqCst);
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
    ALLOCATIONS.load(SeqCst)
}

/// A test on the harness's thread would see nothing.
fn this_thread_is_counted() {
    let before = allocations();
    drop(std::hint::black_box(Box::new(0)));
    assert_eq!(allocations() - before, 1);
}

const PARENTS: [Option<usize>; 7] = [None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(4)];
const STEPS: usize = 8;
const WARM_UP: usize = 2;

fn load(name: &str, precision: Precision) -> Target {
    let source = ModelSource::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name));
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

/// Two streams with a tree each, of which different paths are committed.
fn step(target: &Target, pool: &Threads, workspace: &mut Workspace, streams: &mut [Stream]) {
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
fn helpers_are_ready_and_a_pass_and_its_commit_allocate_nothing() {
    this_thread_is_counted();
    helpers_are_ready();
    passes_and_commits_allocate_nothing();
}

/// A thread allocates while it starts: a pool whose helpers start behind `new` is seen here when it is dropped, at the latest.
fn helpers_are_ready() {
    for threads in [2, 3, 8].repeat(20) {
        let pool = Threads::new(threads);
        let before = allocations();
        pool.run(64, &|_| std::hint::spin_loop());
        drop(pool);
        assert_eq!(allocations() - before, 0, "{threads} threads");
    }
}

fn passes_and_commits_allocate_nothing() {
    let pool = Threads::new(2);
    for name in ["chameleon", "chameleon-swin", "llama-gqa", "janus", "llamagen-c2i"] {
        for precision in Precision::ALL {
            let target = load(name, precision);
            let (rows, tokens) = (PARENTS.len(), STEPS * 4 + PARENTS.len());
            let mut workspace =
                target.workspace(PassLimits { rows: 2 * rows, readouts: 2 * rows, tokens, vocabulary: 87 }).unwrap();
            let mut streams = [(); 2].map(|()| target.stream(tokens).unwrap());
            streams.iter_mut().for_each(|stream| stream.rows = Rows::with_capacity(rows, 4));
            let mut before = 0;
            for i in 0..STEPS {
                if i == WARM_UP {
                    before = allocations();
                }
                step(&target, &pool, &mut workspace, &mut streams);
            }
            assert_eq!(allocations() - before, 0, "{name} {precision}");
            assert_eq!(streams.each_ref().map(Stream::committed), [STEPS * 4, STEPS * 3]);
        }
    }
}
