//! How long a pull bears with servers, and when it gives up.

use std::time::Duration;

use hawk_files::{Error, Result};

use crate::event::{Event, Tell};

/// How long a pull bears with servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// An attempt without a byte for so long is broken off.
    pub stall: Duration,
    /// So many attempts in a row that bring nothing end the pull. An attempt that brings bytes starts the count again.
    pub attempts: u32,
    /// The pause after an attempt that failed. It doubles after each further one that brings nothing.
    pub pause: Duration,
    /// The longest pause. A server that asks for a longer one (`Retry-After`) ends the pull.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            attempts: 6,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
        }
    }
}

/// How an attempt ended.
pub(crate) enum Outcome<T> {
    Done(T),
    Failed(Failure),
}

/// An attempt that failed and may be repeated.
pub(crate) struct Failure {
    /// The reason in a few words.
    pub(crate) why: String,
    /// The error where no further attempt is made.
    pub(crate) error: Error,
    /// The pause that the server asks for.
    pub(crate) asked: Option<Duration>,
    /// Attempts that bring nothing after which this failure is final, where they are fewer than usual.
    pub(crate) most: Option<u32>,
    /// Whether it brought something that the next attempt builds on.
    pub(crate) brought: bool,
}

impl Failure {
    pub(crate) fn new(why: impl Into<String>, error: Error) -> Self {
        Self { why: why.into(), error, asked: None, most: None, brought: false }
    }
}

/// Repeats an attempt with growing pauses until it succeeds, or too many in a row have brought nothing.
///
/// # Errors
/// What an attempt returns, or the error of the last failure.
pub(crate) fn persist<T>(
    patience: &Patience,
    progress: &mut Tell<'_>,
    attempt: &mut dyn FnMut(&mut Tell<'_>) -> Result<Outcome<T>>,
) -> Result<T> {
    let mut fruitless = 0;
    loop {
        let failure = match attempt(progress)? {
            Outcome::Done(value) => return Ok(value),
            Outcome::Failed(failure) => failure,
        };
        fruitless = if failure.brought { 0 } else { fruitless + 1 };
        if fruitless >= failure.most.unwrap_or(patience.attempts).min(patience.attempts).max(1) {
            return Err(failure.error);
        }
        let Some(pause) = pause(patience, fruitless, failure.asked) else { return Err(failure.error) };
        progress(Event::Retrying { why: &failure.why, pause });
        std::thread::sleep(pause);
    }
}

/// The pause after so many attempts in a row that brought nothing; none where the server asks for too long a one.
fn pause(patience: &Patience, fruitless: u32, asked: Option<Duration>) -> Option<Duration> {
    let doublings = fruitless.saturating_sub(1).min(20);
    let own = patience.pause.saturating_mul(1 << doublings).min(patience.longest_pause);
    match asked {
        Some(asked) if asked > patience.longest_pause => None,
        asked => Some(asked.map_or(own, |asked| asked.max(own))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        stall: Duration::from_secs(1),
        attempts: 4,
        pause: Duration::from_micros(1),
        longest_pause: Duration::from_micros(4),
    };

    /// The pauses of attempts that fail as told (whether they bring something), and how many were made.
    fn pauses(outcomes: &[bool]) -> (Vec<u64>, usize) {
        let (mut pauses, mut made) = (Vec::new(), 0);
        let mut tell = |event: Event<'_>| match event {
            Event::Retrying { pause, .. } => pauses.push(pause.as_micros() as u64),
            other => panic!("{other:?}"),
        };
        let result = persist(&PATIENCE, &mut tell, &mut |_| {
            made += 1;
            let Some(brought) = outcomes.get(made - 1) else { return Ok(Outcome::Done(())) };
            let failure = Failure::new("x", Error::environment("the last one"));
            Ok(Outcome::Failed(Failure { brought: *brought, ..failure }))
        });
        assert_eq!(result.is_ok(), made > outcomes.len());
        (pauses, made)
    }

    #[test]
    fn only_attempts_that_bring_nothing_count_and_pauses_grow() {
        assert_eq!(pauses(&[false; 9]), (vec![1, 2, 4], 4));
        assert_eq!(pauses(&[true; 9]), (vec![1; 9], 10));
        assert_eq!(pauses(&[false, false, true, false, false, false]), (vec![1, 2, 1, 1, 2, 4], 7));
    }

    #[test]
    fn a_server_is_waited_for_as_it_asks_and_no_longer_than_the_longest_pause() {
        let asked = |micros| pause(&PATIENCE, 1, Some(Duration::from_micros(micros)));
        assert_eq!(asked(0), Some(Duration::from_micros(1)));
        assert_eq!(asked(3), Some(Duration::from_micros(3)));
        assert_eq!(asked(5), None);
        assert_eq!(pause(&PATIENCE, u32::MAX, None), Some(PATIENCE.longest_pause));
    }
}
