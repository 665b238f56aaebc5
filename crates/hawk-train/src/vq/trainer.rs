//! The steps of training a VQ tokenizer.

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use hawk_nn::{Error, Result, VqConfig};

use super::loss::reconstruction;
use super::model::{Tokenizer, unit};
use super::quantise::{Usage, indices, k_means};
use super::{Likeness, Pair, SIDE, VqSettings, metrics};
use crate::corpus::Corpus;
use crate::curve::{Curve, Point};
use crate::data::SHEET_COLUMNS;
use crate::device::device;
use crate::params::{Named, average, collect, read, restore};
use crate::pixels::{colours, crop, images, liveliness, mirrored};
use crate::random::{Purpose, Random};
use crate::run::Reached;
use crate::schedule::warm_up_then_fall;
use crate::state::{State, optimizer_bytes, restore_optimizer};

/// Points of a curve.
const POINTS: usize = 60;
/// The shares of the steps after which the codebook comes, whole pictures come, and codes are no longer revived.
const CODEBOOK: f64 = 0.25;
const WHOLE: f64 = 0.6;
const REVIVED: f64 = 0.8;
const CROP: usize = SIDE / 2;
/// Of a latent's number before there are codes; latents have length one.
const NOISE: f32 = 0.1;
/// Pictures whose latents k-means sees, and its rounds.
const K_MEANS_PICTURES: usize = 256;
const K_MEANS_ROUNDS: usize = 12;
/// Pictures of validation in training.
const VALIDATION: usize = 2 * SHEET_COLUMNS;
/// Steps that the mean of the weights goes back.
const AVERAGE_STEPS: f64 = 1000.0;
const CODEBOOK_NAME: &str = "quantize.embedding.weight";

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// No codes yet; noise on the latents of crops.
    Noise,
    /// Codes, crops.
    Crops,
    /// Codes, whole pictures.
    Whole,
}

/// A run under way.
pub(crate) struct Trainer<'a> {
    settings: &'a VqSettings,
    config: VqConfig,
    corpus: &'a Corpus,
    device: Device,
    tokenizer: Tokenizer,
    averaged: Vec<Named>,
    optimizer: ModuleOptimizer,
    step: usize,
    curve: Curve,
    /// Squared errors in 0..=1 of the steps since the curve's last point.
    recent: Vec<f64>,
    usage: Usage,
    training: Vec<usize>,
    validation: Vec<usize>,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(settings: &'a VqSettings, config: VqConfig, corpus: &'a Corpus) -> Result<Self> {
        let device = device().autodiff();
        let tokenizer = Tokenizer::random(&config, settings.precision, settings.seed, &device)?;
        let (training, all) = (corpus.training(), corpus.validation());
        if training.is_empty() || all.is_empty() {
            return Err(Error::input("too few pictures").expected("some to learn from and some for validation"));
        }
        let adam = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_weight_decay(1e-4).with_epsilon(1e-8);
        Ok(Self {
            averaged: collect(&tokenizer)?,
            usage: Usage::new(config.codes),
            validation: Corpus::spread(&all, VALIDATION),
            curve: Curve::new("PSNR, dB", ["pictures".to_owned()], None),
            optimizer: adam.init(),
            step: 0,
            recent: Vec::new(),
            settings,
            config,
            corpus,
            device,
            tokenizer,
            training,
        })
    }

    /// Goes on from a state that [`state`](Self::state) gave.
    pub(crate) fn resume(self, state: State) -> Result<Self> {
        let averaged = restore(self.tokenizer.clone(), &state.averaged)?;
        Ok(Self {
            tokenizer: restore(self.tokenizer, &state.numbers)?,
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
            numbers: collect(&self.tokenizer)?,
            averaged: self.averaged.clone(),
            optimizer: optimizer_bytes(&self.optimizer)?,
        })
    }

    /// Steps so far.
    pub(crate) fn done(&self) -> usize {
        self.step
    }

    pub(crate) fn curve(&self) -> &Curve {
        &self.curve
    }

    /// The weights to use: their mean over the last steps, the codebook at length one.
    pub(crate) fn averaged(&self) -> Result<Vec<Named>> {
        let mut averaged = self.averaged.clone();
        let table = restore(self.tokenizer.clone(), &self.averaged)?.codebook()?;
        averaged
            .iter_mut()
            .filter(|named| named.name == CODEBOOK_NAME)
            .for_each(|named| named.numbers.clone_from(&table));
        Ok(averaged)
    }

    fn stage(&self) -> Stage {
        let share = self.step as f64 / self.settings.steps as f64;
        match share {
            _ if share < CODEBOOK => Stage::Noise,
            _ if share < WHOLE => Stage::Crops,
            _ => Stage::Whole,
        }
    }

    /// One step. Says whether it ended with a point of the curve: the moment to save the state.
    pub(crate) fn step(&mut self) -> Result<Reached> {
        let stage = self.stage();
        if stage != Stage::Noise && self.step == (CODEBOOK * self.settings.steps as f64).ceil() as usize {
            self.begin_codebook()?;
        }
        let colours = self.batch(stage)?;
        let latents = self.tokenizer.encode(colours.clone());
        let (codes, loss, made) = match stage {
            Stage::Noise => {
                let noise = self.noise(latents.dims());
                (None, None, self.tokenizer.decode(unit(latents.clone() + noise)))
            }
            Stage::Crops | Stage::Whole => {
                let quantised = self.tokenizer.quantise(latents.clone());
                (Some(quantised.codes), Some(quantised.loss), self.tokenizer.decode(quantised.latents))
            }
        };
        let error = (made.clone() - colours.clone()).detach().square().mean() * 0.25;
        let loss = loss.into_iter().fold(reconstruction(made, colours), |sum, loss| sum + loss);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.tokenizer);
        let rate = self.settings.learning_rate * warm_up_then_fall(self.step, self.settings.steps, 0.02, 0.02);
        self.tokenizer = self.optimizer.step(rate, self.tokenizer.clone(), gradients);
        self.recent.push(read(error.into_data())?.iter().copied().map(f64::from).sum());
        if let Some(codes) = codes {
            self.usage.add(&indices(codes)?);
        }
        self.step += 1;
        average(&mut self.averaged, &self.tokenizer, self.step, AVERAGE_STEPS)?;
        if !Curve::is_due(self.step, self.settings.steps, POINTS) {
            return Ok(Reached::Step);
        }
        self.point(latents)?;
        Ok(Reached::Point)
    }

    fn point(&mut self, latents: Tensor<4>) -> Result<()> {
        let train = metrics::psnr(self.recent.iter().sum::<f64>() / self.recent.len() as f64);
        let validation =
            self.pairs()?.iter().map(|pair| Likeness::of(pair).psnr_db).sum::<f64>() / self.validation.len() as f64;
        self.curve.push(Point { step: self.step, train: vec![train], validation: vec![validation] })?;
        self.recent.clear();
        if self.stage() != Stage::Noise && self.usage.used() > 0 {
            let mut random = Random::new(self.settings.seed, Purpose::Codes, self.step);
            let mut table = self.tokenizer.codebook()?;
            if (self.step as f64) < REVIVED * self.settings.steps as f64 {
                self.usage.revive(&mut table, &flat(latents)?, &mut random);
                self.set_codebook(table);
            }
            self.usage = Usage::new(self.config.codes);
        }
        Ok(())
    }

    /// A tokenizer of these weights outside of autodiff, which keeps what it saw until the next way back.
    fn untracked(&self, weights: &[Named]) -> Result<Tokenizer> {
        restore(Tokenizer::zeros(&self.config, self.settings.precision, &device()), weights)
    }

    fn set_codebook(&mut self, table: Vec<f32>) {
        for named in self.averaged.iter_mut().filter(|named| named.name == CODEBOOK_NAME) {
            named.numbers.clone_from(&table);
        }
        self.tokenizer = self.tokenizer.clone().with_codebook(table);
    }

    fn begin_codebook(&mut self) -> Result<()> {
        let (tokenizer, mut latents) = (self.untracked(&collect(&self.tokenizer)?)?, Vec::new());
        let chosen = self.training.len().min(K_MEANS_PICTURES);
        for chunk in (0..chosen).collect::<Vec<_>>().chunks(8) {
            let pictures =
                chunk.iter().map(|&i| self.corpus.picture(self.training[i * self.training.len() / chosen], SIDE));
            let colours = colours(&pictures.collect::<Result<Vec<_>>>()?, &device());
            latents.extend(flat(tokenizer.encode(colours))?);
        }
        let random = Random::new(self.settings.seed, Purpose::Codes, self.step);
        let size = (self.config.codes, self.config.embed_dim);
        let table = k_means(&latents, size, K_MEANS_ROUNDS, random, &device())?;
        self.set_codebook(table);
        Ok(())
    }

    fn noise(&self, shape: [usize; 4]) -> Tensor<4> {
        let mut random = Random::new(self.settings.seed, Purpose::Noise, self.step);
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| NOISE * random.normal()).collect();
        Tensor::from_data(TensorData::new(numbers, shape), &self.device)
    }

    /// The colours of a step.
    fn batch(&self, stage: Stage) -> Result<Tensor<4>> {
        let count = if stage == Stage::Whole { self.settings.batch } else { 4 * self.settings.batch };
        let mut random = Random::new(self.settings.seed, Purpose::Pictures, self.step);
        let mut images = Vec::with_capacity(count);
        for _ in 0..count {
            let mut image = self.corpus.picture(self.training[random.below(self.training.len())], SIDE)?;
            if stage != Stage::Whole {
                // The livelier of two places: much of many pictures is empty.
                let mut place = || [random.below(SIDE - CROP + 1), random.below(SIDE - CROP + 1)];
                let crops = [place(), place()].map(|place| crop(&image, place, CROP));
                let [first, second] = [&crops[0], &crops[1]].map(liveliness);
                let [a, b] = crops;
                image = if first >= second { a } else { b };
            }
            if random.below(2) == 1 {
                image = mirrored(&image);
            }
            images.push(image);
        }
        Ok(colours(&images, &self.device))
    }

    /// Pictures of validation and what the averaged weights leave of them.
    pub(crate) fn pairs(&self) -> Result<Vec<Pair>> {
        let tokenizer = self.untracked(&self.averaged)?;
        let coded = self.stage() != Stage::Noise && self.step > (CODEBOOK * self.settings.steps as f64).ceil() as usize;
        let mut pairs = Vec::new();
        for chunk in self.validation.chunks(4) {
            let pictures = chunk.iter().map(|&index| self.corpus.picture(index, SIDE)).collect::<Result<Vec<_>>>()?;
            let latents = tokenizer.encode(colours(&pictures, &device()));
            let latents = if coded { tokenizer.quantise(latents).latents } else { latents };
            pairs.extend(pictures.into_iter().zip(images(tokenizer.decode(latents))?));
        }
        Ok(pairs)
    }
}

/// Latents `[n, E]`, cell by cell.
fn flat(latents: Tensor<4>) -> Result<Vec<f32>> {
    read(latents.permute([0, 2, 3, 1]).into_data())
}
