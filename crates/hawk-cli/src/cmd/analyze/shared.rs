//! What the commands of `hawk analyze` share: images, folder, progress, the files that they write.

use std::path::{Path, PathBuf};

use hawk::{Engine, Error, PROMPTS, Result, Seed};
use hawk_analyze::{Ended, Figure, ImageSet, PAGE, Progress, Watch, write_figure};
use hawk_files::FolderLock;

use crate::args::{DeviceArgs, LoadArgs, SamplingArgs};
use crate::output::files::check_folder_can_be_made;
use crate::output::{note, progress, say};
use crate::{inputs, interrupt};

/// Model, images and folder of an analysis.
#[derive(clap::Args)]
pub(crate) struct AnalysisArgs {
    /// Folder to write: the figure as JSON, each plot as SVG and CSV, and report.html of all figures there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Number of images that the model draws; they are kept in OUT/images and reused
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) images: usize,
    /// File with one prompt per line, used in turn; - is standard input
    /// [default: twelve captions of the built-in model]
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: Option<PathBuf>,
    /// Seed of the first image; the next image has the next seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

impl AnalysisArgs {
    /// The prompts and the folder, checked before a model is loaded. The folder belongs to this process while the
    /// lock is held.
    ///
    /// # Errors
    /// There are no images or prompts, or the folder cannot be written.
    pub(crate) fn begin(&self) -> Result<(Vec<String>, FolderLock)> {
        if self.images == 0 {
            return Err(Error::input("there is nothing to look at").at("--images").expected("at least 1").got(0));
        }
        let prompts = match &self.prompts {
            Some(path) => inputs::read_prompts(path)?,
            None => PROMPTS.iter().map(|&text| text.to_owned()).collect(),
        };
        if prompts.is_empty() {
            return Err(Error::input("no prompts: there is nothing to draw")
                .at("--prompts")
                .expected("one prompt per line"));
        }
        let lock = begin(&self.out)?;
        Ok((prompts, lock))
    }

    /// The engine on the CPU, which alone gives what analyses ask for, with the draft heads of a folder, where one is
    /// given.
    ///
    /// # Errors
    /// The model or the heads cannot be loaded.
    pub(crate) fn engine(&self, heads: Option<&Path>) -> Result<Engine> {
        self.load.engine(&DeviceArgs::CPU, None, heads)
    }

    /// The images of the analysis.
    ///
    /// # Errors
    /// A sampling setting is out of range.
    pub(crate) fn image_set(&self, engine: &Engine, prompts: Vec<String>) -> Result<ImageSet> {
        let sampling = self.sampling.or(engine.config().defaults)?;
        Ok(ImageSet { prompts, images: self.images, seed: Seed(self.seed), sampling })
    }

    /// Runs an analysis with a progress bar, and writes and prints its figure.
    ///
    /// # Errors
    /// The analysis fails, or a file cannot be written.
    pub(crate) fn finish(
        &self,
        what: &'static str,
        analysis: impl FnOnce(&mut Watch<'_>) -> Result<Ended<Figure>>,
    ) -> Result<()> {
        finish(&self.out, what, analysis)
    }
}

/// Checks and locks the folder of an analysis, before a model is loaded.
///
/// # Errors
/// It cannot be written, or another process works on it.
pub(super) fn begin(out: &Path) -> Result<FolderLock> {
    if !out.is_dir() {
        if out.exists() {
            return Err(Error::input("--out is a file").at(out.display()).expected("a folder, or a new name"));
        }
        check_folder_can_be_made(out)?;
    }
    let lock = FolderLock::take(out)?;
    interrupt::watch()?;
    Ok(lock)
}

/// Runs an analysis with a progress bar, and writes and prints its figure.
///
/// # Errors
/// The analysis fails, or a file cannot be written.
pub(super) fn finish(
    out: &Path,
    what: &'static str,
    analysis: impl FnOnce(&mut Watch<'_>) -> Result<Ended<Figure>>,
) -> Result<()> {
    if let Some(figure) = carry_out(out, what, analysis)? {
        print(out, &figure);
    }
    Ok(())
}

/// Runs an analysis with a progress bar, and writes its figure; none where it was stopped.
///
/// # Errors
/// The analysis fails, or a file cannot be written.
pub(super) fn carry_out(
    out: &Path,
    what: &'static str,
    analysis: impl FnOnce(&mut Watch<'_>) -> Result<Ended<Figure>>,
) -> Result<Option<Figure>> {
    let bar = progress::steady_bar(0, "{bar:30} {pos}/{len} {msg}  eta {eta}");
    bar.set_message(what);
    let ended = analysis(&mut |progress| {
        if let Progress::Done { done, of } = progress {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
        interrupt::flow()
    });
    bar.finish_and_clear();
    let Ended::Finished(figure) = ended? else {
        note(format_args!("the work so far is in {}; the same command goes on from there", out.display()));
        return Ok(None);
    };
    write_figure(out, &figure)?;
    Ok(Some(figure))
}

/// Prints what came out, and where the page is.
pub(super) fn print(out: &Path, figure: &Figure) {
    say(format_args!("{} ({} of the paper)", figure.title, figure.paper));
    figure.findings.iter().for_each(|finding| say(format_args!("- {finding}")));
    say(out.join(PAGE).display());
}
