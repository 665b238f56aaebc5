//! Training steps of a target.

use std::collections::BTreeMap;

use burn::module::ParamGroup;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Int, Tensor, TensorData};
use hawk_files::{Checkpoint, Result};

use crate::pictures::corpus::Corpus;
use crate::pictures::entry::Kind;
use crate::run::curve::{Curve, Point};
use crate::run::device::device;
use crate::run::learner::Learner;
use crate::run::params::{NamedTensor, average, fill, read, restore};
use crate::run::schedule::Schedule;
use crate::run::state::State;
use crate::run::steps::{StepOutcome, Trainer};
use crate::transformer::batches::{Batches, TokenBatch};
use crate::transformer::model::{Positions, Transformer};
use crate::transformer::muon::Muon;
use crate::transformer::operations::cross_entropy;
use crate::transformer::settings::{Optimizer, TargetSettings};
use crate::transformer::vocabulary::CODE_OFFSET;
use hawk_pictures::Split;

/// Points of a curve.
const POINTS: usize = 60;
/// Fraction of the steps in which the learning rate rises, and its last value as a fraction of the
/// largest.
const WARM_UP: f64 = 0.02;
const LAST_RATE: f64 = 0.02;
const WEIGHT_DECAY: f32 = 0.1;
/// Validation pictures of each kind that are measured at each point of the curve.
const VALIDATION: usize = 32;
/// Length of the moving average of the weights, as a fraction of all steps.
const AVERAGE: f64 = 0.02;

/// A target in training.
pub(crate) struct TargetTrainer<'a> {
    settings: &'a TargetSettings,
    batches: Batches<'a>,
    learner: Learner<Transformer>,
    /// Validation pictures of each kind that are measured at each point of the curve.
    validation: Vec<(String, Vec<usize>)>,
}

impl<'a> TargetTrainer<'a> {
    /// Starts a run with random weights. `vocabulary` is the number of ids.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn new(
        settings: &'a TargetSettings,
        vocabulary: usize,
        batches: Batches<'a>,
        corpus: &Corpus,
    ) -> Result<Self> {
        let transformer = Transformer::random(settings, vocabulary, &device().autodiff())?;
        let validation: Vec<_> =
            kinds(corpus).into_iter().map(|(name, all)| (name, Corpus::spread(&all, VALIDATION))).collect();
        let curve = Curve::new("cross-entropy of a code, nats", validation.iter().map(|(name, _)| name.clone()), None);
        let learner = Learner::new(transformer, optimizer(settings), curve).with_averages()?;
        Ok(Self { settings, batches, learner, validation })
    }

    /// Replaces the random weights by those of a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub(crate) fn start_from(self, first: &Checkpoint) -> Result<Self> {
        let transformer = fill(self.learner.module, &mut |name, shape| Ok(first.tensor(name, shape)?.to_f32()))?;
        Ok(Self { learner: Learner { module: transformer, ..self.learner }.with_averages()?, ..self })
    }

    /// The weights for inference: moving averages.
    pub(crate) fn averaged(&self) -> &[NamedTensor] {
        &self.learner.averaged
    }

    /// Measures the validation pictures with the averaged weights.
    fn add_point(&mut self) -> Result<()> {
        let transformer = self.without_autodiff()?;
        let validation = self.validation.iter().map(|(_, pictures)| self.mean_loss(&transformer, pictures));
        let validation = validation.collect::<Result<Vec<_>>>()?;
        let train = self.learner.recent.take_mean_losses().repeat(validation.len());
        self.learner.curve.push(Point { step: self.learner.step, train, validation })
    }

    /// The mean validation cross-entropy of a code with the averaged weights, for each kind and
    /// style. At most `most` pictures of each are measured.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn measure(&self, corpus: &Corpus, most: usize) -> Result<BTreeMap<String, f64>> {
        let transformer = self.without_autodiff()?;
        let mut groups = kinds(corpus);
        for index in corpus.validation().into_iter().filter(|&i| corpus.entries[i].kind != Kind::Scene) {
            groups.entry(format!("style {}", corpus.entries[index].style)).or_default().push(index);
        }
        let loss = |(name, pictures): (String, Vec<usize>)| {
            Ok((name, self.mean_loss(&transformer, &Corpus::spread(&pictures, most))?))
        };
        groups.into_iter().map(loss).collect()
    }

    /// The averaged weights without autodiff, which would keep every tensor until the next backward
    /// pass.
    fn without_autodiff(&self) -> Result<Transformer> {
        restore(Transformer::zeros(self.settings, self.learner.module.vocabulary(), &device()), &self.learner.averaged)
    }

    fn mean_loss(&self, transformer: &Transformer, pictures: &[usize]) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0);
        for chunk in pictures.chunks(self.settings.batch) {
            let losses = read(self.losses(transformer, &self.batches.plain(chunk)).into_data())?;
            sum += losses.iter().copied().map(f64::from).sum::<f64>();
            count += losses.len();
        }
        Ok(sum / count as f64)
    }

    /// Cross-entropies `[rows]` of the codes of a batch.
    fn losses(&self, transformer: &Transformer, batch: &TokenBatch) -> Tensor<1> {
        let length = batch.tokens.len() / batch.sequences.max(1);
        let ints = |values: &[i64]| TensorData::new(values.to_vec(), [values.len()]);
        let tokens = TensorData::new(batch.tokens.clone(), [batch.sequences, length]);
        let device = transformer.device();
        let tokens = Tensor::<2, Int>::from_data(tokens, &device);
        let rows = Tensor::<1, Int>::from_data(ints(&batch.rows), &device);
        let labels = Tensor::<1, Int>::from_data(ints(&batch.labels), &device);
        let positions = Positions::new(length, self.settings.width / self.settings.heads, &device);
        let codes = CODE_OFFSET as usize..CODE_OFFSET as usize + self.batches.codes();
        cross_entropy(transformer.logits(tokens, &positions, rows, codes), labels)
    }
}

impl Trainer for TargetTrainer<'_> {
    type Module = Transformer;

    fn step(&mut self) -> Result<StepOutcome> {
        let batch = self.batches.of_step(self.learner.step);
        let loss = self.losses(&self.learner.module, &batch).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.learner.module);
        let schedule = Schedule { steps: self.steps(), warm_up: WARM_UP, last: LAST_RATE };
        let rate = self.settings.learning_rate * schedule.factor(self.learner.step);
        self.learner.module = self.learner.optimizer.step(rate, self.learner.module.clone(), gradients);
        self.learner.recent.add_losses(&[read(loss.into_data())?.iter().copied().map(f64::from).sum()]);
        self.learner.step += 1;
        let window = AVERAGE * self.steps() as f64;
        average(&mut self.learner.averaged, &self.learner.module, self.learner.step, window)?;
        if !Curve::is_due(self.learner.step, self.steps(), POINTS) {
            return Ok(StepOutcome::Step);
        }
        self.add_point()?;
        Ok(StepOutcome::CurvePoint)
    }

    fn steps(&self) -> usize {
        (self.settings.passes * self.batches.steps_a_pass() as f64).ceil() as usize
    }

    fn learner(&self) -> &Learner<Self::Module> {
        &self.learner
    }

    fn resume(self, state: State) -> Result<Self> {
        Ok(Self { learner: self.learner.resume(state)?, ..self })
    }
}

/// AdamW without weight decay for all parameters but the weight matrices.
/// Those have weight decay, and the optimizer of the settings.
fn optimizer(settings: &TargetSettings) -> ModuleOptimizer {
    let adam = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.95).with_epsilon(1e-8);
    let matrices = ParamGroup::from_predicate("proj");
    let all = adam.clone().with_weight_decay(0.0).init();
    match settings.optimizer {
        Optimizer::AdamW => all.with_group(matrices, adam.with_weight_decay(WEIGHT_DECAY).build(), None),
        Optimizer::Muon => all.with_group(matrices, Muon::new(WEIGHT_DECAY, settings.precision.dtype()), None),
    }
}

/// The validation pictures, grouped by what training does not have.
fn kinds(corpus: &Corpus) -> BTreeMap<String, Vec<usize>> {
    let mut kinds = BTreeMap::<String, Vec<usize>>::new();
    for index in corpus.validation() {
        let name = match corpus.entries[index].split {
            Split::Train => continue,
            Split::NewStyle => "new style",
            Split::NewConcept => "new concept",
            Split::NewScene => "new scene",
        };
        kinds.entry(name.to_owned()).or_default().push(index);
    }
    kinds
}
