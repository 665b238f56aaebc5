//! Progress bars.

use std::sync::Arc;
use std::time::Duration;

use hawk_files::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{Characters, Terminal};

/// How often a ticking bar is redrawn.
const TICK: Duration = Duration::from_millis(200);

/// A bar that appears with its first progress. `template` is indicatif's.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = match Characters::of_environment() {
        Characters::Unicode => style,
        Characters::Ascii => style.progress_chars("=> "),
    };
    let bar = match Terminal::of_environment() {
        Terminal::Dumb => ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden()),
        Terminal::Plain | Terminal::Colours => ProgressBar::new(length),
    };
    bar.with_style(style)
}

/// A bar that is redrawn at intervals, for steps that take long.
pub(crate) fn ticking_bar(length: u64, template: &str, interval: Duration) -> ProgressBar {
    let bar = bar(length, template);
    // The library panics where the system has no thread left. The bar then moves with its steps alone.
    if std::thread::Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok()) {
        bar.enable_steady_tick(interval);
    }
    bar
}

/// A bar that is redrawn five times a second.
pub(crate) fn steady_bar(length: u64, template: &str) -> ProgressBar {
    ticking_bar(length, template, TICK)
}

/// A bar of bytes, and the callback of the library that moves it.
pub(crate) fn bytes_bar() -> (ProgressBar, Progress) {
    let bar = bar(0, "{bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}  eta {eta}");
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    });
    (bar, progress)
}
