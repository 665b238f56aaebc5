//! `hawk synth`: models of the public shapes with random weights, and models that have grown.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{Decoder, Decoding, Engine, Error, LoadOptions, ModelSource, Precision, Request, Result, Rule, Seed};
use hawk_hub::find_model;
use hawk_spec::Code;
use hawk_synth::{Grown, GrownSizes, SynthModel, synthesize, synthesize_heads};

use crate::args::built_in;
use crate::output::{files, progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk synth lumina-mgpt-7b --out lumina/
  hawk synth heads --model lumina/ --out lumina-heads/
  hawk generate \"anything\" --model lumina/ --heads lumina-heads/ --size 512x512
  hawk synth grown --preset 1b --out grown-1b/
  hawk synth grown --from emoji/ --hidden 768 --layers 9 --out grown/ --compare \"red apple\"

The shapes, tensor names and files are those of the public model; what it generates is noise. A 7B \
model takes 14 GB of disk and little memory. The same command resumes an interrupted run.

A grown model computes what its source does, at the cost of a larger shape: it draws the same images \
and accepts the same drafts. It is for measurements and is no better model.")]
pub(crate) struct SynthArgs {
    /// Model to write; `heads`: draft heads for the model of --model; `grown`: the model of --from, enlarged
    #[arg(value_name = "FAMILY-SIZE|heads|grown", value_parser = kind())]
    kind: Kind,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Random seed of the weights
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Model that the heads are for: its folder, or name of a pulled one
    #[arg(long, value_name = "DIR|ORG/NAME", required_if_eq("kind", "heads"))]
    model: Option<PathBuf>,
    #[command(flatten)]
    grown: GrownArgs,
}

#[derive(clap::Args, PartialEq, Eq)]
#[command(next_help_heading = "Grown models")]
struct GrownArgs {
    /// Model that grows: its folder, or name of a pulled one [default: the built-in model]
    #[arg(long, value_name = "DIR|ORG/NAME")]
    from: Option<PathBuf>,
    /// Hidden size: the source's, or more by whole heads [default: the source's]
    #[arg(long, value_name = "D")]
    hidden: Option<usize>,
    /// Layers; new ones stand behind the source's [default: the source's]
    #[arg(long, value_name = "L")]
    layers: Option<usize>,
    /// Units of the SwiGLU [default: the source's]
    #[arg(long, value_name = "I")]
    inner: Option<usize>,
    /// All three sizes, for the built-in model
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["hidden", "layers", "inner"])]
    preset: Option<Preset>,
    /// Draw this text with both models (f32, plain decoding, seed 1) and count the cells that agree
    #[arg(long, value_name = "PROMPT")]
    compare: Option<String>,
}

/// Sizes by the weights of a pass.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// 1.1 billion weights a pass: hidden size 1536, 24 layers, 7680 units; 2.2 GB
    #[value(name = "1b")]
    OneBillion,
    /// 7 billion weights a pass: hidden size 6144, 16 layers, 15360 units; 14 GB
    #[value(name = "7b")]
    SevenBillion,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model(SynthModel),
    Heads,
    Grown,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    let names = SynthModel::ALL.map(SynthModel::name).into_iter().chain(["heads", "grown"]);
    PossibleValuesParser::new(names.collect::<Vec<_>>()).try_map(|name| match name.as_str() {
        "heads" => Ok(Kind::Heads),
        "grown" => Ok(Kind::Grown),
        name => name.parse().map(Kind::Model),
    })
}

pub(crate) fn run(args: &SynthArgs) -> Result<()> {
    if let (Kind::Model(_) | Kind::Grown, Some(model)) = (args.kind, &args.model) {
        let error = Error::input("--model is only for `hawk synth heads`").got(model.display());
        return Err(if args.kind == Kind::Grown { error.hint("--from names the model that grows") } else { error });
    }
    if args.kind != Kind::Grown && args.grown.is_given() {
        return Err(Error::input(
            "--from, --hidden, --layers, --inner, --preset and --compare are for `hawk synth grown`",
        ));
    }
    files::check_folder_can_be_made(&args.out)?;
    let (bar, progress) = progress::bytes_bar();
    match (args.kind, &args.model) {
        (Kind::Model(model), _) => synthesize(model, args.seed, &args.out, &progress)?,
        (Kind::Heads, Some(model)) => {
            let source = ModelSource::Dir(find_model(model)?);
            synthesize_heads(&source, &model.display().to_string(), args.seed, &args.out, &progress)?;
        }
        (Kind::Heads, None) => return Err(Error::input("heads need a model").expected("--model DIR")),
        (Kind::Grown, _) => {
            let source = args.grown.source()?;
            let grown = Grown::new(&source, &args.grown.name(), args.grown.sizes(), args.seed)?;
            grown.write(&args.out, &progress)?;
            bar.finish_and_clear();
            say(format_args!(
                "{:.3} billion weights a pass, {:.1} % of them zero by design",
                grown.weights_per_pass() as f64 / 1e9,
                100.0 * grown.zero_share()
            ));
            if let Some(prompt) = &args.grown.compare {
                compare(source, &args.out, prompt)?;
            }
        }
    }
    bar.finish_and_clear();
    say(args.out.display());
    Ok(())
}

impl GrownArgs {
    fn is_given(&self) -> bool {
        let none = Self { from: None, hidden: None, layers: None, inner: None, preset: None, compare: None };
        *self != none
    }

    fn source(&self) -> Result<ModelSource> {
        match &self.from {
            Some(model) => Ok(ModelSource::Dir(find_model(model)?)),
            None => built_in(),
        }
    }

    fn name(&self) -> String {
        self.from.as_ref().map_or_else(|| hawk::BUILT_IN.to_owned(), |dir| dir.display().to_string())
    }

    fn sizes(&self) -> GrownSizes {
        match self.preset {
            Some(Preset::OneBillion) => GrownSizes::ONE_BILLION,
            Some(Preset::SevenBillion) => GrownSizes::SEVEN_BILLION,
            None => GrownSizes { hidden: self.hidden, layers: self.layers, inner: self.inner },
        }
    }
}

/// Counts the cells that both models draw alike. Behind a near tie all cells may differ.
fn compare(source: ModelSource, grown: &Path, prompt: &str) -> Result<()> {
    let (own, grown) = (codes(source, prompt)?, codes(ModelSource::Dir(grown.to_owned()), prompt)?);
    let same = own.iter().zip(&grown).filter(|(own, grown)| own == grown).count();
    say(format_args!("{prompt}: {same} of {} cells as in the source", own.len()));
    Ok(())
}

/// The codes of one image.
fn codes(source: ModelSource, prompt: &str) -> Result<Vec<Code>> {
    let engine = Engine::load(source, LoadOptions { precision: Precision::F32, ..LoadOptions::default() })?;
    let request = Request {
        prompt: prompt.to_owned(),
        seed: Seed(1),
        images: 0..1,
        sampling: engine.config().defaults,
        decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
        batch: 1,
    };
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    Ok(outcome.images.into_iter().flat_map(|image| image.codes).collect())
}
