//! The `hawk` program: text in, image out; or text.

mod args;
mod cmd;
mod command;
mod inputs;
mod output;
mod tuning;

use std::process::ExitCode;

use clap::Parser;
use hawk::{Fault, Result};
use hawk_kernels::Isa;

#[cfg(feature = "pictures")]
use command::Data;
#[cfg(feature = "train")]
use command::Train;
use command::{Bench, Cli, Command};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
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
    // An invalid HAWK_ISA is an error of the command, which the kernels would pass over.
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
        Command::Train(Train::Heads(args)) => cmd::train_heads::run(&args)?,
        #[cfg(feature = "train")]
        Command::Train(Train::Vq(args)) => cmd::train_vq::run(&args)?,
        #[cfg(feature = "train")]
        Command::Train(Train::Target(args)) => cmd::train_target::run(&args)?,
        #[cfg(feature = "pictures")]
        Command::Data(Data::Landscapes(args)) => cmd::data_landscapes::run(&args)?,
        #[cfg(feature = "train")]
        Command::Data(Data::Emoji(args)) => cmd::data_emoji::run(&args)?,
        #[cfg(feature = "train")]
        Command::Evaluate(args) => cmd::evaluate::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
