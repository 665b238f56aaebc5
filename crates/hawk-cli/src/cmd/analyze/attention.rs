//! `hawk analyze attention`: what tokens attend to, by offset.

use std::num::NonZero;
use std::path::PathBuf;

use hawk::{Error, ModelSource, Precision, Result, TextEngine};
use hawk_analyze::{AttentionRun, Detail, Texts, attention};
use hawk_hub::find_model;

use super::shared::AnalysisArgs;
use crate::inputs;

/// What a text model goes on with, where no file is given.
const TEXTS: [&str; 4] = [
    "The hawk is a bird of prey that",
    "Once upon a time, in a village by the sea,",
    "The first law of thermodynamics says that",
    "To bake a loaf of bread, you need",
];

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk analyze attention --out analysis/
  hawk analyze attention --images 16 --by-head --out analysis/
  hawk analyze attention --text-model Llama-2-7b-hf --text-tokens 200 --out analysis/
  hawk analyze attention --model lumina/ --prompts captions.txt --precision int8 --out out/

The model draws images under its own sampling. Every image then goes through the conditional stream once
more, and the weight and the logit (before the softmax) that each cell gives to each earlier token are
summed: by distance in the sequence, and by rows up and columns aside on the plane. The sums do not grow
with the number of images. They are figures 1 and 7 of the paper.

Ctrl-C keeps the work so far; the same command goes on. docs/analysis.md says more.")]
pub(crate) struct AttentionArgs {
    #[command(flatten)]
    analysis: AnalysisArgs,
    /// Write the plane of every layer and head besides
    #[arg(long)]
    by_head: bool,
    /// A language model to compare with: a folder, or the name of a pulled one
    #[arg(long, value_name = "DIR|ORG/NAME", help_heading = "Text model")]
    text_model: Option<PathBuf>,
    /// File with the beginning of a text per line; the model goes on from it [default: four sentences]
    #[arg(long, value_name = "FILE", help_heading = "Text model", requires = "text_model")]
    texts: Option<PathBuf>,
    /// Tokens that the text model writes after each beginning
    #[arg(long, value_name = "N", help_heading = "Text model", default_value = "128", requires = "text_model")]
    text_tokens: NonZero<usize>,
}

pub(crate) fn run(args: &AttentionArgs) -> Result<()> {
    let (prompts, _lock) = args.analysis.begin()?;
    // The smaller one first: what is wrong with it is said before the other is loaded.
    let text = args.text_model()?;
    let engine = args.analysis.engine(None)?;
    let model = args.analysis.load.model.name();
    let run = AttentionRun {
        engine: &engine,
        model: &model,
        images: args.analysis.image_set(&engine, prompts)?,
        text: text.as_ref().map(|(engine, name, texts)| (engine, name.as_str(), texts.clone())),
        detail: if args.by_head { Detail::EveryHead } else { Detail::Mean },
        dir: args.analysis.out.clone(),
    };
    args.analysis.finish("images and texts", |watch| attention(&run, watch))
}

impl AttentionArgs {
    fn text_model(&self) -> Result<Option<(TextEngine, String, Texts)>> {
        let Some(model) = &self.text_model else { return Ok(None) };
        let prompts = match &self.texts {
            Some(path) => inputs::read_prompts(path)?,
            None => TEXTS.map(str::to_owned).to_vec(),
        };
        if prompts.is_empty() {
            return Err(Error::input("no texts to go on with").at("--texts").expected("one beginning per line"));
        }
        let source = ModelSource::Dir(find_model(model)?);
        let precision = match self.analysis.load.precision {
            Some(precision) => precision,
            None => hawk::packed_for(&source)?.unwrap_or(Precision::Bf16),
        };
        let engine = TextEngine::load(source, self.analysis.load.model.options(precision))?;
        let texts = Texts { prompts, tokens: self.text_tokens.get() };
        Ok(Some((engine, model.display().to_string(), texts)))
    }
}
