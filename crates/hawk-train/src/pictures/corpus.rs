//! A folder of captioned pictures, as `hawk data` makes it: `captions.jsonl` and the PNG files that
//! it lists.

use std::path::{Path, PathBuf};

use hawk_files::{Error, Result};
use hawk_nn::Image;
use image::ImageFormat;
use sha2::{Digest, Sha256};

use crate::pictures::entry::Entry;
use crate::run::files;
use hawk_pictures::Split;

/// A folder of captioned pictures.
pub(crate) struct Corpus {
    dir: PathBuf,
    pub(crate) entries: Vec<Entry>,
    /// SHA-256 of `captions.jsonl`.
    pub(crate) digest: String,
}

impl Corpus {
    /// # Errors
    /// `captions.jsonl` cannot be read, or has an invalid line.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("captions.jsonl");
        let bytes = files::read(&path).map_err(|e| e.hint("`hawk data` makes such folders"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::input("not UTF-8").at(path.display()))?;
        let entry = |(number, line): (usize, &str)| {
            serde_json::from_str::<Entry>(line).map_err(|e| {
                Error::input(format!("invalid line: {e}")).at(path.display()).got(format!("line {}", number + 1))
            })
        };
        let entries: Vec<Entry> = text.lines().enumerate().map(entry).collect::<Result<_>>()?;
        let outside = |entry: &&Entry| {
            Path::new(&entry.file).components().any(|part| !matches!(part, std::path::Component::Normal(_)))
        };
        if let Some(entry) = entries.iter().find(outside) {
            return Err(Error::input("the path of a picture leads out of the folder")
                .at(path.display())
                .got(&entry.file));
        }
        let digest = hawk_files::hex(&Sha256::digest(&bytes));
        Ok(Self { dir: dir.to_owned(), entries, digest })
    }

    /// Indices of the training pictures.
    pub(crate) fn training(&self) -> Vec<usize> {
        self.select(|entry| entry.split == Split::Train)
    }

    /// Indices of the validation pictures.
    pub(crate) fn validation(&self) -> Vec<usize> {
        self.select(|entry| entry.split != Split::Train)
    }

    /// At most `most` of the pictures, spread evenly.
    pub(crate) fn spread(pictures: &[usize], most: usize) -> Vec<usize> {
        let taken = pictures.len().min(most);
        (0..taken).map(|i| pictures[i * pictures.len() / taken]).collect()
    }

    /// Indices of the pictures that `wanted` accepts.
    pub(crate) fn select(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<usize> {
        (0..self.entries.len()).filter(|&i| wanted(&self.entries[i])).collect()
    }

    /// Reads a picture.
    ///
    /// # Errors
    /// The file is missing, damaged, or not `side` pixels wide and high.
    pub(crate) fn picture(&self, index: usize, side: usize) -> Result<Image> {
        let path = self.dir.join(&self.entries[index].file);
        let bytes = files::read(&path)?;
        let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Png)
            .map_err(|e| Error::input(format!("not a PNG: {e}")).at(path.display()))?
            .to_rgb8();
        let (width, height) = picture.dimensions();
        if (width as usize, height as usize) != (side, side) {
            return Err(Error::input("a picture has another size")
                .at(path.display())
                .expected(format!("{side} x {side}"))
                .got(format!("{width} x {height}")));
        }
        Ok(Image { width, height, pixels: picture.into_raw() })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use hawk_pictures::mixture::Mixture;
    use hawk_pictures::order::Order;

    use super::*;
    use crate::pictures::canvas::SIDE;
    use crate::pictures::entry::Kind;

    #[test]
    fn a_painted_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mixture = Mixture::landscapes(4);
        let (out, pictures) = (dir.path().to_owned(), NonZero::new(30).unwrap());
        let order = Order { mixture, pictures, out, threads: NonZero::<usize>::MIN };
        let manifest = hawk_pictures::folder::paint(&order, &mut |_| {}).unwrap();
        let corpus = Corpus::open(dir.path()).unwrap();
        assert_eq!((corpus.entries.len(), &corpus.digest), (30, &manifest.digest));
        for (index, entry) in corpus.entries.iter().enumerate() {
            let sample = order.mixture.sample(index as u64).unwrap();
            assert_eq!(corpus.picture(index, SIDE).unwrap().pixels, sample.picture.rgb);
            assert_eq!((&entry.captions, entry.kind), (&sample.captions, Kind::Landscape));
            assert_eq!(entry.split == Split::Train, sample.held_out.is_none());
            assert_eq!((entry.weight, entry.mirror), (1.0, sample.mirror));
        }
        assert!(corpus.training().len() > 20);
    }
}
