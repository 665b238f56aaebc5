//! Threads that wait for work close by: short parallel regions, hundreds a second.
//!
//! A region opens with a new epoch; a helper takes part only by joining the open epoch. When the caller has run out of chunks it closes
//! the epoch and waits for the helpers that joined, never for one that did not wake in time. An idle helper spins for a moment,
//! then yields, then sleeps until it is woken, so a busy or idle machine is not burdened.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

const SPINS: u32 = 4_000;
const YIELDS: u32 = 200;
const CLOSED: u64 = 1 << 15;
const JOINED: u64 = CLOSED - 1;
const _: () = assert!(Threads::MOST < JOINED as usize);
const EPOCH: u32 = 16;

/// Numbers that one thread has worked through by the time that a region has opened and closed.
const NUMBERS_ALONE: usize = 2048;

type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// A slice whose chunks are written by the threads of a region.
pub struct Chunks<'a, T> {
    first: *mut T,
    length: usize,
    size: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: whoever takes a chunk promises that nobody else has it.
unsafe impl<T: Send> Sync for Chunks<'_, T> {}

impl<'a, T> Chunks<'a, T> {
    /// Chunks of `size` elements.
    pub fn new(slice: &'a mut [T], size: usize) -> Self {
        Self { first: slice.as_mut_ptr(), length: slice.len(), size, slice: PhantomData }
    }

    /// A chunk.
    ///
    /// # Safety
    /// Nobody has this chunk meanwhile.
    ///
    /// # Panics
    /// It is not inside the slice.
    #[allow(clippy::mut_from_ref, reason = "a chunk belongs to one thread")]
    pub unsafe fn chunk(&self, index: usize) -> &mut [T] {
        let start = index * self.size;
        assert!(start + self.size <= self.length, "a chunk outside its slice");
        // SAFETY: it is inside the slice, which is borrowed for `'a`; the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(start), self.size) }
    }
}

/// The next chunk of one thread's share; a line of its own, so that threads do not disturb each other.
#[repr(align(128))]
#[derive(Default)]
struct Share {
    next: AtomicUsize,
}

struct Shared {
    /// `epoch << 16 | CLOSED? | joined helpers`.
    state: AtomicU64,
    /// Helpers that have left the region.
    left: AtomicU64,
    job: UnsafeCell<Option<&'static Job<'static>>>,
    chunks: AtomicUsize,
    shares: Vec<Share>,
    panicked: AtomicBool,
    sleeping: AtomicU32,
    stop: AtomicBool,
}

// SAFETY: `job` is written only by the thread that holds `Threads::busy` while no helper is inside, and read only by helpers that joined.
unsafe impl Sync for Shared {}
// SAFETY: the job is `Sync`, everything else is atomic.
unsafe impl Send for Shared {}

/// A set of helper threads; cheap to share by reference.
pub struct Threads {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    busy: AtomicBool,
}

impl Threads {
    /// Most threads of a pool: far more than any machine of today has cores.
    pub const MOST: usize = 1024;

    /// `threads` threads in all, the caller included, 1 to [`MOST`](Self::MOST): other numbers are
    /// brought into this range. Where the system refuses a thread, the pool has those before it.
    /// Returns when every helper runs: what a thread allocates while it starts is allocated before the
    /// first region.
    pub fn new(threads: usize) -> Self {
        let threads = threads.clamp(1, Self::MOST);
        let shared = Arc::new(Shared {
            state: AtomicU64::new(CLOSED),
            left: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            chunks: AtomicUsize::new(0),
            shares: (0..threads).map(|_| Share::default()).collect(),
            panicked: AtomicBool::new(false),
            sleeping: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let (started, starts) = mpsc::channel();
        let spawn = |index| {
            let (shared, started) = (Arc::clone(&shared), started.clone());
            let life = move || {
                // Nobody listens any more only if `new` has panicked.
                let _ = started.send(());
                drop(started);
                shared.help(index);
            };
            std::thread::Builder::new().name(format!("hawk-{index}")).spawn(life).ok()
        };
        let helpers: Vec<_> = (1..threads).map_while(spawn).collect();
        drop(started);
        starts.iter().take(helpers.len()).for_each(drop);
        Self { shared, helpers, busy: AtomicBool::new(false) }
    }

    /// Threads in all.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `job(chunk)` once for every chunk in `0..chunks`, on all threads, and returns when all calls have returned. Each thread starts
    /// in its own contiguous share and then takes from the others. A second caller at the same time (or a job within a job) runs alone.
    pub fn run(&self, chunks: usize, job: &Job<'_>) {
        if chunks <= 1 || self.helpers.is_empty() || self.busy.swap(true, Acquire) {
            return (0..chunks).for_each(job);
        }
        let shared = &*self.shared;
        for (thread, share) in shared.shares.iter().enumerate() {
            share.next.store(shared.share_start(thread, chunks), Relaxed);
        }
        shared.chunks.store(chunks, Relaxed);
        shared.left.store(0, Relaxed);
        // SAFETY: no helper is inside: the last region was waited for. The reference is taken out below, after the last helper has left
        // and before `job` can end.
        unsafe { *shared.job.get() = Some(std::mem::transmute::<&Job<'_>, &'static Job<'static>>(job)) };
        let epoch = (shared.state.load(Relaxed) >> EPOCH) + 1;
        shared.state.store(epoch << EPOCH, SeqCst);
        if shared.sleeping.load(SeqCst) > 0 {
            self.helpers.iter().for_each(|helper| helper.thread().unpark());
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| shared.work(0, job)));
        let joined = shared.state.fetch_or(CLOSED, AcqRel) & JOINED;
        let mut waited = 0;
        while shared.left.load(Acquire) != joined {
            waited += 1;
            if waited < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        // SAFETY: the epoch is closed and all helpers that joined it have left.
        unsafe { *shared.job.get() = None };
        let panicked = shared.panicked.swap(false, Relaxed);
        self.busy.store(false, Release);
        match outcome {
            Err(panic) => resume_unwind(panic),
            Ok(()) => assert!(!panicked, "a thread of the pool panicked"),
        }
    }

    /// Calls `job(row)` once for every one of `rows` rows of `numbers` numbers: on all threads, or on
    /// this one where the rows are not worth a region.
    pub fn run_rows(&self, rows: usize, numbers: usize, job: &Job<'_>) {
        if rows * numbers <= NUMBERS_ALONE { (0..rows).for_each(job) } else { self.run(rows, job) }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper catches its job's panics, so that joining it cannot fail.
            let _ = helper.join();
        }
    }
}

impl Shared {
    fn share_start(&self, thread: usize, chunks: usize) -> usize {
        chunks * thread / self.shares.len()
    }

    /// Runs chunks, first of the own share, then of the others'.
    fn work(&self, thread: usize, job: &Job<'_>) {
        let chunks = self.chunks.load(Relaxed);
        for offset in 0..self.shares.len() {
            let owner = (thread + offset) % self.shares.len();
            let end = self.share_start(owner + 1, chunks);
            loop {
                let chunk = self.shares[owner].next.fetch_add(1, Relaxed);
                if chunk >= end {
                    break;
                }
                job(chunk);
            }
        }
    }

    /// A helper's life.
    fn help(&self, thread: usize) {
        let mut idle = 0;
        while !self.stop.load(Relaxed) {
            let state = self.state.load(Acquire);
            if state & CLOSED == 0 && self.state.compare_exchange(state, state + 1, AcqRel, Relaxed).is_ok() {
                // SAFETY: joined an open epoch: the caller waits for `left` before it takes the job back.
                if let Some(job) = unsafe { *self.job.get() }
                    && let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(thread, job)))
                {
                    // Its drop could panic once more, and then nobody would count this helper out.
                    std::mem::forget(panic);
                    self.panicked.store(true, Relaxed);
                }
                self.left.fetch_add(1, Release);
                self.wait_for_close(state >> EPOCH);
                idle = 0;
            } else {
                idle += 1;
                self.rest(idle);
            }
        }
    }

    /// Nothing is left in this epoch; joining it again would only disturb.
    fn wait_for_close(&self, epoch: u64) {
        let mut waited = 0;
        while self.state.load(Acquire) & !JOINED == epoch << EPOCH {
            waited += 1;
            if waited < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    fn rest(&self, idle: u32) {
        if idle < SPINS {
            std::hint::spin_loop();
        } else if idle < SPINS + YIELDS {
            std::thread::yield_now();
        } else {
            self.sleeping.fetch_add(1, SeqCst);
            // Looked at once more after announcing the sleep: a region that opened in between would not wake us.
            if self.state.load(SeqCst) & CLOSED != 0 && !self.stop.load(SeqCst) {
                std::thread::park();
            }
            self.sleeping.fetch_sub(1, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn every_chunk_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Threads::new(threads);
            for chunks in [0, 1, 2, 7, 64, 1000] {
                let seen: Vec<AtomicU32> = (0..chunks).map(|_| AtomicU32::new(0)).collect();
                pool.run(chunks, &|chunk| {
                    seen[chunk].fetch_add(1, Relaxed);
                });
                assert!(seen.iter().all(|n| n.load(Relaxed) == 1), "{threads} threads, {chunks} chunks");
            }
        }
    }

    #[test]
    fn nested_and_concurrent_regions_finish() {
        let pool = Threads::new(2);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(4, &|_| pool.run(3, &|_| _ = total.fetch_add(1, Relaxed)));
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 4 * 200 * 12);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_survives() {
        let pool = Threads::new(2);
        let caught = catch_unwind(AssertUnwindSafe(|| pool.run(50, &|chunk| assert!(chunk != 49, "chunk 49"))));
        assert!(caught.is_err());
        let count = AtomicUsize::new(0);
        pool.run(50, &|_| _ = count.fetch_add(1, Relaxed));
        assert_eq!(count.into_inner(), 50);
    }

    #[test]
    fn any_number_of_threads_is_brought_into_the_range() {
        assert_eq!(Threads::new(0).threads(), 1);
        // A machine may refuse some of them.
        assert!((1..=Threads::MOST).contains(&Threads::new(usize::MAX).threads()));
    }

    #[test]
    fn sleeping_helpers_wake() {
        let pool = Threads::new(2);
        while pool.shared.sleeping.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        let count = AtomicUsize::new(0);
        pool.run(10, &|_| _ = count.fetch_add(1, Relaxed));
        assert_eq!(count.into_inner(), 10);
    }
}
