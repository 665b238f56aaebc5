//! The `hawk` program: text in, image out; or text.

mod args;
mod cmd;
mod files;
mod hub;
mod inputs;
mod preview;
mod report;
mod text_report;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hawk::{Fault, Result};
use hawk_nn::kernels::Isa;

use args::{Args, Bench, Command};

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            match error.fault() {
                Fault::Input => ExitCode::from(2),
                Fault::Environment => ExitCode::from(3),
            }
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    // Refused here rather than passed over by the kernels.
    Isa::asked()?;
    match command {
        Command::Generate(args) => cmd::generate::run(*args)?,
        Command::Text(args) => cmd::text::run(&args)?,
        Command::Again(args) => return cmd::again::run(&args),
        Command::Logits(args) => cmd::logits::run(&args)?,
        #[cfg(feature = "t5")]
        Command::Features(args) => cmd::features::run(&args)?,
        Command::Decode(args) => cmd::decode::run(&args)?,
        Command::Inspect(args) => cmd::inspect::run(&args)?,
        Command::Pull(args) => cmd::pull::run(&args)?,
        Command::Convert(args) => cmd::convert::run(&args)?,
        Command::Synth(args) => cmd::synth::run(&args)?,
        Command::Bench(Bench::Step(args)) => cmd::bench_step::run(&args)?,
        Command::Bench(Bench::Model(args)) => cmd::bench_model::run(&args)?,
        Command::Bench(Bench::Decoders(args)) => cmd::bench_decoders::run(&args)?,
        #[cfg(feature = "train")]
        Command::Train(args::TrainCommand::Heads(args)) => cmd::train_heads::run(&args)?,
        #[cfg(feature = "train")]
        Command::Train(args::TrainCommand::Vq(args)) => cmd::train_vq::run(&args)?,
        #[cfg(feature = "train")]
        Command::Train(args::TrainCommand::Target(args)) => cmd::train_target::run(&args)?,
        #[cfg(feature = "train")]
        Command::Data(args::DataCommand::Emoji(args)) => cmd::data_emoji::run(&args)?,
        #[cfg(feature = "train")]
        Command::Evaluate(args) => cmd::evaluate::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line; a reader that has gone away (`| head`) is no failure.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
