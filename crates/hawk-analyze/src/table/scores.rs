//! What is computed of each picture: features and scores, kept on disk by what they depend on.

use std::path::{Path, PathBuf};

use hawk::{Engine, Error, Image, ImageSize, Result};
use hawk_files::atomic::{self, Durability};
use hawk_files::hex;
use hawk_nn::VqEncoder;
use hawk_nn::kernels::Threads;
use hawk_spec::Grid;
use sha2::{Digest, Sha256};

use super::pictures::fitted;

/// Folder of the features, in the folder of an analysis.
const FOLDER: &str = "features";

/// The features by which sets of pictures are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Those of FID.
    Inception,
    /// Those of the model's own VQ encoder: no FID.
    VqEncoder,
}

impl Space {
    /// The name of the distance.
    #[must_use]
    pub fn distance(self) -> &'static str {
        match self {
            Self::Inception => "FID",
            Self::VqEncoder => "VQ distance",
        }
    }

    /// What the distance is.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Inception => "Fréchet distance in the features of Inception, as pytorch-fid computes it",
            Self::VqEncoder => {
                "Fréchet distance in the features of the model's own VQ encoder, means over the cells; it is no FID and \
                 compares with no other model's"
            }
        }
    }
}

/// From a picture to its features.
pub type FeaturesOf<'a> = dyn Fn(&Image) -> Result<Vec<f32>> + 'a;

/// From a picture and its prompt to a score.
pub type ScoreOf<'a> = dyn Fn(&Image, &str) -> Result<f64> + 'a;

/// Computes the features of a picture.
pub struct FeatureSpace<'a> {
    /// What they are.
    pub space: Space,
    /// What they depend on beside the picture: a digest of the weights.
    pub identity: String,
    /// Number of features.
    pub count: usize,
    /// Features of a picture of any size.
    pub of: Box<FeaturesOf<'a>>,
}

/// Computes how well a picture fits its prompt.
pub struct Judge<'a> {
    /// What the score depends on beside picture and prompt: a digest of the weights.
    pub identity: String,
    /// The CLIP score: 100 times a cosine, at least 0.
    pub of: Box<ScoreOf<'a>>,
}

/// The VQ encoder of a model as a feature space.
pub struct VqFeatures {
    encoder: VqEncoder,
    threads: Threads,
    grid: Grid,
    size: ImageSize,
    identity: String,
}

impl VqFeatures {
    /// The encoder of the engine's model.
    ///
    /// # Errors
    /// The model comes without its encoder.
    pub fn of_model(engine: &Engine) -> Result<Self> {
        let encoder = VqEncoder::of_model(engine.source())
            .map_err(|e| e.hint("without the VQ encoder pictures can be compared with Inception weights alone"))?;
        let (grid, size) = (engine.config().layout.grid(), engine.config().image_size);
        let identity = format!("vq {} {}x{}", engine.digest()?, size.width, size.height);
        Ok(Self { encoder, threads: Threads::new(engine.threads()), grid, size, identity })
    }

    /// As a feature space.
    #[must_use]
    pub fn space(&self) -> FeatureSpace<'_> {
        FeatureSpace {
            space: Space::VqEncoder,
            identity: self.identity.clone(),
            count: self.encoder.feature_count(),
            of: Box::new(|picture| self.of(picture)),
        }
    }

    /// The features of a picture of any size: its middle is brought to the size of the model's images.
    ///
    /// # Errors
    /// The weights give numbers that are not finite.
    fn of(&self, picture: &Image) -> Result<Vec<f32>> {
        self.encoder.features(&self.threads, &fitted(picture, self.size.width, self.size.height), self.grid)
    }
}

/// Numbers on disk.
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// # Errors
    /// The folder cannot be made.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let folder = dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("make the folder", &folder, &e))?;
        Ok(Self { folder })
    }

    /// The features of a picture, from disk where they were computed before.
    pub(super) fn features(&self, space: &FeatureSpace<'_>, picture: &Image) -> Result<Vec<f32>> {
        let place = self.place(&[&space.identity], picture);
        self.numbers(&place, space.count, &|| (space.of)(picture))
    }

    /// The score of a picture and its prompt, from disk where it was computed before.
    pub(super) fn score(&self, judge: &Judge<'_>, picture: &Image, prompt: &str) -> Result<f64> {
        let place = self.place(&[&judge.identity, prompt], picture);
        let score = self.numbers(&place, 1, &|| Ok(vec![(judge.of)(picture, prompt)? as f32]))?;
        Ok(f64::from(score[0]))
    }

    fn place(&self, of: &[&str], picture: &Image) -> PathBuf {
        let mut digest = Sha256::new();
        for part in of {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update([picture.width.to_le_bytes(), picture.height.to_le_bytes()].concat());
        digest.update(&picture.pixels);
        self.folder.join(format!("{}.f32", &hex(&digest.finalize())[..24]))
    }

    fn numbers(&self, place: &Path, count: usize, make: &dyn Fn() -> Result<Vec<f32>>) -> Result<Vec<f32>> {
        // What is damaged is computed again.
        let kept = std::fs::read(place).ok().filter(|bytes| bytes.len() == 4 * count);
        if let Some(bytes) = kept {
            let numbers: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            if numbers.iter().all(|number| number.is_finite()) {
                return Ok(numbers);
            }
        }
        let numbers = make()?;
        if numbers.len() != count {
            return Err(Error::input("a picture with other features").expected(count).got(numbers.len()));
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        atomic::write_with(place, &bytes, Durability::Fast)?;
        Ok(numbers)
    }
}
