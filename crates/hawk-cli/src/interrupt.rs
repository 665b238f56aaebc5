//! Ctrl-C and the end of a job's time: the run stops after the current pass, and what is finished is
//! reported. The second signal ends the program at once.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hawk::{Error, Result};
use hawk_files::atomic::end_waiting_when;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::output::note;

/// The signal that came; 0 before.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From now on a signal stops the run and not the program. Signals that the parent process has set
/// to be ignored (`nohup`, a script's background job) stay ignored.
///
/// # Errors
/// The system refuses.
pub(crate) fn watch() -> Result<()> {
    let signal = SIGNAL.get_or_init(Arc::default);
    end_waiting_when(came);
    let asked = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        if ignored(number) {
            continue;
        }
        flag::register_conditional_default(number, Arc::clone(&asked))
            .and_then(|_| flag::register(number, Arc::clone(&asked)))
            .and_then(|_| flag::register_usize(number, Arc::clone(signal), number as usize))
            .map_err(|e| Error::environment(format!("cannot watch for signals: {e}")))?;
    }
    Ok(())
}

/// From now on a file that grows beyond the limit of the process (`ulimit -f`) is a failed write, and not
/// the end of the program.
///
/// # Errors
/// The system refuses.
pub(crate) fn keep_limit_of_files() -> Result<()> {
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .map_err(|e| Error::environment(format!("cannot watch for signals: {e}")))?;
    Ok(())
}

/// Whether a signal came.
pub(crate) fn came() -> bool {
    signal() != 0
}

/// Whether the run goes on.
pub(crate) fn flow() -> ControlFlow<()> {
    if came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Ends the program by the signal that came, if one did: shells and schedulers then know.
pub(crate) fn end() {
    if came() {
        note("interrupted");
        // Where the system refuses, the program ends with the exit code of its command.
        let _ = low_level::emulate_default_handler(signal());
    }
}

/// Takes the signal as answered: the program ends as it would without it.
#[cfg(feature = "serve")]
pub(crate) fn answered() {
    if let Some(signal) = SIGNAL.get() {
        signal.store(0, Ordering::Relaxed);
    }
}

fn signal() -> i32 {
    SIGNAL.get().map_or(0, |signal| signal.load(Ordering::Relaxed) as i32)
}

/// Whether the process ignores a signal. Linux says so; elsewhere it is taken for not ignored.
fn ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (number - 1) & 1 == 1
}
