//! Where the time of a pass goes.

use std::time::{Duration, Instant};

/// A part of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Products with weights, the rounding of their inputs included.
    Products,
    /// Norms and rotations of queries and keys, and attention itself.
    Attention,
    /// Norms of hidden states, and embeddings.
    Norms,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Products, Self::Attention, Self::Norms];
}

/// The time that each part of the last pass took.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartTimes {
    /// When the part that is under way began; none where parts are not timed.
    since: Option<Instant>,
    times: [Duration; Part::ALL.len()],
}

impl PartTimes {
    /// The time of a part.
    pub fn of(&self, part: Part) -> Duration {
        self.times[part as usize]
    }

    /// Times the parts of the passes that follow.
    pub(super) fn switch_on(&mut self) {
        self.since = Some(Instant::now());
    }

    /// A pass begins.
    pub(super) fn begin(&mut self) {
        if self.since.is_some() {
            *self = Self { since: Some(Instant::now()), ..Self::default() };
        }
    }

    /// A part has ended.
    pub(super) fn end(&mut self, part: Part) {
        if let Some(since) = self.since {
            let now = Instant::now();
            self.times[part as usize] += now - since;
            self.since = Some(now);
        }
    }
}
