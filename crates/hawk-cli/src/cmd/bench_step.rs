//! `hawk bench step`: times of whole target passes against the roofline.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use hawk::{Engine, ModelSource, Result};
use hawk_bench::step::{
    COMMITTED, CachedRow, Ceilings, PartsRow, PassTimes, cached_products, check_backend, check_bits, reading_ms,
    synthetic, time_backend, time_parts, time_passes,
};
use hawk_files::{Checkpoint, HawkConfig, TransformerConfig};
use hawk_kernels::{Isa, Precision, Threads};
use hawk_nn::{PassCost, Target};
use serde::Serialize;

use crate::args::{DeviceArgs, ModelArgs, precision};
use crate::interrupt;
use crate::output::files::Files;
use crate::output::say;

const ROWS: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// On a GPU.
const GPU_ROWS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Rows whose bits are compared. More would take longer than the timing.
pub(super) const CHECKED_ROWS: usize = 8;
const SEED: u64 = 1;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk bench step
  hawk bench step --precision int8 --effort-ms 3000 --json step.json
  hawk bench step --model Janus-Pro-1B --precision bf16

A synthetic model of hidden size 512 with 8 layers is measured first, then the model of --model.

The roofline bound of a pass is the larger of two times: reading its weights at the measured bandwidth, \
and computing its operations at the measured peak. A column /bound is the ratio of the column before \
to it; 1 is the best possible. The column /2 rows is the ratio of the medians to two rows: what a pass over a \
tree costs, compared with plain decoding with guidance.

On a GPU only the model of --model is measured, in bf16 unless --precision says otherwise: the time of a pass with the \
best code of each row read back, and the bytes of the weights over it.

With --parts a second table follows: medians of the time in products with weights, in attention and in \
norms, and what as many empty parallel regions take. A third one has products of one matrix whose weights stay \
in the second-level cache, on one thread: how near the arithmetic alone comes to the peak.")]
pub(crate) struct BenchStepArgs {
    /// Measure only this number format [default: all]
    #[arg(long, value_parser = precision())]
    precision: Option<Precision>,
    /// Milliseconds of measurement for each number of rows
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    effort_ms: u64,
    /// Show also which part of a pass takes how long
    #[arg(long)]
    parts: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Serialize)]
struct Report {
    isa: String,
    threads: usize,
    committed_tokens: usize,
    tables: Vec<Table>,
}

/// One model in one precision.
#[derive(Serialize)]
struct Table {
    model: String,
    precision: String,
    weight_bytes: usize,
    weights: usize,
    /// Bandwidth of reading `weight_bytes` repeatedly, which is that of the caches if they fit.
    read_gb_per_s: f64,
    read_gb_per_s_one_thread: f64,
    /// Multiply-adds of the precision, two operations each.
    peak_gop_per_s: f64,
    peak_gop_per_s_one_thread: f64,
    /// Time to read the weights, keys and values of one stream and of two, in as many parallel regions as a pass has.
    reading_ms: [f64; 2],
    passes: Vec<Row>,
    /// Where the time goes, with --parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartsRow>,
    /// Products without reading from memory, with --parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cached_products: Vec<CachedRow>,
}

/// Passes over one number of rows.
#[derive(Serialize)]
pub(super) struct Row {
    rows: usize,
    passes: usize,
    bound_ms: f64,
    min_ms: f64,
    median_ms: f64,
    min_over_bound: f64,
    median_over_bound: f64,
    /// The median over that of two rows: plain decoding with guidance. None where two rows were not timed.
    median_over_two_rows: Option<f64>,
}

/// A model to measure.
struct Model {
    name: String,
    config: TransformerConfig,
    checkpoint: Checkpoint,
    /// The ids whose logits are computed: those of the codes.
    codes: Range<usize>,
}

pub(crate) fn run(args: &BenchStepArgs) -> Result<()> {
    let precision = args.precision.unwrap_or(Precision::Bf16);
    if let Some(engine) = args.device.load_on_gpu(args.model.source()?, args.model.options(precision))? {
        return on_gpu(&engine, args);
    }
    let threads = Threads::new(args.model.options(Precision::F32).threads);
    let mut files = Files::default();
    files.reads_model("--model", &args.model.source()?);
    let json = files.writes_report("--json", args.json.as_ref())?;
    let (config, checkpoint) = synthetic(SEED)?;
    let codes = 0..config.vocab;
    let models = [Model { name: "synthetic".to_owned(), config, checkpoint, codes }, Model::open(&args.model)?];
    let mut report = Report {
        isa: Isa::detect().to_string(),
        threads: threads.threads(),
        committed_tokens: COMMITTED,
        tables: Vec::new(),
    };
    say(format_args!("{} on {} threads, {COMMITTED} committed tokens per stream", report.isa, report.threads));
    interrupt::watch()?;
    for model in &models {
        for precision in Precision::ALL {
            let is = |only: Option<Precision>| only.is_none_or(|only| only == precision);
            if !interrupt::came() && is(args.precision) && is(model.checkpoint.packed_for()) {
                let table = measure(model, precision, &threads, args)?;
                table.print();
                report.tables.push(table);
            }
        }
    }
    json.map_or(Ok(()), |json| json.write_json(&report))
}

impl Model {
    fn open(args: &ModelArgs) -> Result<Self> {
        let source = args.source()?;
        let config = TransformerConfig::from_json(&source.read("config.json")?)?;
        let checkpoint = Checkpoint::open(&source, "")?;
        let codes = code_ids(&source, &config)?;
        Ok(Self { name: args.name(), config, checkpoint, codes })
    }
}

/// The ids whose logits a pass computes: those of the codes, or all of a model of text.
pub(super) fn code_ids(source: &ModelSource, config: &TransformerConfig) -> Result<Range<usize>> {
    let image = HawkConfig::of_model(source, config)?;
    Ok(image.map_or(config.readable(), |HawkConfig { layout, .. }| layout.code_ids()))
}

fn measure(model: &Model, precision: Precision, threads: &Threads, args: &BenchStepArgs) -> Result<Table> {
    let effort = Duration::from_millis(args.effort_ms);
    let target = Target::load(model.config.clone(), &model.checkpoint, precision)?;
    check_bits(&target, threads, model.codes.clone(), CHECKED_ROWS)?;
    let cost = target.pass_cost(model.codes.clone());
    let alone = Ceilings::measure(&Threads::new(1), precision, cost.bytes);
    let before = Ceilings::measure(threads, precision, cost.bytes);
    let times = time_passes(&target, threads, &model.codes, &ROWS, effort)?;
    let ceilings = before.or_better(Ceilings::measure(threads, precision, cost.bytes));
    let (parts, cached_products) = match args.parts {
        true => (
            time_parts(&target, threads, &model.codes, &ROWS, effort / 2)?,
            cached_products(precision, &ROWS, effort / 8),
        ),
        false => (Vec::new(), Vec::new()),
    };
    let reading = |streams| reading_ms(&target, threads, &model.codes, streams, effort / 4);
    Ok(Table {
        model: model.name.clone(),
        precision: precision.to_string(),
        weight_bytes: cost.bytes,
        weights: cost.weights,
        read_gb_per_s: ceilings.bytes_per_s / 1e9,
        read_gb_per_s_one_thread: alone.bytes_per_s / 1e9,
        peak_gop_per_s: ceilings.operations_per_s / 1e9,
        peak_gop_per_s_one_thread: alone.operations_per_s / 1e9,
        reading_ms: [reading(1)?, reading(2)?],
        passes: rows_of(&times, ceilings, cost),
        parts,
        cached_products,
    })
}

/// Passes of one model on a GPU.
#[derive(Serialize)]
struct GpuReport {
    device: String,
    model: String,
    precision: String,
    committed_tokens: usize,
    weight_bytes: usize,
    passes: Vec<GpuRow>,
}

/// Passes over one number of rows, the best code of each row read back.
#[derive(Serialize)]
pub(super) struct GpuRow {
    rows: usize,
    passes: usize,
    min_ms: f64,
    median_ms: f64,
    /// Weights over the median time.
    weight_gb_per_s: f64,
    /// The median over that of two rows. None where two rows were not timed.
    median_over_two_rows: Option<f64>,
}

impl GpuRow {
    /// Rows whose passes read so many bytes of weights.
    pub(super) fn of(times: &[PassTimes], weight_bytes: usize) -> Vec<Self> {
        let two_rows = times.iter().find(|times| times.rows == 2);
        let row = |times: &PassTimes| Self {
            rows: times.rows,
            passes: times.passes,
            min_ms: times.min_ms,
            median_ms: times.median_ms,
            weight_gb_per_s: weight_bytes as f64 / times.median_ms / 1e6,
            median_over_two_rows: two_rows.map(|two| times.median_ms / two.median_ms),
        };
        times.iter().map(row).collect()
    }

    pub(super) fn print_all(rows: &[Self]) {
        say("rows   min ms  median ms  /2 rows  GB/s of weights  passes");
        for row in rows {
            say(format_args!(
                "{:4} {:8.3} {:10.3} {:>8} {:16.1} {:7}",
                row.rows,
                row.min_ms,
                row.median_ms,
                over_two_rows(row.median_over_two_rows),
                row.weight_gb_per_s,
                row.passes
            ));
        }
    }
}

/// A ratio to two rows, empty where they were not timed.
fn over_two_rows(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

/// Measures the model of --model alone: what a GPU can read and multiply is on its data sheet.
fn on_gpu(engine: &Engine, args: &BenchStepArgs) -> Result<()> {
    let mut files = Files::default();
    files.reads_model("--model", &args.model.source()?);
    let json = files.writes_report("--json", args.json.as_ref())?;
    let (backend, codes) = (engine.backend(), engine.config().layout.code_ids());
    check_backend(backend, &codes, CHECKED_ROWS)?;
    let times = time_backend(backend, &codes, &GPU_ROWS, Duration::from_millis(args.effort_ms))?;
    let bytes = backend.cost(codes).bytes;
    let report = GpuReport {
        device: engine.device().to_owned(),
        model: args.model.name(),
        precision: engine.precision().to_string(),
        committed_tokens: COMMITTED,
        weight_bytes: bytes,
        passes: GpuRow::of(&times, bytes),
    };
    say(format_args!("{}, {COMMITTED} committed tokens per stream", report.device));
    say(format_args!("\n{} {}: {:.1} MB of weights", report.model, report.precision, bytes as f64 / 1e6));
    GpuRow::print_all(&report.passes);
    json.map_or(Ok(()), |json| json.write_json(&report))
}

/// Times with their roofline bounds.
pub(super) fn rows_of(times: &[PassTimes], ceilings: Ceilings, cost: PassCost) -> Vec<Row> {
    let two_rows = times.iter().find(|times| times.rows == 2);
    let row = |times: &PassTimes| {
        let bound_ms = ceilings.bound_ms(cost, times.rows);
        Row {
            rows: times.rows,
            passes: times.passes,
            bound_ms,
            min_ms: times.min_ms,
            median_ms: times.median_ms,
            min_over_bound: times.min_ms / bound_ms,
            median_over_bound: times.median_ms / bound_ms,
            median_over_two_rows: two_rows.map(|two| times.median_ms / two.median_ms),
        }
    };
    times.iter().map(row).collect()
}

pub(super) fn print_rows(rows: &[Row]) {
    say("rows bound ms   min ms /bound  median ms /bound /2 rows  passes");
    for row in rows {
        let over_two_rows = over_two_rows(row.median_over_two_rows);
        say(format_args!(
            "{:4} {:8.2} {:8.2} {:6.2} {:10.2} {:6.2} {:>7} {:7}",
            row.rows,
            row.bound_ms,
            row.min_ms,
            row.min_over_bound,
            row.median_ms,
            row.median_over_bound,
            over_two_rows,
            row.passes
        ));
    }
}

fn print_parts(parts: &[PartsRow]) {
    let Some(first) = parts.first() else { return };
    say("rows  pass ms  products attention  norms  products per row");
    for row in parts {
        say(format_args!(
            "{:4} {:8.2} {:9.2} {:9.2} {:6.2} {:17.3}",
            row.rows,
            row.pass_ms,
            row.products_ms,
            row.attention_ms,
            row.norms_ms,
            row.products_ms / row.rows as f64,
        ));
    }
    say(format_args!("its parallel regions, empty: {:.3} ms (contained in the parts)", first.regions_ms));
}

fn print_cached_products(rows: &[CachedRow]) {
    if rows.is_empty() {
        return;
    }
    say("products of 512 x 512 weights in the second-level cache, one thread\nrows  min us  Gop/s  of the peak");
    for row in rows {
        say(format_args!("{:4} {:7.1} {:6.0} {:10.1} %", row.rows, row.fastest_us, row.gop_per_s, 100.0 * row.of_peak));
    }
}

impl Table {
    fn print(&self) {
        say(format_args!(
            "\n{} {}: {:.1} MB of weights, read at {:.1} GB/s (one thread {:.1}); peak {:.0} Gop/s (one thread {:.0})",
            self.model,
            self.precision,
            self.weight_bytes as f64 / 1e6,
            self.read_gb_per_s,
            self.read_gb_per_s_one_thread,
            self.peak_gop_per_s,
            self.peak_gop_per_s_one_thread,
        ));
        print_rows(&self.passes);
        print_parts(&self.parts);
        print_cached_products(&self.cached_products);
        let [one, two] = self.reading_ms;
        say(format_args!(
            "reading weights, keys and values alone, in as many parallel regions: {one:.2} ms (one stream), {two:.2} ms (two)"
        ));
    }
}
