//! The thread that owns the batch: orders enter and leave it between two passes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hawk::{Batch, BatchEvent, Code, Engine, Error, Fault, Happened, ImageIndex, Job, JobId, Noise, Result};

use super::order::{CellReports, Failure, NewCells, Order, Progress};
use super::painter::{Painter, Work};
use super::queue::FairQueue;
use crate::metrics::Metrics;

/// What a scheduler is made of.
pub(crate) struct Plan {
    pub(crate) engine: Arc<Engine>,
    /// The model's name in records.
    pub(crate) model: String,
    /// Most images in a pass.
    pub(crate) slots: usize,
    /// Most nodes of a tree.
    pub(crate) nodes: usize,
    /// Most waiting images.
    pub(crate) queue: usize,
    pub(crate) metrics: Arc<Metrics>,
}

/// Decodes orders. Several threads may submit them.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    slots: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why an order is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The queue is full.
    Full {
        /// When there may be room.
        retry_after_s: u64,
    },
    /// The server stops.
    Stopping,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Set when the thread has ended.
    ended: AtomicBool,
}

struct State {
    queue: FairQueue<Arc<Order>>,
    stop: Stop,
    /// Mean time of an image in its slot.
    image_s: f64,
}

/// Whether and how the scheduler stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    No,
    /// It takes no more orders and finishes those that it has.
    WhenDone,
    /// It gives up.
    Now,
}

impl Scheduler {
    /// Starts the threads. Where memory does not suffice for `slots` images in a pass, it takes as many
    /// as it does for.
    ///
    /// # Errors
    /// Memory is too short for one image, or the system has no thread.
    pub(crate) fn start(plan: Plan) -> Result<Self> {
        let Plan { engine, model, slots, nodes, queue, metrics } = plan;
        let (batch, slots) = open(&engine, slots, nodes)?;
        let state = State { queue: FairQueue::new(queue), stop: Stop::No, image_s: 1.0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), ended: AtomicBool::new(false) });
        let painter = Painter { engine: Arc::clone(&engine), model, metrics: Arc::clone(&metrics) };
        let (pictures, painting) = painter.start(2 * slots)?;
        let ended = EndNote(Arc::clone(&shared));
        let mut work = Loop { engine, batch, active: Vec::new(), pictures, shared: Arc::clone(&shared), metrics };
        let run = move || {
            let _ended = ended;
            work.run();
            drop(work);
            // What is finished is painted.
            let _ = painting.join();
        };
        let thread = std::thread::Builder::new().name("hawk-decode".to_owned()).spawn(run);
        let thread = thread.map_err(|e| Error::environment(format!("cannot start a thread: {e}")))?;
        Ok(Self { shared, slots, thread: Mutex::new(Some(thread)) })
    }

    /// Most images in a pass.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Takes an order into the queue.
    ///
    /// # Errors
    /// The queue is full or the server stops.
    pub(crate) fn submit(&self, order: Arc<Order>) -> std::result::Result<(), Refusal> {
        let mut state = self.shared.lock();
        if state.stop > Stop::No || self.ended() {
            order.refused();
            return Err(Refusal::Stopping);
        }
        // Places of clients that have left are free.
        state.queue.retain(|waiting| !waiting.reply.is_closed(), drop);
        if !state.queue.push(&order.client, Arc::clone(&order), order.request.images.clone()) {
            order.refused();
            let wait = state.queue.waiting() as f64 / self.slots as f64 * state.image_s;
            return Err(Refusal::Full { retry_after_s: wait.ceil().clamp(1.0, 600.0) as u64 });
        }
        drop(state);
        self.shared.wake.notify_all();
        Ok(())
    }

    /// Whether the thread has ended, after a stop or by a fault.
    pub(crate) fn ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// Whether orders are taken.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ended() && self.shared.lock().stop == Stop::No
    }

    /// Takes no more orders and finishes those that it has.
    pub(crate) fn finish(&self) {
        self.stop(Stop::WhenDone);
    }

    /// Gives up all orders. Clients are told.
    pub(crate) fn give_up(&self) {
        self.stop(Stop::Now);
    }

    fn stop(&self, stop: Stop) {
        let mut state = self.shared.lock();
        state.stop = state.stop.max(stop);
        drop(state);
        self.shared.wake.notify_all();
    }

    /// Waits for the threads. False where one has panicked.
    pub(crate) fn join(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.is_none_or(|thread| thread.join().is_ok())
    }
}

/// A batch with as many slots as memory suffices for.
fn open(engine: &Engine, slots: usize, nodes: usize) -> Result<(Batch, usize)> {
    let mut slots = slots;
    loop {
        match engine.batch(slots, nodes) {
            Ok(batch) => return Ok((batch, slots)),
            Err(error) if slots > 1 && error.fault() == Fault::Environment => slots /= 2,
            Err(error) => return Err(error),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that the thread has ended, however it ends. Waiting clients then hear that nobody answers.
struct EndNote(Arc<Shared>);

impl Drop for EndNote {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.lock().queue.retain(|_| false, drop);
    }
}

/// An image in the batch.
struct Active {
    job: JobId,
    order: Arc<Order>,
    image: u32,
    started: Instant,
    /// The codes so far, for partial images.
    codes: Vec<Code>,
    passes: u64,
    /// Partial images that were painted.
    partials: u32,
}

struct Loop {
    engine: Arc<Engine>,
    batch: Batch,
    active: Vec<Active>,
    pictures: SyncSender<Work>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl Loop {
    fn run(&mut self) {
        while self.wait() {
            self.drop_abandoned();
            self.admit();
            self.metrics.running.set(self.active.len() as i64);
            if self.batch.is_empty() {
                continue;
            }
            let (started, images) = (Instant::now(), self.active.len());
            let stepped = self.batch.step().map(|events| events.collect::<Vec<_>>());
            self.metrics.pass(images, started.elapsed());
            match stepped {
                Ok(events) => events.into_iter().for_each(|event| self.handle(event)),
                // A pass serves all images in it: it fails them all.
                Err(error) => {
                    let message = error.to_string();
                    self.end_all(|| Failure::Image(Error::environment(message.clone())));
                }
            }
        }
        self.end_all(|| Failure::Stopping);
        let mut state = self.shared.lock();
        state.queue.retain(|_| false, |order| tell(&order, Failure::Stopping));
    }

    /// Waits until there is something to do. False where the loop is to end.
    fn wait(&self) -> bool {
        let mut state = self.shared.lock();
        loop {
            let idle = self.active.is_empty() && state.queue.waiting() == 0;
            match state.stop {
                Stop::Now => return false,
                Stop::WhenDone if idle => return false,
                _ if !idle => return true,
                _ => {}
            }
            self.metrics.running.set(0);
            self.metrics.waiting.set(0);
            state = self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Removes the orders whose client has left or whose time is over.
    fn drop_abandoned(&mut self) {
        let now = Instant::now();
        let lives = |order: &Order| !order.reply.is_closed() && now < order.deadline;
        let mut at = 0;
        while at < self.active.len() {
            if lives(&self.active[at].order) {
                at += 1;
                continue;
            }
            let active = self.active.swap_remove(at);
            self.batch.cancel(active.job);
            self.metrics.cancelled();
            tell(&active.order, Failure::Deadline);
        }
        let mut state = self.shared.lock();
        state.queue.retain(|order| lives(order), |order| tell(&order, Failure::Deadline));
        self.metrics.waiting.set(state.queue.waiting() as i64);
    }

    /// Fills the free slots from the queue.
    fn admit(&mut self) {
        while self.batch.has_room() {
            let Some((order, image)) = self.shared.lock().queue.pop() else { return };
            if order.reply.is_closed() {
                continue;
            }
            let admitted = self.job(&order, image).and_then(|job| self.batch.admit(job));
            match admitted {
                Ok(job) => {
                    self.metrics.queued(order.arrived.elapsed());
                    if order.cells == CellReports::EveryPass {
                        let _ = order.reply.send(Progress::Started { image });
                    }
                    let (started, codes) = (Instant::now(), Vec::new());
                    self.active.push(Active { job, order, image, started, codes, passes: 0, partials: 0 });
                }
                // Memory is short now. What the images of the passes have is free when they are finished.
                Err(error) if error.fault() == Fault::Environment && !self.batch.is_empty() => {
                    let client = order.client.clone();
                    return self.shared.lock().queue.put_back(client, order, image);
                }
                Err(error) => tell(&order, Failure::Image(error)),
            }
        }
    }

    fn job(&self, order: &Order, image: u32) -> Result<Job> {
        let noise = Noise { seed: order.request.seed, image: ImageIndex(image) };
        self.engine.model().job(&order.conditioning, noise, order.request.sampling, order.request.decoding)
    }

    fn handle(&mut self, event: BatchEvent) {
        let Some(at) = self.active.iter().position(|active| active.job == event.job) else { return };
        match event.happened {
            Happened::PrefillDone => {}
            Happened::CellsCommitted => self.committed(at),
            Happened::Finished => {
                let active = self.active.swap_remove(at);
                if let Some(finished) = self.batch.take(active.job) {
                    let prompt = active.order.conditioning.cond.tokens().len();
                    self.metrics.decoded(prompt, &finished.stats);
                    self.learn_time(active.started.elapsed());
                    let Active { order, image, .. } = active;
                    // The painter ends after this loop.
                    let _ = self.pictures.send(Work::Whole { order, image, finished: Box::new(finished) });
                }
            }
            Happened::Failed(error) => tell(&self.active.swap_remove(at).order, Failure::Image(error)),
        }
    }

    /// Reports the new cells of an image, and orders the partial images that are due.
    fn committed(&mut self, at: usize) {
        let active = &mut self.active[at];
        let Some((first, codes, sources)) = self.batch.new_cells(active.job) else { return };
        active.passes += 1;
        if active.order.cells == CellReports::EveryPass {
            let cells = NewCells {
                image: active.image,
                first: first.0,
                codes: codes.to_vec(),
                sources: sources.to_vec(),
                passes: active.passes,
                elapsed: active.started.elapsed(),
            };
            let _ = active.order.reply.send(Progress::Cells(cells));
        }
        if active.partials == active.order.partial_images {
            return;
        }
        active.codes.extend_from_slice(codes);
        let cells = u64::from(self.engine.config().layout.grid().cells());
        let due = (active.codes.len() as u64 * u64::from(active.order.partial_images + 1) / cells) as u32;
        while active.partials < due.min(active.order.partial_images) {
            let (order, codes) = (Arc::clone(&active.order), active.codes.clone());
            let _ = self.pictures.send(Work::Partial { order, image: active.image, index: active.partials, codes });
            active.partials += 1;
        }
    }

    fn learn_time(&self, time: Duration) {
        let mut state = self.shared.lock();
        state.image_s += (time.as_secs_f64() - state.image_s) / 8.0;
    }

    /// Removes all images from the batch and tells their clients why.
    fn end_all(&mut self, why: impl Fn() -> Failure) {
        for active in self.active.drain(..) {
            self.batch.cancel(active.job);
            tell(&active.order, why());
        }
    }
}

/// Tells a client that its order has failed. One that has left needs nothing.
fn tell(order: &Order, failure: Failure) {
    let _ = order.reply.send(Progress::Failed(failure));
}
