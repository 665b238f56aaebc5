//! `hawk data landscapes`: training pictures with captions, painted.

use std::num::NonZero;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{Error, LoadOptions, Result};
use hawk_pictures::mixture::{Mixture, Percent, Shares};
use hawk_pictures::order::{Order, Progress};
use hawk_pictures::sample::Kind;
use hawk_pictures::things::{Shift, Things};
use hawk_pictures::{Counts, Tally, folder, shards};

use crate::output::{progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data landscapes --out landscapes/ --pictures 1000
  hawk data landscapes --out other/ --pictures 1000 --seed 7
  hawk data landscapes --out mixture/ --pictures 20000 --things things.pack
  hawk data landscapes --out half/ --pictures 9000 --things emoji/ --shares 50,0,0,50
  hawk data landscapes --out shards/ --pictures 300000 --things things.pack --shards

Picture number I of a seed is always the same one: the same command resumes an interrupted run, and a \
larger --pictures adds pictures to a folder. `hawk train vq` and `hawk train target` read the folder.

docs/data.md says more.")]
pub(crate) struct DataLandscapesArgs {
    /// Folder to write: images/, captions.jsonl, manifest.json, sheet.png; with things also ATTRIBUTION
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of pictures
    #[arg(long, value_name = "N")]
    pictures: NonZero<u64>,
    /// Random seed: other seeds give other pictures
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Things to show: a pack of cut-outs, or the folder that `hawk data emoji` made [default: none]
    #[arg(long, value_name = "PACK|DIR")]
    things: Option<PathBuf>,
    /// Shares of landscapes, things alone, things together, things in landscapes [default: 50,25,5,20]
    #[arg(long, value_name = "A,B,C,D", value_parser = shares, requires = "things")]
    shares: Option<Shares>,
    /// Where things may be put: at whole cells of 8 pixels, anywhere, or things alone in the middle in one size
    #[arg(long, value_name = "cells|pixels|fixed", default_value = "cells", value_parser = shift(), requires = "things")]
    shift: Shift,
    /// Landscapes of a hundred that show an aurora, besides the 2 that do by chance
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    auroras: Percent,
    /// Write raw pixels, thousands of pictures a file, instead of PNG files
    #[arg(long)]
    shards: bool,
    /// Pictures of a file of raw pixels
    #[arg(long, value_name = "N", default_value = "4096", requires = "shards")]
    shard_size: NonZero<u64>,
    /// Number of threads, at most 1024; the result does not depend on it [default: one per core]
    #[arg(long, value_name = "T", value_parser = crate::args::threads)]
    threads: Option<NonZero<usize>>,
}

fn shares(text: &str) -> std::result::Result<Shares, String> {
    let numbers: Vec<usize> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    match (&numbers[..], text.split(',').count()) {
        (&[landscapes, things, scenes, composites], 4) => Ok(Shares { landscapes, things, scenes, composites }),
        _ => Err("expected four numbers, such as 50,25,5,20".to_owned()),
    }
}

fn percent(text: &str) -> std::result::Result<Percent, String> {
    text.parse().ok().and_then(Percent::new).ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

fn shift() -> impl TypedValueParser<Value = Shift> {
    PossibleValuesParser::new(Shift::NAMES.map(|(name, _)| name)).map(|name| Shift::named(&name).unwrap_or_default())
}

pub(crate) fn run(args: &DataLandscapesArgs) -> Result<()> {
    let threads = args.threads.or(NonZero::new(LoadOptions::default().threads)).unwrap_or(NonZero::<usize>::MIN);
    if !args.shards && args.pictures.get() > folder::MOST {
        return Err(Error::input("too many pictures for a folder of PNG files")
            .expected(format!("at most {}", folder::MOST))
            .got(args.pictures)
            .hint("--shards writes thousands of pictures a file"));
    }
    let order = Order {
        mixture: mixture(args)?.with_auroras(args.auroras),
        pictures: args.pictures,
        out: args.out.clone(),
        threads,
    };
    let bar = progress::steady_bar(args.pictures.get(), "{bar:30} {pos}/{len} pictures  {per_sec}  eta {eta}");
    let mut last = None;
    let mut observe = |progress: Progress| {
        bar.set_position(progress.done);
        last = Some(progress);
    };
    let (counts, digest) = if args.shards {
        (shards::paint(&order, args.shard_size, &mut observe)?, None)
    } else {
        let manifest = folder::paint(&order, &mut observe)?;
        (manifest.counts, Some(manifest.digest))
    };
    bar.finish_and_clear();
    report(&counts);
    if let Some(Progress { done, painted }) = last {
        say(format_args!("{done} pictures, {painted} of them painted by this run"));
    }
    if let Some(digest) = digest {
        say(format_args!("digest {digest}"));
    }
    say(args.out.display());
    Ok(())
}

fn mixture(args: &DataLandscapesArgs) -> Result<Mixture> {
    let Some(path) = &args.things else { return Ok(Mixture::landscapes(args.seed)) };
    let things = Things::open(path)
        .map_err(|e| e.at("--things").hint("name a pack, or the folder that `hawk data emoji --out DIR` made"))?;
    Mixture::new(things, args.shares.unwrap_or_default(), args.shift, args.seed)
}

fn report(counts: &Tally) {
    let titles = ("pictures", "train", "new style", "new concept", "new scene");
    say(format_args!("{:<26}{:>9}{:>9}{:>11}{:>13}{:>11}", "", titles.0, titles.1, titles.2, titles.3, titles.4));
    for (kind, groups) in &counts.0 {
        let kind = match kind {
            Kind::Landscape => "landscape",
            Kind::Thing => "thing",
            Kind::Scene => "scene",
            Kind::Composite => "composite",
        };
        for (group, counts) in groups {
            let Counts { train, new_style, new_concept, new_scene } = counts;
            let name = format!("{kind}, {group}");
            let all = counts.all();
            say(format_args!("{name:<26}{all:>9}{train:>9}{new_style:>11}{new_concept:>13}{new_scene:>11}"));
        }
    }
}
