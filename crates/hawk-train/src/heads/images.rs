//! The images that heads learn from: drawn by the target, or pictures of the user.

use std::path::{Path, PathBuf};

use hawk::{Engine, RecordedSampling, Seed};
use hawk_files::{Error, ImageSize, Result, hex};
use hawk_nn::Image;
use hawk_spec::{ImageIndex, Noise};
use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Rgba};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::run::files;

/// Extensions of picture files.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The images that heads learn from; at least 2.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingImages {
    /// The target draws the images, so the heads learn the laws that decoding meets.
    Sampled {
        /// Number of images.
        images: usize,
        /// Used in turn: image `i` has prompt `i mod prompts` and index `i div prompts`.
        prompts: Vec<String>,
        /// Seed of the noise.
        seed: Seed,
    },
    /// The model's VQ encoder turns pictures into codes.
    Pictures {
        /// The pictures; [`captioned_pictures`] finds those of a folder.
        pictures: Vec<CaptionedPicture>,
        /// Seed of the noise for which replay matches are measured.
        seed: Seed,
    },
}

/// A picture file and its caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionedPicture {
    /// A PNG or JPEG file.
    pub path: PathBuf,
    /// Description of the picture.
    pub caption: String,
}

/// Identifies the images of a folder and the model that observed them (`origin.json`).
#[derive(Serialize, Deserialize, PartialEq)]
pub(crate) struct Origin {
    target_digest: String,
    precision: String,
    sampling: RecordedSampling,
    seed: u64,
    /// For sampled images, which depend on prompts, seed and index only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prompts: Vec<String>,
    /// For pictures: SHA-256 of their captions and files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pictures_digest: Option<String>,
}

/// 480 captions of training pictures of the built-in model, of all kinds. Where the number of images is 480 or a
/// multiple of it, no validation image has a caption of a training image.
#[must_use]
pub fn default_prompts() -> Vec<String> {
    include_str!("captions.txt").lines().map(str::to_owned).collect()
}

/// Finds the PNG and JPEG files of a folder, sorted by name.
///
/// The caption of `NAME.png` is the content of `NAME.txt`. Without that file it is the name, with
/// `-` and `_` as spaces.
///
/// # Errors
/// The folder or a caption cannot be read.
pub fn captioned_pictures(dir: &Path) -> Result<Vec<CaptionedPicture>> {
    let failed = |e: std::io::Error| Error::io("read the folder of pictures", dir, &e);
    let entries = std::fs::read_dir(dir).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = entries.collect::<std::io::Result<_>>().map_err(failed)?;
    paths.retain(|path| {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
    });
    paths.sort();
    paths.into_iter().map(|path| Ok(CaptionedPicture { caption: caption(&path)?, path })).collect()
}

fn caption(path: &Path) -> Result<String> {
    let text = path.with_extension("txt");
    if !text.exists() {
        return Ok(path.file_stem().unwrap_or_default().to_string_lossy().replace(['-', '_'], " "));
    }
    let text_of =
        |bytes| String::from_utf8(bytes).map_err(|_| Error::input("the caption is not UTF-8").at(text.display()));
    Ok(text_of(files::read(&text)?)?.trim().to_owned())
}

impl CaptionedPicture {
    /// Reads the picture at the model's size: the centre is cropped, and transparent pixels become
    /// white.
    ///
    /// # Errors
    /// The file cannot be read or decoded.
    pub(crate) fn load(&self, size: ImageSize) -> Result<Image> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::input(format!("cannot read the picture: {e}")).at(self.path.display()).expected("PNG or JPEG")
        };
        let reader = ImageReader::open(&self.path).map_err(|e| Error::io("open the picture", &self.path, &e))?;
        let picture = reader.with_guessed_format().map_err(|e| failed(&e))?.decode().map_err(|e| failed(&e))?;
        let (width, height) = (picture.width().max(1), picture.height().max(1));
        let mut white = image::RgbaImage::from_pixel(width, height, Rgba([255; 4]));
        image::imageops::overlay(&mut white, &picture.to_rgba8(), 0, 0);
        let fitted = DynamicImage::from(white).resize_to_fill(size.width, size.height, FilterType::CatmullRom);
        Ok(Image { width: size.width, height: size.height, pixels: fitted.to_rgb8().into_raw() })
    }
}

impl TrainingImages {
    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sampled { images, .. } => *images,
            Self::Pictures { pictures, .. } => pictures.len(),
        }
    }

    /// The noise of an image under the rule `replay`.
    pub(crate) fn noise(&self, image: usize) -> Noise {
        let (seed, number) = match self {
            Self::Sampled { prompts, seed, .. } => (*seed, image / prompts.len().max(1)),
            Self::Pictures { seed, .. } => (*seed, image),
        };
        Noise { seed, image: ImageIndex(number as u32) }
    }

    /// # Errors
    /// There are fewer than 2 images, or no prompts.
    pub(crate) fn check(&self) -> Result<()> {
        let no_prompts = matches!(self, Self::Sampled { prompts, .. } if prompts.is_empty());
        if self.len() < 2 || no_prompts {
            let got = if no_prompts { "no prompts".to_owned() } else { format!("{} images", self.len()) };
            return Err(Error::input("not enough training images").expected("at least 2 images and a prompt").got(got));
        }
        Ok(())
    }

    /// # Errors
    /// The target or a picture cannot be read.
    pub(crate) fn origin(&self, engine: &Engine) -> Result<Origin> {
        let (seed, prompts, pictures_digest) = match self {
            Self::Sampled { prompts, seed, .. } => (seed, prompts.clone(), None),
            Self::Pictures { pictures, seed } => (seed, Vec::new(), Some(digest(pictures)?)),
        };
        Ok(Origin {
            target_digest: engine.digest()?.to_owned(),
            precision: engine.precision().to_string(),
            sampling: engine.config().defaults.into(),
            seed: seed.0,
            prompts,
            pictures_digest,
        })
    }
}

fn digest(pictures: &[CaptionedPicture]) -> Result<String> {
    let mut sha = Sha256::new();
    for picture in pictures {
        for part in [picture.caption.as_bytes(), &files::read(&picture.path)?] {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part);
        }
    }
    Ok(hex(&sha.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_in_order_with_their_captions_at_the_models_size() {
        let dir = tempfile::tempdir().unwrap();
        let clear = image::RgbaImage::from_pixel(30, 10, Rgba([9, 9, 9, 0]));
        clear.save(dir.path().join("b_red-apple.PNG")).unwrap();
        image::RgbImage::from_pixel(8, 9, image::Rgb([200, 10, 10])).save(dir.path().join("a.jpg")).unwrap();
        std::fs::write(dir.path().join("a.txt"), " A caption, of its own\n").unwrap();
        std::fs::write(dir.path().join("notes.md"), "no picture").unwrap();
        let found = captioned_pictures(dir.path()).unwrap();
        let captions: Vec<&str> = found.iter().map(|picture| picture.caption.as_str()).collect();
        assert_eq!(captions, ["A caption, of its own", "b red apple"]);
        let size = ImageSize { height: 4, width: 6 };
        let image = found[1].load(size).unwrap();
        assert_eq!((image.width, image.height, image.pixels), (6, 4, vec![255; 72]));
        assert!(found[0].load(size).unwrap().pixels.chunks(3).all(|p| p[0] > 180 && p[1] < 40));
        std::fs::write(dir.path().join("a.jpg"), b"no jpeg").unwrap();
        assert!(found[0].load(size).unwrap_err().to_string().contains("a.jpg"));
        assert!(captioned_pictures(&dir.path().join("none")).is_err());
    }
}
