//! The steps of training a target.

use std::collections::BTreeMap;

use burn::module::ParamGroup;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Int, Tensor, TensorData};
use hawk_nn::{Checkpoint, Result};

use super::batches::{Batch, Batches};
use super::model::{Decoder, Positions};
use super::muon::Muon;
use super::pieces::cross_entropy;
use super::words::{CODE_OFFSET, Ids};
use super::{Optimizer, TargetSettings};
use crate::corpus::Corpus;
use crate::curve::{Curve, Point};
use crate::data::{Kind, Split};
use crate::device::device;
use crate::params::{Named, average, collect, fill, read, restore};
use crate::run::Reached;
use crate::schedule::warm_up_then_fall;
use crate::state::{State, optimizer_bytes, restore_optimizer};

/// Points of a curve.
const POINTS: usize = 60;
const WARM_UP: f64 = 0.02;
const LEAST: f64 = 0.02;
const WEIGHT_DECAY: f32 = 0.1;
/// Pictures of validation in training, of each kind.
const VALIDATION: usize = 32;
/// How far the mean of the weights goes back, as a share of all steps.
const AVERAGE: f64 = 0.02;

/// A run under way.
pub(crate) struct Trainer<'a> {
    settings: &'a TargetSettings,
    ids: Ids,
    batches: Batches<'a>,
    decoder: Decoder,
    averaged: Vec<Named>,
    optimizer: ModuleOptimizer,
    step: usize,
    curve: Curve,
    /// Losses of the steps since the curve's last point.
    recent: Vec<f64>,
    /// Pictures of validation in training, by kind.
    validation: Vec<(String, Vec<usize>)>,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(
        settings: &'a TargetSettings,
        (ids, vocabulary): (Ids, usize),
        batches: Batches<'a>,
        corpus: &Corpus,
        first: Option<&Checkpoint>,
    ) -> Result<Self> {
        let device = device().autodiff();
        let mut decoder = Decoder::random(settings, vocabulary, &device)?;
        if let Some(first) = first {
            decoder = fill(decoder, &mut |name, shape| Ok(first.tensor(name, shape)?.to_f32()))?;
        }
        let validation: Vec<_> =
            kinds(corpus).into_iter().map(|(name, all)| (name, Corpus::spread(&all, VALIDATION))).collect();
        Ok(Self {
            averaged: collect(&decoder)?,
            optimizer: optimizer(settings),
            curve: Curve::new("cross-entropy of a code, nats", validation.iter().map(|(name, _)| name.clone()), None),
            step: 0,
            recent: Vec::new(),
            settings,
            ids,
            batches,
            decoder,
            validation,
        })
    }

    /// Goes on from a state that [`state`](Self::state) gave.
    pub(crate) fn resume(self, state: State) -> Result<Self> {
        let averaged = restore(self.decoder.clone(), &state.averaged)?;
        Ok(Self {
            decoder: restore(self.decoder, &state.numbers)?,
            averaged: collect(&averaged)?,
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
            numbers: collect(&self.decoder)?,
            averaged: self.averaged.clone(),
            optimizer: optimizer_bytes(&self.optimizer)?,
        })
    }

    /// Steps in all.
    pub(crate) fn steps(&self) -> usize {
        (self.settings.passes * self.batches.steps_a_pass() as f64).ceil() as usize
    }

    /// Steps so far.
    pub(crate) fn done(&self) -> usize {
        self.step
    }

    pub(crate) fn curve(&self) -> &Curve {
        &self.curve
    }

    /// The weights to use: their mean over the last steps.
    pub(crate) fn averaged(&self) -> &[Named] {
        &self.averaged
    }

    /// One step. Says whether it ended with a point of the curve: the moment to save the state.
    pub(crate) fn step(&mut self) -> Result<Reached> {
        let batch = self.batches.of_step(self.step);
        let loss = self.losses(&self.decoder, &batch).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.decoder);
        let rate = self.settings.learning_rate * warm_up_then_fall(self.step, self.steps(), WARM_UP, LEAST);
        self.decoder = self.optimizer.step(rate, self.decoder.clone(), gradients);
        self.recent.push(read(loss.into_data())?.iter().copied().map(f64::from).sum());
        self.step += 1;
        let back = AVERAGE * self.steps() as f64;
        average(&mut self.averaged, &self.decoder, self.step, back)?;
        if !Curve::is_due(self.step, self.steps(), POINTS) {
            return Ok(Reached::Step);
        }
        self.point()?;
        Ok(Reached::Point)
    }

    fn point(&mut self) -> Result<()> {
        let train = self.recent.iter().sum::<f64>() / self.recent.len() as f64;
        let decoder = self.untracked()?;
        let validation = self.validation.iter().map(|(_, pictures)| self.mean_loss(&decoder, pictures));
        let validation = validation.collect::<Result<Vec<_>>>()?;
        self.curve.push(Point { step: self.step, train: vec![train; validation.len()], validation })?;
        self.recent.clear();
        Ok(())
    }

    /// The mean cross-entropy of a code, with the averaged weights, by kind and by style: `all` pictures at most of each.
    pub(crate) fn measure(&self, corpus: &Corpus, all: usize) -> Result<BTreeMap<String, f64>> {
        let decoder = self.untracked()?;
        let mut groups = kinds(corpus);
        for index in corpus.validation().into_iter().filter(|&i| corpus.entries[i].kind == Kind::Emoji) {
            groups.entry(format!("style {}", corpus.entries[index].style)).or_default().push(index);
        }
        let loss = |(name, pictures): (String, Vec<usize>)| {
            Ok((name, self.mean_loss(&decoder, &Corpus::spread(&pictures, all))?))
        };
        groups.into_iter().map(loss).collect()
    }

    /// The averaged weights outside of autodiff, which keeps what it saw until the next way back.
    fn untracked(&self) -> Result<Decoder> {
        restore(Decoder::zeros(self.settings, self.decoder.vocabulary(), &device()), &self.averaged)
    }

    fn mean_loss(&self, decoder: &Decoder, pictures: &[usize]) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0);
        for chunk in pictures.chunks(self.settings.batch) {
            let losses = read(self.losses(decoder, &self.batches.plain(chunk)).into_data())?;
            sum += losses.iter().copied().map(f64::from).sum::<f64>();
            count += losses.len();
        }
        Ok(sum / count as f64)
    }

    /// Cross-entropies `[rows]` of a batch's codes.
    fn losses(&self, decoder: &Decoder, batch: &Batch) -> Tensor<1> {
        let length = batch.tokens.len() / batch.sequences.max(1);
        let ints = |numbers: &[i64]| TensorData::new(numbers.to_vec(), [numbers.len()]);
        let tokens = TensorData::new(batch.tokens.clone(), [batch.sequences, length]);
        let device = decoder.device();
        let tokens = Tensor::<2, Int>::from_data(tokens, &device);
        let rows = Tensor::<1, Int>::from_data(ints(&batch.rows), &device);
        let labels = Tensor::<1, Int>::from_data(ints(&batch.labels), &device);
        let positions = Positions::new(length, self.settings.width / self.settings.heads, &device);
        let codes = CODE_OFFSET as usize..(CODE_OFFSET + self.ids.codes) as usize;
        cross_entropy(decoder.logits(tokens, &positions, rows, codes), labels)
    }
}

/// AdamW for all but the products, which decay, and which Muon may train.
fn optimizer(settings: &TargetSettings) -> ModuleOptimizer {
    let adam = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.95).with_epsilon(1e-8);
    let products = ParamGroup::from_predicate("proj");
    let all = adam.clone().with_weight_decay(0.0).init();
    match settings.optimizer {
        Optimizer::AdamW => all.with_group(products, adam.with_weight_decay(WEIGHT_DECAY).build(), None),
        Optimizer::Muon => all.with_group(products, Muon::new(WEIGHT_DECAY, settings.precision.numbers()), None),
    }
}

/// The pictures of validation by what is new about them.
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
