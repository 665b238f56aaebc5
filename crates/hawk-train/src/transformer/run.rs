//! A whole target from captioned pictures and a VQ tokenizer: a Chameleon decoder that draws a picture's codes behind its caption.

mod batches;
#[cfg(feature = "tch")]
#[expect(deprecated, reason = "burn drops libtorch after 0.22; nothing else of it is as fast on a processor")]
mod fused;
mod grids;
mod model;
mod muon;
mod pieces;
mod trainer;
mod words;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hawk::{Decoder, Decoding, Engine, LoadOptions, Request, Rule, Sampling, Seed};
use hawk_nn::{Checkpoint, Error, Image, ModelSource, Result, TextTokenizer, VqEncoder};
use hawk_spec::Grid;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::corpus::Corpus;
use crate::curve::Curve;
use crate::data::{Kind, Picture, SHEET_COLUMNS, contact_sheet};
use crate::params::{Stored, serialize};
use crate::precision::Precision;
use crate::run::{Ended, Progress, Reached};
use crate::vq::SIDE;
use crate::{files, state};
use batches::Batches;
use grids::Grids;
use trainer::Trainer;
use words::Ids;

/// Pictures of validation that are measured at the end, of each kind and style.
const MEASURED: usize = 400;
/// Points of the curve from one sheet to the next: its pictures take as long as many steps.
const SHEET_EVERY: usize = 10;
/// Rows of a sheet.
const SHEET_ROWS: usize = 4;

/// Which optimizer trains the products; AdamW trains the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Loshchilov and Hutter 2019.
    AdamW,
    /// Momentum made orthogonal (Jordan 2024, with the step size of Liu et al. 2025, arXiv 2502.16982).
    Muon,
}

/// How a target is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSettings {
    /// Layers, `1..=128`.
    pub layers: usize,
    /// Numbers of a hidden state, `heads` times an even number, at most 8192.
    pub width: usize,
    /// Attention heads, at least 1.
    pub heads: usize,
    /// Width inside a SwiGLU, `1..=32768`.
    pub inner: usize,
    /// Tokens that are learnt for text, `257..=100_000`.
    pub words: usize,
    /// How often every emoji is seen, above 0, at most 10 000.
    pub passes: f64,
    /// Scenes of a pass, for each emoji of it, `0..=100`.
    pub scenes_an_emoji: f64,
    /// The largest share of a picture's codes that are read as random ones, `0..=1`; a quarter of the pictures has none, every other draws its own.
    #[serde(default)]
    pub corrupted: f64,
    /// Pictures of a step, `1..=4096`.
    pub batch: usize,
    /// The largest step size, above 0, at most 1.
    pub learning_rate: f64,
    /// What products are computed in.
    #[serde(default)]
    pub precision: Precision,
    /// Which optimizer.
    pub optimizer: Optimizer,
    /// Key of all that is drawn.
    pub seed: u64,
}

impl Default for TargetSettings {
    /// 16 million parameters with 4096 codes.
    fn default() -> Self {
        Self {
            layers: 8,
            width: 384,
            heads: 6,
            inner: 1024,
            words: 1024,
            passes: 12.0,
            scenes_an_emoji: 0.5,
            corrupted: 0.0,
            batch: 16,
            learning_rate: 2e-3,
            precision: Precision::F32,
            optimizer: Optimizer::AdamW,
            seed: 0,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRun {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// Folder of a tokenizer, as [`train_vq`](crate::train_vq) makes it.
    pub tokenizer: PathBuf,
    /// How.
    pub settings: TargetSettings,
    /// Folder of a model that another run made with this tokenizer, of the same shape: its weights and its words are what training begins
    /// with. Without it the weights are random, and the words learnt from the captions.
    pub from: Option<PathBuf>,
    /// Folder of the model, which any command loads. A run that was stopped goes on from the state that it finds there.
    pub out: PathBuf,
}

/// What a finished run gives.
#[derive(Clone, Debug)]
pub struct TrainedTarget {
    /// Parameters in all.
    pub parameters: usize,
    /// The mean cross-entropy of a code on validation, in nats: by what is new about the pictures, and of emoji by style.
    pub losses: BTreeMap<String, f64>,
    /// The course of the training.
    pub curve: Curve,
}

/// Under what settings the state in a folder was made.
#[derive(Serialize, Deserialize, PartialEq)]
struct Claim {
    pictures: String,
    tokenizer: String,
    settings: TargetSettings,
    /// SHA-256 of the weights that it began with.
    #[serde(default)]
    from: Option<String>,
}

/// Trains a target and writes a whole model into the run's folder: `config.json`, `hawk.json`, `tokenizer.json`, `model.safetensors` (bf16),
/// `vq/`; beside it `losses.json`, `curve.json`, `curve.svg` and `sheet.png`, what the model draws for captions of training.
///
/// # Errors
/// Settings out of range, pictures or a tokenizer that cannot be read, a folder that belongs to another run or cannot be written, a loss that
/// is no number.
pub fn train_target(
    run: &TargetRun,
    observer: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended<TrainedTarget>> {
    run.settings.check()?;
    let corpus = Corpus::open(&run.pictures)?;
    let encoder = VqEncoder::load(&ModelSource::Dir(run.tokenizer.clone()), "")?;
    let ids = run.ids(&encoder)?;
    files::make_dir(&run.out.join("vq"))?;
    files::claim(&run.out.join("run.json"), &run.claim(&corpus)?)?;
    for name in ["config.json", "model.safetensors"] {
        files::write(&run.out.join("vq").join(name), &files::read(&run.tokenizer.join(name))?)?;
    }
    let (captions, vocabulary) = run.words(&corpus, ids)?;
    files::write_json(&run.out.join("hawk.json"), &ids.hawk_json(SIDE))?;
    files::write_json(&run.out.join("config.json"), &run.settings.config_json(vocabulary))?;
    let grid = Grid::new(ids.side, ids.side).map_err(|e| Error::input(format!("no such grid: {e}")))?;
    let of = corpus.entries.len();
    let mut images = |done| observer(Progress::Images { done, of }).is_break();
    let Some(grids) = Grids::open(&run.out.join("codes.bin"), &corpus, &encoder, (grid, SIDE), &mut images)? else {
        return Ok(Ended::BrokenOff);
    };
    let batches = Batches::new(&corpus, &grids, (ids, captions), &run.settings);
    let state_file = run.out.join("state.safetensors");
    let first = run.first_weights()?;
    let mut trainer = Trainer::new(&run.settings, (ids, vocabulary), batches, &corpus, first.as_ref())?;
    if state_file.exists() {
        trainer = trainer.resume(state::load(&state_file)?)?;
    }
    let of = trainer.steps();
    while trainer.done() < of {
        if trainer.step()? == Reached::Point {
            state::save(&state_file, trainer.state()?)?;
            run.write(&trainer)?;
            if trainer.curve().points.len().is_multiple_of(SHEET_EVERY) {
                run.draw(&corpus)?;
            }
        }
        if observer(Progress::Steps { done: trainer.done(), of, point: trainer.curve().points.last() }).is_break() {
            return Ok(Ended::BrokenOff);
        }
    }
    if observer(Progress::Measuring).is_break() {
        return Ok(Ended::BrokenOff);
    }
    run.write(&trainer)?;
    run.draw(&corpus)?;
    let losses = trainer.measure(&corpus, MEASURED)?;
    files::write_json(&run.out.join("losses.json"), &losses)?;
    let parameters = trainer.averaged().iter().map(|named| named.numbers.len()).sum();
    Ok(Ended::Finished(TrainedTarget { parameters, losses, curve: trainer.curve().clone() }))
}

impl TargetRun {
    fn ids(&self, encoder: &VqEncoder) -> Result<Ids> {
        let config = encoder.config();
        let side = SIDE / config.pixels_per_cell();
        if side == 0 || config.codes > 1 << 16 {
            return Err(Error::input("the tokenizer does not fit")
                .at(self.tokenizer.display())
                .expected(format!("at most 65536 codes, of at most {SIDE} pixels a side"))
                .got(format!("{} codes of {} pixels", config.codes, config.pixels_per_cell())));
        }
        Ok(Ids { codes: config.codes as u32, side: side as u32 })
    }

    fn claim(&self, corpus: &Corpus) -> Result<Claim> {
        use sha2::{Digest, Sha256};
        let digest = |dir: &PathBuf| {
            let weights = files::read(&dir.join("model.safetensors"))?;
            Ok::<_, Error>(hawk_nn::hex(&Sha256::digest(&weights)))
        };
        Ok(Claim {
            pictures: corpus.digest.clone(),
            tokenizer: digest(&self.tokenizer)?,
            settings: self.settings.clone(),
            from: self.from.as_ref().map(digest).transpose()?,
        })
    }

    /// The weights of [`from`](Self::from), whose every other file must be as this run's: else a row of its table means another token.
    fn first_weights(&self) -> Result<Option<Checkpoint>> {
        let Some(from) = &self.from else { return Ok(None) };
        for name in ["config.json", "vq/config.json", "vq/model.safetensors"] {
            let (theirs, ours) = (from.join(name), self.out.join(name));
            if files::read(&theirs)? != files::read(&ours)? {
                return Err(Error::input("the model to begin with is another one")
                    .at(theirs.display())
                    .expected(format!("what {} holds", ours.display()))
                    .hint("it must have the same tokenizer and shape"));
            }
        }
        Checkpoint::open(&ModelSource::Dir(from.clone()), "").map(Some)
    }

    /// Writes `tokenizer.json`; gives the ids of every caption of every picture, and the size of the vocabulary.
    fn words(&self, corpus: &Corpus, ids: Ids) -> Result<(Vec<Vec<Vec<u32>>>, usize)> {
        let json = if let Some(from) = &self.from {
            files::read(&from.join("tokenizer.json"))?
        } else {
            let learnt = corpus.training().into_iter().flat_map(|i| &corpus.entries[i].captions).map(String::as_str);
            words::tokenizer(ids, &learnt.collect::<Vec<_>>(), self.settings.words)?.into_bytes()
        };
        files::write(&self.out.join("tokenizer.json"), &json)?;
        let tokenizer = TextTokenizer::from_bytes(&json)?;
        let encode = |text: &String| Ok(tokenizer.encode(text)?.into_iter().map(|id| id.0).collect());
        let of_entry = |entry: &crate::corpus::Entry| entry.captions.iter().map(encode).collect::<Result<Vec<_>>>();
        let captions = corpus.entries.iter().map(of_entry).collect::<Result<Vec<_>>>()?;
        Ok((captions, tokenizer.ids()))
    }

    /// The model as it is now.
    fn write(&self, trainer: &Trainer<'_>) -> Result<()> {
        let weights = serialize(trainer.averaged(), Stored::Bf16, &[], None)?;
        files::write(&self.out.join("model.safetensors"), &weights)?;
        files::write_json(&self.out.join("curve.json"), trainer.curve())?;
        files::write(&self.out.join("curve.svg"), trainer.curve().to_svg()?.as_bytes())
    }

    /// What the model that was written last draws.
    fn draw(&self, corpus: &Corpus) -> Result<()> {
        files::write(&self.out.join("sheet.png"), &sheet(&self.out, corpus)?)
    }
}

impl TargetSettings {
    /// Floating-point operations of a step, about: multiply-adds of products and attention count twice, the way back twice as much as the
    /// way there. `codes` is the size of the codebook.
    pub fn operations_a_step(&self, codes: usize) -> f64 {
        // Sixteen rows of codes with their ends, and some words.
        let (length, cells) = (290.0, 256.0);
        let layer = 4.0 * (self.width * self.width) as f64 + 3.0 * (self.width * self.inner) as f64;
        let attention = 2.0 * length * self.width as f64;
        let sequence = length * self.layers as f64 * (layer + attention) + cells * (codes * self.width) as f64;
        6.0 * sequence * self.batch as f64
    }

    fn check(&self) -> Result<()> {
        let out_of_range = |field: &str, expected: &str, got: String| {
            Err(Error::input("a training setting is out of range").at(field).expected(expected).got(got))
        };
        let range = |field: &str, got: usize, least: usize, most: usize| match (least..=most).contains(&got) {
            true => Ok(()),
            false => out_of_range(field, &format!("{least} to {most}"), got.to_string()),
        };
        range("layers", self.layers, 1, 128)?;
        range("width", self.width, 2, 8192)?;
        range("heads", self.heads, 1, self.width / 2)?;
        if !self.width.is_multiple_of(2 * self.heads) {
            return out_of_range("width", "an even number for each head", format!("{} for {}", self.width, self.heads));
        }
        range("inner", self.inner, 1, 32768)?;
        range("words", self.words, 257, 100_000)?;
        range("batch", self.batch, 1, 4096)?;
        if !(self.passes > 0.0 && self.passes <= 1e4) {
            return out_of_range("passes", "above 0, at most 10000", self.passes.to_string());
        }
        if !(0.0..=100.0).contains(&self.scenes_an_emoji) {
            return out_of_range("scenes", "0 to 100 for each emoji", self.scenes_an_emoji.to_string());
        }
        if !(0.0..=1.0).contains(&self.corrupted) {
            return out_of_range("corrupt", "0 to 1", self.corrupted.to_string());
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return out_of_range("learning rate", "above 0, at most 1", self.learning_rate.to_string());
        }
        Ok(())
    }

    /// The transformer's `config.json`, in the words of Hugging Face's Chameleon.
    fn config_json(&self, vocabulary: usize) -> serde_json::Value {
        json!({
            "architectures": ["ChameleonForConditionalGeneration"],
            "model_type": "chameleon",
            "vocab_size": vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "hidden_act": "silu",
            "rms_norm_eps": model::EPSILON,
            "rope_theta": model::ROPE_BASE,
            "max_position_embeddings": 512,
            "swin_norm": false,
            "model_parallel_size": 1,
            "attention_bias": false,
            "mlp_bias": false,
            "tie_word_embeddings": true,
            "bos_token_id": words::BOS,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "torch_dtype": "bfloat16",
        })
    }
}

/// What the model in `dir` draws for captions of training: emoji of all kinds, the last row scenes.
fn sheet(dir: &Path, corpus: &Corpus) -> Result<Vec<u8>> {
    let engine = Engine::load(ModelSource::Dir(dir.to_owned()), LoadOptions::default())?;
    let of = |kind| corpus.training().into_iter().filter(|&i| corpus.entries[i].kind == kind).collect::<Vec<_>>();
    let (emoji, scenes) = (of(Kind::Emoji), of(Kind::Scene));
    let mut rows = Vec::new();
    for row in 0..SHEET_ROWS {
        let all = if row + 1 == SHEET_ROWS { &scenes } else { &emoji };
        let shown = all.len().min(SHEET_COLUMNS);
        let index = |column: usize| all[(column * SHEET_ROWS + row) * all.len() / (shown * SHEET_ROWS)];
        let drawn = (0..shown)
            .map(|column| draw(&engine, &corpus.entries[index(column)].captions[0], engine.config().defaults, Seed(0)));
        rows.push(drawn.map(|image| Ok(Picture(image?.pixels))).collect::<Result<Vec<_>>>()?);
    }
    contact_sheet(&rows)
}

/// One image by plain decoding.
pub(crate) fn draw(engine: &Engine, prompt: &str, sampling: Sampling, seed: Seed) -> Result<Image> {
    let request = Request {
        prompt: prompt.to_owned(),
        seed,
        images: 0..1,
        sampling,
        decoding: Decoding::with_defaults(Decoder::Ar, Rule::Replay),
        batch: 1,
    };
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    let image = outcome.images.into_iter().next();
    image.map(|generated| generated.image).ok_or_else(|| Error::input("no image was drawn").at(prompt))
}
