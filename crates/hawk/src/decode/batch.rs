//! The decoding loop: jobs are admitted to slots, and each step is one target pass for all slots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hawk_nn::{Error, HeadRow, Laws, Passes, ReadBack, Result, Staged, StreamId};
use hawk_spec::Cell;

use super::job::{BatchEvent, BatchLimits, Finished, Happened, Job, JobId};
use super::prefill::{self, PREFILL_ROWS, PREFILL_ROWS_BESIDE};
use super::slot::{Slot, State};
use super::target::Target;
use super::tree_size::store::Tuned;
use super::tree_size::tuner::{Pass, Tuner};
use crate::prompt::Prefix;
use crate::request::event::{CellSource, Timings};

/// Most tuners that a batch keeps for settings that no slot has.
const IDLE_TUNERS: usize = 16;

/// The streams of a job that left the batch. The prompt is still in their keys and values.
struct Retired {
    prefixes: Arc<[Prefix]>,
    streams: Vec<StreamId>,
}

/// Jobs that are decoded together on one target.
///
/// A batch can move between threads. A step allocates memory only where jobs come and go.
pub struct Batch {
    target: Arc<Target>,
    limits: BatchLimits,
    passes: Box<dyn Passes>,
    slots: Vec<Slot>,
    retired: Vec<Retired>,
    next: u64,
    tuners: Vec<(Tuned, Tuner)>,
    trees: Vec<Laws>,
    head_rows: Vec<HeadRow>,
    events: Vec<BatchEvent>,
    timings: Timings,
}

impl Batch {
    /// An empty batch.
    ///
    /// # Errors
    /// The device has no room for the passes.
    pub(crate) fn new(target: Arc<Target>, limits: BatchLimits) -> Result<Self> {
        let trees = limits.slots * limits.streams * limits.nodes;
        // A tree is staged after the last committed token.
        let tree_rows = limits.nodes * target.medium.tokens_per_cell();
        let rows = limits.slots * limits.streams * tree_rows + PREFILL_ROWS;
        let mut plan = target.plan(rows, trees, limits.tokens + tree_rows);
        plan.streams = limits.slots * limits.streams;
        plan.stream_rows = tree_rows.max(PREFILL_ROWS);
        plan.head_rows = limits.slots * limits.head_rows;
        Ok(Self {
            passes: target.backend.passes(plan)?,
            slots: Vec::with_capacity(limits.slots),
            retired: Vec::with_capacity(limits.slots),
            next: 0,
            tuners: Vec::new(),
            trees: Vec::with_capacity(limits.slots),
            head_rows: Vec::with_capacity(limits.slots * limits.head_rows),
            events: Vec::with_capacity(3 * limits.slots),
            timings: Timings::default(),
            target,
            limits,
        })
    }

    /// Whether [`admit`](Self::admit) has room for a job.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.slots.len() < self.limits.slots
    }

    /// Whether the batch has no job.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Times of all steps so far.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// What all steps so far have read back from the device.
    #[must_use]
    pub fn read_back(&self) -> ReadBack {
        self.passes.read_back()
    }

    /// Admits a job. It takes part in the passes from the next step on.
    ///
    /// # Errors
    /// No slot is free, or the job exceeds the limits of the batch. The batch is unchanged.
    pub fn admit(&mut self, job: Job) -> Result<JobId> {
        if !self.has_room() {
            let expected = format!("at most {} jobs", self.limits.slots);
            return Err(Error::input("the batch is full").expected(expected).got(self.slots.len() + 1));
        }
        self.check(&job)?;
        let id = JobId(self.next);
        let mut slot = Slot::new(id, &self.target, job)?;
        if let Some(tuned) = slot.tuned() {
            if let Some((_, tuner)) = self.tuners.iter_mut().find(|(other, _)| *other == tuned) {
                tuner.begin();
            } else {
                self.drop_idle_tuners();
                let target = &self.target;
                let mut tuner = target.tuners.known(&tuned, &|decoder| target.heads_of(decoder));
                tuner.reserve(self.limits.slots);
                tuner.begin();
                self.tuners.push((tuned, tuner));
            }
        }
        self.give_streams(&mut slot)?;
        self.next += 1;
        self.slots.push(slot);
        Ok(id)
    }

    /// Keeps the number of tuners bounded: users may ask for any number of settings.
    fn drop_idle_tuners(&mut self) {
        let is_idle = |(tuned, _): &(Tuned, Tuner)| self.slots.iter().all(|slot| slot.tuned().as_ref() != Some(tuned));
        let mut idle = self.tuners.iter().filter(|tuner| is_idle(tuner)).count();
        while idle > IDLE_TUNERS
            && let Some(oldest) = self.tuners.iter().position(is_idle)
        {
            let (tuned, tuner) = self.tuners.remove(oldest);
            self.target.tuners.keep(tuned, tuner);
            idle -= 1;
        }
    }

    fn check(&self, job: &Job) -> Result<()> {
        let (wants, has) = (BatchLimits::of(job), self.limits);
        for (what, wanted, room) in [
            ("streams", wants.streams, has.streams),
            ("nodes", wants.nodes, has.nodes),
            ("tokens", wants.tokens, has.tokens),
            ("rows of draft heads", wants.head_rows, has.head_rows),
        ] {
            if wanted > room {
                let expected = format!("at most {room} {what}");
                return Err(Error::input("the job is larger than the batch").at(what).expected(expected).got(wanted));
            }
        }
        Ok(())
    }

    /// Gives streams to a slot: those of a job with the same prompt that left, or new streams.
    fn give_streams(&mut self, slot: &mut Slot) -> Result<()> {
        if let Some(at) = self.retired.iter().position(|retired| same_prompt(&retired.prefixes, &slot.prefixes)) {
            slot.streams = self.retired.swap_remove(at).streams;
            for (&stream, prefix) in slot.streams.iter().zip(&*slot.prefixes) {
                self.passes.truncate(stream, prefix.before_anchor().len());
            }
            return Ok(());
        }
        // Jobs that left must not keep more memory than the slots need.
        while !self.retired.is_empty() && self.slots.len() + self.retired.len() >= self.limits.slots {
            self.retired.remove(0).streams.into_iter().for_each(|stream| self.passes.close(stream));
        }
        for prefix in &*slot.prefixes {
            match self.passes.open(prefix.own().clone()) {
                Ok(stream) => slot.streams.push(stream),
                Err(error) => {
                    slot.streams.drain(..).for_each(|stream| self.passes.close(stream));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Removes a job without a result. Later events do not name it. A job that is not in the batch
    /// is ignored.
    pub fn cancel(&mut self, job: JobId) {
        drop(self.remove(job));
    }

    /// Removes a job and returns its result, which is partial where the job is not finished.
    pub fn take(&mut self, job: JobId) -> Option<Finished> {
        self.remove(job).map(Slot::finish)
    }

    fn remove(&mut self, job: JobId) -> Option<Slot> {
        let at = self.slots.iter().position(|slot| slot.id == job)?;
        let mut slot = self.slots.remove(at);
        let streams = std::mem::take(&mut slot.streams);
        if slot.state == State::Decoding {
            self.retired.push(Retired { prefixes: Arc::clone(&slot.prefixes), streams });
        } else {
            streams.into_iter().for_each(|stream| self.passes.close(stream));
        }
        Some(slot)
    }

    /// The cells of a job that the last step committed, as (first cell, codes, sources).
    #[must_use]
    pub fn new_cells(&self, job: JobId) -> Option<(Cell, &[hawk_spec::Code], &[CellSource])> {
        let slot = self.slots.iter().find(|slot| slot.id == job)?;
        let (codes, sources) = slot.new_cells();
        Some((slot.first_new(), codes, sources))
    }

    /// Runs one pass for all jobs and returns its events, job after job.
    ///
    /// # Errors
    /// The pass fails. An error of one job is an event, and the other jobs go on.
    pub fn step(&mut self) -> Result<impl Iterator<Item = BatchEvent> + '_> {
        self.events.clear();
        if !self.slots.is_empty() {
            let (started, drafted) = (Instant::now(), self.timings.draft);
            let mut clock = Clock::start();
            self.share_prompts();
            self.stage_prompts();
            self.propose();
            clock.lap(&mut self.timings.draft);
            self.run(&mut clock)?;
            self.tune(started.elapsed(), self.timings.draft - drafted);
            self.record_events();
        }
        Ok(self.events.drain(..))
    }

    /// Copies prompts from slots that have read them to slots that have not.
    fn share_prompts(&mut self) {
        for at in 0..self.slots.len() {
            let (reader, prefixes) = (&self.slots[at], &self.slots[at].prefixes);
            if reader.state != State::Reading || reader.is_read(&*self.passes) {
                continue;
            }
            let live = self.slots.iter().filter(|slot| same_prompt(&slot.prefixes, prefixes));
            let donor = live.filter(|slot| slot.is_read(&*self.passes)).map(|slot| &slot.streams).next();
            let Some(donor) = donor else { continue };
            for ((&from, &to), prefix) in donor.iter().zip(&reader.streams).zip(&**prefixes) {
                self.passes.copy(from, to, prefix.before_anchor().len());
            }
        }
    }

    /// Stages the next rows of prompts. Of slots with the same prompt the first one reads.
    fn stage_prompts(&mut self) {
        let reads = |slots: &[Slot], at: usize, passes: &dyn Passes| {
            let slot = &slots[at];
            slot.state == State::Reading
                && !slot.is_read(passes)
                && !slots[..at].iter().any(|other| same_prompt(&other.prefixes, &slot.prefixes))
        };
        let count = (0..self.slots.len()).filter(|&at| reads(&self.slots, at, &*self.passes)).count();
        let decodes = self.slots.iter().any(|slot| slot.state == State::Decoding);
        let rows = if decodes { PREFILL_ROWS_BESIDE } else { PREFILL_ROWS };
        let most = rows / (count * self.limits.streams).max(1);
        for at in 0..self.slots.len() {
            if !reads(&self.slots, at, &*self.passes) {
                continue;
            }
            let slot = &mut self.slots[at];
            slot.kept_prompt.clear();
            for (&stream, prefix) in slot.streams.iter().zip(&*slot.prefixes) {
                let row = prefill::stage(&mut *self.passes, stream, prefix.before_anchor(), most.max(1));
                slot.kept_prompt.extend(row.map(|row| (stream, row)));
            }
            slot.stats.record_prefill();
        }
    }

    /// Sets the use of drafters in the pass, where trees are autotuned.
    fn choose_sizes(&mut self) {
        let passes = &*self.passes;
        let decodes = |slot: &&mut Slot| slot.state == State::Decoding || slot.is_read(passes);
        let trees = self.slots.iter_mut().filter(decodes).count();
        for (tuned, tuner) in &mut self.tuners {
            let of = |slot: &&mut Slot| slot.tuned().as_ref() == Some(tuned);
            let own = self.slots.iter_mut().filter(decodes).filter(of).count();
            let drafting = match own {
                0 => continue,
                own if own == trees => tuner.drafting(own),
                _ => tuner.drafting_in_company(trees),
            };
            self.slots.iter_mut().filter(of).for_each(|slot| slot.draft(drafting));
        }
    }

    /// Lets the slots whose prompt is read propose and stage their trees.
    fn propose(&mut self) {
        self.choose_sizes();
        self.trees.clear();
        let mut at = 0;
        while at < self.slots.len() {
            let slot = &mut self.slots[at];
            if slot.state == State::Reading && slot.is_read(&*self.passes) {
                slot.begin();
                self.events.push(BatchEvent { job: slot.id, happened: Happened::PrefillDone });
            }
            if slot.state == State::Reading {
                at += 1;
                continue;
            }
            slot.tree_index = self.trees.len();
            match slot.propose(&self.target, &mut *self.passes) {
                Ok(()) => {
                    self.trees.push(slot.laws());
                    at += 1;
                }
                Err(error) => self.fail(at, error),
            }
        }
    }

    /// Runs the pass, verifies it, lets drafters ask and observe, and commits.
    fn run(&mut self, clock: &mut Clock) -> Result<()> {
        let target = Arc::clone(&self.target);
        let mut failed: Vec<(JobId, Error)> = Vec::new();
        let mut staged = Staged::run(&mut *self.passes, &self.trees)?;
        clock.lap(if self.trees.is_empty() { &mut self.timings.prefill } else { &mut self.timings.target });
        let passes = staged.read();
        let decoding = |slot: &&mut Slot| slot.state == State::Decoding;
        for slot in self.slots.iter_mut().filter(decoding) {
            slot.kept = None;
            if let Err(error) = slot.verify(&target, passes) {
                failed.push((slot.id, error));
            }
        }
        clock.lap(&mut self.timings.verify);
        self.head_rows.clear();
        // Drafters learn only where they will propose.
        let observing = |slot: &&mut Slot| slot.kept.is_some() && slot.observes && !slot.is_done(&target);
        for slot in self.slots.iter_mut().filter(observing) {
            if let Err(error) = slot.ask(passes, &mut self.head_rows) {
                slot.kept = None;
                failed.push((slot.id, error));
            }
        }
        if !self.head_rows.is_empty() {
            passes.run_heads(&self.head_rows)?;
        }
        for slot in self.slots.iter_mut().filter(observing) {
            if let Err(error) = slot.observe(passes) {
                failed.push((slot.id, error));
            }
        }
        clock.lap(&mut self.timings.draft);
        let kept = self.slots.iter().flat_map(Slot::kept_rows);
        staged.commit(kept);
        for slot in &mut self.slots {
            slot.kept_prompt.clear();
        }
        for (job, error) in failed {
            if let Some(at) = self.slots.iter().position(|slot| slot.id == job) {
                self.fail(at, error);
            }
        }
        clock.lap(&mut self.timings.commit);
        Ok(())
    }

    /// Lets the autotuners of tree sizes learn from the step: from its trees, and from its time
    /// where all rows of the pass belong to one of them.
    fn tune(&mut self, time: Duration, draft: Duration) {
        let decoded = self.slots.iter().filter(|slot| slot.kept.is_some()).count();
        let prompts = self.slots.iter().any(|slot| slot.state == State::Reading);
        for (tuned, tuner) in &mut self.tuners {
            let mut pass = Pass { time, draft, trees: 0, warm: 0, nodes: 0 };
            for slot in self.slots.iter_mut().filter(|slot| slot.kept.is_some() && slot.tuned().as_ref() == Some(tuned))
            {
                let tree = slot.grown();
                tuner.record_tree(&tree);
                pass.trees += 1;
                pass.warm += usize::from(tree.warm);
                pass.nodes += tree.nodes;
                slot.count_observed();
            }
            if pass.trees > 0 && pass.trees == decoded && !prompts {
                tuner.record(&pass);
            }
        }
    }

    /// Records the events of the step.
    fn record_events(&mut self) {
        for slot in &mut self.slots {
            if slot.state == State::Reading && slot.is_read(&*self.passes) {
                slot.begin();
                self.events.push(BatchEvent { job: slot.id, happened: Happened::PrefillDone });
            } else if slot.kept.take().is_some() {
                self.events.push(BatchEvent { job: slot.id, happened: Happened::CellsCommitted });
                if slot.is_done(&self.target) {
                    self.events.push(BatchEvent { job: slot.id, happened: Happened::Finished });
                }
            }
        }
    }

    fn fail(&mut self, at: usize, error: Error) {
        let job = self.slots[at].id;
        // Its staged rows belong to no tree of the pass.
        for &stream in &self.slots[at].streams {
            self.passes.rows(stream).clear();
        }
        drop(self.remove(job));
        self.events.push(BatchEvent { job, happened: Happened::Failed(error) });
    }
}

impl Drop for Batch {
    /// Keeps the measurements of the autotuners for the next batch.
    fn drop(&mut self) {
        for (tuned, tuner) in self.tuners.drain(..) {
            self.target.tuners.keep(tuned, tuner);
        }
    }
}

fn same_prompt(a: &Arc<[Prefix]>, b: &Arc<[Prefix]>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// A stopwatch with laps.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self, sum: &mut Duration) {
        let now = Instant::now();
        *sum += now - self.0;
        self.0 = now;
    }
}
