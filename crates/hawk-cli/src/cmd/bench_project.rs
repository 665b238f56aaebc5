//! `hawk bench project`: what recorded acceptance would bring on other devices.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hawk::{Precision, Result};
use hawk_bench::project::{Device, Overlap, Projected, Shape, Speed, Trace, project};
use hawk_bench::step::{Ceilings, region_ms};
use hawk_files::TransformerConfig;
use hawk_kernels::{Isa, Threads};
use hawk_nn::PassCost;
use hawk_synth::SynthModel;
use serde::Serialize;

use super::bench_step::code_ids;
use crate::args::ModelArgs;
use crate::inputs;
use crate::output::files::Files;
use crate::output::say;

/// Time to measure an empty parallel region.
const REGION_EFFORT: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk bench project bench.json --model grown-1b/ --device here
  hawk bench project bench.json --shape lumina-mgpt-7b --device h100,rtx-3090

A projection is no measurement. It takes tokens per pass from the recorded run, and the time of a pass from \
a data sheet: 0.8 of the bandwidth, 0.6 of the peak, and the time between kernels. Drafts and verification are taken \
to cost nothing. A model of another shape can accept more or less. The device `here` is measured, and its \
projected passes are shown beside the recorded ones.

docs/benchmarks.md has the formula.")]
pub(crate) struct BenchProjectArgs {
    /// Report of `hawk bench decoders --json`
    #[arg(value_name = "BENCH.json")]
    trace: PathBuf,
    /// Devices, such as h100,rtx-3090 [default: all but here]
    #[arg(long = "device", value_delimiter = ',', value_name = "NAME", value_parser = device())]
    devices: Vec<Place>,
    /// Public model whose shape a pass has [default: the shape of --model]
    #[arg(long, value_name = "FAMILY-SIZE", conflicts_with = "model", value_parser = shape())]
    shape: Option<SynthModel>,
    /// Write the figures as JSON
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// Where passes run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// This machine, measured.
    Here,
    Device(Device),
}

const HERE: &str = "here";

fn device() -> impl TypedValueParser<Value = Place> {
    let known = Device::ALL.map(|device| PossibleValue::new(device.name).help(device.title));
    let here = PossibleValue::new(HERE).help("this machine, measured now");
    PossibleValuesParser::new(known.into_iter().chain([here]))
        .map(|name| Device::ALL.into_iter().find(|device| device.name == name).map_or(Place::Here, Place::Device))
}

fn shape() -> impl TypedValueParser<Value = SynthModel> {
    PossibleValuesParser::new(SynthModel::ALL.map(SynthModel::name)).try_map(|name| name.parse())
}

#[derive(Serialize)]
struct Report {
    /// So that no reader takes it for a measurement.
    projection: bool,
    recorded_model: String,
    shape: String,
    weights: f64,
    devices: Vec<DeviceReport>,
}

#[derive(Serialize)]
struct DeviceReport {
    device: String,
    precision: String,
    rows: Vec<Projected>,
    /// For this machine: the recorded time of the target's passes beside each row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recorded_ms: Vec<f64>,
}

pub(crate) fn run(args: &BenchProjectArgs) -> Result<()> {
    let mut files = Files::default();
    files.reads("BENCH.json", &args.trace);
    let json = files.writes_report("--json", args.json.as_ref())?;
    let trace = Trace::from_json(&inputs::read(&args.trace)?).map_err(|e| e.at(args.trace.display()))?;
    let (name, shape) = match args.shape {
        Some(model) => (model.name().to_owned(), Shape::of_public(model)),
        None => (args.model.name(), of_model(&args.model)?),
    };
    say(format_args!(
        "PROJECTION, not a measurement: acceptance of {}, passes of {name} ({:.2} billion weights)",
        trace.model(),
        shape.weights / 1e9
    ));
    let places = match &args.devices[..] {
        [] => Device::ALL.map(Place::Device).to_vec(),
        devices => devices.to_vec(),
    };
    let mut devices = Vec::new();
    for place in places {
        for precision in trace.precisions() {
            let Some(speed) = place.speed(precision, &shape, args) else { continue };
            let rows = project(&trace, &shape, precision, &speed);
            let recorded = rows.iter().filter(|_| place == Place::Here);
            let recorded_ms = recorded.map(|row| row.recorded_ms).collect();
            let device = DeviceReport { device: place.name(), precision: precision.to_string(), rows, recorded_ms };
            device.print(place, &speed);
            devices.push(device);
        }
    }
    let report = Report {
        projection: true,
        recorded_model: trace.model().to_owned(),
        shape: name,
        weights: shape.weights,
        devices,
    };
    json.map_or(Ok(()), |json| json.write_json(&report))
}

fn of_model(model: &ModelArgs) -> Result<Shape> {
    let source = model.source()?;
    let config = TransformerConfig::from_json(&source.read("config.json")?)?;
    Ok(Shape::new(&config, code_ids(&source, &config)?.len()))
}

impl Place {
    fn name(self) -> String {
        match self {
            Self::Here => HERE.to_owned(),
            Self::Device(device) => device.name.to_owned(),
        }
    }

    /// None where the device has no data for a precision.
    fn speed(self, precision: Precision, shape: &Shape, args: &BenchProjectArgs) -> Option<Speed> {
        match self {
            Self::Device(device) => device.speed(precision),
            Self::Here => Some(measured(precision, shape, args)),
        }
    }
}

/// Measures how fast the threads of this machine read and multiply.
fn measured(precision: Precision, shape: &Shape, args: &BenchProjectArgs) -> Speed {
    let threads = Threads::new(args.model.options(precision).threads);
    let cost = PassCost { bytes: shape.weight_bytes(precision) as usize, weights: shape.weights as usize };
    let ceilings = Ceilings::measure(&threads, precision, cost.bytes);
    Speed {
        bytes_per_s: ceilings.bytes_per_s,
        operations_per_s: ceilings.operations_per_s,
        launch_s: region_ms(&threads, REGION_EFFORT) / 1e3,
        overlap: Overlap::Partly,
    }
}

impl DeviceReport {
    fn print(&self, place: Place, speed: &Speed) {
        let title = match place {
            Place::Here => format!("this machine, {}", Isa::detect()),
            Place::Device(device) => device.title.to_owned(),
        };
        say(format_args!(
            "\n{} {}: {title}; used: {:.0} GB/s, {:.2} Top/s",
            self.device,
            self.precision,
            speed.bytes_per_s / 1e9,
            speed.operations_per_s / 1e12
        ));
        let beside = if self.recorded_ms.is_empty() { "" } else { "  recorded ms  error" };
        say(format_args!("decoder        rule       nodes  tokens/pass  ms/pass  t(n)/t(1)  speed-up{beside}"));
        for (at, row) in self.rows.iter().enumerate() {
            let beside = self
                .recorded_ms
                .get(at)
                .map_or(String::new(), |ms| format!("  {ms:11.2}  {:+4.0} %", 100.0 * (row.pass_ms / ms - 1.0)));
            say(format_args!(
                "{:13}  {:9}  {:5}  {:11.3}  {:7.2}  {:9.2}  {:8.2}{beside}",
                row.decoder,
                row.rule,
                row.nodes,
                row.tokens_per_pass,
                row.pass_ms,
                row.pass_ms / row.plain_ms,
                row.speedup
            ));
        }
    }
}
