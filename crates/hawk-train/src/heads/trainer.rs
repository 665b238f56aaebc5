//! The steps of training: batches in an order that is a function of seed and step, AdamW, points of the curve, and the state that a run
//! which was killed goes on from.

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use hawk_nn::{HeadOffset, Result};
use hawk_spec::{Cell, philox4x32_10};

use crate::curve::{Curve, Point};
use crate::dataset::{Dataset, Observation, Shape, Split};
use crate::device::device;
use crate::module::{Batch, Blocks, Pairs};
use crate::params::{Named, collect, read, restore};
use crate::run::Reached;
use crate::schedule::warm_up_then_fall;
use crate::settings::{Labels, Settings};
use crate::state::{State, optimizer_bytes, restore_optimizer};

/// Points of a curve.
const POINTS: usize = 40;
/// The share of the steps over which the step size rises from zero.
const WARM_UP: f64 = 0.05;
const BETAS: (f32, f32) = (0.9, 0.95);
const WEIGHT_DECAY: f32 = 0.1;
const EPSILON: f32 = 1e-8;

/// A run under way.
pub(crate) struct Trainer<'a> {
    settings: &'a Settings,
    dataset: &'a Dataset,
    device: Device,
    /// The target's output projection over the codes, `[D, codes]`; frozen.
    projection: Tensor<2>,
    blocks: Blocks,
    optimizer: ModuleOptimizer,
    step: usize,
    curve: Curve,
    /// Per step since the curve's last point, the heads' losses.
    recent: Vec<Vec<f64>>,
    training: Vec<usize>,
    validation: Vec<usize>,
}

impl<'a> Trainer<'a> {
    /// A run that begins; `projection` is `[D, codes]`.
    pub(crate) fn new(settings: &'a Settings, dataset: &'a Dataset, projection: Vec<f32>) -> Result<Self> {
        let device = device().autodiff();
        let shape = dataset.shape();
        let adam = AdamWConfig::new().with_beta_1(BETAS.0).with_beta_2(BETAS.1);
        let mut trainer = Self {
            settings,
            dataset,
            projection: Tensor::from_data(TensorData::new(projection, [shape.width, shape.codes]), &device),
            blocks: Blocks::zeros(settings.offsets.len(), shape.width, &device)?,
            optimizer: adam.with_weight_decay(WEIGHT_DECAY).with_epsilon(EPSILON).init(),
            step: 0,
            curve: Curve::new("cross-entropy, nats", settings.offsets.iter().map(HeadOffset::to_string), None),
            recent: Vec::new(),
            training: dataset.split(Split::Training),
            validation: dataset.split(Split::Validation),
            device,
        };
        trainer.curve.bound = Some(("target".to_owned(), trainer.base()?));
        Ok(trainer)
    }

    /// Goes on from a state that [`state`](Self::state) gave.
    pub(crate) fn resume(self, state: State) -> Result<Self> {
        Ok(Self {
            blocks: restore(self.blocks, &state.numbers)?,
            optimizer: restore_optimizer(self.optimizer, state.optimizer)?,
            step: state.step,
            curve: state.curve,
            ..self
        })
    }

    pub(crate) fn state(&self) -> Result<State> {
        Ok(State {
            step: self.step,
            curve: self.curve.clone(),
            numbers: self.blocks()?,
            averaged: Vec::new(),
            optimizer: optimizer_bytes(&self.optimizer)?,
        })
    }

    /// Steps in all.
    pub(crate) fn steps(&self) -> usize {
        self.settings.epochs * self.steps_an_epoch()
    }

    fn steps_an_epoch(&self) -> usize {
        // Images beyond the last whole batch of an epoch wait for the next one.
        (self.training.len() / self.settings.batch).max(1)
    }

    /// Steps so far.
    pub(crate) fn done(&self) -> usize {
        self.step
    }

    pub(crate) fn curve(&self) -> &Curve {
        &self.curve
    }

    pub(crate) fn blocks(&self) -> Result<Vec<Named>> {
        collect(&self.blocks)
    }

    /// One step. Says whether it ended with a point of the curve: the moment to save the state.
    pub(crate) fn step(&mut self) -> Result<Reached> {
        let batch = self.batch(&self.images_of(self.step))?;
        let losses: Vec<Tensor<1>> = self.losses(&batch);
        let Some(sum) = losses.iter().cloned().reduce(|sum, loss| sum + loss) else { return Ok(Reached::Step) };
        let gradients = GradientsParams::from_grads(sum.backward(), &self.blocks);
        self.blocks = self.optimizer.step(self.learning_rate(), self.blocks.clone(), gradients);
        self.recent.push(numbers_of(losses)?);
        self.step += 1;
        if !Curve::is_due(self.step, self.steps(), POINTS) {
            return Ok(Reached::Step);
        }
        self.curve.push(Point { step: self.step, train: mean(&self.recent), validation: self.validate()? })?;
        self.recent.clear();
        Ok(Reached::Point)
    }

    fn learning_rate(&self) -> f64 {
        self.settings.learning_rate * warm_up_then_fall(self.step, self.steps(), WARM_UP, 0.0)
    }

    /// The images of a step: each epoch shuffles anew, by its number and the seed alone.
    fn images_of(&self, step: usize) -> Vec<usize> {
        let (epoch, at) = (step / self.steps_an_epoch(), step % self.steps_an_epoch());
        let seed = self.settings.seed.0;
        let mut order = self.training.clone();
        order.sort_by_key(|&image| {
            philox4x32_10([seed as u32, (seed >> 32) as u32], [image as u32, epoch as u32, 0, 0])
        });
        order.into_iter().skip(at * self.settings.batch).take(self.settings.batch).collect()
    }

    fn batch(&self, images: &[usize]) -> Result<Batch> {
        let shape = self.dataset.shape();
        let (mut hidden, mut labels) = (Vec::new(), Vec::new());
        for &image in images {
            let seen = self.dataset.load(image)?;
            hidden.extend_from_slice(&seen.hidden);
            match self.settings.labels {
                Labels::Law => seen.extend_law(&mut labels),
                Labels::Code => extend_one_hot(&seen, shape.codes, &mut labels),
            }
        }
        let rows = images.len() * shape.cells();
        Ok(Batch {
            hidden: Tensor::from_data(TensorData::new(hidden, [rows, shape.width]), &self.device),
            labels: Tensor::from_data(TensorData::new(labels, [rows, shape.codes]), &self.device),
            pairs: self.settings.offsets.iter().map(|&offset| pairs(offset, shape, images.len())).collect(),
        })
    }

    fn losses(&self, batch: &Batch) -> Vec<Tensor<1>> {
        (0..self.settings.offsets.len()).map(|head| self.blocks.loss(head, batch, &self.projection)).collect()
    }

    fn validate(&self) -> Result<Vec<f64>> {
        let mut losses = Vec::new();
        for images in self.validation.chunks(self.settings.batch) {
            let of_batch = numbers_of(self.losses(&self.batch(images)?))?;
            // Every image has as many rows of a head as any other.
            losses.extend(vec![of_batch; images.len()]);
        }
        Ok(mean(&losses))
    }

    /// The loss of the target's own law on the images kept for validation.
    fn base(&self) -> Result<f64> {
        let codes = self.dataset.shape().codes;
        let (mut sum, mut cells) = (0.0, 0);
        for &image in &self.validation {
            let seen = self.dataset.load(image)?;
            for (law, code) in seen.law.chunks(codes).zip(&seen.codes) {
                sum += match self.settings.labels {
                    Labels::Law => law.iter().map(|p| p.to_f64()).filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum(),
                    // A code that was drawn is not impossible: what 16 bits round to zero is about half their smallest number.
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

/// Every cell whose offset leads to another cell, in several images that stand one after another.
fn pairs(offset: HeadOffset, shape: Shape, images: usize) -> Pairs {
    let mut pairs = Pairs { from: Vec::new(), to: Vec::new() };
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

fn extend_one_hot(seen: &Observation, codes: usize, out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + seen.codes.len() * codes, 0.0);
    for (law, code) in out[start..].chunks_mut(codes).zip(&seen.codes) {
        law[code.index()] = 1.0;
    }
}

fn numbers_of(losses: Vec<Tensor<1>>) -> Result<Vec<f64>> {
    losses.into_iter().map(|loss| Ok(read(loss.into_data())?.iter().copied().map(f64::from).sum())).collect()
}

/// Per column, the mean over the rows.
fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64).collect()
}
