//! After construction a step allocates nothing.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell as Counter;

use common::Toy;
use hawk_spec::{
    Cell, Code, DecodeStats, DraftLaw, ImageIndex, LawError, NodeId, Noise, Pipeline, Replacement, Rule, Sampling,
    Seed, Source, TargetLaws, TokenTree, Verdict, Verifier, Warper,
};

thread_local! {
    static ALLOCATIONS: Counter<u64> = const { Counter::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
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

/// The same logits at every node, warped anew each time.
struct Warped<'a> {
    warper: Warper,
    sampling: Sampling,
    logits: &'a [f32],
    scores: Vec<f32>,
}

impl TargetLaws for Warped<'_> {
    fn scores(&mut self, _node: NodeId) -> Result<&[f32], LawError> {
        self.warper.warp(&self.sampling, self.logits, Some(self.logits), &mut self.scores)?;
        Ok(&self.scores)
    }
}

fn check_no_allocation(rule: Rule) {
    const CODES: usize = 50;
    let logits: Vec<f32> = (0..CODES).map(|code| (code as f32 * 0.7).sin() * 3.0).collect();
    let draft = Toy { salt: 1, codes: CODES as u32 }.law(&[]);
    let sampling = Sampling::new(3.0, 0.9, 30, 0.95).unwrap();
    let mut laws =
        Warped { warper: Warper::new(Pipeline::LUMINA, CODES), sampling, logits: &logits, scores: vec![0.0; CODES] };
    let mut tree = TokenTree::with_capacity(16, CODES);
    let mut verifier = Verifier::new(rule, CODES);
    let mut verdict = Verdict::with_capacity(16);
    let (mut noise, mut stats) = (Noise { seed: Seed(1), image: ImageIndex(0) }, DecodeStats::default());

    let before = ALLOCATIONS.with(Counter::get);
    for step in 0..200u32 {
        tree.reset(Cell(step), 64);
        let law = tree.add_law(&draft).unwrap();
        for guess in 0..20 {
            let replacement = if guess % 2 == 0 { Replacement::With } else { Replacement::Without };
            let code = Code((step + 3 * guess) % CODES as u32);
            if draft[code.index()] > 0.0 {
                // The last guesses do not fit any more.
                let _ = tree.propose(NodeId(guess / 4), code, DraftLaw::Drawn { law, replacement }, Source::LEFT);
            }
        }
        verifier.verify(&tree, &mut laws, &mut noise, &mut verdict).unwrap();
        stats.record(&tree, &verdict);
    }
    assert_eq!(ALLOCATIONS.with(Counter::get) - before, 0, "{rule}");
    assert!(stats.accepted > 0 && stats.recovered > 0, "the steps must have done something: {rule}");
}

#[test]
fn replay_allocates_nothing() {
    check_no_allocation(Rule::Replay);
}

#[test]
fn rejection_allocates_nothing() {
    check_no_allocation(Rule::Rejection);
}
