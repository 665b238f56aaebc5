//! `hawk generate`: prompts to PNG files.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use hawk::{Engine, Error, Event, Generated, ImageSize, Precision, Record, Request, Result, Sampling, Seed, write_png};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{GenerateArgs, caption, equip, refused};
use crate::files::{self, Destination, Name};
use crate::preview::half_blocks;
use crate::report::{StatsReport, TokensReport};
use crate::say;

pub(crate) fn run(args: GenerateArgs) -> Result<()> {
    let prompts = prompts(&args)?;
    args.sampling.or(Sampling::new(1.0, 1.0, 0, 1.0).map_err(refused)?)?;
    let destination = Destination::new(args.out.as_deref())?;
    for report in [&args.tokens_out, &args.stats].into_iter().flatten() {
        files::check_writable(report)?;
    }
    // Before the model is loaded, so that the encoder's memory is free again.
    #[cfg(feature = "t5")]
    let features = args.t5.encode(&prompts)?;
    let clock = Instant::now();
    let precision = args.model.precision(args.precision, Precision::Bf16)?;
    let mut engine = Engine::load(args.model.source()?, args.model.options(precision))?;
    let seed = Seed(args.seed.unwrap_or_else(fresh_seed));
    if let Some(size) = args.size {
        engine = engine.with_image_size(size)?;
    }
    if args.draw_size {
        let size = draw_size(&engine, &prompts, seed)?;
        engine = engine.with_drawn_size(size)?;
    }
    let engine = caption(equip(engine, args.decoding.heads.as_deref())?, args.features.as_deref())?;
    #[cfg(feature = "t5")]
    let engine = crate::cmd::features::equip(engine, features)?;
    let request = Request {
        prompt: String::new(),
        seed,
        images: 0..args.n,
        sampling: args.sampling.or(engine.config().defaults)?,
        decoding: args.decoding.decoding(&engine)?,
        batch: args.batch,
    };
    let load = clock.elapsed();
    for prompt in &prompts {
        engine.conditioning(prompt).map_err(|e| e.at(format!("prompt {:?}", shortened(prompt))))?;
    }
    let rule = request.decoding.rule();
    if !rule.warning().is_empty() {
        eprintln!("note: the rule {rule} {}: these are not the target's images", rule.warning());
    }
    let mut work = Work {
        stats: StatsReport::new(&engine, &request, load),
        tokens: TokensReport::new(&engine, &request),
        progress: progress(prompts.len() as u64 * u64::from(args.n), &engine),
        several_prompts: prompts.len() > 1,
        several_images: prompts.len() > 1 || args.n > 1,
        made: 0,
        args: &args,
        engine: &engine,
        destination,
    };
    for (number, prompt) in prompts.iter().enumerate() {
        work.draw(number, &Request { prompt: prompt.clone(), ..request.clone() })?;
    }
    work.progress.finish_and_clear();
    work.reports()
}

/// The images of one call under way.
struct Work<'a> {
    args: &'a GenerateArgs,
    engine: &'a Engine,
    destination: Destination,
    stats: StatsReport,
    tokens: TokensReport,
    progress: ProgressBar,
    several_prompts: bool,
    several_images: bool,
    /// Images so far.
    made: usize,
}

impl Work<'_> {
    /// The images of one prompt, each written as soon as it is finished.
    fn draw(&mut self, prompt_number: usize, request: &Request) -> Result<()> {
        let mut failure = None;
        let (mut passes, mut cells) = (0_u64, 0_u64);
        let start = Instant::now();
        let outcome = self.engine.generate(request, &mut |event| {
            match event {
                Event::CellsCommitted { codes, .. } => {
                    passes += 1;
                    cells += codes.len() as u64;
                    self.advance(codes.len() as u64, cells as f64 / passes as f64);
                }
                Event::ImageDone(image) => {
                    if let Err(error) = self.keep(prompt_number, request, image) {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        self.stats.add_time(&outcome.timings, start.elapsed());
        failure.map_or(Ok(()), Err)
    }

    fn advance(&self, cells: u64, tokens_a_pass: f64) {
        self.progress.inc(cells);
        let images = self.progress.position() as f64 / f64::from(self.engine.config().layout.grid().cells());
        let rate = images / self.progress.elapsed().as_secs_f64().max(1e-3);
        self.progress.set_message(format!("{tokens_a_pass:.2} tokens a pass, {rate:.2} images/s"));
    }

    fn keep(&mut self, prompt_number: usize, request: &Request, image: &Generated) -> Result<()> {
        let path = self.destination.path(&Name {
            prompt: &request.prompt,
            prompt_number: self.several_prompts.then_some(prompt_number),
            seed: request.seed.0,
            index: image.index,
            number: self.several_images.then_some(self.made),
        });
        let record = Record::new(self.engine, &self.args.model.name(), request, image)?;
        files::write(&path, &write_png(&image.image, &record)?)?;
        self.made += 1;
        self.tokens.add(self.engine, request, image)?;
        self.stats.add(request, image, &path);
        self.progress.suspend(|| {
            if self.args.preview.wanted() {
                say(half_blocks(&image.image).trim_end());
            }
            say(format_args!(
                "{}  seed {}, {} cells in {} passes ({:.2} tokens a pass), {:.2} s",
                path.display(),
                request.seed,
                image.codes.len(),
                image.stats.target_passes,
                image.stats.acceptance_length(),
                image.elapsed.as_secs_f64()
            ));
        });
        Ok(())
    }

    fn reports(&self) -> Result<()> {
        if let Some(path) = &self.args.tokens_out {
            files::write_json(path, &self.tokens)?;
        }
        if let Some(path) = &self.args.stats {
            files::write_json(path, &self.stats)?;
        }
        Ok(())
    }
}

fn prompts(args: &GenerateArgs) -> Result<Vec<String>> {
    let mut prompts = args.prompts.clone();
    if let Some(path) = &args.prompts_file {
        prompts.extend(files::read_prompts(path)?);
    }
    prompts.extend(args.classes.iter().map(u32::to_string));
    if let Some(file) = &args.features {
        if prompts.len() > 1 {
            return Err(Error::input("one file of features is one caption")
                .at("--features")
                .expected("at most one prompt, as its name")
                .got(prompts.len()));
        }
        if prompts.is_empty() {
            prompts.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    if prompts.is_empty() {
        return Err(Error::input("there is nothing to draw")
            .expected("a PROMPT, or --prompts FILE with a prompt a line")
            .hint("hawk generate \"a red apple, fluent 3d style\" --out apple.png"));
    }
    Ok(prompts)
}

/// Short enough to type again.
pub(super) fn fresh_seed() -> u64 {
    u64::from(RandomState::new().hash_one(std::process::id()) as u32)
}

/// The size that the model draws for the one prompt.
fn draw_size(engine: &Engine, prompts: &[String], seed: Seed) -> Result<ImageSize> {
    match prompts {
        [prompt] => engine.draw_size(prompt, seed),
        _ => Err(Error::input("each prompt has a size of its own")
            .at("--draw-size")
            .expected("one prompt")
            .got(prompts.len())),
    }
}

fn shortened(prompt: &str) -> String {
    let start: String = prompt.chars().take(40).collect();
    if start.len() < prompt.len() { start + "..." } else { start }
}

fn progress(images: u64, engine: &Engine) -> ProgressBar {
    let cells = images * u64::from(engine.config().layout.grid().cells());
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  eta {eta}");
    let bar = ProgressBar::new(cells).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
