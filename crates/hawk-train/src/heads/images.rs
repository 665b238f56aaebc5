//! Where the images to learn from come from: drawn by the target itself, or pictures of one's own.

use std::path::{Path, PathBuf};

use hawk::{Engine, RecordedSampling, Seed};
use hawk_nn::{Error, Image, ImageSize, Result, hex};
use hawk_spec::{ImageIndex, Noise};
use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Rgba};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files;

/// Endings of picture files.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// What to learn from; at least 2 images.
#[derive(Clone, Debug, PartialEq)]
pub enum Images {
    /// The target draws them itself: the law that decoding meets.
    Sampled {
        /// How many.
        images: usize,
        /// Used in turn: image `i` has prompt `i mod prompts` and the running number `i div prompts`.
        prompts: Vec<String>,
        /// Key of the noise.
        seed: Seed,
    },
    /// Pictures that the model's VQ encoder turns into codes.
    Pictures {
        /// The pictures; [`pictures`] finds those of a folder.
        pictures: Vec<Picture>,
        /// Key of the noise that replay matches are measured with.
        seed: Seed,
    },
}

/// A file with its caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// A PNG or JPEG file.
    pub path: PathBuf,
    /// What it shows.
    pub caption: String,
}

/// What a folder of observed images was made of and by.
#[derive(Serialize, Deserialize, PartialEq)]
pub(crate) struct Origin {
    target_digest: String,
    precision: String,
    sampling: RecordedSampling,
    seed: u64,
    /// Of sampled images, which are a function of prompts, seed and number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prompts: Vec<String>,
    /// Of pictures: SHA-256 over their captions and files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pictures_digest: Option<String>,
}

/// 150 captions in the styles of the built-in model.
#[must_use]
pub fn default_prompts() -> Vec<String> {
    include_str!("captions.txt").lines().map(str::to_owned).collect()
}

/// The PNG and JPEG files of a folder in the order of their names. The caption is the content of the `.txt` file of the same name, or else
/// the name itself with `-` and `_` as spaces.
///
/// # Errors
/// The folder or a caption cannot be read.
pub fn pictures(dir: &Path) -> Result<Vec<Picture>> {
    let failed = |e: std::io::Error| Error::io("read the folder of pictures", dir, &e);
    let entries = std::fs::read_dir(dir).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = entries.collect::<std::io::Result<_>>().map_err(failed)?;
    paths.retain(|path| {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
    });
    paths.sort();
    paths.into_iter().map(|path| Ok(Picture { caption: caption(&path)?, path })).collect()
}

fn caption(path: &Path) -> Result<String> {
    let text = path.with_extension("txt");
    if !text.exists() {
        return Ok(path.file_stem().unwrap_or_default().to_string_lossy().replace(['-', '_'], " "));
    }
    let text_of =
        |bytes| String::from_utf8(bytes).map_err(|_| Error::input("a caption is no UTF-8").at(text.display()));
    Ok(text_of(files::read(&text)?)?.trim().to_owned())
}

impl Picture {
    /// The picture as the model sees pictures: the middle of it, at the model's size, what is transparent in white.
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

impl Images {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sampled { images, .. } => *images,
            Self::Pictures { pictures, .. } => pictures.len(),
        }
    }

    /// The noise that drew an image, or would draw it.
    pub(crate) fn noise(&self, image: usize) -> Noise {
        let (seed, number) = match self {
            Self::Sampled { prompts, seed, .. } => (*seed, image / prompts.len().max(1)),
            Self::Pictures { seed, .. } => (*seed, image),
        };
        Noise { seed, image: ImageIndex(number as u32) }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let no_prompts = matches!(self, Self::Sampled { prompts, .. } if prompts.is_empty());
        if self.len() < 2 || no_prompts {
            let got = if no_prompts { "no prompts".to_owned() } else { format!("{} images", self.len()) };
            return Err(Error::input("too little to learn from").expected("at least 2 images and a prompt").got(got));
        }
        Ok(())
    }

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

fn digest(pictures: &[Picture]) -> Result<String> {
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
        let found = pictures(dir.path()).unwrap();
        let captions: Vec<&str> = found.iter().map(|picture| picture.caption.as_str()).collect();
        assert_eq!(captions, ["A caption, of its own", "b red apple"]);
        let size = ImageSize { height: 4, width: 6 };
        let image = found[1].load(size).unwrap();
        assert_eq!((image.width, image.height, image.pixels), (6, 4, vec![255; 72]));
        assert!(found[0].load(size).unwrap().pixels.chunks(3).all(|p| p[0] > 180 && p[1] < 40));
        std::fs::write(dir.path().join("a.jpg"), b"no jpeg").unwrap();
        assert!(found[0].load(size).unwrap_err().to_string().contains("a.jpg"));
        assert!(pictures(&dir.path().join("none")).is_err());
    }
}
