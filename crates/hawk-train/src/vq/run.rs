//! A whole run: training steps, files, figures.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk_files::{ModelSource, Result};
use hawk_nn::{VqDecoder, VqEncoder};
use serde::{Deserialize, Serialize};

use crate::pictures::corpus::Corpus;
use crate::run::curve::Curve;
use crate::run::files::{self, RunFolder};
use crate::run::params::{Storage, serialize};
use crate::run::progress::{Ended, RunProgress};
use crate::run::steps::{Trainer, resume_from, run_steps};
use crate::vq::figures::{VqFigures, measure, sheet};
use crate::vq::settings::VqSettings;
use crate::vq::trainer::VqTrainer;

/// A training run of a VQ tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub struct VqRun {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// Shape and training.
    pub settings: VqSettings,
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
    let config = run.settings.config()?;
    let corpus = Corpus::open(&run.pictures)?;
    let identity = VqRunIdentity { pictures: corpus.digest.clone(), settings: run.settings.clone() };
    let _lock = RunFolder { dir: &run.out, identity: "run.json", may_hold: &[] }.start(&identity)?;
    let state_file = run.out.join("state.safetensors");
    let mut trainer = resume_from(VqTrainer::new(&run.settings, config, &corpus)?, &state_file)?;
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
    /// Writes the tokenizer and measures it with the inference code.
    fn finish(&self, corpus: &Corpus, trainer: &VqTrainer<'_>) -> Result<TrainedVq> {
        let weights = serialize(&trainer.averaged()?, Storage::Bf16)?;
        files::write(&self.out.join("model.safetensors"), &weights)?;
        files::write_json(&self.out.join("config.json"), &self.settings.to_json())?;
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
