//! A whole run: vocabulary, codes, training steps, files, losses.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk_files::{Checkpoint, Error, ModelSource, Result, TextTokenizer};
use hawk_nn::VqEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pictures::canvas::SIDE;
use crate::pictures::corpus::Corpus;
use crate::pictures::entry::Entry;
use crate::run::curve::Curve;
use crate::run::files::{self, RunFolder, read_json, weights_digest};
use crate::run::params::{Storage, serialize};
use crate::run::progress::{Ended, RunProgress};
use crate::run::steps::{Trainer, resume_from, run_steps};
use crate::transformer::batches::Batches;
use crate::transformer::codes::CorpusCodes;
use crate::transformer::settings::TargetSettings;
use crate::transformer::sheet::sheet;
use crate::transformer::trainer::TargetTrainer;
use crate::transformer::vocabulary::{Captions, TokenLayout, tokenizer_json};

/// Validation pictures of each kind and style that are measured at the end.
const MEASURED: usize = 400;
/// Points of the curve between two contact sheets. Drawing a sheet takes as long as that many
/// steps.
const SHEET_EVERY: usize = 10;

/// A training run of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRun {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// Folder of a VQ tokenizer, as [`train_vq`](crate::train_vq) makes it.
    pub tokenizer: PathBuf,
    /// Shape and training.
    pub settings: TargetSettings,
    /// Folder of a model with the same tokenizer and shape. Training starts from its weights and
    /// its text vocabulary. Without it, the weights are random and the vocabulary is learnt from
    /// the captions.
    pub from: Option<PathBuf>,
    /// Folder of the model. A run that was stopped resumes from its state there.
    pub out: PathBuf,
}

/// The result of a finished run.
#[derive(Clone, Debug)]
pub struct TrainedTarget {
    /// Number of parameters.
    pub parameters: usize,
    /// Mean validation cross-entropy of a code in nats, for each kind of novelty and for each style
    /// of emoji.
    pub losses: BTreeMap<String, f64>,
    /// The losses over the steps.
    pub curve: Curve,
}

/// Identifies the run whose state a folder holds (`run.json`).
#[derive(Serialize, Deserialize, PartialEq)]
struct TargetRunIdentity {
    /// Digest of the captions.
    pictures: String,
    /// SHA-256 of the tokenizer's weights.
    tokenizer: String,
    settings: TargetSettings,
    /// SHA-256 of the initial weights.
    #[serde(default)]
    from: Option<String>,
}

/// Trains a target and writes a whole model to the run's folder: `config.json`, `hawk.json`,
/// `tokenizer.json`, `model.safetensors` (bf16) and `vq/`. It also writes `losses.json`,
/// `curve.json`, `curve.svg` and `sheet.png`, which shows what the model draws for training
/// captions.
///
/// `observer` can stop the run with `Break`. The same run then resumes, and ends with the same
/// bytes.
///
/// # Errors
/// A setting is out of range, a picture or the tokenizer cannot be read, the folder belongs to
/// another run or cannot be written, or a loss is not finite.
pub fn train_target(
    run: &TargetRun,
    observer: &mut dyn FnMut(RunProgress<'_>) -> ControlFlow<()>,
) -> Result<Ended<TrainedTarget>> {
    run.settings.check()?;
    let corpus = Corpus::open(&run.pictures)?;
    let encoder = VqEncoder::load(&ModelSource::Dir(run.tokenizer.clone()), "")?;
    let layout = run.token_layout(&encoder)?;
    let folder = RunFolder { dir: &run.out, identity: "run.json", may_hold: &[] };
    let _lock = folder.start(&run.identity(&corpus)?)?;
    files::make_dir(&run.out.join("vq"))?;
    let captions = run.write_parts(&corpus, layout)?;
    run.check_first()?;
    let of = corpus.entries.len();
    let mut images = |done| observer(RunProgress::Images { done, of });
    let codes_file = run.out.join("codes.bin");
    let Some(codes) = CorpusCodes::open(&codes_file, &corpus, &encoder, layout.side, &mut images)? else {
        return Ok(Ended::Stopped);
    };
    let first = run.first_weights()?;
    let vocabulary = captions.vocabulary;
    let batches = Batches::new(&corpus, &codes, captions, &run.settings);
    let mut trainer = TargetTrainer::new(&run.settings, vocabulary, batches, &corpus)?;
    if let Some(first) = first {
        trainer = trainer.start_from(&first)?;
    }
    let state_file = run.out.join("state.safetensors");
    let mut trainer = resume_from(trainer, &state_file)?;
    let write_point = |trainer: &TargetTrainer<'_>| {
        run.write_model(trainer)?;
        if trainer.learner().curve.points.len().is_multiple_of(SHEET_EVERY) { run.write_sheet(&corpus) } else { Ok(()) }
    };
    if run_steps(&mut trainer, &state_file, observer, write_point)?.is_break() {
        return Ok(Ended::Stopped);
    }
    run.finish(&corpus, &trainer).map(Ended::Finished)
}

impl TargetRun {
    fn token_layout(&self, encoder: &VqEncoder) -> Result<TokenLayout> {
        let config = encoder.config();
        let side = SIDE / config.pixels_per_cell();
        if side == 0 || config.codes > 1 << 16 {
            return Err(Error::input("the tokenizer has too many codes or too large cells")
                .at(self.tokenizer.display())
                .expected(format!("at most 65536 codes, and cells of at most {SIDE} x {SIDE} pixels"))
                .got(format!("{} codes, and cells of {1} x {1} pixels", config.codes, config.pixels_per_cell())));
        }
        Ok(TokenLayout { codes: config.codes as u32, side: side as u32 })
    }

    fn identity(&self, corpus: &Corpus) -> Result<TargetRunIdentity> {
        Ok(TargetRunIdentity {
            pictures: corpus.digest.clone(),
            tokenizer: weights_digest(&self.tokenizer)?,
            settings: self.settings.clone(),
            from: self.from.as_deref().map(weights_digest).transpose()?,
        })
    }

    /// Writes all files of the model except the weights. Returns the tokens of all captions.
    fn write_parts(&self, corpus: &Corpus, layout: TokenLayout) -> Result<Captions> {
        for name in ["config.json", "model.safetensors"] {
            files::write(&self.out.join("vq").join(name), &files::read(&self.tokenizer.join(name))?)?;
        }
        let captions = self.write_vocabulary(corpus, layout)?;
        files::write_json(&self.out.join("hawk.json"), &self.hawk_json(layout)?)?;
        files::write_json(&self.out.join("config.json"), &self.settings.config_json(captions.vocabulary))?;
        Ok(captions)
    }

    /// What `hawk.json` says. A model that training starts from keeps its default sampling.
    fn hawk_json(&self, layout: TokenLayout) -> Result<Value> {
        let mut ours = layout.hawk_json(SIDE);
        if let Some(from) = &self.from
            && let Some(defaults) = read_json(&from.join("hawk.json"))?.get("defaults")
        {
            ours["defaults"] = defaults.clone();
        }
        Ok(ours)
    }

    /// Writes `tokenizer.json` and encodes the captions.
    fn write_vocabulary(&self, corpus: &Corpus, layout: TokenLayout) -> Result<Captions> {
        let json = if let Some(from) = &self.from {
            files::read(&from.join("tokenizer.json"))?
        } else {
            let learnt = corpus.training().into_iter().flat_map(|i| &corpus.entries[i].captions).map(String::as_str);
            tokenizer_json(layout, &learnt.collect::<Vec<_>>(), self.settings.words)?.into_bytes()
        };
        files::write(&self.out.join("tokenizer.json"), &json)?;
        let tokenizer = TextTokenizer::from_bytes(&json)?;
        let encode = |text: &String| Ok(tokenizer.encode(text)?.into_iter().map(|id| id.0).collect());
        let of_entry = |entry: &Entry| entry.captions.iter().map(encode).collect::<Result<Vec<_>>>();
        let tokens = corpus.entries.iter().map(of_entry).collect::<Result<Vec<_>>>()?;
        Ok(Captions { layout, tokens, vocabulary: tokenizer.ids() })
    }

    /// Compares the files of [`from`](Self::from) with this run's: a token id means the same in both.
    fn check_first(&self) -> Result<()> {
        let Some(from) = &self.from else { return Ok(()) };
        for name in ["config.json", "hawk.json", "vq/config.json", "vq/model.safetensors"] {
            let (theirs, ours) = (from.join(name), self.out.join(name));
            let equal = if name.ends_with(".json") {
                read_json(&theirs)? == read_json(&ours)?
            } else {
                files::read(&theirs)? == files::read(&ours)?
            };
            if !equal {
                return Err(Error::input("the initial model does not fit: a file differs from this run's")
                    .at(theirs.display())
                    .expected(format!("the content of {}", ours.display()))
                    .hint("the initial model must have the same tokenizer and shape"));
            }
        }
        Ok(())
    }

    /// The weights of [`from`](Self::from).
    fn first_weights(&self) -> Result<Option<Checkpoint>> {
        self.from.as_ref().map(|from| Checkpoint::open(&ModelSource::Dir(from.clone()), "")).transpose()
    }

    /// Writes the weights and the curve.
    fn write_model(&self, trainer: &TargetTrainer<'_>) -> Result<()> {
        files::write(&self.out.join("model.safetensors"), &serialize(trainer.averaged(), Storage::Bf16)?)?;
        files::write_json(&self.out.join("curve.json"), &trainer.learner().curve)?;
        files::write(&self.out.join("curve.svg"), trainer.learner().curve.to_svg()?.as_bytes())
    }

    /// Draws with the model that was written last.
    fn write_sheet(&self, corpus: &Corpus) -> Result<()> {
        files::write(&self.out.join("sheet.png"), &sheet(&self.out, corpus)?)
    }

    fn finish(&self, corpus: &Corpus, trainer: &TargetTrainer<'_>) -> Result<TrainedTarget> {
        self.write_model(trainer)?;
        self.write_sheet(corpus)?;
        let losses = trainer.measure(corpus, MEASURED)?;
        files::write_json(&self.out.join("losses.json"), &losses)?;
        let parameters = trainer.averaged().iter().map(|tensor| tensor.values.len()).sum();
        Ok(TrainedTarget { parameters, losses, curve: trainer.learner().curve.clone() })
    }
}
