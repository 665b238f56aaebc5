//! `hawk bench model`: load time, memory, pass times and first cells of a full-size model.

use std::num::NonZero;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hawk::{Decoder, Decoding, Engine, Error, Event, Request, Result, Rule, Seed, Tree};
use hawk_bench::step::{COMMITTED, Ceilings, check_backend, time_backend, time_passes};
use hawk_kernels::{Isa, Threads};
use hawk_nn::{PassLimits, Readout, Target};
use hawk_spec::{Code, TokenId};
use serde::Serialize;

use super::bench_step::{CHECKED_ROWS, GpuRow, Row, print_rows, rows_of};
use crate::args::{DeviceArgs, LoadArgs, tree_forms, with_heads};
use crate::output::files::{Files, Output};
use crate::output::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk bench model --model Janus-Pro-1B --precision int8 --json janus.json
  hawk synth lumina-mgpt-7b --out lumina/
  hawk synth heads --model lumina/ --out lumina-heads/
  hawk bench model --model lumina/ --heads lumina-heads/ --precision int8 --rows 2,8 --cells 20

On a GPU rows are compared with the same rows alone before they are timed: a pass with the best code of each row read \
back, and the bytes of the weights over its time.

The command fails if a decoder's cells differ from those of plain decoding.")]
pub(crate) struct BenchModelArgs {
    /// Rows of the timed passes, conditional and unconditional rows counted together
    #[arg(long, value_name = "ROWS", value_delimiter = ',', default_value = "2,4,8,16")]
    rows: Vec<usize>,
    /// Seconds of measurement for each number of rows
    #[arg(long, value_name = "S", default_value_t = 6.0)]
    effort: f64,
    /// Cells of the image that every decoder draws
    #[arg(long, value_name = "N", default_value = "60")]
    cells: NonZero<usize>,
    /// Tree of the decoders that propose cells: nodes (7), a shape (4x2x1) or auto
    #[arg(long, value_name = "NODES|SHAPE|auto", default_value = "4", long_help = concat!(
        "Tree of the decoders that propose cells\n", tree_forms!()))]
    tree: Tree,
    /// Text to draw
    #[arg(long, value_name = "PROMPT", default_value = "a red apple on a wooden table")]
    prompt: String,
    /// Random seed of the image
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write the figures as JSON
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
}

impl BenchModelArgs {
    fn effort(&self) -> Duration {
        Duration::try_from_secs_f64(self.effort).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Report {
    model: String,
    precision: String,
    isa: String,
    threads: usize,
    load: Load,
    weight_bytes: usize,
    read_gb_per_s: f64,
    peak_gop_per_s: f64,
    committed_tokens: usize,
    passes: Vec<Row>,
    decoders: Vec<Decoded>,
    peak_gb: Option<f64>,
}

#[derive(Serialize)]
struct Load {
    seconds: f64,
    /// The first pass reads every weight, from disk if the file is mapped.
    first_pass_seconds: f64,
    peak_gb: Option<f64>,
}

/// The first cells of an image by one decoder.
#[derive(Serialize)]
struct Decoded {
    decoder: String,
    cells: usize,
    /// Target passes after prefill.
    passes: usize,
    seconds: f64,
    prefill_seconds: f64,
    cells_per_second: f64,
    /// Whether its cells equal those of plain decoding.
    same: bool,
}

pub(crate) fn run(args: &BenchModelArgs) -> Result<()> {
    let mut files = Files::default();
    files.reads_model("--model", &args.load.model.source()?);
    files.reads_heads("--heads", args.heads.as_deref());
    let json = files.writes_report("--json", args.json.as_ref())?;
    let start = Instant::now();
    if let Some(engine) = args.device.load_on_gpu(args.load.model.source()?, args.load.options()?)? {
        return on_gpu(engine, args, start.elapsed(), json);
    }
    let begin = Instant::now();
    let engine = Engine::load(args.load.model.source()?, args.load.options()?)?;
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = engine.cpu()?;
    let (target, threads, precision) = (cpu.target(), cpu.threads(), engine.precision());
    let codes = engine.config().layout.code_ids();
    let first_pass_seconds = first_pass(target, threads, &codes)?;
    let load = Load { seconds, first_pass_seconds, peak_gb: peak_gb() };
    let name = args.load.model.name();
    say(format_args!("{name}, {precision}, {} on {} threads", Isa::detect(), engine.threads()));
    say(format_args!(
        "loaded in {seconds:.1} s, first pass {first_pass_seconds:.1} s, {:.2} GB in memory, peak {}",
        target.memory_bytes() as f64 / 1e9,
        in_gb(load.peak_gb)
    ));

    let cost = target.pass_cost(codes.clone());
    let before = Ceilings::measure(threads, precision, cost.bytes);
    let times = time_passes(target, threads, &codes, &args.rows, args.effort())?;
    let ceilings = before.or_better(Ceilings::measure(threads, precision, cost.bytes));
    let passes = rows_of(&times, ceilings, cost);
    say(format_args!(
        "\n{:.2} GB of weights per pass, read at {:.1} GB/s; peak {:.0} Gop/s; {COMMITTED} committed tokens per stream",
        cost.bytes as f64 / 1e9,
        ceilings.bytes_per_s / 1e9,
        ceilings.operations_per_s / 1e9
    ));
    print_rows(&passes);

    let engine = with_heads(engine, args.heads.as_deref())?;
    let decoders = decode(&engine, args)?;
    let report = Report {
        model: name,
        precision: precision.to_string(),
        isa: Isa::detect().to_string(),
        threads: engine.threads(),
        load,
        weight_bytes: cost.bytes,
        read_gb_per_s: ceilings.bytes_per_s / 1e9,
        peak_gop_per_s: ceilings.operations_per_s / 1e9,
        committed_tokens: COMMITTED,
        passes,
        decoders,
        peak_gb: peak_gb(),
    };
    say(format_args!("\npeak memory {}", in_gb(report.peak_gb)));
    json.map_or(Ok(()), |json| json.write_json(&report))?;
    all_the_same(&report.decoders)
}

/// Refuses decoders whose cells are not those of plain decoding.
fn all_the_same(decoders: &[Decoded]) -> Result<()> {
    match decoders.iter().find(|decoded| !decoded.same) {
        Some(Decoded { decoder, .. }) => {
            Err(Error::environment("the cells of a decoder differ from those of plain decoding").at(decoder))
        }
        None => Ok(()),
    }
}

/// A model on a GPU.
#[derive(Serialize)]
struct GpuReport {
    model: String,
    precision: String,
    device: String,
    load_seconds: f64,
    weight_bytes: usize,
    committed_tokens: usize,
    passes: Vec<GpuRow>,
    decoders: Vec<Decoded>,
    /// Of this machine, beside what the GPU has.
    peak_gb: Option<f64>,
}

/// Measures a model that was loaded onto a GPU. What a GPU can read and multiply is on its data sheet.
fn on_gpu(engine: Engine, args: &BenchModelArgs, load: Duration, json: Option<Output>) -> Result<()> {
    let (name, codes) = (args.load.model.name(), engine.config().layout.code_ids());
    say(format_args!("{name}, {}, {}", engine.precision(), engine.device()));
    say(format_args!("loaded in {:.1} s, peak memory of this machine {}", load.as_secs_f64(), in_gb(peak_gb())));
    check_backend(engine.backend(), &codes, CHECKED_ROWS)?;
    let times = time_backend(engine.backend(), &codes, &args.rows, args.effort())?;
    let weight_bytes = engine.backend().cost(codes).bytes;
    let passes = GpuRow::of(&times, weight_bytes);
    say(format_args!(
        "\n{:.2} GB of weights per pass; {COMMITTED} committed tokens per stream",
        weight_bytes as f64 / 1e9
    ));
    GpuRow::print_all(&passes);
    let engine = with_heads(engine, args.heads.as_deref())?;
    let decoders = decode(&engine, args)?;
    let report = GpuReport {
        model: name,
        precision: engine.precision().to_string(),
        device: engine.device().to_owned(),
        load_seconds: load.as_secs_f64(),
        weight_bytes,
        committed_tokens: COMMITTED,
        passes,
        decoders,
        peak_gb: peak_gb(),
    };
    json.map_or(Ok(()), |json| json.write_json(&report))?;
    all_the_same(&report.decoders)
}

/// Seconds of one pass over one row.
fn first_pass(target: &Target, threads: &Threads, codes: &Range<usize>) -> Result<f64> {
    let limits = PassLimits { rows: 1, readouts: 1, tokens: 1, vocabulary: codes.len() };
    let (mut workspace, mut streams) = (target.workspace(limits)?, [target.stream(1)?]);
    streams[0].rows.push(TokenId(codes.start as u32), None, Readout::Logits);
    let begin = Instant::now();
    target.forward(threads, &mut workspace, &mut streams, codes.clone())?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Plain decoding, then every decoder that the engine has heads for.
fn decode(engine: &Engine, args: &BenchModelArgs) -> Result<Vec<Decoded>> {
    let decoders = [Decoder::AR, Decoder::SCD, Decoder::SOAR, Decoder::MEDUSA, Decoder::HAWK_VERTICAL, Decoder::HAWK];
    let wanted = decoders.into_iter().filter(|decoder| engine.heads().is_some() || !decoder.needs_heads());
    say("\ndecoder        cells passes  seconds  cells/s  as plain decoding");
    let (mut plain, mut all) = (Vec::new(), Vec::new());
    for decoder in wanted {
        let (codes, mut decoded) = first_cells(engine, args, decoder)?;
        if decoder == Decoder::AR {
            plain = codes;
        } else {
            decoded.same = codes == plain;
        }
        say(format_args!(
            "{:14} {:5} {:6} {:8.1} {:8.2}  {}",
            decoded.decoder,
            decoded.cells,
            decoded.passes,
            decoded.seconds,
            decoded.cells_per_second,
            if decoded.same { "the same" } else { "DIFFERENT" }
        ));
        all.push(decoded);
    }
    Ok(all)
}

/// Draws the first cells of an image and stops.
fn first_cells(engine: &Engine, args: &BenchModelArgs, decoder: Decoder) -> Result<(Vec<Code>, Decoded)> {
    let decoding = if decoder == Decoder::AR {
        Decoding::with_defaults(decoder, Rule::Replay)
    } else {
        Decoding::new(decoder, Rule::Replay, args.tree)?
    };
    let request = Request {
        prompt: args.prompt.clone(),
        seed: Seed(args.seed),
        images: 0..1,
        sampling: engine.config().defaults,
        decoding,
        batch: 1,
    };
    let (mut cells, mut passes) = (Vec::new(), 0);
    let (start, mut begin) = (Instant::now(), None);
    engine.generate(&request, &mut |event| {
        match event {
            Event::PrefillDone { .. } => begin = Some(Instant::now()),
            Event::CellsCommitted { codes, .. } => {
                cells.extend_from_slice(codes);
                passes += 1;
            }
            _ => {}
        }
        if cells.len() < args.cells.get() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let begin = begin.unwrap_or(start);
    let (seconds, drawn) = (begin.elapsed().as_secs_f64(), cells.len());
    cells.truncate(args.cells.get());
    let decoded = Decoded {
        decoder: decoder.to_string(),
        cells: drawn,
        passes,
        seconds,
        prefill_seconds: (begin - start).as_secs_f64(),
        cells_per_second: drawn as f64 / seconds,
        same: true,
    };
    Ok((cells, decoded))
}

/// The peak memory of the process in GB, where the system reports it.
fn peak_gb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kilobytes.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0 / 1e9)
}

fn in_gb(bytes: Option<f64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), |gb| format!("{gb:.2} GB"))
}
