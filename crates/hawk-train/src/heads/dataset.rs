//! The images that heads learn from, as the target sees them: a hidden state and a law per cell, one file per image.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use hawk::{Decoder, Decoding, Engine, Request, Rule, Seed};
use hawk_nn::kernels::Pool;
use hawk_nn::{Error, Result, VqEncoder};
use hawk_spec::{Cell, Code, Grid, Noise, Purpose, argmax_with_noise, probabilities};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::files;
use crate::images::{Images, Picture};

/// Images of one prompt that are sampled together.
const BATCH: usize = 8;
/// One image in so many is kept for validation.
const VALIDATION_EVERY: usize = 10;

/// Sizes that all images share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) grid: Grid,
    /// D.
    pub(crate) width: usize,
    pub(crate) codes: usize,
}

impl Shape {
    pub(crate) fn cells(self) -> usize {
        self.grid.cells() as usize
    }
}

/// One image as the target sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// The conditional stream's last hidden states, `[cells, D]`.
    pub(crate) hidden: Vec<f32>,
    /// The target's law, `[cells, codes]`; 16 bits keep a probability to one part in two thousand.
    pub(crate) law: Vec<f16>,
    /// The image.
    pub(crate) codes: Vec<Code>,
}

/// A folder of observed images.
pub(crate) struct Dataset {
    dir: PathBuf,
    source: Images,
    shape: Shape,
}

impl Dataset {
    /// The images in `dir`; [`make`](Self::make) adds those that are not there yet.
    ///
    /// # Errors
    /// The folder holds images of another origin or cannot be written, too few images.
    pub(crate) fn new(engine: &Engine, dir: &Path, source: &Images) -> Result<Self> {
        source.check()?;
        files::make_dir(dir)?;
        files::claim(&dir.join("origin.json"), &source.origin(engine)?)?;
        let layout = &engine.config().layout;
        let (grid, codes) = (layout.grid(), layout.codes() as usize);
        let shape = Shape { grid, width: engine.target().config().hidden, codes };
        Ok(Self { dir: dir.to_owned(), source: source.clone(), shape })
    }

    /// Draws or encodes the images that are missing and observes them; `observer` hears how many are there and may break off.
    ///
    /// # Errors
    /// The target or the VQ encoder fails, a picture cannot be read, or a file cannot be written.
    pub(crate) fn make(
        &self,
        engine: &Engine,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        match &self.source {
            Images::Sampled { images, prompts, seed } => {
                let mut there = 0;
                for (number, prompt) in prompts.iter().enumerate().take(*images) {
                    let of_prompt: Vec<usize> = (number..*images).step_by(prompts.len()).collect();
                    self.draw(engine, prompt, *seed, &of_prompt)?;
                    there += of_prompt.len();
                    if observer(there).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            Images::Pictures { pictures, .. } => self.encode(engine, pictures, observer),
        }
    }

    /// The images of one prompt that are not there yet. They are written in order, so that the first gap tells where to go on.
    fn draw(&self, engine: &Engine, prompt: &str, seed: Seed, of_prompt: &[usize]) -> Result<()> {
        let Some(first) = of_prompt.iter().position(|&image| !self.path(image).exists()) else { return Ok(()) };
        let request = Request {
            prompt: prompt.to_owned(),
            seed,
            images: first as u32..of_prompt.len() as u32,
            sampling: engine.config().defaults,
            decoding: Decoding::with_defaults(Decoder::Neighbour, Rule::Replay),
            batch: BATCH,
        };
        let mut images = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?.images;
        images.sort_by_key(|image| image.index);
        for image in &images {
            self.put(engine, prompt, of_prompt[image.index as usize], &image.codes)?;
        }
        Ok(())
    }

    fn encode(
        &self,
        engine: &Engine,
        pictures: &[Picture],
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (encoder, pool) = (VqEncoder::load(engine.source(), "vq/")?, Pool::new(engine.threads()));
        for (number, picture) in pictures.iter().enumerate() {
            if !self.path(number).exists() {
                let pixels = picture.load(engine.config().image_size)?;
                let codes =
                    encoder.encode(&pool, &pixels, self.shape.grid).map_err(|e| e.at(picture.path.display()))?;
                self.put(engine, &picture.caption, number, &codes).map_err(|e| e.at(picture.path.display()))?;
            }
            if observer(number + 1).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn put(&self, engine: &Engine, prompt: &str, number: usize, codes: &[Code]) -> Result<()> {
        files::write(&self.path(number), &self.observe(engine, prompt, codes)?.to_bytes(self.shape)?)
    }

    fn observe(&self, engine: &Engine, prompt: &str, codes: &[Code]) -> Result<Observation> {
        let (cells, mut law) = (self.shape.cells(), vec![0.0; self.shape.codes]);
        let mut seen = Observation {
            hidden: Vec::with_capacity(cells * self.shape.width),
            law: Vec::with_capacity(cells * self.shape.codes),
            codes: codes.to_vec(),
        };
        engine.observe(prompt, codes, &engine.config().defaults, &mut |cell| {
            probabilities(cell.scores, &mut law).map_err(|e| Error::input(e.to_string()))?;
            seen.hidden.extend_from_slice(cell.hidden);
            seen.law.extend(law.iter().map(|&p| f16::from_f64(p)));
            Ok(())
        })?;
        Ok(seen)
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// An image that is there.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub(crate) fn load(&self, image: usize) -> Result<Observation> {
        let path = self.path(image);
        Observation::from_bytes(&files::read(&path)?, self.shape)
            .map_err(|e| e.at(path.display()).hint("remove the file: it will be made again"))
    }

    /// The noise that drew an image, or would draw it.
    pub(crate) fn noise(&self, image: usize) -> Noise {
        self.source.noise(image)
    }

    /// The codes that plain decoding draws from the laws of an image (`[cells, codes]`) with its noise.
    ///
    /// # Errors
    /// A law without any probability.
    pub(crate) fn drawn(&self, image: usize, seen: &Observation, laws: &[f32]) -> Result<Vec<Code>> {
        if let Images::Sampled { .. } = self.source {
            return Ok(seen.codes.clone());
        }
        let Noise { seed, image } = self.noise(image);
        let draw = |(cell, law): (u32, &[f32])| {
            let scores: Vec<f32> = law.iter().map(|p| p.ln()).collect();
            argmax_with_noise(seed, image, Cell(cell), &scores, Purpose::Replay)
                .map_err(|e| Error::input(e.to_string()))
        };
        (0..).zip(laws.chunks(self.shape.codes)).map(draw).collect()
    }

    /// The images to learn from, or to validate with: every tenth, or the last where there are fewer.
    pub(crate) fn split(&self, split: Split) -> Vec<usize> {
        let every = VALIDATION_EVERY.min(self.source.len());
        let held_out = |image: &usize| image % every == every - 1;
        (0..self.source.len()).filter(|image| held_out(image) == (split == Split::Validation)).collect()
    }

    fn path(&self, image: usize) -> PathBuf {
        self.dir.join(format!("{image:06}.safetensors"))
    }
}

/// Which images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    Training,
    Validation,
}

impl Observation {
    fn to_bytes(&self, shape: Shape) -> Result<Vec<u8>> {
        let hidden: Vec<u8> = self.hidden.iter().flat_map(|x| x.to_le_bytes()).collect();
        let law: Vec<u8> = self.law.iter().flat_map(|p| p.to_le_bytes()).collect();
        let codes: Vec<u8> = self.codes.iter().flat_map(|code| code.0.to_le_bytes()).collect();
        let failed = |e| Error::input(format!("cannot write an image's laws: {e}"));
        let tensors = [
            ("hidden", Dtype::F32, vec![shape.cells(), shape.width], &hidden),
            ("law", Dtype::F16, vec![shape.cells(), shape.codes], &law),
            ("codes", Dtype::U32, vec![shape.cells()], &codes),
        ];
        let views = tensors
            .into_iter()
            .map(|(name, dtype, shape, bytes)| TensorView::new(dtype, shape, bytes).map(|view| (name, view)));
        let views: Vec<_> = views.collect::<std::result::Result<_, _>>().map_err(failed)?;
        safetensors::serialize(views, None).map_err(failed)
    }

    fn from_bytes(bytes: &[u8], shape: Shape) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| Error::input(format!("no observed image: {e}")))?;
        let numbers = |name: &str, dtype: Dtype, expected: &[usize]| {
            let tensor = file.tensor(name).map_err(|e| Error::input(e.to_string()))?;
            if tensor.dtype() == dtype && tensor.shape() == expected {
                return Ok(tensor.data());
            }
            Err(Error::input("an observed image of another target").at(name).expected(format!("{expected:?}")))
        };
        let floats = numbers("hidden", Dtype::F32, &[shape.cells(), shape.width])?.as_chunks().0;
        let halves = numbers("law", Dtype::F16, &[shape.cells(), shape.codes])?.as_chunks().0;
        let codes = numbers("codes", Dtype::U32, &[shape.cells()])?.as_chunks().0;
        Ok(Self {
            hidden: floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            law: halves.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect(),
            codes: codes.iter().map(|bytes| Code(u32::from_le_bytes(*bytes))).collect(),
        })
    }

    /// Appends the law of every cell as f32.
    pub(crate) fn extend_law(&self, out: &mut Vec<f32>) {
        let start = out.len();
        out.resize(start + self.law.len(), 0.0);
        self.law.convert_to_f32_slice(&mut out[start..]);
    }
}
