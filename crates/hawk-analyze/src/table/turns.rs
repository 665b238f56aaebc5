//! The images of all decoders: drawn in turn, compared and timed, kept on disk.

use std::fs;
use std::path::{Path, PathBuf};

use hawk::{AnyRule, Decoding, Engine, Error, Outcome, RecordedSampling, Request, Result, Rule, write_plain_png};
use hawk_bench::{Comparison, Drawing, Plan};
use hawk_files::atomic::{self, Durability};
use hawk_files::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::steps::Steps;
use crate::settings::Model;
use crate::watch::Ended;

/// Folder of the images, in the folder of an analysis.
const FOLDER: &str = "table";

/// What one decoder did in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Seconds from prompt to pixels.
    pub(super) seconds: f64,
    /// The same of plain decoding under the same rule, in the same turn.
    pub(super) plain_seconds: f64,
    /// Target passes.
    pub(super) passes: u64,
    /// Cells that they committed.
    pub(super) cells: u64,
}

/// What the images depend on. It is not their number: more images may be added.
#[derive(Serialize)]
struct Identity<'a> {
    model: Model,
    device: &'a str,
    threads: usize,
    sampling: RecordedSampling,
    prompts: Vec<&'a str>,
    seed: u64,
    contenders: Vec<[String; 3]>,
}

/// The images of a plan on disk.
pub(super) struct Turns<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    comparison: Comparison<'a>,
    folder: PathBuf,
    warm: bool,
}

impl<'a> Turns<'a> {
    /// # Errors
    /// There is nothing to draw, or the folder cannot be made.
    pub(super) fn open(engine: &'a Engine, plan: &'a Plan, dir: &Path) -> Result<Self> {
        let comparison = Comparison::new(plan)?;
        let words = |of: &Decoding| [of.decoder().to_string(), of.rule().to_string(), of.tree().to_string()];
        let identity = Identity {
            model: Model::of(engine)?,
            device: engine.device(),
            threads: engine.threads(),
            sampling: plan.sampling.into(),
            prompts: plan.prompts.iter().map(|prompt| prompt.text.as_str()).collect(),
            seed: plan.seed.0,
            contenders: comparison.entries().iter().map(words).collect(),
        };
        let identity =
            serde_json::to_vec(&identity).map_err(|e| Error::input(format!("cannot name the images: {e}")))?;
        let folder = dir.join(FOLDER).join(&hex(&Sha256::digest(identity))[..16]);
        for set in comparison.entries().iter().map(|entry| set_of(*entry)) {
            let folder = folder.join(set);
            fs::create_dir_all(&folder).map_err(|e| Error::io("make the folder", &folder, &e))?;
        }
        Ok(Self { engine, plan, comparison, folder, warm: false })
    }

    /// Who draws.
    pub(super) fn entries(&self) -> &[Decoding] {
        self.comparison.entries()
    }

    /// Folder of all images.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of an image.
    pub(super) fn picture(&self, set: &str, number: usize) -> PathBuf {
        self.folder.join(set).join(format!("{number:05}.png"))
    }

    fn figures(&self, number: usize) -> PathBuf {
        self.folder.join(format!("turn-{number:05}.json"))
    }

    /// What all decoders did in a turn, from disk where they drew before.
    ///
    /// # Errors
    /// A decoder under `replay` draws another image than plain decoding, the model fails, or a file cannot be
    /// written.
    pub(super) fn turn(&mut self, number: usize, steps: &mut Steps<'_, '_>) -> Result<Ended<Vec<Measured>>> {
        if let Some(measured) = self.kept(number) {
            steps.pass(measured.len());
            return Ok(Ended::Finished(measured));
        }
        let engine = self.engine;
        if !self.warm {
            let warm = self.comparison.warm_up(&mut |request| drawn(engine, request, steps), &mut |_| {});
            if steps.is_stopped() {
                return Ok(Ended::Stopped);
            }
            warm?;
            self.warm = true;
        }
        let mut draw = |request: &Request| {
            let outcome = drawn(engine, request, steps)?;
            steps.pass(1);
            Ok(outcome)
        };
        match self.comparison.draw_turn(number, &mut draw, &mut |_| {}) {
            Ok(drawings) => self.keep(number, &drawings).map(Ended::Finished),
            Err(_) if steps.is_stopped() => Ok(Ended::Stopped),
            Err(e) => Err(e),
        }
    }

    /// Writes the images of a turn, one file for all decoders under `replay`, and then its figures.
    fn keep(&self, number: usize, drawings: &[Drawing]) -> Result<Vec<Measured>> {
        let mut written: Vec<(String, Vec<u8>)> = Vec::new();
        for (entry, drawing) in self.entries().iter().zip(drawings) {
            let (set, png) = (set_of(*entry), write_plain_png(&drawing.generated.image)?);
            match written.iter().find(|(other, _)| *other == set) {
                Some((_, other)) if *other != png => {
                    return Err(Error::input("a decoder does not draw plain decoding's file under replay")
                        .at(format!("{}, image {number}", name_of(*entry))));
                }
                Some(_) => {}
                None => {
                    atomic::write_with(&self.picture(&set, number), &png, Durability::Fast)?;
                    written.push((set, png));
                }
            }
        }
        let measured: Vec<Measured> = drawings.iter().map(Measured::of).collect();
        atomic::write_json(&self.figures(number), &measured)?;
        Ok(measured)
    }

    /// What lies on disk of a turn; what is damaged is drawn again.
    fn kept(&self, number: usize) -> Option<Vec<Measured>> {
        let measured: Vec<Measured> = serde_json::from_slice(&fs::read(self.figures(number)).ok()?).ok()?;
        let entries = self.entries();
        let whole = entries.iter().all(|entry| self.picture(&set_of(*entry), number).is_file());
        (whole && measured.len() == entries.len()).then_some(measured)
    }

    /// The prompt of an image.
    pub(super) fn prompt(&self, number: usize) -> &str {
        &self.plan.prompts[number % self.plan.prompts.len()].text
    }
}

/// The image of a request; an error where the run is stopped.
fn drawn(engine: &Engine, request: &Request, steps: &mut Steps<'_, '_>) -> Result<Outcome> {
    let outcome = engine.generate(request, &mut |_| steps.within())?;
    match steps.is_stopped() {
        true => Err(Error::environment("the run was stopped")),
        false => Ok(outcome),
    }
}

impl Measured {
    fn of(drawing: &Drawing) -> Self {
        let stats = &drawing.generated.stats;
        Self {
            seconds: drawing.time.as_secs_f64(),
            plain_seconds: drawing.plain.as_secs_f64(),
            passes: stats.target_passes,
            cells: stats.committed,
        }
    }
}

/// The images that a decoder's are: under `replay` those of all decoders are one set.
pub(super) fn set_of(of: Decoding) -> String {
    match of.rule() {
        AnyRule::Exact(Rule::Replay) => "replay".to_owned(),
        rule => format!("{rule}-{}-{}", of.decoder(), of.tree()),
    }
}

/// A decoder in words.
pub(super) fn name_of(of: Decoding) -> String {
    let lossy = if matches!(of.rule(), AnyRule::Exact(_)) { "" } else { " (changes the law)" };
    match of.decoder() == hawk::Decoder::AR {
        // Without drafts no rule has anything to change.
        true => format!("plain decoding, {}", of.rule()),
        false => format!("{}, {} nodes, {}{lossy}", of.decoder(), of.tree(), of.rule()),
    }
}
