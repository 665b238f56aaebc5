//! `hawk analyze report`: one page of the figures of several folders.

use std::path::PathBuf;

use hawk::{Error, Result};
use hawk_analyze::{read_figures, report};

use crate::output::files::Files;
use crate::output::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk analyze report analysis/ --html report.html
  hawk analyze report analysis/ lumina-analysis/ --html both.html
  hawk analyze report analysis/           # print what came out, write nothing

The folders are those of other `hawk analyze` commands. The page needs nothing beside itself: no script,
no file, no network. It has a light and a dark mode.")]
pub(crate) struct ReportArgs {
    /// Folders with figures
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Write one page of all figures
    #[arg(long, value_name = "F.html")]
    html: Option<PathBuf>,
}

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let mut files = Files::default();
    let html = files.writes_report("--html", args.html.as_ref())?;
    let mut figures = Vec::new();
    for folder in &args.folders {
        let found = read_figures(folder)?;
        if found.is_empty() {
            return Err(Error::input("the folder has no figures")
                .at(folder.display())
                .expected("a folder that another `hawk analyze` command wrote"));
        }
        figures.extend(found);
    }
    for figure in &figures {
        let model = figure.settings.first().map_or("", |[_, model]| model);
        say(format_args!("{} ({} of the paper), {model}", figure.title, figure.paper));
        figure.findings.iter().for_each(|finding| say(format_args!("- {finding}")));
    }
    html.map_or(Ok(()), |html| html.write(report(&figures).as_bytes()))
}
