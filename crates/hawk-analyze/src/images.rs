//! The images that an analysis looks at: drawn by the model itself, kept on disk.

use std::path::{Path, PathBuf};

use hawk::{
    Code, Decoder, Decoding, Engine, Error, ImageIndex, Noise, RecordedSampling, Request, Result, Rule, Sampling, Seed,
    TreeShape,
};
use hawk_files::{atomic, from_json, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::watch::{Ended, Progress, Watch};

/// Folder of the images, in the folder of an analysis.
const FOLDER: &str = "images";
/// Nodes of the trees that images are drawn with. The images do not depend on it.
const NODES: usize = 4;

/// The images of an analysis: image `i` has prompt `i mod prompts` and seed `seed + i`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSet {
    /// The prompts, used in turn.
    pub prompts: Vec<String>,
    /// Number of images, at least 1.
    pub images: usize,
    /// Seed of the first image.
    pub seed: Seed,
    /// Guidance and warping.
    pub sampling: Sampling,
}

/// An image that the model has drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Its prompt.
    pub prompt: String,
    /// Its noise.
    pub noise: Noise,
    /// Its codes in raster order.
    pub codes: Vec<Code>,
}

/// What an image depends on.
#[derive(Serialize)]
struct Origin<'a> {
    model: &'a str,
    precision: String,
    size: [u32; 2],
    sampling: RecordedSampling,
    prompt: &'a str,
    seed: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    prompt: String,
    seed: u64,
    codes: Vec<u32>,
}

impl ImageSet {
    /// Checks the set against a model.
    ///
    /// # Errors
    /// There is no image or no prompt, or the model cannot read a prompt.
    pub fn check(&self, engine: &Engine) -> Result<()> {
        if self.images == 0 {
            return Err(Error::input("there is nothing to look at").at("images").expected("at least 1").got(0));
        }
        if self.prompts.is_empty() {
            return Err(Error::input("there is nothing to draw").at("prompts").expected("at least 1 prompt").got(0));
        }
        for prompt in self.prompts.iter().take(self.images) {
            engine.conditioning(prompt).map_err(|e| e.at(format!("prompt {prompt:?}")))?;
        }
        Ok(())
    }

    /// Prompt and noise of an image.
    #[must_use]
    pub fn image(&self, number: usize) -> (&str, Noise) {
        let seed = Seed(self.seed.0.wrapping_add(number as u64));
        (&self.prompts[number % self.prompts.len()], Noise { seed, image: ImageIndex(0) })
    }

    /// An image, from disk where it was drawn before. The decoder has no influence: the rule is `replay`.
    ///
    /// # Errors
    /// The model fails, or a file cannot be read or written.
    pub fn drawn(&self, engine: &Engine, dir: &Path, number: usize, watch: &mut Watch<'_>) -> Result<Ended<Drawn>> {
        let (prompt, noise) = self.image(number);
        let path = self.path(engine, dir, prompt, noise.seed)?;
        if let Some(codes) = stored(&path, engine)? {
            return Ok(Ended::Finished(Drawn { prompt: prompt.to_owned(), noise, codes }));
        }
        let request = Request {
            prompt: prompt.to_owned(),
            seed: noise.seed,
            images: 0..1,
            sampling: self.sampling,
            decoding: Decoding::new(Decoder::SCD, Rule::Replay, TreeShape::Budget(NODES))?,
            batch: 1,
        };
        let mut outcome = engine.generate(&request, &mut |_| watch(Progress::Within))?;
        if outcome.images.is_empty() {
            return Ok(Ended::Stopped);
        }
        let codes = outcome.images.remove(0).codes;
        let numbers = codes.iter().map(|code| code.0).collect();
        atomic::write_json(&path, &Stored { prompt: prompt.to_owned(), seed: noise.seed.0, codes: numbers })?;
        Ok(Ended::Finished(Drawn { prompt: prompt.to_owned(), noise, codes }))
    }

    fn path(&self, engine: &Engine, dir: &Path, prompt: &str, seed: Seed) -> Result<PathBuf> {
        let size = engine.config().image_size;
        let origin = Origin {
            model: engine.digest()?,
            precision: engine.precision().to_string(),
            size: [size.width, size.height],
            sampling: self.sampling.into(),
            prompt,
            seed: seed.0,
        };
        let origin = serde_json::to_vec(&origin).map_err(|e| Error::input(format!("cannot name the image: {e}")))?;
        let folder = dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("make the folder", &folder, &e))?;
        Ok(folder.join(format!("{}.json", &hex(&Sha256::digest(origin))[..16])))
    }

    /// The set in words, for the settings of a figure.
    #[must_use]
    pub fn settings(&self) -> Vec<[String; 2]> {
        let last = self.seed.0.wrapping_add(self.images as u64 - 1);
        vec![
            [
                "Images".to_owned(),
                format!(
                    "{}, seeds {} to {last}, {} prompts in turn",
                    self.images,
                    self.seed.0,
                    self.prompts.len().min(self.images)
                ),
            ],
            ["Sampling".to_owned(), sampling_words(self.sampling)],
        ]
    }
}

/// Guidance and warping in words.
pub(crate) fn sampling_words(of: Sampling) -> String {
    let top_k = if of.top_k() == 0 { "all codes".to_owned() } else { format!("top {} codes", of.top_k()) };
    format!("guidance {}, temperature {}, {top_k}, top-p {}", of.cfg(), of.temperature(), of.top_p())
}

/// The codes of an image that lies on disk.
fn stored(path: &Path, engine: &Engine) -> Result<Option<Vec<Code>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read the image", path, &e)),
    };
    let damaged = |e: Error| e.at(path.display()).hint("remove the file; the same command draws the image again");
    let stored: Stored = from_json("a drawn image", &bytes).map_err(damaged)?;
    let layout = &engine.config().layout;
    if stored.codes.len() != layout.grid().cells() as usize || stored.codes.iter().any(|code| *code >= layout.codes()) {
        let wrong =
            Error::input("the codes are no image of this model").expected(format!("{} codes", layout.grid().cells()));
        return Err(damaged(wrong.got(stored.codes.len())));
    }
    Ok(Some(stored.codes.into_iter().map(Code).collect()))
}
