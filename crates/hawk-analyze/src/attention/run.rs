//! The passes of the analysis.

use std::path::PathBuf;

use hawk::{
    Decoder, Decoding, Engine, Error, PromptStyle, Result, Rule, Sampling, Seed, TextEngine, TextRequest, TextSampling,
};
use serde::Serialize;

use super::figure::{Measured, figure};
use super::sums::{AttentionSums, Detail, ImagePlan};
use crate::figure::Figure;
use crate::images::ImageSet;
use crate::settings::{Identity, model_settings};
use crate::watch::{Ended, Progress, Sums, Watch, each_part};

/// Shortest text whose attention by distance says something.
const LEAST_TEXT: usize = 2;

/// The texts that a language model goes on with.
#[derive(Clone, Debug, PartialEq)]
pub struct Texts {
    /// Their beginnings.
    pub prompts: Vec<String>,
    /// Tokens that the model writes after each.
    pub tokens: usize,
}

/// An analysis of attention.
pub struct AttentionRun<'a> {
    /// The image model.
    pub engine: &'a Engine,
    /// Its name, for people.
    pub model: &'a str,
    /// The images.
    pub images: ImageSet,
    /// A language model to compare with, its name, and its texts.
    pub text: Option<(&'a TextEngine, &'a str, Texts)>,
    /// How fine the sums are.
    pub detail: Detail,
    /// Folder of the images and of unfinished sums.
    pub dir: PathBuf,
}

#[derive(Serialize)]
struct AttentionIdentity<'a> {
    #[serde(flatten)]
    images: Identity<'a>,
    detail: Detail,
    text: Option<(String, String, &'a [String], usize)>,
}

/// Sums over images, and over texts where there is a language model.
#[derive(Serialize, serde::Deserialize)]
struct Both {
    image: AttentionSums,
    text: Option<AttentionSums>,
}

/// Draws the images and sums their attention by offset; then that of the texts.
///
/// # Errors
/// There is nothing to look at, the model fails or is not on the CPU, or a file cannot be read or written.
pub fn attention(run: &AttentionRun<'_>, watch: &mut Watch<'_>) -> Result<Ended<Figure>> {
    run.check()?;
    let empty = Both {
        image: empty(run.engine.backend().config(), run.detail),
        text: run.text.as_ref().map(|(engine, ..)| empty_of(engine)),
    };
    let sums = Sums::open(&run.dir, "attention", &run.identity()?, empty)?;
    let texts = run.text.as_ref().map_or(0, |(_, _, texts)| texts.prompts.len());
    let parts = run.images.images + texts;
    let ended = each_part(sums, parts, watch, &mut |sums, part, watch| match part.checked_sub(run.images.images) {
        None => run.add_image(&mut sums.image, part, watch),
        Some(text) => run.add_text(sums.text.as_mut(), text, watch),
    })?;
    let Ended::Finished(Both { image, text }) = ended else { return Ok(Ended::Stopped) };
    let mut settings = model_settings(run.engine, run.model)?;
    settings.extend(run.images.settings());
    if let Some((engine, name, texts)) = &run.text {
        let words = format!("{name}, {}, {} texts of {} tokens", engine.precision(), texts.prompts.len(), texts.tokens);
        settings.push(["Text model".to_owned(), words]);
    }
    Ok(Ended::Finished(figure(&Measured { grid: run.engine.config().layout.grid(), image, text }, settings)))
}

fn empty(config: &hawk_nn::TransformerConfig, detail: Detail) -> AttentionSums {
    AttentionSums::new(config.layers, config.heads, detail)
}

fn empty_of(engine: &TextEngine) -> AttentionSums {
    empty(engine.backend().config(), Detail::Mean)
}

impl AttentionRun<'_> {
    fn check(&self) -> Result<()> {
        self.images.check(self.engine)?;
        self.engine.cpu()?;
        let Some((engine, _, texts)) = &self.text else { return Ok(()) };
        if texts.prompts.is_empty() {
            return Err(Error::input("there is no text to look at").at("texts").expected("at least 1").got(0));
        }
        if texts.tokens < LEAST_TEXT {
            let expected = format!("at least {LEAST_TEXT}");
            return Err(Error::input("too few tokens of text").at("tokens").expected(expected).got(texts.tokens));
        }
        texts.prompts.iter().try_for_each(|prompt| {
            engine.prompt(prompt, PromptStyle::Plain).map(drop).map_err(|e| e.at(format!("text {prompt:?}")))
        })
    }

    fn identity(&self) -> Result<AttentionIdentity<'_>> {
        let text = match &self.text {
            Some((engine, _, texts)) => {
                Some((engine.digest()?.to_owned(), engine.precision().to_string(), &texts.prompts[..], texts.tokens))
            }
            None => None,
        };
        Ok(AttentionIdentity { images: Identity::of(self.engine, &self.images)?, detail: self.detail, text })
    }

    fn add_image(&self, sums: &mut AttentionSums, number: usize, watch: &mut Watch<'_>) -> Result<Ended<()>> {
        let Ended::Finished(image) = self.images.drawn(self.engine, &self.dir, number, watch)? else {
            return Ok(Ended::Stopped);
        };
        let grid = self.engine.config().layout.grid();
        let plan = ImagePlan::new(grid, &self.engine.sequence_parts(&image.prompt)?);
        self.engine.attention(&image.prompt, &image.codes, &mut |row| sums.add_image_row(&plan, &row))?;
        Ok(Ended::Finished(()))
    }

    fn add_text(&self, sums: Option<&mut AttentionSums>, text: usize, watch: &mut Watch<'_>) -> Result<Ended<()>> {
        let (Some(sums), Some((engine, _, texts))) = (sums, &self.text) else { return Ok(Ended::Finished(())) };
        let sampling = Sampling::new(1.0, 1.0, 0, 1.0).map_err(|e| Error::input(e.to_string()))?;
        let request = TextRequest {
            prompt: texts.prompts[text].clone(),
            style: PromptStyle::Plain,
            sampling: TextSampling::Drawn { sampling, seed: Seed(self.images.seed.0.wrapping_add(text as u64)) },
            decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
            max_tokens: texts.tokens,
        };
        let mut stopped = false;
        let written = engine.generate(&request, &mut |_| {
            let flow = watch(Progress::Within);
            stopped = flow.is_break();
            flow
        })?;
        if stopped {
            return Ok(Ended::Stopped);
        }
        let tokens = [written.prompt, written.tokens].concat();
        engine.attention(&tokens, &mut |row| sums.add_text_row(&row))?;
        Ok(Ended::Finished(()))
    }
}
