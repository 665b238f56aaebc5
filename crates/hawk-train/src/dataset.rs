//! The images that heads learn from, as the target sees them: a hidden state and a law per cell, one file per image.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use hawk::{Decoder, Decoding, Engine, RecordedSampling, Request, Rule, Seed};
use hawk_nn::{Error, Result};
use hawk_spec::{Code, Grid, ImageIndex, Noise, probabilities};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::files;

/// Images of one prompt that are sampled together.
const BATCH: usize = 8;
/// One image in so many is kept for validation.
const VALIDATION_EVERY: usize = 10;

/// Images that the target draws itself: the law that decoding meets.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfSampled {
    /// How many, at least 2.
    pub images: usize,
    /// Used in turn: image `i` has prompt `i mod prompts` and the running number `i div prompts`.
    pub prompts: Vec<String>,
    /// Key of the noise.
    pub seed: Seed,
}

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

/// What the images of a folder depend on; not how many there are.
#[derive(Serialize, Deserialize, PartialEq)]
struct Origin {
    target_digest: String,
    precision: String,
    sampling: RecordedSampling,
    seed: u64,
    prompts: Vec<String>,
}

/// A folder of observed images.
pub(crate) struct Dataset {
    dir: PathBuf,
    source: SelfSampled,
    shape: Shape,
}

impl Dataset {
    /// The images in `dir`; [`make`](Self::make) draws those that are not there yet.
    ///
    /// # Errors
    /// The folder holds images of another origin or cannot be written, fewer than 2 images, no prompts.
    pub(crate) fn new(engine: &Engine, dir: &Path, source: &SelfSampled) -> Result<Self> {
        if source.images < 2 || source.prompts.is_empty() {
            return Err(Error::input("too little to learn from")
                .expected("at least 2 images and 1 prompt")
                .got(format!("{} images, {} prompts", source.images, source.prompts.len())));
        }
        files::make_dir(dir)?;
        let origin = Origin {
            target_digest: engine.digest()?.to_owned(),
            precision: engine.precision().to_string(),
            sampling: engine.config().defaults.into(),
            seed: source.seed.0,
            prompts: source.prompts.clone(),
        };
        files::claim(&dir.join("origin.json"), &origin)?;
        let layout = &engine.config().layout;
        let (grid, codes) = (layout.grid(), layout.codes() as usize);
        let shape = Shape { grid, width: engine.target().config().hidden, codes };
        Ok(Self { dir: dir.to_owned(), source: source.clone(), shape })
    }

    /// Draws and observes the images that are missing; `observer` hears how many are there and may break off.
    ///
    /// # Errors
    /// The target fails, or a file cannot be written.
    pub(crate) fn make(
        &self,
        engine: &Engine,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut there = 0;
        for number in 0..self.source.prompts.len().min(self.source.images) {
            let of_prompt: Vec<usize> = (number..self.source.images).step_by(self.source.prompts.len()).collect();
            self.draw(engine, number, &of_prompt)?;
            there += of_prompt.len();
            if observer(there).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The images of one prompt that are not there yet. They are written in order, so that the first gap tells where to go on.
    fn draw(&self, engine: &Engine, number: usize, of_prompt: &[usize]) -> Result<()> {
        let Some(first) = of_prompt.iter().position(|&image| !self.path(image).exists()) else { return Ok(()) };
        let request = Request {
            prompt: self.source.prompts[number].clone(),
            seed: self.source.seed,
            images: first as u32..of_prompt.len() as u32,
            sampling: engine.config().defaults,
            decoding: Decoding::with_defaults(Decoder::Neighbour, Rule::Replay),
            batch: BATCH,
        };
        let mut images = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?.images;
        images.sort_by_key(|image| image.index);
        for image in &images {
            let observation = self.observe(engine, &request.prompt, &image.codes)?;
            files::write(&self.path(of_prompt[image.index as usize]), &observation.to_bytes(self.shape)?)?;
        }
        Ok(())
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

    /// The noise that drew an image.
    pub(crate) fn noise(&self, image: usize) -> Noise {
        Noise { seed: self.source.seed, image: ImageIndex((image / self.source.prompts.len()) as u32) }
    }

    /// The images to learn from, or to validate with: every tenth, or the last where there are fewer.
    pub(crate) fn split(&self, split: Split) -> Vec<usize> {
        let every = VALIDATION_EVERY.min(self.source.images);
        let held_out = |image: &usize| image % every == every - 1;
        (0..self.source.images).filter(|image| held_out(image) == (split == Split::Validation)).collect()
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
