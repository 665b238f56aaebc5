//! `hawk batch`: many prompts to a folder of images.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use hawk::{
    Batch, Conditioning, Engine, Error, Finished, Happened, ImageIndex, ImageSize, JobId, Noise, Record,
    RecordedSampling, Request, Result, Seed, write_png,
};
use hawk_files::{FolderLock, hex};
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};

use super::generate::fresh_seed;
use crate::args::{DecodingArgs, DeviceArgs, LoadArgs, SamplingArgs, image_size};
use crate::batch_folder::{BatchFolder, BatchSettings, Line, Wanted};
use crate::output::destination::slug;
use crate::output::{files, note, progress, say};
use crate::rows::{self, Row, at_line};
use crate::{interrupt, tuning};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk batch captions.txt --out images/
  hawk batch captions.csv --out images/ --n 4 --seed 1 --batch 16
  hawk batch captions.jsonl --out images/ --model Janus-Pro-1B --precision int8

captions.txt has one prompt per line. captions.csv has a first line that names its columns: prompt, and
if you like seed, cfg, temperature, top_k, top_p. captions.jsonl has one object per line with these keys.

The folder gets one PNG per image, and images.jsonl with one line per image. After a stop, a crash or a
power cut the same command goes on: no image is drawn twice, and none is missing.")]
pub(crate) struct BatchArgs {
    /// File of prompts: .txt, .csv or .jsonl; - is standard input, one prompt per line
    #[arg(value_name = "FILE")]
    prompts: PathBuf,
    /// Folder of the images: new, empty, or that of the same batch
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Images per prompt
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Random seed of prompts without one [default: a new one, which is kept in the folder]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Image size in pixels, such as 768x768, for models with several sizes [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    size: Option<ImageSize>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    decoding: DecodingArgs,
    /// Images that share a target pass, 1 to 64
    #[arg(long, value_name = "B", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: u8,
    #[command(flatten)]
    sampling: SamplingArgs,
}

pub(crate) fn run(args: &BatchArgs) -> Result<()> {
    let (rows, bytes) = rows::read(&args.prompts)?;
    files::check_folder_can_be_made(&args.out)?;
    let lock = FolderLock::take(&args.out)?;
    let before = BatchFolder::settings(&args.out)?;
    let engine = args.load.engine(&args.device, args.size, args.decoding.heads.as_deref())?;
    let seed = args.seed.or(before.map(|before| before.seed)).unwrap_or_else(fresh_seed);
    let decoding = args.decoding.decoding()?;
    let sampling = args.sampling.or(engine.config().defaults)?;
    let size = engine.config().image_size;
    let settings = BatchSettings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        prompts_digest: hex(&Sha256::digest(&bytes)),
        images_per_prompt: args.n,
        seed,
        model_digest: engine.digest()?.to_owned(),
        heads_digest: if decoding.decoder().needs_heads() { engine.heads_digest()?.to_owned() } else { String::new() },
        precision: engine.precision().to_string(),
        decoder: decoding.decoder().to_string(),
        rule: decoding.rule().to_string(),
        tree: decoding.tree().to_string(),
        sampling: sampling.into(),
        size: [size.width, size.height],
    };
    let requests = requests(args, &engine, &rows, seed)?;
    let images = wanted(&rows, &requests, args.n);
    let all = images.len();
    let (folder, missing) = BatchFolder::open(&args.out, lock, &settings, images)?;
    if folder.images() > 0 {
        note(format_args!("{} of {all} images are there already", folder.images()));
    }
    if missing.is_empty() {
        say(format_args!("{}  {all} of {all} images, none of them new", args.out.display()));
        return folder.finish();
    }
    tuning::recall(&engine, decoding.tree());
    let slots = usize::from(args.batch).min(missing.len());
    let batch = engine.batch(slots, decoding.shape().nodes())?;
    let lines: HashMap<u64, usize> = rows.iter().enumerate().map(|(at, row)| (row.line, at)).collect();
    let work =
        Work { engine: &engine, model: args.load.model.name(), requests, lines, bar: bar(&engine, all, missing.len()) };
    interrupt::watch()?;
    let start = Instant::now();
    let drawn = work.draw(batch, folder, missing);
    work.bar.finish_and_clear();
    tuning::remember(&engine, decoding.tree());
    let (folder, new) = drawn?;
    let rate = new as f64 / start.elapsed().as_secs_f64();
    say(format_args!(
        "{}  {} of {all} images, {new} of them new, {rate:.2} images/s",
        args.out.display(),
        folder.images()
    ));
    match folder.images() == all {
        true => folder.finish(),
        false => {
            note("the same command goes on");
            Ok(())
        }
    }
}

/// A request for each row. What the model cannot draw is refused before the work.
fn requests(args: &BatchArgs, engine: &Engine, rows: &[Row], seed: u64) -> Result<Vec<Request>> {
    let (decoding, typed) = (args.decoding.decoding()?, &args.sampling);
    let request = |row: &Row| {
        let own = SamplingArgs {
            cfg: row.cfg.or(typed.cfg),
            temperature: row.temperature.or(typed.temperature),
            top_k: row.top_k.or(typed.top_k),
            top_p: row.top_p.or(typed.top_p),
        };
        let sampling = own.or(engine.config().defaults).map_err(|e| at_line(e, row.line))?;
        let seed = Seed(row.seed.unwrap_or(seed));
        let conditioning = engine.conditioning(&row.prompt).map_err(|e| at_line(e, row.line))?;
        let noise = Noise { seed, image: ImageIndex(0) };
        engine.model().job(&conditioning, noise, sampling, decoding).map_err(|e| at_line(e, row.line))?;
        Ok(Request { prompt: row.prompt.clone(), seed, images: 0..args.n, sampling, decoding, batch: 1 })
    };
    rows.iter().map(request).collect::<Result<_>>().map_err(|e: Error| e.at(args.prompts.display()))
}

fn wanted(rows: &[Row], requests: &[Request], n: u32) -> Vec<Wanted> {
    let digits = rows.last().map_or(1, |row| row.line).to_string().len();
    let image = |row: &Row, request: &Request, index: u32| Wanted {
        file: format!("{:0digits$}-{}-s{}-{index}.png", row.line, slug(&row.prompt), request.seed),
        line: row.line,
        prompt: row.prompt.clone(),
        seed: request.seed.0,
        index,
        sampling: RecordedSampling::from(request.sampling),
    };
    let pairs = rows.iter().zip(requests);
    pairs.flat_map(|(row, request)| (0..n).map(move |index| image(row, request, index))).collect()
}

/// A bar over the cells of all images. The time left is that of the missing ones.
fn bar(engine: &Engine, all: usize, missing: usize) -> ProgressBar {
    let cells = u64::from(engine.config().layout.grid().cells());
    let bar = progress::steady_bar(all as u64 * cells, "{bar:30} {percent:>3} %  {msg}  {eta} left");
    bar.set_position((all - missing) as u64 * cells);
    bar.reset_eta();
    bar
}

struct Work<'a> {
    engine: &'a Engine,
    model: String,
    requests: Vec<Request>,
    /// The request of each line.
    lines: HashMap<u64, usize>,
    bar: ProgressBar,
}

/// A finished image on its way to its file.
struct Drawn {
    wanted: Wanted,
    finished: Finished,
}

impl Work<'_> {
    /// Draws images until all are there, a signal comes, or something fails. What is finished is
    /// written in any case. Returns the folder and the number of new images.
    fn draw(&self, mut batch: Batch, mut folder: BatchFolder, missing: Vec<Wanted>) -> Result<(BatchFolder, usize)> {
        let (failure, before) = (Mutex::new(None), folder.images());
        let fail = |error: Error| {
            if let Ok(mut first) = failure.lock() {
                first.get_or_insert(error);
            }
        };
        std::thread::scope(|scope| {
            // Codes of so many images may wait for the disk: at least two of the largest batches.
            let (sender, drawn) = sync_channel::<Drawn>(2 * usize::from(u8::MAX));
            let (folder, fail) = (&mut folder, &fail);
            scope.spawn(move || {
                for image in drawn {
                    if let Err(error) = self.keep(folder, image) {
                        fail(error);
                        // The loop ends when nobody takes its images.
                        return;
                    }
                }
            });
            if let Err(error) = self.run(&mut batch, missing, &sender) {
                fail(error);
            }
        });
        let new = folder.images() - before;
        match failure.into_inner().ok().flatten() {
            Some(error) => Err(error),
            None => Ok((folder, new)),
        }
    }

    /// Keeps the batch full and hands on what is finished.
    fn run(&self, batch: &mut Batch, missing: Vec<Wanted>, sender: &SyncSender<Drawn>) -> Result<()> {
        let mut waiting = missing.into_iter();
        let mut under_way: HashMap<JobId, Wanted> = HashMap::new();
        // Images of one prompt read it once.
        let mut prompt: Option<(u64, Conditioning)> = None;
        let mut first_error = None;
        while !interrupt::came() {
            while batch.has_room()
                && let Some(image) = waiting.next()
            {
                let request = &self.requests[self.lines[&image.line]];
                let conditioning = match prompt.take() {
                    Some((line, conditioning)) if line == image.line => conditioning,
                    _ => self.engine.conditioning(&request.prompt)?,
                };
                let noise = Noise { seed: request.seed, image: ImageIndex(image.index) };
                let job = self.engine.model().job(&conditioning, noise, request.sampling, request.decoding)?;
                under_way.insert(batch.admit(job)?, image.clone());
                prompt = Some((image.line, conditioning));
            }
            if batch.is_empty() {
                break;
            }
            let events: Vec<_> = batch.step()?.collect();
            for event in events {
                match event.happened {
                    Happened::PrefillDone => {}
                    Happened::CellsCommitted => {
                        let cells = batch.new_cells(event.job).map_or(0, |(_, codes, _)| codes.len());
                        self.bar.inc(cells as u64);
                    }
                    Happened::Finished => {
                        let finished = batch.take(event.job).zip(under_way.remove(&event.job));
                        if let Some((finished, wanted)) = finished
                            && sender.send(Drawn { wanted, finished }).is_err()
                        {
                            return Ok(());
                        }
                    }
                    // The other images go on.
                    Happened::Failed(error) => {
                        let image = under_way.remove(&event.job);
                        let place = image.map_or_else(String::new, |image| image.file);
                        first_error.get_or_insert(error.at(place));
                    }
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn keep(&self, folder: &mut BatchFolder, drawn: Drawn) -> Result<()> {
        let Drawn { wanted, finished } = drawn;
        let image = self.engine.paint(wanted.index, finished)?;
        let record = Record::new(self.engine, &self.model, &self.requests[self.lines[&wanted.line]], &image)?;
        folder.add(&write_png(&image.image, &record)?, Line::of(&wanted.file, wanted.line, &record))?;
        let rate = self.bar.per_sec() / f64::from(self.engine.config().layout.grid().cells());
        self.bar.set_message(format!("{} images, {rate:.2} a second", folder.images()));
        Ok(())
    }
}
