//! Table 1: speed, acceptance, memory and quality of decoders over prompts.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use hawk::{Decoding, Engine, Error, Result, Sampling, Seed};
use hawk_bench::{Plan, Prompt};

use super::captions::Caption;
use super::figure::{Found, figure};
use super::frechet::{Compared, Reference};
use super::measures::{Distances, Results, Scores};
use super::pictures::read_picture;
use super::resample::resample;
use super::scores::{FeatureSpace, Judge, Kept};
use super::steps::Steps;
use super::turns::{Turns, set_of};
use crate::figure::{Figure, Picture, Pictures};
use crate::images::sampling_words;
use crate::settings::model_settings;
use crate::watch::{Ended, Watch};

/// Prompts whose images are shown.
const SHOWN: usize = 4;

/// A table of decoders.
pub struct TableRun<'a> {
    /// The model.
    pub engine: &'a Engine,
    /// Its name, for people.
    pub model: &'a str,
    /// What is drawn, in turn.
    pub captions: Vec<Caption>,
    /// Where the prompts are from, in words.
    pub prompts: String,
    /// Number of images that every decoder draws, at least 2.
    pub images: usize,
    /// Seed of the first image; the next image has the next seed.
    pub seed: Seed,
    /// Guidance and warping.
    pub sampling: Sampling,
    /// Who is compared. Plain decoding under each of their rules is added.
    pub contenders: Vec<Decoding>,
    /// Pictures that sets of images are compared with, and by which features.
    pub real: Option<RealPictures<'a>>,
    /// Who says how well images fit their prompts.
    pub clip: Option<Judge<'a>>,
    /// Number of resamples of the intervals.
    pub resamples: usize,
    /// Folder of the images and of all that is computed of them.
    pub dir: PathBuf,
}

/// Pictures that images are compared with.
pub struct RealPictures<'a> {
    /// PNG or JPEG files, at least 2.
    pub files: Vec<PathBuf>,
    /// By which features.
    pub space: FeatureSpace<'a>,
}

impl TableRun<'_> {
    /// What is to be said before the work: why figures will be poor.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(RealPictures { files, space }) = &self.real
            && self.images.min(files.len()) <= space.count
        {
            notes.push(format!(
                "{} images and {} pictures are fewer than the {} features that {} compares: their covariances are \
                 singular, and the distance is too large. It compares with that of as many images alone.",
                self.images,
                files.len(),
                space.count,
                space.space.distance()
            ));
        }
        notes
    }

    fn check(&self) -> Result<()> {
        if self.images < 2 {
            return Err(Error::input("too few images for a table")
                .at("images")
                .expected("at least 2")
                .got(self.images));
        }
        if self.resamples == 0 {
            return Err(Error::input("no resamples, no intervals").at("resamples").expected("at least 1").got(0));
        }
        if let Some(real) = &self.real
            && real.files.len() < 2
        {
            let error = Error::input("too few pictures to compare with").at("pictures");
            return Err(error.expected("at least 2").got(real.files.len()));
        }
        for caption in self.captions.iter().take(self.images) {
            self.engine.conditioning(&caption.text).map_err(|e| e.at(format!("prompt {:?}", caption.text)))?;
        }
        Ok(())
    }

    /// Model, images, pictures, in words.
    fn settings(&self, folder: &Path) -> Result<Vec<[String; 2]>> {
        let mut words = model_settings(self.engine, self.model)?;
        let (first, last) = (self.seed.0, self.seed.0.wrapping_add(self.images as u64 - 1));
        let prompts = self.captions.len().min(self.images);
        words.push([
            "Images".to_owned(),
            format!(
                "{} of each decoder, seeds {first} to {last}, {prompts} prompts in turn: {}",
                self.images, self.prompts
            ),
        ]);
        words.push(["Sampling".to_owned(), sampling_words(self.sampling)]);
        words.push([
            "Machine".to_owned(),
            format!("{} threads, device {}, one image at a time", self.engine.threads(), self.engine.device()),
        ]);
        if let Some(RealPictures { files, space }) = &self.real {
            let of = files.first().and_then(|file| file.parent()).map(|dir| dir.display().to_string());
            words.push(["Pictures".to_owned(), format!("{} of {}", files.len(), of.unwrap_or_default())]);
            words.push([space.space.distance().to_owned(), space.space.words().to_owned()]);
        }
        if self.clip.is_some() {
            words.push(["CLIP score".to_owned(), "100 times the cosine of picture and prompt, at least 0".to_owned()]);
        }
        words.push([
            "Intervals".to_owned(),
            format!("95 %, {} resamples of the images, paired by image", self.resamples),
        ]);
        words.push(["Files".to_owned(), folder.display().to_string()]);
        words.extend(self.notes().into_iter().map(|note| ["Note".to_owned(), note]));
        Ok(words)
    }

    fn plan(&self) -> Plan {
        Plan {
            prompts: self.captions.iter().map(|caption| Prompt::from(caption.text.clone())).collect(),
            seed: self.seed,
            images: self.images,
            sampling: self.sampling,
            contenders: self.contenders.clone(),
        }
    }
}

/// Draws the images of all decoders, compares and times them, and computes what they are worth.
///
/// # Errors
/// There is nothing to draw, a decoder under `replay` draws another file than plain decoding, the model or a score
/// fails, or a file cannot be read or written.
pub fn table(run: &TableRun<'_>, watch: &mut Watch<'_>) -> Result<Ended<Figure>> {
    run.check()?;
    let plan = run.plan();
    let mut turns = Turns::open(run.engine, &plan, &run.dir)?;
    let kept = Kept::open(&run.dir)?;
    let entries = turns.entries().to_vec();
    let mut sets: Vec<String> = Vec::new();
    for set in entries.iter().map(|entry| set_of(*entry)) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    let pictures = run.real.as_ref().map_or(0, |real| real.files.len());
    let mut steps = Steps::new(pictures + run.images * (entries.len() + sets.len()), watch);
    let Ended::Finished(reference) = reference(run, &kept, &mut steps)? else { return Ok(Ended::Stopped) };
    let mut measured = Vec::new();
    for number in 0..run.images {
        match turns.turn(number, &mut steps)? {
            Ended::Finished(turn) if !steps.is_stopped() => measured.push(turn),
            _ => return Ok(Ended::Stopped),
        }
    }
    let scoring = Scoring { run, kept: &kept, turns: &turns, reference: reference.as_ref() };
    let mut scores = Vec::new();
    for set in &sets {
        match scoring.score(set, &mut steps)? {
            Ended::Finished(of) => scores.push(of),
            Ended::Stopped => return Ok(Ended::Stopped),
        }
    }
    let results = Results { entries, turns: measured, scores, resamples: run.resamples };
    let (rows, shown) = (results.rows(run.engine), scoring.shown(&sets)?);
    let settings = run.settings(turns.folder())?;
    let space = run.real.as_ref().map(|real| real.space.space);
    Ok(Ended::Finished(figure(Found { rows: &rows, space, shown, settings })))
}

/// The features of the pictures that images are compared with, where there are such.
fn reference(run: &TableRun<'_>, kept: &Kept, steps: &mut Steps<'_, '_>) -> Result<Ended<Option<Reference>>> {
    let Some(real) = &run.real else { return Ok(Ended::Finished(None)) };
    let mut features = Vec::new();
    for path in &real.files {
        features.push(kept.features(&real.space, &read_picture(path)?).map_err(|e| e.at(path.display()))?);
        steps.pass(1);
        if steps.is_stopped() {
            return Ok(Ended::Stopped);
        }
    }
    Reference::new(&features).map(Some).map(Ended::Finished)
}

/// Computes what sets of images are worth.
struct Scoring<'a> {
    run: &'a TableRun<'a>,
    kept: &'a Kept,
    turns: &'a Turns<'a>,
    reference: Option<&'a Reference>,
}

impl Scoring<'_> {
    fn score(&self, set: &str, steps: &mut Steps<'_, '_>) -> Result<Ended<Scores>> {
        let run = self.run;
        let (mut features, mut clip) = (Vec::new(), Vec::new());
        for number in 0..run.images {
            if run.real.is_some() || run.clip.is_some() {
                let picture = read_picture(&self.turns.picture(set, number))?;
                if let Some(real) = &run.real {
                    features.push(self.kept.features(&real.space, &picture)?);
                }
                if let Some(judge) = &run.clip {
                    clip.push(self.kept.score(judge, &picture, self.turns.prompt(number))?);
                }
            }
            steps.pass(1);
            if steps.is_stopped() {
                return Ok(Ended::Stopped);
            }
        }
        let distance = match self.reference {
            None => None,
            Some(reference) => match self.distances(&reference.beside(&features)?, steps) {
                Ended::Finished(distances) => Some(distances),
                Ended::Stopped => return Ok(Ended::Stopped),
            },
        };
        Ok(Ended::Finished(Scores { set: set.to_owned(), distance, clip: run.clip.as_ref().map(|_| clip) }))
    }

    /// The distance, and that of every resample: some at a time, so that the run can be stopped between them.
    fn distances(&self, compared: &Compared<'_>, steps: &mut Steps<'_, '_>) -> Ended<Distances> {
        let images = self.run.images;
        let point = compared.distance(&(0..images).collect::<Vec<_>>());
        let (threads, mut resampled) = (self.run.engine.threads(), Vec::new());
        while resampled.len() < self.run.resamples {
            if steps.within().is_break() {
                return Ended::Stopped;
            }
            let last = (resampled.len() + threads).min(self.run.resamples);
            let one = |number: usize| move || compared.distance(&resample(number, images));
            std::thread::scope(|scope| {
                let workers: Vec<_> = (resampled.len()..last).map(|number| scope.spawn(one(number))).collect();
                // A worker that panicked passes its panic on.
                let done = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|e| resume_unwind(e)));
                resampled.extend(done);
            });
        }
        Ended::Finished(Distances { point, resampled })
    }

    /// The first images of all sets, prompt by prompt.
    fn shown(&self, sets: &[String]) -> Result<Pictures> {
        let row = |number: usize| {
            let picture = |set: &String| {
                Picture::new(&read_picture(&self.turns.picture(set, number))?, set.replace('-', ", "), Vec::new())
            };
            Ok((self.turns.prompt(number).to_owned(), sets.iter().map(picture).collect::<Result<_>>()?))
        };
        Ok(Pictures { rows: (0..self.run.images.min(SHOWN)).map(row).collect::<Result<_>>()? })
    }
}
