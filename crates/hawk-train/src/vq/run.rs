//! A VQ tokenizer from captioned pictures: first an autoencoder whose latents carry a little noise, then k-means over its latents as the
//! codebook, then quantised training on crops and at last on whole pictures. Quantising from the first step leaves most codes dead.

mod loss;
mod metrics;
mod model;
mod quantise;
mod trainer;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk_nn::kernels::Pool;
use hawk_nn::{Error, Image, ModelSource, Result, VqConfig, VqDecoder, VqEncoder};
use hawk_spec::Grid;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::corpus::Corpus;
use crate::curve::Curve;
use crate::data::{Picture, SHEET_COLUMNS, contact_sheet};
use crate::params::{Stored, serialize};
use crate::precision::Precision;
use crate::run::{Ended, Progress, Reached};
use crate::{files, state};
use trainer::Trainer;

/// Pixels along a side of the pictures.
pub(crate) const SIDE: usize = 128;
/// At most so many pictures of validation are measured at the end, evenly taken from all.
const MEASURED: usize = 1000;

/// How a VQ tokenizer is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqSettings {
    /// Channels at full resolution, a multiple of 4, `4..=1024`.
    pub channels: usize,
    /// By level, finest first, how many times as many channels; each level but the last halves the resolution. One to six of `1..=32`.
    pub multipliers: Vec<usize>,
    /// Size of the codebook, `2..=65536`.
    pub codes: usize,
    /// Numbers of a code, `2..=256`.
    pub width: usize,
    /// Steps in all, `10..=10_000_000`.
    pub steps: usize,
    /// Whole pictures of a step, `1..=1024`; crops are four times as many.
    pub batch: usize,
    /// The largest step size, above 0, at most 1.
    pub learning_rate: f64,
    /// What convolutions are computed in.
    #[serde(default)]
    pub precision: Precision,
    /// Key of all that is drawn.
    pub seed: u64,
}

impl Default for VqSettings {
    fn default() -> Self {
        Self {
            channels: 16,
            multipliers: vec![1, 2, 4, 8],
            codes: 4096,
            width: 8,
            steps: 12_000,
            batch: 4,
            learning_rate: 1e-3,
            precision: Precision::F32,
            seed: 0,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct VqRun {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// How.
    pub settings: VqSettings,
    /// Folder of the tokenizer. A run that was stopped goes on from the state that it finds there.
    pub out: PathBuf,
}

/// How well pictures survive codes and back, through the code that inference runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VqFigures {
    /// Pictures of validation that were measured.
    pub pictures: usize,
    /// Means over the pictures.
    pub all: Likeness,
    /// By style.
    pub styles: BTreeMap<String, Likeness>,
    /// Codes that at least one of these pictures uses.
    pub used_codes: usize,
}

/// Means over pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Likeness {
    /// Peak signal over noise, in dB, at most 60 for a picture.
    pub psnr_db: f64,
    /// Structural similarity of the brightness, -1..=1 (Wang et al. 2004).
    pub ssim: f64,
}

/// What a finished run gives.
#[derive(Clone, Debug)]
pub struct TrainedVq {
    /// How good it is.
    pub figures: VqFigures,
    /// The course of the training: PSNR in dB.
    pub curve: Curve,
}

/// Under what settings the state in a folder was made.
#[derive(Serialize, Deserialize, PartialEq)]
struct Claim {
    pictures: String,
    settings: VqSettings,
}

/// Trains a tokenizer and writes `config.json`, `model.safetensors` (bf16), `figures.json`, `curve.json`, `curve.svg` and `sheet.png` (pictures
/// of validation above what is left of them) into the run's folder.
///
/// # Errors
/// Settings out of range, pictures that cannot be read, a folder that belongs to another run or cannot be written, a loss that is no number.
pub fn train_vq(run: &VqRun, observer: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>) -> Result<Ended<TrainedVq>> {
    let config = run.settings.config()?;
    let corpus = Corpus::open(&run.pictures)?;
    files::make_dir(&run.out)?;
    files::claim(
        &run.out.join("run.json"),
        &Claim { pictures: corpus.digest.clone(), settings: run.settings.clone() },
    )?;
    let state_file = run.out.join("state.safetensors");
    let mut trainer = Trainer::new(&run.settings, config, &corpus)?;
    if state_file.exists() {
        trainer = trainer.resume(state::load(&state_file)?)?;
    }
    let of = run.settings.steps;
    while trainer.done() < of {
        if trainer.step()? == Reached::Point {
            files::write(&run.out.join("sheet.png"), &sheet(&trainer.pairs()?)?)?;
            files::write(&run.out.join("curve.svg"), trainer.curve().to_svg()?.as_bytes())?;
            state::save(&state_file, trainer.state()?)?;
        }
        if observer(Progress::Steps { done: trainer.done(), of, point: trainer.curve().points.last() }).is_break() {
            return Ok(Ended::BrokenOff);
        }
    }
    if observer(Progress::Measuring).is_break() {
        return Ok(Ended::BrokenOff);
    }
    run.finish(&corpus, &trainer).map(Ended::Finished)
}

impl VqRun {
    /// Writes the tokenizer and measures it as inference will run it.
    fn finish(&self, corpus: &Corpus, trainer: &Trainer<'_>) -> Result<TrainedVq> {
        let weights = serialize(&trainer.averaged()?, Stored::Bf16, &[], None)?;
        files::write(&self.out.join("model.safetensors"), &weights)?;
        files::write_json(&self.out.join("config.json"), &self.settings.to_json())?;
        let source = ModelSource::Dir(self.out.clone());
        let (encoder, decoder) = (VqEncoder::load(&source, "")?, VqDecoder::load(&source, "")?);
        let (figures, pairs) = measure(corpus, &encoder, &decoder)?;
        files::write_json(&self.out.join("figures.json"), &figures)?;
        files::write(&self.out.join("sheet.png"), &sheet(&pairs)?)?;
        let curve = trainer.curve().clone();
        files::write_json(&self.out.join("curve.json"), &curve)?;
        files::write(&self.out.join("curve.svg"), curve.to_svg()?.as_bytes())?;
        Ok(TrainedVq { figures, curve })
    }
}

impl VqSettings {
    /// Floating-point operations of a step: multiply-adds count twice, the way back twice as much as the way there.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn operations_a_step(&self) -> Result<f64> {
        Ok(6.0 * model::multiply_adds(&self.config()?, SIDE) * self.batch as f64)
    }

    fn config(&self) -> Result<VqConfig> {
        self.check()?;
        VqConfig::from_json(self.to_json().to_string().as_bytes())
    }

    fn check(&self) -> Result<()> {
        let range = |field: &str, got: usize, least: usize, most: usize| match (least..=most).contains(&got) {
            true => Ok(()),
            false => Err(Error::input("a training setting is out of range")
                .at(field)
                .expected(format!("{least} to {most}"))
                .got(got)),
        };
        range("channels", self.channels, 4, 1024)?;
        range("number of multipliers", self.multipliers.len(), 1, 6)?;
        self.multipliers.iter().try_for_each(|&multiplier| range("multiplier", multiplier, 1, 32))?;
        range("codes", self.codes, 2, 1 << 16)?;
        range("width", self.width, 2, 256)?;
        range("steps", self.steps, 10, 10_000_000)?;
        range("batch", self.batch, 1, 1024)?;
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(Error::input("a training setting is out of range")
                .at("learning rate")
                .expected("above 0, at most 1")
                .got(self.learning_rate));
        }
        Ok(())
    }

    /// The tokenizer's `config.json`, in taming-transformers' words.
    fn to_json(&self) -> serde_json::Value {
        json!({
            "model_type": "vqgan",
            "ch": self.channels,
            "ch_mult": self.multipliers,
            "num_res_blocks": 1,
            "attn_resolutions": [],
            "in_channels": 3,
            "out_ch": 3,
            // Four channels a group at full resolution: with one channel a group the norm would wipe out colour.
            "norm_num_groups": (self.channels / 4).max(1),
            "z_channels": self.channels * self.multipliers.last().copied().unwrap_or(1),
            "embed_dim": self.width,
            "n_embed": self.codes,
            "resolution": SIDE,
            "double_z": false,
            "normalize_codes": true,
        })
    }
}

/// A picture and what is left of it.
type Pair = (Image, Image);

/// Pictures of validation through codes and back.
fn measure(corpus: &Corpus, encoder: &VqEncoder, decoder: &VqDecoder) -> Result<(VqFigures, Vec<Pair>)> {
    let cells = (SIDE / decoder.config().pixels_per_cell()) as u32;
    let grid = Grid::new(cells, cells);
    let grid = grid.map_err(|e| Error::input(format!("no such grid: {e}")))?;
    let through = |index: usize| {
        let pool = Pool::new(1);
        let picture = corpus.picture(index, SIDE)?;
        let codes = encoder.encode(&pool, &picture, grid)?;
        let made = decoder.decode(&pool, &codes, grid)?;
        Ok((index, codes, (picture, made)))
    };
    let results: Vec<_> =
        Corpus::spread(&corpus.validation(), MEASURED).into_par_iter().map(through).collect::<Result<_>>()?;
    let mut used = vec![false; decoder.config().codes];
    let (mut sum, mut styles) = (Vec::new(), BTreeMap::<String, Vec<Likeness>>::new());
    for (index, codes, pair) in &results {
        codes.iter().for_each(|code| used[code.index()] = true);
        let likeness = Likeness::of(pair);
        sum.push(likeness);
        styles.entry(corpus.entries[*index].style.clone()).or_default().push(likeness);
    }
    let figures = VqFigures {
        pictures: results.len(),
        all: Likeness::mean(&sum),
        styles: styles.into_iter().map(|(style, all)| (style, Likeness::mean(&all))).collect(),
        used_codes: used.iter().filter(|used| **used).count(),
    };
    let step = (results.len() / (4 * SHEET_COLUMNS)).max(1);
    Ok((figures, results.into_iter().step_by(step).map(|(_, _, pair)| pair).collect()))
}

impl Likeness {
    fn of((picture, made): &Pair) -> Self {
        Self { psnr_db: metrics::psnr(metrics::squared_error(picture, made)), ssim: metrics::ssim(picture, made) }
    }

    fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self { psnr_db: mean(|x| x.psnr_db), ssim: mean(|x| x.ssim) }
    }
}

/// Rows of pictures, each above a row of what is left of them.
fn sheet(pairs: &[Pair]) -> Result<Vec<u8>> {
    let picture = |image: &Image| Picture(image.pixels.clone());
    let rows = pairs.chunks(SHEET_COLUMNS).flat_map(|pairs| {
        [pairs.iter().map(|pair| picture(&pair.0)).collect(), pairs.iter().map(|pair| picture(&pair.1)).collect()]
    });
    contact_sheet(&rows.collect::<Vec<Vec<_>>>())
}
