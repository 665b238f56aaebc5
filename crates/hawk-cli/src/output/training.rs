//! The progress of a training run: how far, how fast, what share of the machine.

use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk_nn::kernels::Pool;
use hawk_nn::step_bench::Ceilings;
use hawk_train::Precision;
use indicatif::{ProgressBar, ProgressStyle};

/// Read by the measurement of the ceilings; bandwidth is not used here.
const MEASURED_BYTES: usize = 1 << 24;

/// What `--precision` of the commands that train takes.
pub(crate) fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["f32", "bf16"]).map(|name| match name.as_str() {
        "bf16" => Precision::Bf16,
        _ => Precision::F32,
    })
}

/// A progress bar that knows what a step is worth.
pub(crate) struct Pace {
    bar: ProgressBar,
    what: &'static str,
    /// Of `what`, in a step.
    pieces: usize,
    operations: f64,
    peak: f64,
    /// When this process began to step, and at which step.
    begun: Option<(Instant, usize)>,
}

impl Pace {
    /// `operations` are floating-point operations of a step; the machine's peak is measured now.
    pub(crate) fn new(what: &'static str, pieces: usize, operations: f64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let peak = Ceilings::measure(&Pool::new(threads), MEASURED_BYTES).flops;
        let bar = ProgressBar::new(0).with_style(
            ProgressStyle::with_template("{bar:20} {pos}/{len} {msg}  eta {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, what, pieces, operations, peak, begun: None }
    }

    pub(crate) fn show(&mut self, done: usize, of: usize, note: Option<String>) {
        let (begun, first) = *self.begun.get_or_insert_with(|| {
            self.bar.set_length(of as u64);
            self.bar.set_position(done as u64);
            self.bar.reset_eta();
            (Instant::now(), done)
        });
        self.bar.set_position(done as u64);
        let steps_a_second = (done - first) as f64 / begun.elapsed().as_secs_f64().max(1e-9);
        let rate = format!(
            "{:.1} {}/s, {:.0} % of the f32 peak",
            steps_a_second * self.pieces as f64,
            self.what,
            100.0 * steps_a_second * self.operations / self.peak
        );
        self.bar.set_message(note.map_or_else(|| rate.clone(), |note| format!("{rate}, {note}")));
        // A log file gets a line now and then.
        if self.bar.is_hidden() && done.is_multiple_of((of / 200).max(1)) {
            eprintln!("{done}/{of} {}", self.bar.message());
        }
    }

    /// Pictures become codes before the first step.
    pub(crate) fn encode(&self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message("pictures to codes");
    }

    pub(crate) fn say(&self, message: &'static str) {
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
