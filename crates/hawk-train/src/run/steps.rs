//! The training loop that heads, tokenizers and targets share.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use hawk_files::Result;

use crate::run::learner::Learner;
use crate::run::progress::RunProgress;
use crate::run::state::{self, State};

/// The result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    /// The curve did not change.
    Step,
    /// The curve has a new point. The state is saved now.
    CurvePoint,
}

/// What the loop asks of the model in training.
pub(crate) trait Trainer: Sized {
    /// The module that is trained.
    type Module: Module;

    /// Runs one step.
    ///
    /// # Errors
    /// The data cannot be read, or a loss is not finite.
    fn step(&mut self) -> Result<StepOutcome>;

    /// Steps of the whole run.
    fn steps(&self) -> usize;

    /// The module, with its progress.
    fn learner(&self) -> &Learner<Self::Module>;

    /// Continues from a saved state.
    ///
    /// # Errors
    /// The state belongs to another model.
    fn resume(self, state: State) -> Result<Self>;
}

/// Resumes from `state_file` if it exists.
///
/// # Errors
/// The file is damaged or belongs to another model.
pub(crate) fn resume_from<T: Trainer>(trainer: T, state_file: &Path) -> Result<T> {
    if state_file.exists() { trainer.resume(state::load(state_file)?) } else { Ok(trainer) }
}

/// Runs the remaining steps. Each point of the curve saves the state and calls `at_point`.
/// Returns `Break` if the observer stopped the run. The state of its last step is then saved.
///
/// # Errors
/// A step fails, or a file cannot be written.
pub(crate) fn run_steps<T: Trainer>(
    trainer: &mut T,
    state_file: &Path,
    observer: &mut dyn FnMut(RunProgress<'_>) -> ControlFlow<()>,
    mut at_point: impl FnMut(&T) -> Result<()>,
) -> Result<ControlFlow<()>> {
    let of = trainer.steps();
    while trainer.learner().step < of {
        let outcome = trainer.step()?;
        if outcome == StepOutcome::CurvePoint {
            state::save(state_file, trainer.learner().state()?)?;
            at_point(trainer)?;
        }
        let (done, point) = (trainer.learner().step, trainer.learner().curve.points.last());
        if observer(RunProgress::Steps { done, of, point }).is_break() {
            if outcome == StepOutcome::Step {
                state::save(state_file, trainer.learner().state()?)?;
            }
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(observer(RunProgress::Measuring))
}
