//! `hawk generate`: prompts to PNG files.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use hawk::{Engine, Error, Event, Generated, ImageSize, Record, Request, Result, Sampling, Seed, write_png};
use hawk_files::Condition;
use indicatif::ProgressBar;

use crate::args::{
    DecodingArgs, DeviceArgs, LoadArgs, SamplingArgs, image_size, invalid_setting, with_features, with_heads,
};
use crate::inputs;
use crate::interrupt;
use crate::output::destination::{Destination, Name};
use crate::output::files::{Files, Output};
use crate::output::preview::Preview;
use crate::output::report::{Place, StatsReport, TokensReport};
use crate::output::{note, progress, say, show};
use crate::tuning;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk generate \"a red apple, fluent 3d style\" --out apple.png
  hawk generate \"octopus, fluent flat style\" --n 8 --seed 1 --out octopuses/
  hawk generate --prompts captions.txt --decoder ar --precision f32 --stats stats.json --out sheet/
  hawk generate \"a lighthouse at night\" --model Janus-Pro-1B --out lighthouse.png
  hawk generate --class 207 --class 360 --model llamagen-c2i-L --out dogs-and-otters/

Under the rule `replay` one seed gives one image, byte for byte, with every decoder, tree, batch \
and number of threads.")]
pub(crate) struct GenerateArgs {
    /// Text to draw; several prompts give several images; - reads standard input, one prompt per line
    #[arg(value_name = "PROMPT")]
    prompts: Vec<String>,
    /// File with one prompt per line; - is standard input
    #[arg(long = "prompts", value_name = "FILE")]
    prompts_file: Option<PathBuf>,
    /// Class number to draw, for class-conditional models; repeatable
    #[arg(long = "class", value_name = "N")]
    classes: Vec<u32>,
    /// Caption features (safetensors), for models that read them; PROMPT then only names the image
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Images per prompt
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Random seed [default: a new one, printed and stored in the PNG]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Image size in pixels, such as 768x768, for models with several sizes [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    size: Option<ImageSize>,
    /// Let the model choose the size (Lumina-mGPT); --size is then only part of the prompt
    #[arg(long)]
    draw_size: bool,
    #[cfg(feature = "t5")]
    #[command(flatten)]
    t5: super::features::T5Args,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    decoding: DecodingArgs,
    /// Images of one prompt that share a target pass, 1 to 64
    #[arg(long, value_name = "B", default_value_t = 4)]
    batch: usize,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is written.
#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Image file (.png, replaced; several get numbers) or folder (images there keep their names) [default: .]
    #[arg(long, value_name = "FILE_OR_DIR")]
    out: Option<PathBuf>,
    /// Write token ids, prefixes and codes of all images as JSON
    #[arg(long, value_name = "F.json")]
    tokens_out: Option<PathBuf>,
    /// Write passes, acceptance and times as JSON
    #[arg(long, value_name = "F.json")]
    stats: Option<PathBuf>,
    /// When to show images in the terminal
    #[arg(long, value_enum, default_value_t = Preview::Auto)]
    preview: Preview,
}

pub(crate) fn run(args: GenerateArgs) -> Result<()> {
    let prompts = prompts(&args)?;
    args.sampling.or(Sampling::new(1.0, 1.0, 0, 1.0).map_err(invalid_setting)?)?;
    let source = args.load.model.source()?;
    let images = prompts.len() as u64 * u64::from(args.n);
    let mut files = Files::default();
    args.prompts_file.iter().for_each(|file| files.reads("--prompts", file));
    args.features.iter().for_each(|file| files.reads("--features", file));
    files.reads_model("--model", &source);
    files.reads_heads("--heads", args.decoding.heads.as_deref());
    // First, since reports may go into the folder that is made here.
    let destination = Destination::new(&mut files, args.output.out.as_deref(), images)?;
    let reports = Reports {
        tokens: files.writes_report("--tokens-out", args.output.tokens_out.as_ref())?,
        stats: files.writes_report("--stats", args.output.stats.as_ref())?,
    };
    // Before the model is loaded, so that the encoder's memory is free by then.
    #[cfg(feature = "t5")]
    let features = args.t5.encode(&prompts)?;
    let clock = Instant::now();
    let mut engine = args.device.load(source, args.load.options()?)?;
    if !args.classes.is_empty() && !matches!(engine.config().condition, Condition::Class(_)) {
        return Err(Error::input("the model draws texts, not classes")
            .at("--class")
            .expected("a PROMPT")
            .got(args.classes[0]));
    }
    let seed = Seed(args.seed.unwrap_or_else(fresh_seed));
    if let Some(size) = args.size {
        engine = engine.with_image_size(size)?;
    }
    if args.draw_size {
        let size = draw_size(&engine, &prompts, seed)?;
        engine = engine.with_drawn_size(size)?;
    }
    let engine = with_features(with_heads(engine, args.decoding.heads.as_deref())?, args.features.as_deref())?;
    #[cfg(feature = "t5")]
    let engine = super::features::with_encoded(engine, features)?;
    let request = Request {
        prompt: String::new(),
        seed,
        images: 0..args.n,
        sampling: args.sampling.or(engine.config().defaults)?,
        decoding: args.decoding.decoding()?,
        batch: args.batch,
    };
    tuning::recall(&engine, request.decoding.tree());
    let load = clock.elapsed();
    for prompt in &prompts {
        engine.conditioning(prompt).map_err(|e| e.at(format!("prompt {:?}", shortened(prompt))))?;
    }
    let rule = request.decoding.rule();
    if !rule.warning().is_empty() {
        note(format_args!("note: the rule {rule} is lossy: it {}", rule.warning()));
    }
    let mut work = Work {
        stats: StatsReport::new(&engine, &request, load),
        tokens: TokensReport::new(&engine, &request),
        bar: cells_bar(images, &engine),
        several_prompts: prompts.len() > 1,
        images,
        args: &args,
        engine: &engine,
        files,
        destination,
    };
    interrupt::watch()?;
    let drawn = prompts.iter().enumerate().try_for_each(|(number, prompt)| match interrupt::came() {
        true => Ok(()),
        false => work.draw(number, &Request { prompt: prompt.clone(), ..request.clone() }),
    });
    work.bar.finish_and_clear();
    tuning::remember(&engine, request.decoding.tree());
    // What is finished is reported, whatever ended the run.
    let reported = work.reports(&reports);
    drawn.and(reported)
}

/// The reports to write.
struct Reports {
    tokens: Option<Output>,
    stats: Option<Output>,
}

/// The images of one call, while they are drawn.
struct Work<'a> {
    args: &'a GenerateArgs,
    engine: &'a Engine,
    files: Files,
    destination: Destination,
    stats: StatsReport,
    tokens: TokensReport,
    bar: ProgressBar,
    several_prompts: bool,
    /// Images of all prompts.
    images: u64,
}

impl Work<'_> {
    /// Draws the images of one prompt and writes each as soon as it is finished.
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
            interrupt::flow()
        })?;
        self.stats.add_time(&outcome.timings, start.elapsed());
        self.stats.add_read_back(outcome.read_back);
        failure.map_or(Ok(()), Err)?;
        outcome.without_failures()
    }

    fn advance(&self, cells: u64, tokens_per_pass: f64) {
        self.bar.inc(cells);
        let images = self.bar.position() as f64 / f64::from(self.engine.config().layout.grid().cells());
        let rate = images / self.bar.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("{tokens_per_pass:.2} tokens per pass, {rate:.2} images/s"));
    }

    fn keep(&mut self, prompt_number: usize, request: &Request, image: &Generated) -> Result<()> {
        let place = Place { prompt_number, index: image.index };
        let number = prompt_number as u64 * u64::from(self.args.n) + u64::from(image.index);
        let name = Name {
            prompt: &request.prompt,
            prompt_number: self.several_prompts.then_some(prompt_number),
            seed: request.seed.0,
            index: image.index,
            number: (self.images > 1).then_some(number),
        };
        let record = Record::new(self.engine, &self.args.load.model.name(), request, image)?;
        let png = write_png(&image.image, &record)?;
        let path = self.bar.suspend(|| self.destination.write(&self.files, &name, &png))?;
        self.tokens.add(place, self.engine, request, image)?;
        self.stats.add(place, request, image, &path);
        self.bar.suspend(|| {
            if let Some(picture) = self.args.output.preview.of(&image.image) {
                show(&picture);
            }
            say(format_args!(
                "{}  seed {}, {} cells in {} passes ({:.2} tokens per pass), {:.2} s",
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

    fn reports(&mut self, reports: &Reports) -> Result<()> {
        let tokens = reports.tokens.as_ref().map_or(Ok(()), |file| file.write_json(&self.tokens));
        self.stats.add_tuned(self.engine);
        let stats = reports.stats.as_ref().map_or(Ok(()), |file| file.write_json(&self.stats));
        tokens.and(stats)
    }
}

fn prompts(args: &GenerateArgs) -> Result<Vec<String>> {
    let mut prompts = inputs::typed_prompts(&args.prompts)?;
    if let Some(path) = &args.prompts_file {
        prompts.extend(inputs::read_prompts(path)?);
    }
    prompts.extend(args.classes.iter().map(u32::to_string));
    if let Some(file) = &args.features {
        if prompts.len() > 1 {
            return Err(Error::input("a file of features holds one caption")
                .at("--features")
                .expected("at most one prompt, as the name")
                .got(prompts.len()));
        }
        if prompts.is_empty() {
            prompts.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    if prompts.is_empty() {
        return Err(Error::input("no prompts: there is nothing to draw")
            .expected("a PROMPT, or --prompts FILE with one prompt per line")
            .hint("hawk generate \"a red apple, fluent 3d style\" --out apple.png"));
    }
    Ok(prompts)
}

/// A random seed, short enough to type.
pub(super) fn fresh_seed() -> u64 {
    u64::from(RandomState::new().hash_one(std::process::id()) as u32)
}

/// The size that the model chooses for the only prompt.
fn draw_size(engine: &Engine, prompts: &[String], seed: Seed) -> Result<ImageSize> {
    match prompts {
        [prompt] => engine.draw_size(prompt, seed),
        _ => Err(Error::input("the model chooses a size for each prompt")
            .at("--draw-size")
            .expected("one prompt")
            .got(prompts.len())),
    }
}

fn shortened(prompt: &str) -> String {
    let start: String = prompt.chars().take(40).collect();
    if start.len() < prompt.len() { start + "..." } else { start }
}

fn cells_bar(images: u64, engine: &Engine) -> ProgressBar {
    let cells = images * u64::from(engine.config().layout.grid().cells());
    progress::steady_bar(cells, "{bar:30} {percent:>3} %  {msg}  eta {eta}")
}
