//! A folder of observed images: for every cell the target's hidden state and law, one file for each
//! image.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use half::f16;
use hawk::{Decoder, Decoding, Engine, Request, Rule, Seed};
use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_nn::VqEncoder;
use hawk_spec::{Cell, Code, Noise, Purpose, probabilities};

use crate::heads::images::{CaptionedPicture, TrainingImages};
use crate::heads::observation::{Observation, ObservationShape};
use crate::run::files;

/// Images of one prompt that are drawn in one batch.
const BATCH: usize = 8;
/// One image in so many belongs to the validation set.
const VALIDATION_EVERY: usize = 10;

/// A folder of observed images.
pub(crate) struct Dataset {
    dir: PathBuf,
    images: TrainingImages,
    shape: ObservationShape,
}

/// Which images of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subset {
    Training,
    /// Every tenth image, or the last one if there are fewer than ten.
    Validation,
}

impl Dataset {
    /// Opens the images in `dir`. [`make`](Self::make) adds the missing ones.
    ///
    /// # Errors
    /// There are too few images, or the folder cannot be written or holds images of another origin.
    pub(crate) fn new(engine: &Engine, dir: &Path, images: &TrainingImages) -> Result<Self> {
        images.check()?;
        files::make_dir(dir)?;
        files::check_identity(&dir.join("origin.json"), &images.origin(engine)?)?;
        let layout = &engine.config().layout;
        let (grid, codes) = (layout.grid(), layout.codes() as usize);
        let shape = ObservationShape { grid, hidden_size: engine.backend().config().hidden, codes };
        Ok(Self { dir: dir.to_owned(), images: images.clone(), shape })
    }

    /// Draws or encodes the missing images and observes them.
    /// `observer` gets the number of images that are ready, and can stop the work with `Break`.
    ///
    /// # Errors
    /// The target or the VQ encoder fails, a picture cannot be read, or a file cannot be written.
    pub(crate) fn make(
        &self,
        engine: &Engine,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        match &self.images {
            TrainingImages::Sampled { images, prompts, seed } => {
                let mut done = 0;
                for (number, prompt) in prompts.iter().enumerate().take(*images) {
                    let of_prompt: Vec<usize> = (number..*images).step_by(prompts.len()).collect();
                    self.draw(engine, prompt, *seed, &of_prompt)?;
                    done += of_prompt.len();
                    if observer(done).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            TrainingImages::Pictures { pictures, .. } => self.encode(engine, pictures, observer),
        }
    }

    /// Draws the missing images of one prompt. They are written in order, so the first missing file
    /// is where to resume.
    fn draw(&self, engine: &Engine, prompt: &str, seed: Seed, of_prompt: &[usize]) -> Result<()> {
        let Some(first) = of_prompt.iter().position(|&image| !self.path(image).exists()) else { return Ok(()) };
        let request = Request {
            prompt: prompt.to_owned(),
            seed,
            images: first as u32..of_prompt.len() as u32,
            sampling: engine.config().defaults,
            decoding: Decoding::with_defaults(Decoder::NEIGHBOUR, Rule::Replay),
            batch: BATCH,
        };
        let mut outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
        outcome.images.sort_by_key(|image| image.index);
        for image in &outcome.images {
            self.write(engine, prompt, of_prompt[image.index as usize], &image.codes)?;
        }
        outcome.without_failures()
    }

    fn encode(
        &self,
        engine: &Engine,
        pictures: &[CaptionedPicture],
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (encoder, pool) = (VqEncoder::load(engine.source(), "vq/")?, Threads::new(engine.threads()));
        for (number, picture) in pictures.iter().enumerate() {
            if !self.path(number).exists() {
                let pixels = picture.load(engine.config().image_size)?;
                let at_picture = |e: Error| e.at(picture.path.display());
                let codes = encoder.encode(&pool, &pixels, self.shape.grid).map_err(at_picture)?;
                self.write(engine, &picture.caption, number, &codes).map_err(at_picture)?;
            }
            if observer(number + 1).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn write(&self, engine: &Engine, prompt: &str, number: usize, codes: &[Code]) -> Result<()> {
        files::write(&self.path(number), &self.observe(engine, prompt, codes)?.to_bytes(self.shape)?)
    }

    fn observe(&self, engine: &Engine, prompt: &str, codes: &[Code]) -> Result<Observation> {
        let (cells, mut law) = (self.shape.cells(), vec![0.0; self.shape.codes]);
        let mut observation = Observation {
            hidden: Vec::with_capacity(cells * self.shape.hidden_size),
            laws: Vec::with_capacity(cells * self.shape.codes),
            codes: codes.to_vec(),
        };
        engine.observe(prompt, codes, &engine.config().defaults, &mut |cell| {
            probabilities(cell.scores, &mut law).map_err(|e| Error::input(e.to_string()))?;
            observation.hidden.extend_from_slice(cell.hidden);
            observation.laws.extend(law.iter().map(|&p| f16::from_f64(p)));
            Ok(())
        })?;
        Ok(observation)
    }

    pub(crate) fn shape(&self) -> ObservationShape {
        self.shape
    }

    /// Reads an image that [`make`](Self::make) wrote.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub(crate) fn load(&self, image: usize) -> Result<Observation> {
        let path = self.path(image);
        Observation::from_bytes(&files::read(&path)?, self.shape)
            .map_err(|e| e.at(path.display()).hint("remove the file; the same command makes it again"))
    }

    /// The noise of an image under the rule `replay`.
    pub(crate) fn noise(&self, image: usize) -> Noise {
        self.images.noise(image)
    }

    /// The codes that plain decoding draws with the image's noise from its laws, `[cells, codes]`.
    ///
    /// # Errors
    /// A law has no positive probability.
    pub(crate) fn drawn_codes(&self, image: usize, observation: &Observation, laws: &[f32]) -> Result<Vec<Code>> {
        if let TrainingImages::Sampled { .. } = self.images {
            return Ok(observation.codes.clone());
        }
        let noise = self.noise(image);
        let draw = |(cell, law): (u32, &[f32])| {
            let scores: Vec<f32> = law.iter().map(|p| p.ln()).collect();
            noise.at(Cell(cell), Purpose::Replay).argmax(&scores).map_err(|e| Error::input(e.to_string()))
        };
        (0..).zip(laws.chunks(self.shape.codes)).map(draw).collect()
    }

    /// The numbers of the images of a subset, ascending.
    pub(crate) fn subset(&self, subset: Subset) -> Vec<usize> {
        let every = VALIDATION_EVERY.min(self.images.len());
        let held_out = |image: &usize| image % every == every - 1;
        (0..self.images.len()).filter(|image| held_out(image) == (subset == Subset::Validation)).collect()
    }

    fn path(&self, image: usize) -> PathBuf {
        self.dir.join(format!("{image:06}.safetensors"))
    }
}
