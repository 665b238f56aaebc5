//! `hawk analyze table`, also `hawk eval`: speed and quality of decoders over prompts.

use std::num::NonZero;
use std::path::PathBuf;

#[cfg(feature = "scores")]
use hawk::Image;
use hawk::{AnyRule, Decoder, Decoding, Error, LossyRule, PROMPTS, Result, Rule, Seed, Tree, TreeShape};
#[cfg(feature = "scores")]
use hawk_analyze::Space;
use hawk_analyze::{
    Caption, Content, FeatureSpace, Figure, Judge, RealPictures, Table, TableRun, VqFeatures, find_pictures,
    read_captions, table,
};
#[cfg(feature = "scores")]
use hawk_hub::find_model;
#[cfg(feature = "scores")]
use hawk_scores::{Clip, INCEPTION_FEATURES, Inception};

use super::shared::{begin, carry_out, print};
use crate::args::{DeviceArgs, LoadArgs, SamplingArgs, budget, decoder, rule};
use crate::inputs;
use crate::output::{note, say};

/// Nodes of the trees, where none are given.
const NODES: Tree = Tree::Shape(TreeShape::Budget(4));
/// Decoders under both exact rules, where none are given: those of the paper's table, and three more.
const DECODERS: [&str; 6] = ["medusa", "hawk-vertical", "hawk-paper", "hawk", "scd", "soar"];
/// The decoder of the paper's table that changes the law.
const LOSSY: &str = "medusa";

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk analyze table --out analysis/
  hawk analyze table --prompts captions_val2014.json --pictures val2014/ --images 500 --out coco/
  hawk analyze table --decoder scd,hawk --rule replay --budget 2,8 --images 64 --out analysis/
  hawk eval --prompts PartiPrompts.tsv --model lumina/ --out parti/      # the same command

It is table 1 of the paper. All decoders draw the same prompts in turn; times are compared in pairs with
plain decoding. Under `replay` every file is compared with plain decoding's, byte for byte.

--prompts reads COCO's captions, Flickr30K's results.csv and token file, Karpathy's JSON,
PartiPrompts.tsv, captions.jsonl of `hawk data`, and one prompt per line; it looks at what a file holds.
Where it names pictures, --pictures is the folder of these; otherwise all pictures there are taken.

Without Inception weights, sets of images are compared by the model's own VQ encoder: a VQ distance, no
FID. The program has --inception and --clip if it is built with `--features scores` (or `train`).

`hawk evaluate` is another command: it measures whether images of one model show what captions name.

Ctrl-C keeps the work so far; the same command goes on. docs/analysis.md says more.")]
pub(crate) struct TableArgs {
    /// Folder to write: the table as JSON and CSV, all images as PNG, and report.html of all figures there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Captions of COCO, Flickr30K or PartiPrompts, or one prompt per line; - is standard input
    /// [default: twelve captions of the built-in model]
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Number of images that every decoder draws, at least 2
    #[arg(long, value_name = "N", default_value = "32")]
    images: NonZero<usize>,
    /// Seed of the first image; the next image has the next seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Folder of real pictures, PNG or JPEG, to compare the images with
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Decoders besides plain decoding [default: those of the paper's table, hawk, scd and soar]
    #[arg(long = "decoder", value_delimiter = ',', value_parser = decoder())]
    decoders: Vec<Decoder>,
    /// Verification rules [default: replay,rejection, and lantern for medusa]
    #[arg(long = "rule", value_delimiter = ',', value_parser = rule())]
    rules: Vec<AnyRule>,
    /// Largest numbers of tree nodes, such as 4,8,auto; auto is for the rule replay [default: 4]
    #[arg(long = "budget", value_name = "NODES|auto", value_delimiter = ',', value_parser = budget)]
    budgets: Vec<Tree>,
    /// Number of resamples of the images for the intervals
    #[arg(long, value_name = "N", default_value = "1000")]
    resamples: NonZero<usize>,
    #[cfg(feature = "scores")]
    #[command(flatten)]
    scores: ScoreArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Networks that score pictures.
#[cfg(feature = "scores")]
#[derive(clap::Args)]
#[command(next_help_heading = "Scores")]
pub(crate) struct ScoreArgs {
    /// FID: the weights pt_inception-2015-12-05-6726825d.pth or the same as safetensors; or a pulled model with them
    #[arg(long, value_name = "FILE|ORG/NAME", requires = "pictures")]
    inception: Option<PathBuf>,
    /// CLIP score: folder of a CLIP model such as openai/clip-vit-base-patch32, or name of a pulled one
    #[arg(long, value_name = "DIR|ORG/NAME")]
    clip: Option<PathBuf>,
}

/// The networks, read before the model.
#[derive(Default)]
struct Networks {
    #[cfg(feature = "scores")]
    inception: Option<Inception>,
    #[cfg(feature = "scores")]
    clip: Option<Clip>,
}

pub(crate) fn run(args: &TableArgs) -> Result<()> {
    if args.images.get() < 2 {
        return Err(Error::input("too few images for a table").at("--images").expected("at least 2").got(args.images));
    }
    let (captions, prompts) = captions(args)?;
    let pictures = pictures(args, &captions)?;
    let contenders = contenders(args)?;
    let _lock = begin(&args.out)?;
    let networks = Networks::open(args)?;
    let engine = args.load.engine(&args.device, None, args.heads.as_deref())?;
    let vq = match &pictures {
        Some(_) if networks.space().is_none() => Some(VqFeatures::of_model(&engine)?),
        _ => None,
    };
    let space = networks.space().or_else(|| vq.as_ref().map(VqFeatures::space));
    let model = args.load.model.name();
    let run = TableRun {
        engine: &engine,
        model: &model,
        captions,
        prompts,
        images: args.images.get(),
        seed: Seed(args.seed),
        sampling: args.sampling.or(engine.config().defaults)?,
        contenders,
        real: pictures.zip(space).map(|(files, space)| RealPictures { files, space }),
        clip: networks.judge(),
        resamples: args.resamples.get(),
        dir: args.out.clone(),
    };
    run.notes().iter().for_each(|text| note(format_args!("note: {text}")));
    let Some(figure) = carry_out(&args.out, "steps", |watch| table(&run, watch))? else { return Ok(()) };
    print_tables(&figure);
    print(&args.out, &figure);
    Ok(())
}

/// The captions, and where they are from.
fn captions(args: &TableArgs) -> Result<(Vec<Caption>, String)> {
    let Some(path) = &args.prompts else {
        let captions = PROMPTS.iter().map(|&prompt| Caption::from(prompt.to_owned())).collect();
        return Ok((captions, "captions of the built-in model".to_owned()));
    };
    let (format, captions) = read_captions(&inputs::read(path)?).map_err(|e| e.at(path.display()))?;
    Ok((captions, format!("{}, {format}", path.display())))
}

/// The pictures of the captions that are drawn, or all of the folder where captions name none.
fn pictures(args: &TableArgs, captions: &[Caption]) -> Result<Option<Vec<PathBuf>>> {
    let Some(dir) = &args.pictures else { return Ok(None) };
    let drawn = captions.iter().take(args.images.get());
    let names: Option<Vec<String>> = drawn.map(|caption| caption.picture.clone()).collect();
    let pictures = find_pictures(dir, names.as_deref())?;
    if pictures.len() < 2 {
        return Err(Error::input("too few pictures to compare with")
            .at("--pictures")
            .expected("at least 2")
            .got(pictures.len()));
    }
    Ok(Some(pictures))
}

/// Who is compared.
fn contenders(args: &TableArgs) -> Result<Vec<Decoding>> {
    let heads = args.heads.is_some() || args.load.model.source()?.contains("heads/config.json");
    let named = |decoder: &Decoder| match args.decoders.is_empty() {
        true => DECODERS.contains(&decoder.name()) && (heads || !decoder.needs_heads()),
        false => args.decoders.contains(decoder),
    };
    let exact = [AnyRule::Exact(Rule::Replay), AnyRule::Exact(Rule::Rejection)];
    let rules = if args.rules.is_empty() { &exact[..] } else { &args.rules };
    let budgets = if args.budgets.is_empty() { &[NODES][..] } else { &args.budgets };
    let mut contenders = Vec::new();
    for &rule in rules {
        for decoder in Decoder::all().filter(named) {
            let budgets = if decoder == Decoder::AR { &[Decoder::AR.default_tree(rule)][..] } else { budgets };
            for &tree in budgets {
                if tree == Tree::Auto && rule != AnyRule::Exact(Rule::Replay) {
                    note(format_args!(
                        "note: {decoder} is not autotuned under the rule {rule}: its images depend on the trees"
                    ));
                    continue;
                }
                contenders.push(Decoding::new(decoder, rule, tree)?);
            }
        }
    }
    if args.rules.is_empty() && args.decoders.is_empty() && heads {
        let lossy = Decoder::all().filter(|decoder| decoder.name() == LOSSY);
        let fixed = budgets.iter().copied().filter(|tree| *tree != Tree::Auto);
        let pairs = lossy.flat_map(|decoder| fixed.clone().map(move |tree| (decoder, tree)));
        for (decoder, tree) in pairs {
            contenders.push(Decoding::new(decoder, AnyRule::Lossy(LossyRule::Lantern), tree)?);
        }
    }
    Ok(contenders)
}

#[cfg(feature = "scores")]
impl Networks {
    /// # Errors
    /// The weights of a network cannot be read or are others.
    fn open(args: &TableArgs) -> Result<Self> {
        let mut networks = Self::default();
        if let Some(path) = &args.scores.inception {
            networks.inception = Some(Inception::open(&weights(path)?).map_err(|e| e.at("--inception"))?);
        }
        if let Some(path) = &args.scores.clip {
            let source = hawk::ModelSource::Dir(find_model(path).map_err(|e| e.at("--clip"))?);
            networks.clip = Some(Clip::open(&source).map_err(|e| e.at("--clip"))?);
        }
        Ok(networks)
    }

    fn space(&self) -> Option<FeatureSpace<'_>> {
        self.inception.as_ref().map(|inception| FeatureSpace {
            space: Space::Inception,
            identity: format!("inception {}", inception.digest()),
            count: INCEPTION_FEATURES,
            of: Box::new(|picture| inception.features(picture)),
        })
    }

    fn judge(&self) -> Option<Judge<'_>> {
        self.clip.as_ref().map(|clip| Judge {
            identity: format!("clip {}", clip.digest()),
            of: Box::new(|picture: &Image, prompt: &str| clip.score(picture, prompt)),
        })
    }
}

#[cfg(not(feature = "scores"))]
impl Networks {
    #[allow(clippy::unnecessary_wraps, reason = "with the feature the weights are read")]
    fn open(_: &TableArgs) -> Result<Self> {
        Ok(Self::default())
    }

    #[allow(clippy::unused_self, reason = "with the feature it has networks")]
    fn space(&self) -> Option<FeatureSpace<'_>> {
        None
    }

    #[allow(clippy::unused_self, reason = "with the feature it has networks")]
    fn judge(&self) -> Option<Judge<'_>> {
        None
    }
}

/// The file of Inception's weights: what is named, or the one file of weights in a folder.
#[cfg(feature = "scores")]
fn weights(path: &std::path::Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let dir = find_model(path).map_err(|e| e.at("--inception"))?;
    let failed = |e: std::io::Error| Error::io("read the folder", &dir, &e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let ending = file.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| ["pth", "pt", "bin", "safetensors"].contains(&ending)) {
            files.push(file);
        }
    }
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => Err(Error::input("which file has the weights of Inception?")
            .at(dir.display())
            .expected("one .pth or .safetensors file")
            .got(files.len())),
    }
}

/// Prints the tables of a figure.
fn print_tables(figure: &Figure) {
    for part in &figure.parts {
        let Content::Table(table) = &part.content else { continue };
        say(format_args!("{}", part.title));
        print_table(table);
        say("");
    }
}

fn print_table(table: &Table) {
    let number = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.*}", table.decimals));
    let rows: Vec<Vec<String>> = std::iter::once(table.columns.clone())
        .chain(
            table
                .rows
                .iter()
                .map(|(name, values)| std::iter::once(name.clone()).chain(values.iter().map(number)).collect()),
        )
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| match at {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        say(format_args!("{}", cells.collect::<Vec<_>>().join("  ")));
    }
}
