//! `hawk data emoji`: captioned pictures to learn from, made of emoji.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use hawk::{LoadOptions, Result};
use hawk_train::{Counts, EmojiProgress, EmojiSettings, Manifest, NPM_REGISTRY, make_emoji};
use indicatif::{ProgressBar, ProgressStyle};

use crate::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk data emoji --out four/ --styles 'fluent 3d,fluent flat,noto,twemoji'
  hawk data emoji --out things/ --styles 'fluent 3d,fluent flat' --things --scenes 3000
  hawk data emoji --out quick/ --limit 400 --scenes 100 --cache packages/

Called again with the same settings, a run that was stopped goes on. The digest is the same on every machine of the same kind.
The packages (32 MB) are fetched from the npm registry, or taken from the cache: `npm pack` makes files of the right names.")]
pub(crate) struct DataEmojiArgs {
    /// Folder of the result: images/, captions.jsonl, manifest.json, sheet.png, ATTRIBUTION
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Composed scenes: two things beside or above each other, counts, coloured grounds
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    scenes: usize,
    /// Take only these styles, separated by commas [default: all eight]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    styles: Vec<String>,
    /// Take only the 296 things that scenes are composed of, faces and hearts: what a small model can learn in an hour or two
    #[arg(long)]
    things: bool,
    /// Take only this many emoji, evenly from all, for a quick look
    #[arg(long, value_name = "N")]
    limit: Option<NonZero<usize>>,
    /// Folder of the packages; what is there is not fetched [default: OUT/packages]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Address of the npm registry or of a mirror
    #[arg(long, value_name = "URL", env = "HAWK_NPM_REGISTRY", default_value = NPM_REGISTRY)]
    registry: String,
    /// Threads; the result does not depend on it [default: one per core]
    #[arg(long, value_name = "T")]
    threads: Option<NonZero<usize>>,
}

pub(crate) fn run(args: &DataEmojiArgs) -> Result<()> {
    let threads = args.threads.or(NonZero::new(LoadOptions::default().threads)).unwrap_or(NonZero::<usize>::MIN);
    let settings = EmojiSettings {
        out: args.out.clone(),
        cache: args.cache.clone().unwrap_or_else(|| args.out.join("packages")),
        registry: args.registry.clone(),
        scenes: args.scenes,
        styles: args.styles.clone(),
        things: args.things,
        limit: args.limit,
        threads,
    };
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  {per_sec}  eta {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
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
