//! A whole run: images, steps, heads, figures; whatever was done before a stop is not done again.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::Engine;
use hawk_nn::{Checkpoint, HeadConfig, Heads, HeadsConfig, ModelSource, Result};
use serde::{Deserialize, Serialize};

use crate::curve::{Curve, Point};
use crate::dataset::Dataset;
use crate::images::{Images, Origin};
use crate::params::{Stored, serialize};
use crate::settings::Settings;
use crate::trainer::Trainer;
use crate::{figures, files, state};

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The target's name, for people.
    pub target_name: String,
    /// What to learn from.
    pub images: Images,
    /// How.
    pub settings: Settings,
    /// Folder of the heads. A run that was stopped goes on from the state that it finds there.
    pub out: PathBuf,
    /// Folder of the images as the target sees them; other runs with the same images use it too.
    pub data: PathBuf,
}

/// What happens during a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// So many images are drawn and observed.
    Images {
        /// Those that are there.
        done: usize,
        /// In all.
        of: usize,
    },
    /// Steps.
    Steps {
        /// Those that are done.
        done: usize,
        /// In all.
        of: usize,
        /// The last point of the curve, if there is one.
        point: Option<&'a Point>,
    },
    /// The heads are measured.
    Measuring,
}

/// What a finished run gives.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The content of the heads' `config.json`, with what each is worth.
    pub config: HeadsConfig,
    /// The course of the training.
    pub curve: Curve,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ended<T> {
    /// All files are there.
    Finished(T),
    /// The observer broke off; the same run goes on from the last point of the curve.
    BrokenOff,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Step,
    /// The curve has a new point.
    Point,
}

/// Under what settings the state in a folder was made.
#[derive(Serialize, Deserialize, PartialEq)]
struct Claim {
    origin: Origin,
    images: usize,
    heads: Vec<String>,
    labels: String,
    epochs: usize,
    batch: usize,
    learning_rate: f64,
    seed: u64,
}

/// Trains heads and writes `config.json`, `model.safetensors` (bf16), `curve.json` and `curve.svg` into the run's folder.
///
/// # Errors
/// Settings out of range, folders that belong to other runs or cannot be written, a target that fails, a loss that is no number.
pub fn train_heads(
    engine: &Engine,
    run: &Run,
    observer: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended<Trained>> {
    run.settings.check()?;
    run.images.check()?;
    // Refused before the first image is drawn.
    let config = run.config(engine)?;
    HeadsConfig::from_json(config.to_json().to_string().as_bytes())?;
    files::make_dir(&run.out)?;
    files::claim(&run.out.join("run.json"), &run.claim(engine)?)?;
    let dataset = Dataset::new(engine, &run.data, &run.images)?;
    let of = run.images.len();
    if dataset.make(engine, &mut |done| observer(Progress::Images { done, of }))?.is_break() {
        return Ok(Ended::BrokenOff);
    }
    let state_file = run.out.join("state.safetensors");
    let mut trainer = Trainer::new(&run.settings, &dataset, projection(engine, dataset.shape().codes)?)?;
    if state_file.exists() {
        trainer = trainer.resume(state::load(&state_file)?)?;
    }
    let of = trainer.steps();
    while trainer.done() < of {
        if trainer.step()? == Reached::Point {
            state::save(&state_file, trainer.state()?)?;
        }
        let (done, point) = (trainer.done(), trainer.curve().points.last());
        if observer(Progress::Steps { done, of, point }).is_break() {
            return Ok(Ended::BrokenOff);
        }
    }
    if observer(Progress::Measuring).is_break() {
        return Ok(Ended::BrokenOff);
    }
    run.finish(engine, &dataset, &trainer, config).map(Ended::Finished)
}

impl Run {
    fn config(&self, engine: &Engine) -> Result<HeadsConfig> {
        let head = |&offset| HeadConfig { offset, validation: None };
        Ok(HeadsConfig {
            hidden: engine.target().config().hidden,
            target_name: self.target_name.clone(),
            target_digest: engine.digest()?.to_owned(),
            arrangement: engine.config().layout.grid().into(),
            heads: self.settings.offsets.iter().map(head).collect(),
        })
    }

    fn claim(&self, engine: &Engine) -> Result<Claim> {
        let settings = &self.settings;
        Ok(Claim {
            origin: self.images.origin(engine)?,
            images: self.images.len(),
            heads: settings.offsets.iter().map(ToString::to_string).collect(),
            labels: settings.labels.to_string(),
            epochs: settings.epochs,
            batch: settings.batch,
            learning_rate: settings.learning_rate,
            seed: settings.seed.0,
        })
    }

    /// Writes the heads, measures them as decoding will see them, and writes what they are worth.
    fn finish(
        &self,
        engine: &Engine,
        dataset: &Dataset,
        trainer: &Trainer<'_>,
        mut config: HeadsConfig,
    ) -> Result<Trained> {
        let curve = trainer.curve().clone();
        files::write(&self.out.join("model.safetensors"), &serialize(&trainer.blocks()?, Stored::Bf16, &[], None)?)?;
        files::write_json(&self.out.join("config.json"), &config.to_json())?;
        let heads = Heads::load(&ModelSource::Dir(self.out.clone()), "", engine.target())?;
        let figures = figures::measure(engine, &heads, dataset, self.settings.labels)?;
        for (head, figures) in config.heads.iter_mut().zip(figures) {
            head.validation = Some(figures);
        }
        files::write_json(&self.out.join("config.json"), &config.to_json())?;
        files::write_json(&self.out.join("curve.json"), &curve)?;
        files::write(&self.out.join("curve.svg"), curve.to_svg()?.as_bytes())?;
        Ok(Trained { config, curve })
    }
}

/// The target's output projection over the codes, turned to `[D, codes]`.
pub(crate) fn projection(engine: &Engine, codes: usize) -> Result<Vec<f32>> {
    let checkpoint = Checkpoint::open(engine.source(), "")?;
    let table = engine.target().config().output_projection(&checkpoint)?;
    let first = engine.config().layout.code_offset() as usize;
    let width = engine.target().config().hidden;
    let (mut row, mut turned) = (vec![0.0; width], vec![0.0; width * codes]);
    for code in 0..codes {
        table.row_into(first + code, &mut row);
        turned[code..].iter_mut().step_by(codes).zip(&row).for_each(|(out, x)| *out = *x);
    }
    Ok(turned)
}
