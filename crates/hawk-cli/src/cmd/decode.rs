//! `hawk decode`: codes to pixels.

use hawk::{Precision, Result, write_plain_png};
use hawk_spec::Code;

use crate::args::DecodeArgs;
use crate::files::{self, Destination, Name};
use crate::{inputs, say};

pub(crate) fn run(args: &DecodeArgs) -> Result<()> {
    let images = inputs::codes(&files::read(&args.codes)?).map_err(|e| e.at(args.codes.display()))?;
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
