//! How far a run is, and whether it was stopped.

use std::ops::ControlFlow;

use crate::watch::{Progress, Watch};

/// Counts the steps of a run and asks whether it goes on.
pub(super) struct Steps<'a, 'w> {
    done: usize,
    of: usize,
    watch: &'a mut Watch<'w>,
    stopped: bool,
}

impl<'a, 'w> Steps<'a, 'w> {
    pub(super) fn new(of: usize, watch: &'a mut Watch<'w>) -> Self {
        let mut steps = Self { done: 0, of, watch, stopped: false };
        steps.pass(0);
        steps
    }

    /// So many more steps are done.
    pub(super) fn pass(&mut self, steps: usize) {
        self.done += steps;
        self.stopped |= (self.watch)(Progress::Done { done: self.done, of: self.of }).is_break();
    }

    /// Work goes on inside a step.
    pub(super) fn within(&mut self) -> ControlFlow<()> {
        self.stopped |= (self.watch)(Progress::Within).is_break();
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }
}
