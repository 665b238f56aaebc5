//! `hawk features`, and `--t5` of other commands: captions encoded by a T5.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{Engine, ModelSource, Precision, Result};
use hawk_hub::find_model;
use hawk_t5::{Cleaner, Features, T5Encoder};

use crate::inputs;
use crate::output::files::Files;
use crate::output::{note, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk pull google/flan-t5-xl
  hawk features \"a red house\" --t5 google/flan-t5-xl --out red-house.safetensors
  hawk generate --features red-house.safetensors --model llamagen-t2i-XL --out house.png

`hawk generate \"a red house\" --t5 google/flan-t5-xl` does both steps at once. The file holds the \
tensor `features` [tokens, width] in f32, without padding. LlamaGen was trained with flan-t5-xl and \
with cleaned captions: lower case, without addresses, tags and serial numbers.

docs/models.md says more.")]
pub(crate) struct FeaturesArgs {
    /// Caption to encode; - is standard input
    #[arg(value_name = "CAPTION")]
    caption: String,
    /// Folder of the T5 model, or name of a pulled one, such as google/flan-t5-xl
    #[arg(long, value_name = "DIR|ORG/NAME")]
    t5: PathBuf,
    #[command(flatten)]
    settings: T5Settings,
    /// File to write: the tensor `features` [tokens, width] in f32
    #[arg(long, value_name = "F.safetensors")]
    out: PathBuf,
}

/// An optional T5 that encodes the prompts.
#[derive(clap::Args)]
#[command(next_help_heading = "Text encoder")]
pub(crate) struct T5Args {
    /// T5 that encodes prompts for models that read features (LlamaGen: google/flan-t5-xl): folder, or name of a pulled one
    #[arg(long, value_name = "DIR|ORG/NAME", conflicts_with = "features")]
    t5: Option<PathBuf>,
    #[command(flatten)]
    settings: T5Settings,
}

#[derive(clap::Args)]
struct T5Settings {
    /// Number format of the T5's weights in memory; flan-t5-xl takes 2.5 GB in bf16, 4.8 GB in f32
    #[arg(long, default_value = "bf16", value_parser = t5_precision())]
    t5_precision: Precision,
    /// Maximum tokens of a caption; further tokens are cut off
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=4096))]
    t5_tokens: u32,
    /// Cleaning of captions before they are encoded
    #[arg(long, value_enum, default_value_t = Cleaning::Llamagen)]
    cleaning: Cleaning,
}

/// How captions are cleaned.
#[derive(Clone, Copy, ValueEnum)]
enum Cleaning {
    /// As in LlamaGen's training: lower case, no addresses, tags or serial numbers
    Llamagen,
    /// Captions as they are
    None,
}

fn t5_precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["bf16", "f32"]).try_map(|name| name.parse())
}

pub(crate) fn run(args: &FeaturesArgs) -> Result<()> {
    let mut files = Files::default();
    files.reads_model("--t5", &ModelSource::Dir(find_model(&args.t5)?));
    let out = files.writes("--out", &args.out)?;
    let caption = inputs::typed_text(&args.caption)?;
    let mut encoder = Captions::load(&args.t5, &args.settings)?;
    let (clean, features) = encoder.encode(&caption)?;
    out.write(&features.to_safetensors()?)?;
    let tokens = features.values.len() / features.width;
    say(format_args!("{}: features [{tokens}, {}] of {clean:?}", args.out.display(), features.width));
    Ok(())
}

impl T5Args {
    /// Each prompt with its file of features; nothing without `--t5`. The encoder's memory is free afterwards.
    pub(crate) fn encode(&self, prompts: &[String]) -> Result<Vec<(String, Vec<u8>)>> {
        let Some(t5) = &self.t5 else { return Ok(Vec::new()) };
        let mut captions = Captions::load(t5, &self.settings)?;
        let file = |prompt: &String| Ok((prompt.clone(), captions.encode(prompt)?.1.to_safetensors()?));
        prompts.iter().map(file).collect()
    }
}

/// The engine with the features of its prompts.
pub(crate) fn with_encoded(engine: Engine, features: Vec<(String, Vec<u8>)>) -> Result<Engine> {
    features.into_iter().try_fold(engine, |engine, (prompt, file)| engine.with_features_of(&prompt, file))
}

struct Captions<'a> {
    encoder: T5Encoder,
    cleaner: Option<Cleaner>,
    settings: &'a T5Settings,
}

impl<'a> Captions<'a> {
    fn load(t5: &std::path::Path, settings: &'a T5Settings) -> Result<Self> {
        let encoder = T5Encoder::load(&ModelSource::Dir(find_model(t5)?), settings.t5_precision)?;
        let cleaner = match settings.cleaning {
            Cleaning::Llamagen => Some(Cleaner::new()?),
            Cleaning::None => None,
        };
        Ok(Self { encoder, cleaner, settings })
    }

    /// The caption as it was encoded, and its features.
    fn encode(&mut self, caption: &str) -> Result<(String, Features)> {
        let clean = match &self.cleaner {
            Some(cleaner) => cleaner.clean(caption)?,
            None => caption.to_owned(),
        };
        let most = self.settings.t5_tokens as usize;
        let features = self.encoder.features(&clean, most)?;
        if features.cut > 0 {
            let cut = features.cut;
            note(format_args!("note: the caption has {cut} tokens more than --t5-tokens {most}; they were cut off"));
        }
        Ok((clean, features))
    }
}
