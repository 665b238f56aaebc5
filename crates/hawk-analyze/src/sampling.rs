//! What temperature, top-k and guidance do to pictures and to the speed of drafts: figures 8 and 9 of the paper.

use std::path::{Path, PathBuf};

use hawk::{Decoding, Engine, Error, RecordedSampling, Request, Result, Sampling, Seed};
use hawk_files::{atomic, hex};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::figure::{Content, Figure, Part, Picture, Pictures, Table};
use crate::settings::model_settings;
use crate::watch::{Ended, Progress, Watch};

/// Folder of the pictures, in the folder of an analysis.
const FOLDER: &str = "sheets";

/// The figure beside each picture.
const TOKENS: &str = "tokens a pass";

/// Sheets over sampling settings.
pub struct SamplingRun<'a> {
    /// The model.
    pub engine: &'a Engine,
    /// Its name, for people.
    pub model: &'a str,
    /// What is drawn: a picture of each with every setting.
    pub prompts: Vec<String>,
    /// Seed of all pictures.
    pub seed: Seed,
    /// The settings that are not varied.
    pub base: Sampling,
    /// Values of top-k; 0 keeps all codes.
    pub top_k: Vec<u32>,
    /// Values of the temperature.
    pub temperature: Vec<f32>,
    /// Values of the guidance scale.
    pub cfg: Vec<f32>,
    /// Who draws.
    pub decoding: Decoding,
    /// Folder of the pictures.
    pub dir: PathBuf,
}

/// A picture that was drawn.
struct Cell {
    picture: Picture,
    tokens_per_pass: f64,
}

#[derive(Serialize)]
struct Origin<'a> {
    model: &'a str,
    heads: &'a str,
    precision: String,
    size: [u32; 2],
    sampling: RecordedSampling,
    prompt: &'a str,
    seed: u64,
    decoder: &'a str,
    rule: String,
    tree: String,
}

/// One sheet: rows and columns of settings.
struct Sheet {
    id: &'static str,
    title: &'static str,
    caption: &'static str,
    /// Name and settings of each row.
    rows: Vec<(String, Vec<(String, Sampling)>)>,
}

impl SamplingRun<'_> {
    /// Checks prompts and settings against the model.
    ///
    /// # Errors
    /// There is nothing to draw, or the model cannot read a prompt or has no stage for a setting.
    fn check(&self) -> Result<()> {
        if self.prompts.is_empty() {
            return Err(Error::input("there is nothing to draw").at("prompts").expected("at least 1 prompt").got(0));
        }
        for prompt in &self.prompts {
            self.engine.conditioning(prompt).map_err(|e| e.at(format!("prompt {prompt:?}")))?;
        }
        let pipeline = self.engine.config().family.rules().pipeline();
        for sheet in self.sheets()? {
            for (_, cells) in &sheet.rows {
                for (_, sampling) in cells {
                    pipeline.check(sampling).map_err(|e| Error::input(e.to_string()))?;
                }
            }
        }
        Ok(())
    }

    fn sheets(&self) -> Result<Vec<Sheet>> {
        let base = self.base;
        let with = |cfg: f32, temperature: f32, top_k: u32| {
            Sampling::new(cfg, temperature, top_k, base.top_p()).map_err(|e| Error::input(e.to_string()))
        };
        let mut sheets = Vec::new();
        if !self.temperature.is_empty() && !self.top_k.is_empty() {
            let row = |&temperature: &f32| {
                let cell = |&top_k: &u32| {
                    let name = if top_k == 0 { "all codes".to_owned() } else { format!("top-k {top_k}") };
                    Ok((name, with(base.cfg(), temperature, top_k)?))
                };
                Ok((format!("temperature {temperature}"), self.top_k.iter().map(cell).collect::<Result<_>>()?))
            };
            sheets.push(Sheet {
                id: "temperature-top-k",
                title: "Temperature and top-k",
                caption: "The same prompt and noise throughout. A sharper law is easier to guess: more tokens a pass, less variety.",
                rows: self.temperature.iter().map(row).collect::<Result<_>>()?,
            });
        }
        if !self.cfg.is_empty() {
            let cell = |&cfg: &f32| Ok((format!("guidance {cfg}"), with(cfg, base.temperature(), base.top_k())?));
            sheets.push(Sheet {
                id: "guidance",
                title: "Guidance",
                caption: "The scale of guidance, all else as the model has it; 1 is the conditional law alone.",
                rows: vec![(
                    format!("temperature {}", base.temperature()),
                    self.cfg.iter().map(cell).collect::<Result<_>>()?,
                )],
            });
        }
        match sheets.is_empty() {
            true => Err(Error::input("no setting is varied")
                .at("sampling")
                .expected("values of temperature and top-k, or of guidance")),
            false => Ok(sheets),
        }
    }
}

/// Draws every prompt with every setting.
///
/// # Errors
/// There is nothing to draw, the model fails, or a file cannot be read or written.
pub fn sampling_sheets(run: &SamplingRun<'_>, watch: &mut Watch<'_>) -> Result<Ended<Figure>> {
    run.check()?;
    let sheets = run.sheets()?;
    let settings: usize = sheets.iter().flat_map(|sheet| &sheet.rows).map(|(_, cells)| cells.len()).sum();
    let of = settings * run.prompts.len();
    let (mut done, mut parts, mut most) = (0, Vec::new(), (0.0_f64, String::new()));
    let mut least = (f64::INFINITY, String::new());
    for sheet in &sheets {
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        for (name, cells) in &sheet.rows {
            let mut points = vec![0.0; cells.len()];
            for prompt in &run.prompts {
                let mut pictures = Vec::new();
                for ((label, sampling), point) in cells.iter().zip(&mut points) {
                    let place = run.path(prompt, *sampling)?;
                    if stored(&place, label)?.is_none() {
                        let stopped = watch(Progress::Done { done, of }).is_break();
                        if stopped || run.draw(prompt, *sampling, &place, watch)?.is_none() {
                            return Ok(Ended::Stopped);
                        }
                    }
                    let Some(cell) = stored(&place, label)? else {
                        return Err(Error::environment("a picture that was just written is gone").at(place.display()));
                    };
                    *point += cell.tokens_per_pass / run.prompts.len() as f64;
                    pictures.push(cell.picture);
                    done += 1;
                }
                rows.push((format!("{name}, “{prompt}”"), pictures));
            }
            for ((label, _), tokens) in cells.iter().zip(&points) {
                let setting = format!("{name}, {label}");
                if *tokens > most.0 {
                    most = (*tokens, setting.clone());
                }
                if *tokens < least.0 {
                    least = (*tokens, setting);
                }
            }
            lines.push((name.clone(), points));
        }
        parts.extend(sheet.parts(rows, lines));
    }
    let _ = watch(Progress::Done { done, of });
    let mut words = model_settings(run.engine, run.model)?;
    let decoding = run.decoding;
    words.push([
        "Decoder".to_owned(),
        format!("{}, rule {}, tree {}", decoding.decoder(), decoding.rule(), decoding.tree()),
    ]);
    words.push([
        "Pictures".to_owned(),
        format!("seed {}, {} prompts, top-p {}", run.seed.0, run.prompts.len(), run.base.top_p()),
    ]);
    Ok(Ended::Finished(Figure {
        name: "sampling".to_owned(),
        title: "Sampling settings".to_owned(),
        paper: "figures 8 and 9".to_owned(),
        findings: vec![format!(
            "{} commits {:.2} tokens a pass at {}, and {:.2} at {}.",
            decoding.decoder(),
            most.0,
            most.1,
            least.0,
            least.1
        )],
        settings: words,
        parts,
    }))
}

impl Sheet {
    fn parts(&self, rows: Vec<(String, Vec<Picture>)>, tokens: Vec<(String, Vec<f64>)>) -> [Part; 2] {
        let names = self.rows.first().into_iter().flat_map(|(_, cells)| cells.iter().map(|(name, _)| name.clone()));
        let columns = std::iter::once("tokens a pass".to_owned()).chain(names).collect();
        let tokens = tokens.into_iter().map(|(name, row)| (name, row.into_iter().map(Some).collect())).collect();
        [
            Part {
                id: format!("{}-speed", self.id),
                title: format!("Tokens a pass: {}", self.title.to_lowercase()),
                caption: "Committed tokens per pass of the target, mean over the prompts; plain decoding has 1."
                    .to_owned(),
                content: Content::Table(Table { columns, rows: tokens, decimals: 2 }),
            },
            Part {
                id: format!("{}-sheet", self.id),
                title: self.title.to_owned(),
                caption: self.caption.to_owned(),
                content: Content::Pictures(Pictures { rows }),
            },
        ]
    }
}

impl SamplingRun<'_> {
    /// Draws a picture and keeps it; none where the watch stops the run.
    fn draw(&self, prompt: &str, sampling: Sampling, place: &Path, watch: &mut Watch<'_>) -> Result<Option<()>> {
        let request = Request {
            prompt: prompt.to_owned(),
            seed: self.seed,
            images: 0..1,
            sampling,
            decoding: self.decoding,
            batch: 1,
        };
        let outcome = self.engine.generate(&request, &mut |_| watch(Progress::Within))?;
        let Some(drawn) = outcome.images.into_iter().next() else { return Ok(None) };
        let figures = vec![(TOKENS.to_owned(), drawn.stats.acceptance_length())];
        atomic::write_json(place, &Picture::new(&drawn.image, String::new(), figures)?)?;
        Ok(Some(()))
    }

    fn path(&self, prompt: &str, sampling: Sampling) -> Result<PathBuf> {
        let size = self.engine.config().image_size;
        let origin = Origin {
            model: self.engine.digest()?,
            heads: self.engine.heads_digest()?,
            precision: self.engine.precision().to_string(),
            size: [size.width, size.height],
            sampling: sampling.into(),
            prompt,
            seed: self.seed.0,
            decoder: self.decoding.decoder().name(),
            rule: self.decoding.rule().to_string(),
            tree: self.decoding.tree().to_string(),
        };
        let origin = serde_json::to_vec(&origin).map_err(|e| Error::input(format!("cannot name the picture: {e}")))?;
        let folder = self.dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("make the folder", &folder, &e))?;
        Ok(folder.join(format!("{}.json", &hex(&Sha256::digest(origin))[..16])))
    }
}

/// A picture that lies on disk.
fn stored(place: &Path, label: &str) -> Result<Option<Cell>> {
    let bytes = match std::fs::read(place) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read the picture", place, &e)),
    };
    // What is damaged is drawn again.
    let Ok(picture) = serde_json::from_slice::<Picture>(&bytes) else { return Ok(None) };
    let tokens = picture.figures.iter().find(|(name, _)| name == TOKENS).map(|(_, tokens)| *tokens);
    Ok(tokens.map(|tokens_per_pass| Cell { picture: Picture { label: label.to_owned(), ..picture }, tokens_per_pass }))
}
