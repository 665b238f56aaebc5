//! Training steps of heads.
//!
//! The order of the batches depends on seed and step only, so that a run that resumes sees the same
//! batches.

use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use hawk_files::{HeadOffset, Result};
use hawk_spec::{Cell, philox4x32_10};

use crate::heads::dataset::{Dataset, Subset};
use crate::heads::module::{CellPairs, HeadsBatch, LearnsCells};
use crate::heads::observation::{Observation, ObservationShape};
use crate::heads::settings::{HeadsKind, HeadsSettings, Labels};
use crate::run::curve::{Curve, Point};
use crate::run::device::device;
use crate::run::learner::Learner;
use crate::run::params::read;
use crate::run::schedule::Schedule;
use crate::run::state::State;
use crate::run::steps::{StepOutcome, Trainer};

/// Points of a curve.
const POINTS: usize = 40;
/// Fraction of the steps in which the learning rate rises.
const WARM_UP: f64 = 0.05;
const BETAS: (f32, f32) = (0.9, 0.95);
const WEIGHT_DECAY: f32 = 0.1;
const EPSILON: f32 = 1e-8;

/// Heads in training.
pub(crate) struct HeadsTrainer<'a, M> {
    settings: &'a HeadsSettings,
    dataset: &'a Dataset,
    device: Device,
    /// The target's output projection for the codes, `[D, codes]`; frozen.
    projection: Tensor<2>,
    learner: Learner<M>,
    training: Vec<usize>,
    validation: Vec<usize>,
}

impl<'a, M: LearnsCells> HeadsTrainer<'a, M> {
    /// Starts a run. `projection` is the target's output projection, `[D, codes]`. `make` makes the module.
    ///
    /// # Errors
    /// The validation images cannot be read.
    pub(crate) fn new(
        settings: &'a HeadsSettings,
        dataset: &'a Dataset,
        projection: Vec<f32>,
        make: impl FnOnce(&Device) -> Result<M>,
    ) -> Result<Self> {
        let device = device().autodiff();
        let shape = dataset.shape();
        let adam = AdamWConfig::new().with_beta_1(BETAS.0).with_beta_2(BETAS.1);
        let mut trainer = Self {
            settings,
            dataset,
            projection: Tensor::from_data(TensorData::new(projection, [shape.hidden_size, shape.codes]), &device),
            learner: Learner::new(
                make(&device)?,
                adam.with_weight_decay(WEIGHT_DECAY).with_epsilon(EPSILON).init(),
                Curve::new("cross-entropy, nats", settings.kind.names(), None),
            ),
            training: dataset.subset(Subset::Training),
            validation: dataset.subset(Subset::Validation),
            device,
        };
        trainer.learner.curve.bound = Some(("target".to_owned(), trainer.target_loss()?));
        Ok(trainer)
    }

    fn steps_an_epoch(&self) -> usize {
        // An epoch leaves out the images beyond its last whole batch.
        (self.training.len() / self.settings.batch).max(1)
    }

    pub(crate) fn module(&self) -> &M {
        &self.learner.module
    }

    /// The output projection that the module learns with, `[D, codes]`.
    pub(crate) fn projection(&self) -> &Tensor<2> {
        &self.projection
    }

    fn learning_rate(&self) -> f64 {
        let schedule = Schedule { steps: self.steps(), warm_up: WARM_UP, last: 0.0 };
        self.settings.learning_rate * schedule.factor(self.learner.step)
    }

    /// The images of a step. The order in an epoch depends on seed and epoch only.
    fn images_of(&self, step: usize) -> Vec<usize> {
        let (epoch, at) = (step / self.steps_an_epoch(), step % self.steps_an_epoch());
        let seed = self.settings.seed.0;
        let mut order = self.training.clone();
        order.sort_by_key(|&image| {
            philox4x32_10([seed as u32, (seed >> 32) as u32], [image as u32, epoch as u32, 0, 0])
        });
        order.into_iter().skip(at * self.settings.batch).take(self.settings.batch).collect()
    }

    fn batch(&self, images: &[usize]) -> Result<HeadsBatch> {
        let shape = self.dataset.shape();
        let (mut hidden, mut labels, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        for &image in images {
            let observation = self.dataset.load(image)?;
            hidden.extend_from_slice(&observation.hidden);
            codes.extend(observation.codes.iter().map(|code| i64::from(code.0)));
            match self.settings.labels {
                Labels::Law => observation.append_laws(&mut labels),
                Labels::Code => append_one_hot(&observation, shape.codes, &mut labels),
            }
        }
        let rows = images.len() * shape.cells();
        let offsets: &[HeadOffset] = match &self.settings.kind {
            HeadsKind::Offsets(offsets) => offsets,
            HeadsKind::Spatial => &[],
        };
        Ok(HeadsBatch {
            hidden: Tensor::from_data(TensorData::new(hidden, [rows, shape.hidden_size]), &self.device),
            labels: Tensor::from_data(TensorData::new(labels, [rows, shape.codes]), &self.device),
            pairs: offsets.iter().map(|&offset| pairs(offset, shape, images.len())).collect(),
            codes,
            grid: shape.grid,
        })
    }

    fn losses(&self, batch: &HeadsBatch) -> Vec<Tensor<1>> {
        self.learner.module.losses(batch, &self.projection)
    }

    fn validate(&self) -> Result<Vec<f64>> {
        let mut losses = Vec::new();
        for images in self.validation.chunks(self.settings.batch) {
            let of_batch = values_of(self.losses(&self.batch(images)?))?;
            // Every image has the same number of rows for a head.
            losses.extend(vec![of_batch; images.len()]);
        }
        Ok(mean(&losses))
    }

    /// The loss of the target's own law on the validation images.
    fn target_loss(&self) -> Result<f64> {
        let codes = self.dataset.shape().codes;
        let (mut sum, mut cells) = (0.0, 0);
        for &image in &self.validation {
            let observation = self.dataset.load(image)?;
            for (law, code) in observation.laws.chunks(codes).zip(&observation.codes) {
                sum += match self.settings.labels {
                    Labels::Law => law.iter().map(|p| p.to_f64()).filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum(),
                    // A drawn code has a positive probability. If f16 rounded it to zero, use half
                    // of the smallest f16.
                    Labels::Code => {
                        -law[code.index()].to_f64().max(half::f16::MIN_POSITIVE_SUBNORMAL.to_f64() / 2.0).ln()
                    }
                };
                cells += 1;
            }
        }
        Ok(sum / f64::from(cells))
    }
}

impl<M: LearnsCells> Trainer for HeadsTrainer<'_, M> {
    type Module = M;

    fn step(&mut self) -> Result<StepOutcome> {
        let batch = self.batch(&self.images_of(self.learner.step))?;
        let losses: Vec<Tensor<1>> = self.losses(&batch);
        let Some(sum) = losses.iter().cloned().reduce(|sum, loss| sum + loss) else { return Ok(StepOutcome::Step) };
        let gradients = GradientsParams::from_grads(sum.backward(), &self.learner.module);
        self.learner.module = self.learner.optimizer.step(self.learning_rate(), self.learner.module.clone(), gradients);
        self.learner.recent.add_losses(&values_of(losses)?);
        self.learner.step += 1;
        if !Curve::is_due(self.learner.step, self.steps(), POINTS) {
            return Ok(StepOutcome::Step);
        }
        let (train, validation) = (self.learner.recent.take_mean_losses(), self.validate()?);
        self.learner.curve.push(Point { step: self.learner.step, train, validation })?;
        Ok(StepOutcome::CurvePoint)
    }

    fn steps(&self) -> usize {
        self.settings.epochs * self.steps_an_epoch()
    }

    fn learner(&self) -> &Learner<Self::Module> {
        &self.learner
    }

    fn resume(self, state: State) -> Result<Self> {
        Ok(Self { learner: self.learner.resume(state)?, ..self })
    }
}

/// All cells whose offset leads to a cell of the grid, for `images` images in a row.
fn pairs(offset: HeadOffset, shape: ObservationShape, images: usize) -> CellPairs {
    let mut pairs = CellPairs { from: Vec::new(), to: Vec::new() };
    for first in (0..images).map(|image| (image * shape.cells()) as i64) {
        for cell in (0..shape.cells() as u32).map(Cell) {
            if let Some(target) = offset.target(shape.grid, cell) {
                pairs.from.push(first + i64::from(cell.0));
                pairs.to.push(first + i64::from(target.0));
            }
        }
    }
    pairs
}

fn append_one_hot(observation: &Observation, codes: usize, out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + observation.codes.len() * codes, 0.0);
    for (law, code) in out[start..].chunks_mut(codes).zip(&observation.codes) {
        law[code.index()] = 1.0;
    }
}

fn values_of(losses: Vec<Tensor<1>>) -> Result<Vec<f64>> {
    losses.into_iter().map(|loss| Ok(read(loss.into_data())?.iter().copied().map(f64::from).sum())).collect()
}

/// The mean of each column.
fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64).collect()
}
