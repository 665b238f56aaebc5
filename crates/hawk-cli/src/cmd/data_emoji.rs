//! `hawk data emoji`: training pictures with captions, made of emoji.

use std::num::NonZero;
use std::path::PathBuf;

use hawk::{LoadOptions, Result};
use hawk_hub::Server;
use hawk_train::{Counts, EmojiProgress, EmojiSettings, Manifest, NPM_REGISTRY, make_emoji};
use indicatif::ProgressBar;

use crate::output::{note, progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk data emoji --out four/ --styles 'fluent 3d,fluent flat,noto,twemoji'
  hawk data emoji --out things/ --styles 'fluent 3d,fluent flat' --things --scenes 3000
  hawk data emoji --out quick/ --limit 400 --scenes 100 --cache packages/

The same command resumes an interrupted run. The printed digest is the same on every machine of one \
kind.

The emoji come from packages of the npm registry (32 MB). Packages that are in --cache are not \
downloaded; `npm pack PACKAGE@VERSION` writes files with the expected names. Servers that fail, stall or \
limit requests are asked again, by HTTPS_PROXY or ALL_PROXY where it is set.

docs/data.md says more.")]
pub(crate) struct DataEmojiArgs {
    /// Folder to write: images/, captions.jsonl, manifest.json, sheet.png, ATTRIBUTION
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of composed scenes: two things beside or above each other, counts, coloured grounds
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    scenes: usize,
    /// Styles to use, such as 'fluent 3d,noto' [default: all eight]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    styles: Vec<String>,
    /// Use only the 296 things of scenes, faces and hearts, which a small model learns in an hour or two
    #[arg(long)]
    things: bool,
    /// Use only N emoji, spread evenly over all, for a quick look
    #[arg(long, value_name = "N")]
    limit: Option<NonZero<usize>>,
    /// Folder of downloaded packages [default: OUT/packages]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Address of the npm registry or of a mirror [default: https://registry.npmjs.org]
    #[arg(long, value_name = "URL", env = "HAWK_NPM_REGISTRY")]
    registry: Option<String>,
    /// Number of threads, at most 1024; the result does not depend on it [default: one per core]
    #[arg(long, value_name = "T", value_parser = crate::args::threads)]
    threads: Option<NonZero<usize>>,
}

pub(crate) fn run(args: &DataEmojiArgs) -> Result<()> {
    let threads = args.threads.or(NonZero::new(LoadOptions::default().threads)).unwrap_or(NonZero::<usize>::MIN);
    // A variable without a value is one that is not set.
    let registry = args.registry.as_deref().filter(|address| !address.is_empty()).unwrap_or(NPM_REGISTRY);
    let settings = EmojiSettings {
        out: args.out.clone(),
        cache: args.cache.clone().unwrap_or_else(|| args.out.join("packages")),
        registry: Server::from_env(registry).map_err(|e| e.at("--registry"))?,
        scenes: args.scenes,
        styles: args.styles.clone(),
        things: args.things,
        limit: args.limit,
        threads,
    };
    let bar = progress::steady_bar(0, "{bar:30} {pos}/{len} {msg}  {per_sec}  eta {eta}");
    let manifest = make_emoji(&settings, &mut |progress| show(&bar, progress))?;
    bar.finish_and_clear();
    report(&manifest);
    say(args.out.display());
    Ok(())
}

fn show(bar: &ProgressBar, progress: EmojiProgress<'_>) {
    let (done, of, what) = match progress {
        EmojiProgress::Fetching { package, bytes } => {
            bar.set_message(format!("fetching {package}, {:.1} MB", bytes as f64 / 1e6));
            return;
        }
        EmojiProgress::Retrying { why, pause } => {
            bar.suspend(|| note(format_args!("note: {why}; next attempt in {} s", pause.as_secs())));
            return;
        }
        EmojiProgress::Objects { done, of } => (done, of, "drawings"),
        EmojiProgress::Pictures { done, of } => (done, of, "pictures"),
        _ => return,
    };
    if done == 0 {
        bar.reset();
        bar.set_length(of as u64);
        bar.set_message(what);
    }
    bar.set_position(done as u64);
}

fn report(manifest: &Manifest) {
    let titles = ("pictures", "train", "new style", "new concept", "new scene");
    say(format_args!("{:<14}{:>9}{:>9}{:>11}{:>13}{:>11}", "", titles.0, titles.1, titles.2, titles.3, titles.4));
    for (name, counts) in manifest.emoji.iter().chain(&manifest.scenes) {
        let Counts { train, new_style, new_concept, new_scene, .. } = counts;
        say(format_args!("{name:<14}{:>9}{train:>9}{new_style:>11}{new_concept:>13}{new_scene:>11}", counts.all()));
    }
    say(format_args!("{} pictures, {} near-duplicates left out", manifest.pictures, manifest.near_duplicates));
    if !manifest.undrawable.is_empty() {
        say(format_args!("not drawable: {}", manifest.undrawable.join(", ")));
    }
    say(format_args!("digest {}", manifest.digest));
}
