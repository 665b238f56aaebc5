//! The `hawk` program: text in, image out; or text.

// `output` prints: it escapes what comes from files, and keeps a failure for the exit code.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod batch_folder;
mod cmd;
mod command;
mod inputs;
mod interrupt;
mod output;
mod rows;
mod tuning;

use std::process::ExitCode;

use hawk::{Fault, Result};
use hawk_kernels::Isa;
use hawk_nn::Demand;

#[cfg(feature = "pictures")]
use command::Data;
#[cfg(feature = "train")]
use command::Train;
use command::{Analyze, Bench, Command, Typed};

fn main() -> ExitCode {
    let Typed { command, options } = match command::parse(std::env::args_os()) {
        Ok(typed) => typed,
        Err(message) => return show(&message),
    };
    let outcome = run(command);
    // A command that failed has more to say than standard output has.
    let outcome = match (outcome, output::finish()) {
        (Ok(_), Err(error)) => Err(error),
        (outcome, _) => outcome,
    };
    let code = outcome.unwrap_or_else(|error| {
        let error = error.map_hint(|hint| options.fitting(&hint));
        output::note(format_args!("error: {error}"));
        failed(error.fault())
    });
    interrupt::end();
    code
}

fn failed(fault: Fault) -> ExitCode {
    match fault {
        Fault::Input => ExitCode::from(2),
        Fault::Environment => ExitCode::from(3),
    }
}

/// Shows a help text, or an error of usage.
fn show(message: &clap::Error) -> ExitCode {
    let shown = message.print().and_then(|()| std::io::Write::flush(&mut std::io::stdout()));
    match shown {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => failed(Fault::Environment),
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2)),
    }
}

fn run(command: Command) -> Result<ExitCode> {
    interrupt::keep_limit_of_files()?;
    // Small allocations that fail end a program without a message.
    Demand::default().with("the program", &[1 << 20]).check()?;
    // An invalid HAWK_ISA is an error of the command, which the kernels would pass over.
    Isa::asked()?;
    match command {
        Command::Generate(args) => cmd::generate::run(*args)?,
        Command::Batch(args) => cmd::batch::run(&args)?,
        #[cfg(feature = "serve")]
        Command::Serve(args) => cmd::serve::run(&args)?,
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
        Command::Analyze(Analyze::Attention(args)) => cmd::analyze::attention::run(&args)?,
        Command::Analyze(Analyze::Heads(args)) => cmd::analyze::heads::run(&args)?,
        Command::Analyze(Analyze::Divergence(args)) => cmd::analyze::divergence::run(&args)?,
        Command::Analyze(Analyze::Rejection(args)) => cmd::analyze::rejection::run(&args)?,
        Command::Analyze(Analyze::Sampling(args)) => cmd::analyze::sampling::run(&args)?,
        Command::Analyze(Analyze::Table(args)) | Command::Eval(args) => cmd::analyze::table::run(&args)?,
        Command::Analyze(Analyze::Report(args)) => cmd::analyze::report::run(&args)?,
        Command::Bench(Bench::Project(args)) => cmd::bench_project::run(&args)?,
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
