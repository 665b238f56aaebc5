//! `hawk decode`: codes to pixels.

use std::path::PathBuf;

use hawk::{CodeGrid, Error, ImageSize, Precision, Result, write_plain_png};

use crate::args::{ModelArgs, image_size};
use crate::inputs;
use crate::output::destination::{Destination, Name};
use crate::output::files::Files;
use crate::output::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk generate \"octopus, fluent flat style\" --tokens-out tokens.json
  hawk decode --codes tokens.json --out octopus.png
  hawk decode --model Janus-Pro-1B --codes codes.json --out image.png
  hawk decode --model lumina/ --codes codes.json --size 1024x256 --out wide.png")]
pub(crate) struct DecodeArgs {
    /// File with {"codes": [17, 4, ...]}, one per cell, row by row, or a file of `hawk generate --tokens-out`
    #[arg(long, value_name = "F.json")]
    codes: PathBuf,
    /// Image file to write; several images get numbers
    #[arg(long, value_name = "F.png")]
    out: PathBuf,
    /// Image size in pixels, such as 768x512, where the file names none [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    size: Option<ImageSize>,
    #[command(flatten)]
    model: ModelArgs,
}

pub(crate) fn run(args: &DecodeArgs) -> Result<()> {
    let mut grids = inputs::codes(&inputs::read(&args.codes)?).map_err(|e| e.at(args.codes.display()))?;
    let source = args.model.source()?;
    let mut files = Files::default();
    files.reads("--codes", &args.codes);
    files.reads_model("--model", &source);
    let destination = Destination::new(&mut files, Some(&args.out), grids.len() as u64)?;
    for grid in &mut grids {
        set_size(grid, args.size).map_err(|e| e.at(args.codes.display()))?;
    }
    let threads = args.model.options(Precision::F32).threads;
    let images = hawk::decode(&source, threads, &grids).map_err(|e| e.at(args.codes.display()))?;
    let several = images.len() > 1;
    for (number, image) in images.iter().enumerate() {
        let prompt_number = several.then_some(number);
        let number = prompt_number.map(|number| number as u64);
        let name = Name { prompt: "decoded", prompt_number, seed: 0, index: 0, number };
        say(destination.write(&files, &name, &write_plain_png(image)?)?.display());
    }
    Ok(())
}

/// Gives a grid the size of `--size`, unless the file names one.
fn set_size(grid: &mut CodeGrid, asked: Option<ImageSize>) -> Result<()> {
    match (grid.size, asked) {
        (Some(own), Some(asked)) if own != asked => {
            Err(Error::input("the file names another size").at("--size").expected(own).got(asked))
        }
        (own, asked) => {
            grid.size = own.or(asked);
            Ok(())
        }
    }
}
