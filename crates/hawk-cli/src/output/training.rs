//! The progress of a training run: steps, speed, share of the machine's peak.

use std::time::{Duration, Instant};

use hawk_bench::step::Ceilings;
use hawk_kernels::{Precision, Threads};
use indicatif::ProgressBar;

use super::progress;

/// Bytes that the measurement of the roofline reads. Their bandwidth is not used here.
const MEASURED_BYTES: usize = 1 << 24;

/// A progress bar that shows items per second and the share of the f32 peak.
pub(crate) struct TrainingProgress {
    bar: ProgressBar,
    items_per_step: usize,
    flops_per_step: f64,
    peak_flops_per_s: f64,
    /// When this process made its first step, and which step it was.
    first: Option<(Instant, usize)>,
}

impl TrainingProgress {
    /// Measures the machine's peak. An item is a picture.
    pub(crate) fn new(items_per_step: usize, flops_per_step: f64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let peak_flops_per_s =
            Ceilings::measure(&Threads::new(threads), Precision::F32, MEASURED_BYTES).operations_per_s;
        let bar = progress::ticking_bar(0, "{bar:20} {pos}/{len} {msg}  eta {eta}", Duration::from_millis(500));
        Self { bar, items_per_step, flops_per_step, peak_flops_per_s, first: None }
    }

    /// Shows that `done` of `of` steps are done, and a note such as the loss.
    pub(crate) fn show(&mut self, done: usize, of: usize, note: Option<String>) {
        let (begun, first) = *self.first.get_or_insert_with(|| {
            self.bar.set_length(of as u64);
            self.bar.set_position(done as u64);
            self.bar.reset_eta();
            (Instant::now(), done)
        });
        self.bar.set_position(done as u64);
        let steps_per_s = (done - first) as f64 / begun.elapsed().as_secs_f64().max(1e-9);
        let rate = format!(
            "{:.1} pictures/s, {:.0} % of the f32 peak",
            steps_per_s * self.items_per_step as f64,
            100.0 * steps_per_s * self.flops_per_step / self.peak_flops_per_s
        );
        self.bar.set_message(note.map_or_else(|| rate.clone(), |note| format!("{rate}, {note}")));
        // A log file gets a line at every 200th of the run.
        if self.bar.is_hidden() && done.is_multiple_of((of / 200).max(1)) {
            super::note(format_args!("{done}/{of} {}", self.bar.message()));
        }
    }

    /// Shows how many pictures are encoded, which comes before the first step.
    pub(crate) fn show_encoding(&self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message("pictures encoded");
    }

    /// Shows a message in place of the rate.
    pub(crate) fn message(&self, message: &'static str) {
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
