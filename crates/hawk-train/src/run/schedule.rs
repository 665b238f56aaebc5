//! The learning rate schedule.

/// A linear warm-up followed by a cosine decay, as a factor of the largest learning rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Steps of the run.
    pub(crate) steps: usize,
    /// Fraction of the steps in which the factor rises from zero to one.
    pub(crate) warm_up: f64,
    /// The factor at the last step.
    pub(crate) last: f64,
}

impl Schedule {
    /// The factor at a step, `0..=1`; the first step is 0.
    pub(crate) fn factor(self, step: usize) -> f64 {
        let (step, steps) = ((step + 1) as f64, self.steps as f64);
        let warm_up = (self.warm_up * steps).max(1.0);
        let decay = ((step - warm_up) / (steps - warm_up).max(1.0)).clamp(0.0, 1.0);
        match step < warm_up {
            true => step / warm_up,
            false => self.last + (1.0 - self.last) * (0.5 + 0.5 * (std::f64::consts::PI * decay).cos()),
        }
    }
}
