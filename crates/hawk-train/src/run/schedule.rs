//! Step sizes over the course of a run.

/// The share of the largest step size at a step: rises from zero over the first `warm_up` (a share of the steps), then falls along a
/// cosine to `least`.
pub(crate) fn warm_up_then_fall(step: usize, steps: usize, warm_up: f64, least: f64) -> f64 {
    let (step, steps) = ((step + 1) as f64, steps as f64);
    let warm_up = (warm_up * steps).max(1.0);
    let fall = ((step - warm_up) / (steps - warm_up).max(1.0)).clamp(0.0, 1.0);
    match step < warm_up {
        true => step / warm_up,
        false => least + (1.0 - least) * (0.5 + 0.5 * (std::f64::consts::PI * fall).cos()),
    }
}
