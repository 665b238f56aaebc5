//! A whole run: images, training steps, files, figures. Work that is already on disk is not
//! repeated.

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::Device;
use hawk::Engine;
use hawk_files::{HeadConfig, HeadFigures, HeadOffset, HeadsConfig, ModelSource, Result, SpatialConfig};
use hawk_nn::{Heads, SpatialHeads};
use serde::{Deserialize, Serialize};

use crate::heads::dataset::Dataset;
use crate::heads::figures;
use crate::heads::images::{Origin, TrainingImages};
use crate::heads::module::{HeadBlocks, LearnsCells};
use crate::heads::observation::ObservationShape;
use crate::heads::projection::projection;
use crate::heads::settings::{HeadsKind, HeadsSettings};
use crate::heads::spatial::{RANK, SpatialHead, SpatialSizes, WIDTH, scaled_projection};
use crate::heads::trainer::HeadsTrainer;
use crate::run::curve::Curve;
use crate::run::files::{self, RunFolder};
use crate::run::params::{NamedTensor, Storage, collect, serialize};
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
    /// The validation figures of each head, by name.
    pub figures: Vec<(String, HeadFigures)>,
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
    run.check_config(engine)?;
    let folder = RunFolder { dir: &run.out, identity: "run.json", may_hold: &["data"] };
    let _lock = folder.start(&run.identity(engine)?)?;
    let dataset = Dataset::new(engine, &run.data, &run.images)?;
    let of = run.images.len();
    if dataset.make(engine, &mut |done| observer(RunProgress::Images { done, of }))?.is_break() {
        return Ok(Ended::Stopped);
    }
    let ObservationShape { grid, hidden_size: hidden, codes } = dataset.shape();
    let projection = projection(engine, codes)?;
    match &run.settings.kind {
        HeadsKind::Offsets(offsets) => {
            let make = |device: &Device| HeadBlocks::zeros(offsets.len(), hidden, device);
            let trained = run.learn(HeadsTrainer::new(&run.settings, &dataset, projection, make)?, observer)?;
            let Some(trainer) = trained else { return Ok(Ended::Stopped) };
            run.finish_offsets(engine, &dataset, &trainer, run.config(engine, offsets)?)
        }
        HeadsKind::Spatial => {
            let make = |device: &Device| SpatialHead::new(SpatialSizes { hidden, grid, codes }, device);
            let scaled = scaled_projection(projection);
            let trained = run.learn(HeadsTrainer::new(&run.settings, &dataset, scaled, make)?, observer)?;
            let Some(trainer) = trained else { return Ok(Ended::Stopped) };
            run.finish_spatial(engine, &dataset, &trainer, run.spatial_config(engine)?)
        }
    }
    .map(Ended::Finished)
}

impl HeadsRun {
    /// Runs the steps that are left; none where the observer has stopped the run.
    fn learn<'a, M: LearnsCells>(
        &self,
        trainer: HeadsTrainer<'a, M>,
        observer: &mut dyn FnMut(RunProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Option<HeadsTrainer<'a, M>>> {
        let state_file = self.out.join("state.safetensors");
        let mut trainer = resume_from(trainer, &state_file)?;
        let ended = run_steps(&mut trainer, &state_file, observer, |_| Ok(()))?;
        Ok(Some(trainer).filter(|_| ended.is_continue()))
    }

    fn check_config(&self, engine: &Engine) -> Result<()> {
        match &self.settings.kind {
            HeadsKind::Offsets(offsets) => {
                let json = self.config(engine, offsets)?.to_json().to_string();
                HeadsConfig::from_json(json.as_bytes()).map(drop)
            }
            HeadsKind::Spatial => {
                let json = self.spatial_config(engine)?.to_json().to_string();
                SpatialConfig::from_json(json.as_bytes()).map(drop)
            }
        }
    }

    fn config(&self, engine: &Engine, offsets: &[HeadOffset]) -> Result<HeadsConfig> {
        let head = |&offset| HeadConfig { offset, validation: None };
        Ok(HeadsConfig {
            hidden: engine.backend().config().hidden,
            target_name: self.target_name.clone(),
            target_digest: engine.digest()?.to_owned(),
            arrangement: engine.config().layout.grid().into(),
            heads: offsets.iter().map(head).collect(),
        })
    }

    fn spatial_config(&self, engine: &Engine) -> Result<SpatialConfig> {
        let layout = &engine.config().layout;
        Ok(SpatialConfig {
            hidden: engine.backend().config().hidden,
            width: WIDTH,
            rank: RANK,
            codes: layout.codes() as usize,
            grid: layout.grid(),
            target_name: self.target_name.clone(),
            target_digest: engine.digest()?.to_owned(),
            validation: None,
        })
    }

    fn identity(&self, engine: &Engine) -> Result<HeadsRunIdentity> {
        let settings = &self.settings;
        Ok(HeadsRunIdentity {
            origin: self.images.origin(engine)?,
            images: self.images.len(),
            heads: settings.kind.names(),
            labels: settings.labels.to_string(),
            epochs: settings.epochs,
            batch: settings.batch,
            learning_rate: settings.learning_rate,
            seed: settings.seed.0,
        })
    }

    /// Writes the heads, measures them with the inference code, and writes the figures into their
    /// config.
    fn finish_offsets(
        &self,
        engine: &Engine,
        dataset: &Dataset,
        trainer: &HeadsTrainer<'_, HeadBlocks>,
        mut config: HeadsConfig,
    ) -> Result<TrainedHeads> {
        self.write(&collect(trainer.module())?, &config.to_json())?;
        let heads = Heads::load(&ModelSource::Dir(self.out.clone()), "", engine.cpu()?.target())?;
        let figures = figures::measure(engine, &heads, dataset, self.settings.labels)?;
        for (head, figures) in config.heads.iter_mut().zip(&figures) {
            head.validation = Some(figures.clone());
        }
        self.end(&config.to_json(), figures, trainer.learner().curve.clone())
    }

    /// As [`finish_offsets`](Self::finish_offsets), for a spatial head.
    fn finish_spatial(
        &self,
        engine: &Engine,
        dataset: &Dataset,
        trainer: &HeadsTrainer<'_, SpatialHead>,
        mut config: SpatialConfig,
    ) -> Result<TrainedHeads> {
        self.write(&trainer.module().tensors(trainer.projection())?, &config.to_json())?;
        let heads = SpatialHeads::load(&ModelSource::Dir(self.out.clone()), "", engine.backend().config())?;
        let figures = figures::measure_spatial(&heads, dataset, self.settings.labels)?;
        config.validation = Some(figures.clone());
        self.end(&config.to_json(), vec![figures], trainer.learner().curve.clone())
    }

    fn write(&self, tensors: &[NamedTensor], config: &serde_json::Value) -> Result<()> {
        files::write(&self.out.join("model.safetensors"), &serialize(tensors, Storage::Bf16)?)?;
        files::write_json(&self.out.join("config.json"), config)
    }

    fn end(&self, config: &serde_json::Value, figures: Vec<HeadFigures>, curve: Curve) -> Result<TrainedHeads> {
        files::write_json(&self.out.join("config.json"), config)?;
        files::write_json(&self.out.join("curve.json"), &curve)?;
        files::write(&self.out.join("curve.svg"), curve.to_svg()?.as_bytes())?;
        Ok(TrainedHeads { figures: self.settings.kind.names().into_iter().zip(figures).collect(), curve })
    }
}
