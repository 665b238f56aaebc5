//! `hawk decode`: codes to pixels.

use std::path::PathBuf;

use hawk::{Precision, Result, write_plain_png};
use hawk_spec::Code;

use crate::args::ModelArgs;
use crate::inputs;
use crate::output::files::{self, Destination, Name};
use crate::output::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk generate \"octopus, fluent flat style\" --tokens-out tokens.json
  hawk decode --codes tokens.json --out octopus.png
  hawk decode --model Janus-Pro-1B --codes codes.json --out image.png")]
pub(crate) struct DecodeArgs {
    /// File with {"codes": [17, 4, ...]}, one per cell, row by row, or a file of `hawk generate --tokens-out`
    #[arg(long, value_name = "F.json")]
    codes: PathBuf,
    /// Image file to write; several images get numbers
    #[arg(long, value_name = "F.png")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

pub(crate) fn run(args: &DecodeArgs) -> Result<()> {
    let images = inputs::codes(&inputs::read(&args.codes)?).map_err(|e| e.at(args.codes.display()))?;
    let destination = Destination::new(Some(&args.out))?;
    let grids: Vec<Vec<Code>> = images.into_iter().map(|codes| codes.into_iter().map(Code).collect()).collect();
    let threads = args.model.options(Precision::F32).threads;
    let images = hawk::decode(&args.model.source()?, threads, &grids).map_err(|e| e.at(args.codes.display()))?;
    let several = images.len() > 1;
    for (number, image) in images.iter().enumerate() {
        let number = several.then_some(number);
        let path = destination.path(&Name { prompt: "decoded", prompt_number: number, seed: 0, index: 0, number });
        files::write(&path, &write_plain_png(image)?)?;
        say(path.display());
    }
    Ok(())
}
