//! Training steps of a VQ tokenizer.

use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use hawk_files::{Checkpoint, Error, Result, VqConfig};
use hawk_nn::Image;

use crate::pictures::canvas::SIDE;
use crate::pictures::corpus::Corpus;
use crate::pictures::pixels::{crop, detail, from_tensor, mirrored, to_tensor};
use crate::pictures::sheet::COLUMNS;
use crate::run::curve::{Curve, Point};
use crate::run::device::device;
use crate::run::learner::Learner;
use crate::run::params::{NamedTensor, average, collect, fill, read, restore};
use crate::run::random::{Random, RandomPurpose};
use crate::run::schedule::Schedule;
use crate::run::state::State;
use crate::run::steps::{StepOutcome, Trainer};
use crate::vq::figures::{Likeness, Reconstruction};
use crate::vq::loss::reconstruction_loss;
use crate::vq::model::{Vqgan, unit};
use crate::vq::quantise::{KMeans, count_uses, indices, revive, used};
use crate::vq::settings::VqSettings;
use crate::vq::similarity;

/// Points of a curve.
const POINTS: usize = 60;
/// Fraction of the steps after which training has a codebook.
const CODEBOOK_START: f64 = 0.25;
/// Fraction of the steps after which training uses whole pictures.
const WHOLE_START: f64 = 0.6;
/// Fraction of the steps after which unused codes are no longer revived.
const REVIVAL_END: f64 = 0.8;
/// Fraction of the steps in which the learning rate rises, and its last value as a fraction of the
/// largest.
const WARM_UP: f64 = 0.02;
const LAST_RATE: f64 = 0.02;
/// Side of a crop in pixels.
const CROP: usize = SIDE / 2;
/// Standard deviation of the noise on a latent's values before there is a codebook. Latents have
/// unit length.
const NOISE: f32 = 0.1;
/// Pictures whose latents k-means clusters, and its rounds.
const K_MEANS_PICTURES: usize = 256;
const K_MEANS_ROUNDS: usize = 12;
/// Validation pictures that are measured at each point of the curve.
const VALIDATION: usize = 2 * COLUMNS;
/// Steps in the moving average of the weights.
const AVERAGE_STEPS: f64 = 1000.0;
/// Name of the codebook in the checkpoint.
const CODEBOOK_NAME: &str = "quantize.embedding.weight";

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Crops, noisy latents, no codebook.
    Noise,
    /// Crops, quantised latents.
    Crops,
    /// Whole pictures, quantised latents.
    Whole,
}

impl Stage {
    /// Whether a step takes crops.
    fn crops(self) -> bool {
        matches!(self, Self::Noise | Self::Crops)
    }
}

/// A tokenizer in training.
pub(crate) struct VqTrainer<'a> {
    settings: &'a VqSettings,
    config: VqConfig,
    corpus: &'a Corpus,
    device: Device,
    learner: Learner<Vqgan>,
    /// Where the decoder alone is trained: the first tokenizer, whose encoder and codebook are kept. It is without
    /// autodiff, so that its activations end with the step.
    first: Option<Vqgan>,
    training: Vec<usize>,
    validation: Vec<usize>,
}

impl<'a> VqTrainer<'a> {
    /// Starts a run.
    ///
    /// # Errors
    /// There are no pictures for training or validation.
    pub(crate) fn new(settings: &'a VqSettings, config: VqConfig, corpus: &'a Corpus) -> Result<Self> {
        let device = device().autodiff();
        let tokenizer = Vqgan::random(&config, settings.precision, settings.seed, &device)?;
        let (training, all) = (corpus.training(), corpus.validation());
        if training.is_empty() || all.is_empty() {
            return Err(Error::input("not enough pictures")
                .at("captions.jsonl")
                .expected("at least one for training and one for validation")
                .got(format!("{} for training, {} for validation", training.len(), all.len()))
                .hint("make more pictures: some are kept for validation by their names"));
        }
        let adam = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_weight_decay(1e-4).with_epsilon(1e-8);
        let curve = Curve::new("PSNR, dB", ["pictures".to_owned()], None);
        Ok(Self {
            learner: Learner::new(tokenizer, adam.init(), curve).with_averages()?,
            validation: Corpus::spread(&all, VALIDATION),
            first: None,
            settings,
            config,
            corpus,
            device,
            training,
        })
    }

    /// Starts from the weights of a checkpoint and trains the decoder alone.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub(crate) fn decoder_of(self, from: &Checkpoint) -> Result<Self> {
        let module = fill(self.learner.module, &mut |name, shape| Ok(from.tensor(name, shape)?.to_f32()))?;
        let learner = Learner { module, ..self.learner }.with_averages()?;
        let trainer = Self { learner, ..self };
        let first = trainer.without_autodiff(&trainer.learner.averaged)?;
        Ok(Self { first: Some(first), ..trainer })
    }

    /// The weights for inference: moving averages, with a codebook of unit-length rows.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn averaged(&self) -> Result<Vec<NamedTensor>> {
        let mut averaged = self.learner.averaged.clone();
        if self.first.is_some() {
            return Ok(averaged);
        }
        let table = restore(self.learner.module.clone(), &self.learner.averaged)?.codebook()?;
        averaged
            .iter_mut()
            .filter(|tensor| tensor.name == CODEBOOK_NAME)
            .for_each(|tensor| tensor.values.clone_from(&table));
        Ok(averaged)
    }

    fn stage(&self) -> Stage {
        let done = self.learner.step as f64 / self.settings.steps as f64;
        match done {
            _ if self.first.is_some() => Stage::Whole,
            _ if done < CODEBOOK_START => Stage::Noise,
            _ if done < WHOLE_START => Stage::Crops,
            _ => Stage::Whole,
        }
    }

    /// The step that starts with a new codebook.
    fn codebook_step(&self) -> usize {
        (CODEBOOK_START * self.settings.steps as f64).ceil() as usize
    }

    /// Measures the validation pictures and revives unused codes. `latents` are those of the last
    /// step.
    fn add_point(&mut self, latents: Tensor<4>) -> Result<()> {
        let train = self.learner.recent.take_mean_losses().into_iter().map(similarity::psnr).collect();
        let psnr_db: f64 = self.reconstructions()?.iter().map(|one| Likeness::of(one).psnr_db).sum();
        let validation = psnr_db / self.validation.len() as f64;
        self.learner.curve.push(Point { step: self.learner.step, train, validation: vec![validation] })?;
        if self.stage() != Stage::Noise && used(&self.learner.recent.code_uses) > 0 {
            let mut random = Random::new(self.settings.seed, RandomPurpose::Codes, self.learner.step);
            let mut table = self.learner.module.codebook()?;
            if self.first.is_none() && (self.learner.step as f64) < REVIVAL_END * self.settings.steps as f64 {
                revive(&self.learner.recent.code_uses, &mut table, &rows(latents)?, &mut random);
                self.set_codebook(table);
            }
            self.learner.recent.code_uses.clear();
        }
        Ok(())
    }

    /// A tokenizer with these weights and without autodiff, which would keep every tensor until the
    /// next backward pass.
    fn without_autodiff(&self, weights: &[NamedTensor]) -> Result<Vqgan> {
        restore(Vqgan::zeros(&self.config, self.settings.precision, &device()), weights)
    }

    fn set_codebook(&mut self, table: Vec<f32>) {
        for tensor in self.learner.averaged.iter_mut().filter(|tensor| tensor.name == CODEBOOK_NAME) {
            tensor.values.clone_from(&table);
        }
        self.learner.module = self.learner.module.clone().with_codebook(table);
    }

    /// Makes the codebook from the latents of some training pictures.
    fn start_codebook(&mut self) -> Result<()> {
        let (tokenizer, mut latents) = (self.without_autodiff(&collect(&self.learner.module)?)?, Vec::new());
        let chosen = self.training.len().min(K_MEANS_PICTURES);
        for chunk in (0..chosen).collect::<Vec<_>>().chunks(8) {
            let pictures =
                chunk.iter().map(|&i| self.corpus.picture(self.training[i * self.training.len() / chosen], SIDE));
            let pictures = to_tensor(&pictures.collect::<Result<Vec<_>>>()?, &device());
            latents.extend(rows(tokenizer.encode(pictures))?);
        }
        let random = Random::new(self.settings.seed, RandomPurpose::Codes, self.learner.step);
        let k_means = KMeans { codes: self.config.codes, width: self.config.embed_dim, rounds: K_MEANS_ROUNDS };
        let table = k_means.run(&latents, random, &device())?;
        self.set_codebook(table);
        Ok(())
    }

    fn noise(&self, shape: [usize; 4]) -> Tensor<4> {
        let mut random = Random::new(self.settings.seed, RandomPurpose::Noise, self.learner.step);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| NOISE * random.normal()).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// The pictures of a step, `[B, 3, height, width]`.
    fn batch(&self, stage: Stage) -> Result<Tensor<4>> {
        let count = if stage.crops() { 4 * self.settings.batch } else { self.settings.batch };
        let mut random = Random::new(self.settings.seed, RandomPurpose::Pictures, self.learner.step);
        let mut images = Vec::with_capacity(count);
        for _ in 0..count {
            let mut image = self.corpus.picture(self.training[random.below(self.training.len())], SIDE)?;
            if stage.crops() {
                image = detailed_crop(&image, &mut random);
            }
            if random.below(2) == 1 {
                image = mirrored(&image);
            }
            images.push(image);
        }
        Ok(to_tensor(&images, &self.device))
    }

    /// Reconstructs validation pictures with the averaged weights.
    ///
    /// # Errors
    /// A picture cannot be read, or the device fails.
    pub(crate) fn reconstructions(&self) -> Result<Vec<Reconstruction>> {
        let tokenizer = self.without_autodiff(&self.learner.averaged)?;
        let has_codebook =
            self.first.is_some() || self.stage() != Stage::Noise && self.learner.step > self.codebook_step();
        let mut reconstructions = Vec::new();
        for chunk in self.validation.chunks(4) {
            let pictures = chunk.iter().map(|&index| self.corpus.picture(index, SIDE)).collect::<Result<Vec<_>>>()?;
            let latents = tokenizer.encode(to_tensor(&pictures, &device()));
            let latents = if has_codebook { tokenizer.quantise(latents).latents } else { latents };
            let decoded = from_tensor(tokenizer.decode(latents))?;
            let pairs = pictures.into_iter().zip(decoded);
            reconstructions.extend(pairs.map(|(picture, decoded)| Reconstruction { picture, decoded }));
        }
        Ok(reconstructions)
    }
}

impl Trainer for VqTrainer<'_> {
    type Module = Vqgan;

    fn step(&mut self) -> Result<StepOutcome> {
        let stage = self.stage();
        if self.first.is_none() && stage != Stage::Noise && self.learner.step == self.codebook_step() {
            self.start_codebook()?;
        }
        let pictures = self.batch(stage)?;
        let latents = match &self.first {
            Some(first) => first.encode(pictures.clone().inner()),
            None => self.learner.module.encode(pictures.clone()),
        };
        let (codes, loss, decoded) = match (&self.first, stage) {
            (Some(first), _) => {
                let quantised = first.quantise(latents.clone());
                (Some(quantised.codes), None, self.learner.module.decode(Tensor::from_inner(quantised.latents)))
            }
            (None, Stage::Noise) => {
                let noise = self.noise(latents.dims());
                (None, None, self.learner.module.decode(unit(latents.clone() + noise)))
            }
            (None, _) => {
                let quantised = self.learner.module.quantise(latents.clone());
                (Some(quantised.codes), Some(quantised.loss), self.learner.module.decode(quantised.latents))
            }
        };
        let error = (decoded.clone().detach() - pictures.clone()).square().mean() * 0.25;
        let loss = loss.into_iter().fold(reconstruction_loss(decoded, pictures), |sum, loss| sum + loss);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.learner.module);
        let schedule = Schedule { steps: self.settings.steps, warm_up: WARM_UP, last: LAST_RATE };
        let rate = self.settings.learning_rate * schedule.factor(self.learner.step);
        self.learner.module = self.learner.optimizer.step(rate, self.learner.module.clone(), gradients);
        self.learner.recent.add_losses(&[read(error.into_data())?.iter().copied().map(f64::from).sum()]);
        if let Some(codes) = codes {
            count_uses(&mut self.learner.recent.code_uses, self.config.codes, &indices(codes)?);
        }
        self.learner.step += 1;
        average(&mut self.learner.averaged, &self.learner.module, self.learner.step, AVERAGE_STEPS)?;
        if !Curve::is_due(self.learner.step, self.settings.steps, POINTS) {
            return Ok(StepOutcome::Step);
        }
        self.add_point(latents)?;
        Ok(StepOutcome::CurvePoint)
    }

    fn steps(&self) -> usize {
        self.settings.steps
    }

    fn learner(&self) -> &Learner<Self::Module> {
        &self.learner
    }

    fn resume(self, state: State) -> Result<Self> {
        Ok(Self { learner: self.learner.resume(state)?, ..self })
    }
}

/// Of two random crops, the one with more detail: large parts of many pictures are empty.
fn detailed_crop(image: &Image, random: &mut Random) -> Image {
    let mut random_crop = || {
        let (left, top) = (random.below(SIDE - CROP + 1), random.below(SIDE - CROP + 1));
        crop(image, left, top, CROP)
    };
    let (first, second) = (random_crop(), random_crop());
    if detail(&first) >= detail(&second) { first } else { second }
}

/// Latents `[B, E, rows, columns]` as rows `[n, E]`, in raster order.
fn rows(latents: Tensor<4>) -> Result<Vec<f32>> {
    read(latents.permute([0, 2, 3, 1]).into_data())
}
