//! A whole run: images, training steps, files, figures. Work that is already on disk is not
//! repeated.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::Engine;
use hawk_files::{HeadConfig, HeadsConfig, ModelSource, Result};
use hawk_nn::Heads;
use serde::{Deserialize, Serialize};

use crate::heads::dataset::Dataset;
use crate::heads::figures;
use crate::heads::images::{Origin, TrainingImages};
use crate::heads::projection::projection;
use crate::heads::settings::HeadsSettings;
use crate::heads::trainer::HeadsTrainer;
use crate::run::curve::Curve;
use crate::run::files::{self, RunFolder};
use crate::run::params::{Storage, serialize};
use crate::run::progress::{Ended, RunProgress};
use crate::run::steps::{Trainer, resume_from, run_steps};

/// A training run of heads.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadsRun {
    /// Name of the target, recorded in the heads' config for people to read.
    pub target_name: String,
    /// The images to learn from.
    pub images: TrainingImages,
    /// Heads, labels and steps.
    pub settings: HeadsSettings,
    /// Folder of the heads. A run that was stopped resumes from its state there.
    pub out: PathBuf,
    /// Folder of the observed images. Several runs with the same images can share it.
    pub data: PathBuf,
}

/// The result of a finished run.
#[derive(Clone, Debug)]
pub struct TrainedHeads {
    /// The heads' `config.json`, with the validation figures of each head.
    pub config: HeadsConfig,
    /// The losses over the steps.
    pub curve: Curve,
}

/// Identifies the run whose state a folder holds (`run.json`).
#[derive(Serialize, Deserialize, PartialEq)]
struct HeadsRunIdentity {
    origin: Origin,
    images: usize,
    heads: Vec<String>,
    labels: String,
    epochs: usize,
    batch: usize,
    learning_rate: f64,
    seed: u64,
}

/// Trains heads and writes `config.json`, `model.safetensors` (bf16), `curve.json` and `curve.svg`
/// to the run's folder.
///
/// `observer` can stop the run with `Break`. The same run then resumes, and ends with the same
/// bytes.
///
/// # Errors
/// A setting is out of range, a folder belongs to another run or cannot be written, the target
/// fails, or a loss is not finite.
pub fn train_heads(
    engine: &Engine,
    run: &HeadsRun,
    observer: &mut dyn FnMut(RunProgress<'_>) -> ControlFlow<()>,
) -> Result<Ended<TrainedHeads>> {
    run.settings.check()?;
    run.images.check()?;
    // An invalid config is an error before the first image is drawn.
    let config = run.config(engine)?;
    HeadsConfig::from_json(config.to_json().to_string().as_bytes())?;
    let folder = RunFolder { dir: &run.out, identity: "run.json", may_hold: &["data"] };
    let _lock = folder.start(&run.identity(engine)?)?;
    let dataset = Dataset::new(engine, &run.data, &run.images)?;
    let of = run.images.len();
    if dataset.make(engine, &mut |done| observer(RunProgress::Images { done, of }))?.is_break() {
        return Ok(Ended::Stopped);
    }
    let state_file = run.out.join("state.safetensors");
    let projection = projection(engine, dataset.shape().codes)?;
    let mut trainer = resume_from(HeadsTrainer::new(&run.settings, &dataset, projection)?, &state_file)?;
    if run_steps(&mut trainer, &state_file, observer, |_| Ok(()))?.is_break() {
        return Ok(Ended::Stopped);
    }
    run.finish(engine, &dataset, &trainer, config).map(Ended::Finished)
}

impl HeadsRun {
    fn config(&self, engine: &Engine) -> Result<HeadsConfig> {
        let head = |&offset| HeadConfig { offset, validation: None };
        Ok(HeadsConfig {
            hidden: engine.backend().config().hidden,
            target_name: self.target_name.clone(),
            target_digest: engine.digest()?.to_owned(),
            arrangement: engine.config().layout.grid().into(),
            heads: self.settings.offsets.iter().map(head).collect(),
        })
    }

    fn identity(&self, engine: &Engine) -> Result<HeadsRunIdentity> {
        let settings = &self.settings;
        Ok(HeadsRunIdentity {
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

    /// Writes the heads, measures them with the inference code, and writes the figures into their
    /// config.
    fn finish(
        &self,
        engine: &Engine,
        dataset: &Dataset,
        trainer: &HeadsTrainer<'_>,
        mut config: HeadsConfig,
    ) -> Result<TrainedHeads> {
        let curve = trainer.learner().curve.clone();
        files::write(&self.out.join("model.safetensors"), &serialize(&trainer.blocks()?, Storage::Bf16)?)?;
        files::write_json(&self.out.join("config.json"), &config.to_json())?;
        let heads = Heads::load(&ModelSource::Dir(self.out.clone()), "", engine.cpu()?.target())?;
        let figures = figures::measure(engine, &heads, dataset, self.settings.labels)?;
        for (head, figures) in config.heads.iter_mut().zip(figures) {
            head.validation = Some(figures);
        }
        files::write_json(&self.out.join("config.json"), &config.to_json())?;
        files::write_json(&self.out.join("curve.json"), &curve)?;
        files::write(&self.out.join("curve.svg"), curve.to_svg()?.as_bytes())?;
        Ok(TrainedHeads { config, curve })
    }
}
