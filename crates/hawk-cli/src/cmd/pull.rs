//! `hawk pull`: a repository of a hub into the shared cache.

use hawk::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::PullArgs;
use crate::hub::{Event, Repository, Settings, pull};
use crate::say;

pub(crate) fn run(args: &PullArgs) -> Result<()> {
    let Some(mut repository) = Repository::parse(&args.repository) else {
        return Err(Error::input("not the name of a repository")
            .expected("ORG/NAME")
            .got(format!("{:?}", args.repository)));
    };
    if let Some(revision) = &args.revision {
        repository = repository.at(revision)?;
    }
    let style = "{prefix} {bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}  eta {eta}  {msg}";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let folder = pull(&repository, &Settings::from_env()?, &mut |event| match event {
        Event::File { number, files, name, bytes, there } => {
            bar.set_prefix(format!("{number}/{files}"));
            bar.set_message(name.to_owned());
            bar.set_length(bytes);
            bar.set_position(there);
            bar.reset_eta();
        }
        Event::Bytes(bytes) => bar.inc(bytes),
        Event::Again(why) => bar.suspend(|| eprintln!("note: {why}; going on")),
    })?;
    bar.finish_and_clear();
    say(folder.display());
    say(format_args!("look at it with: hawk inspect {repository}"));
    Ok(())
}
