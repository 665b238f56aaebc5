//! A whole run: training steps, files, figures.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk_files::{Checkpoint, Codebook, Error, ModelSource, Result, VqConfig, VqLayout};
use hawk_nn::{VqDecoder, VqEncoder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pictures::canvas::SIDE;
use crate::pictures::corpus::Corpus;
use crate::run::curve::Curve;
use crate::run::files::{self, RunFolder, read_json, weights_digest};
use crate::run::params::{Storage, serialize};
use crate::run::progress::{Ended, RunProgress};
use crate::run::steps::{Trainer, resume_from, run_steps};
use crate::vq::figures::{VqFigures, measure, sheet};
use crate::vq::operations::{MultiplyAdds, multiply_adds};
use crate::vq::settings::VqSettings;
use crate::vq::trainer::VqTrainer;

/// A training run of a VQ tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub struct VqRun {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// Shape and training.
    pub settings: VqSettings,
    /// Folder of a tokenizer whose decoder alone is trained further. Encoder and codebook stay as they are, so that a
    /// picture keeps its codes, and a target that was trained on them its meaning. The shape is this tokenizer's, not
    /// that of the settings.
    pub from: Option<PathBuf>,
    /// Folder of the tokenizer. A run that was stopped resumes from its state there.
    pub out: PathBuf,
}

/// The result of a finished run.
#[derive(Clone, Debug)]
pub struct TrainedVq {
    /// Reconstruction quality.
    pub figures: VqFigures,
    /// PSNR in dB over the steps.
    pub curve: Curve,
}

/// Identifies the run whose state a folder holds (`run.json`).
#[derive(Serialize, Deserialize, PartialEq)]
struct VqRunIdentity {
    /// Digest of the captions.
    pictures: String,
    settings: VqSettings,
    /// Digest of the first tokenizer's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

/// Trains a tokenizer and writes `config.json`, `model.safetensors` (bf16), `figures.json`,
/// `curve.json`, `curve.svg` and `sheet.png` to the run's folder. `sheet.png` shows validation
/// pictures above their reconstructions.
///
/// `observer` can stop the run with `Break`. The same run then resumes, and ends with the same
/// bytes.
///
/// # Errors
/// A setting is out of range, a picture cannot be read, the folder belongs to another run or cannot
/// be written, or a loss is not finite.
pub fn train_vq(run: &VqRun, observer: &mut dyn FnMut(RunProgress<'_>) -> ControlFlow<()>) -> Result<Ended<TrainedVq>> {
    run.settings.check()?;
    let config = run.config()?;
    let corpus = Corpus::open(&run.pictures)?;
    let identity = VqRunIdentity {
        pictures: corpus.digest.clone(),
        settings: run.settings.clone(),
        from: run.from.as_deref().map(weights_digest).transpose()?,
    };
    let _lock = RunFolder { dir: &run.out, identity: "run.json", may_hold: &[] }.start(&identity)?;
    let state_file = run.out.join("state.safetensors");
    let mut trainer = VqTrainer::new(&run.settings, config, &corpus)?;
    if let Some(from) = &run.from {
        trainer = trainer.decoder_of(&Checkpoint::open(&ModelSource::Dir(from.clone()), "")?)?;
    }
    let mut trainer = resume_from(trainer, &state_file)?;
    let write_point = |trainer: &VqTrainer<'_>| {
        files::write(&run.out.join("sheet.png"), &sheet(&trainer.reconstructions()?)?)?;
        files::write(&run.out.join("curve.svg"), trainer.learner().curve.to_svg()?.as_bytes())
    };
    if run_steps(&mut trainer, &state_file, observer, write_point)?.is_break() {
        return Ok(Ended::Stopped);
    }
    run.finish(&corpus, &trainer).map(Ended::Finished)
}

impl VqRun {
    /// Floating-point operations of a step. A multiply-add counts as two operations, and the backward pass as two
    /// forward passes.
    ///
    /// # Errors
    /// A setting is out of range, or the tokenizer of [`from`](Self::from) cannot be read.
    pub fn operations_a_step(&self) -> Result<f64> {
        let MultiplyAdds { encoder, decoder } = multiply_adds(&self.config()?, SIDE);
        let of_encoder = if self.from.is_some() { 2.0 } else { 6.0 };
        Ok((of_encoder * encoder + 6.0 * decoder) * self.settings.batch as f64)
    }

    /// The tokenizer's shape.
    fn config(&self) -> Result<VqConfig> {
        let Some(from) = &self.from else { return self.settings.config() };
        let path = from.join("config.json");
        let config = VqConfig::from_json(&files::read(&path)?).map_err(|e| e.at(path.display()))?;
        let fits = config.codebook == Codebook::Normalized
            && config.layout == VqLayout::Taming
            && config.attention_levels.is_empty()
            && SIDE.is_multiple_of(config.pixels_per_cell());
        match fits {
            true => Ok(config),
            false => Err(Error::input("this kind of tokenizer cannot be trained")
                .at(path.display())
                .expected("a tokenizer that `hawk train vq` or tools/train_gpu made")),
        }
    }

    /// What `config.json` says.
    fn config_json(&self) -> Result<Value> {
        match &self.from {
            Some(from) => read_json(&from.join("config.json")),
            None => Ok(self.settings.to_json()),
        }
    }

    /// Writes the tokenizer and measures it with the inference code.
    fn finish(&self, corpus: &Corpus, trainer: &VqTrainer<'_>) -> Result<TrainedVq> {
        let weights = serialize(&trainer.averaged()?, Storage::Bf16)?;
        files::write(&self.out.join("model.safetensors"), &weights)?;
        files::write_json(&self.out.join("config.json"), &self.config_json()?)?;
        let source = ModelSource::Dir(self.out.clone());
        let (encoder, decoder) = (VqEncoder::load(&source, "")?, VqDecoder::load(&source, "")?);
        let (figures, reconstructions) = measure(corpus, &encoder, &decoder)?;
        files::write_json(&self.out.join("figures.json"), &figures)?;
        files::write(&self.out.join("sheet.png"), &sheet(&reconstructions)?)?;
        let curve = trainer.learner().curve.clone();
        files::write_json(&self.out.join("curve.json"), &curve)?;
        files::write(&self.out.join("curve.svg"), curve.to_svg()?.as_bytes())?;
        Ok(TrainedVq { figures, curve })
    }
}
