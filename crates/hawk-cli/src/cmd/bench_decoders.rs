//! `hawk bench decoders`: decoders compared on the same images.

use std::path::PathBuf;

use hawk::{
    AnyRule, Decoder, Decoding, Engine, Error, PROMPTS, Precision, Request, Result, Rule, Seed, Tree, TreeShape,
};
use hawk_bench::{Machine, Plan, Prompt, Report, Row, Settings, compare, draw};

use crate::args::{DeviceArgs, ModelArgs, budget, decoder, precision, rule, with_heads};
use crate::inputs;
use crate::interrupt;
use crate::output::files::Files;
use crate::output::{note, progress, say};

/// Node budgets of decoders that rank candidates by probability.
const BUDGETS: &[Tree] = &[nodes(2), nodes(4), nodes(8), nodes(16), nodes(32)];
/// Node budgets of a decoder that proposes copies, of which it has few.
const COPY_BUDGETS: &[Tree] = &[nodes(2), nodes(4), nodes(8)];

const fn nodes(nodes: usize) -> Tree {
    Tree::Shape(TreeShape::Budget(nodes))
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk bench decoders --images 8 --json bench.json --html bench.html
  hawk bench decoders --decoder hawk,medusa --rule replay --budget 4,8,auto --precision bf16,int8
  hawk bench decoders --model Janus-Pro-1B --heads heads/ --prompts captions.txt --images 4
  hawk bench decoders --prompts landscapes.txt,things.txt --images 32 --by-row
  hawk bench decoders --decoder scd,soar --variants --rule replay --budget 4,16

Every decoder's images are compared with those of plain decoding before a time counts.

docs/benchmarks.md explains every column.")]
pub(crate) struct BenchDecodersArgs {
    /// Files with one prompt per line, each a kind of pictures; - is standard input
    /// [default: twelve captions of the built-in model]
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    prompts: Vec<PathBuf>,
    /// Images that every decoder draws
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Seed of the first image; the next image has the next seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Decoders besides plain decoding, such as hawk,medusa [default: all that the model supports]
    #[arg(long = "decoder", value_delimiter = ',', value_parser = decoder())]
    decoders: Vec<Decoder>,
    /// Compare also decoders that are scd or soar with one part off or changed
    #[arg(long)]
    variants: bool,
    /// Verification rules, such as replay,typical
    #[arg(long = "rule", default_values = ["replay", "rejection"], value_delimiter = ',', value_parser = rule())]
    rules: Vec<AnyRule>,
    /// Largest numbers of tree nodes, such as 4,8,auto; auto tunes them, for the rule replay
    /// [default: 2,4,8,16,32; neighbour 2,4,8]
    #[arg(long = "budget", value_name = "NODES|auto", value_delimiter = ',', value_parser = budget)]
    budgets: Vec<Tree>,
    /// Print also the tokens per pass in every row of the grid
    #[arg(long)]
    by_row: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
    /// Write a page of tables, plots and images
    #[arg(long, value_name = "F.html")]
    html: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Number formats of the weights, such as bf16,int8
    #[arg(long = "precision", default_value = "bf16", value_delimiter = ',', value_parser = precision())]
    precisions: Vec<Precision>,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
}

pub(crate) fn run(args: &BenchDecodersArgs) -> Result<()> {
    let contenders = contenders(args)?;
    let prompts = prompts(args)?;
    let mut files = Files::default();
    args.prompts.iter().for_each(|file| files.reads("--prompts", file));
    files.reads_model("--model", &args.model.source()?);
    files.reads_heads("--heads", args.heads.as_deref());
    let json = files.writes_report("--json", args.json.as_ref())?;
    let html = files.writes_report("--html", args.html.as_ref())?;
    interrupt::watch()?;
    let mut report: Option<Report> = None;
    for &precision in &args.precisions {
        let (engine, plan) = load(args, precision, &prompts, &contenders)?;
        // What is measured in part is not compared.
        let Some(rows) = measure(&engine, &plan)? else { break };
        match &mut report {
            Some(report) => report.rows.extend(rows),
            None => {
                let settings = Settings::new(&engine, args.model.name(), &plan)?;
                report = Some(Report { rows, settings, machine: Machine::here(&engine) });
            }
        }
    }
    let Some(report) = report else {
        let nothing = Error::input("there is nothing to compare").expected("at least one --precision");
        return if interrupt::came() { Ok(()) } else { Err(nothing) };
    };
    print(&report);
    print_kinds(&report);
    if args.by_row {
        print_rows(&report);
    }
    if let Some(json) = json {
        json.write_json(&report)?;
    }
    html.map_or(Ok(()), |html| html.write(report.page()?.as_bytes()))
}

/// The prompts of all files in turn: the first of each, the second of each, and so on. The file is their
/// kind where there are several.
fn prompts(args: &BenchDecodersArgs) -> Result<Vec<Prompt>> {
    if args.prompts.is_empty() {
        return Ok(PROMPTS.iter().map(|&text| text.to_owned().into()).collect());
    }
    let mut kinds = Vec::new();
    for path in &args.prompts {
        let texts = inputs::read_prompts(path)?;
        if texts.is_empty() {
            return Err(Error::input("no prompts: there is nothing to draw")
                .at(path.display())
                .expected("one prompt per line in the file of --prompts"));
        }
        let kind = (args.prompts.len() > 1).then(|| path.with_extension("").display().to_string());
        kinds.push(texts.into_iter().map(move |text| Prompt { text, kind: kind.clone() }));
    }
    let mut prompts = Vec::new();
    loop {
        let before = prompts.len();
        prompts.extend(kinds.iter_mut().filter_map(Iterator::next));
        if prompts.len() == before {
            return Ok(prompts);
        }
    }
}

/// Every decoder with every rule and every budget.
fn contenders(args: &BenchDecodersArgs) -> Result<Vec<Decoding>> {
    let heads = args.heads.is_some() || args.model.source()?.contains("heads/config.json");
    let possible = Decoder::all().filter(|decoder| heads || !decoder.needs_heads());
    let mut decoders: Vec<Decoder> = if args.decoders.is_empty() { possible.collect() } else { args.decoders.clone() };
    if args.variants {
        decoders = decoders.iter().flat_map(|&of| [&[of], of.variants()].concat()).collect();
    }
    let mut contenders = Vec::new();
    for &rule in &args.rules {
        for &decoder in &decoders {
            for &tree in budgets(args, decoder) {
                if tree == Tree::Auto && rule != AnyRule::Exact(Rule::Replay) {
                    note(format_args!(
                        "note: {decoder} is not autotuned under the rule {rule}: its images depend on the trees"
                    ));
                    continue;
                }
                contenders.push(Decoding::new(decoder, rule, tree)?);
            }
        }
    }
    Ok(contenders)
}

fn budgets(args: &BenchDecodersArgs, decoder: Decoder) -> &[Tree] {
    if decoder == Decoder::AR {
        const { &[nodes(1)] }
    } else if !args.budgets.is_empty() {
        &args.budgets
    } else if decoder == Decoder::NEIGHBOUR {
        COPY_BUDGETS
    } else {
        BUDGETS
    }
}

fn load(
    args: &BenchDecodersArgs,
    precision: Precision,
    prompts: &[Prompt],
    contenders: &[Decoding],
) -> Result<(Engine, Plan)> {
    let engine =
        with_heads(args.device.load(args.model.source()?, args.model.options(precision))?, args.heads.as_deref())?;
    let plan = Plan {
        prompts: prompts.to_vec(),
        seed: Seed(args.seed),
        images: args.images as usize,
        sampling: engine.config().defaults,
        contenders: contenders.to_vec(),
    };
    for turn in plan.turns() {
        engine.conditioning(&turn.prompt).map_err(|e| e.at(format!("prompt {:?}", turn.prompt)))?;
    }
    Ok((engine, plan))
}

/// The rows of a precision; none where the run was interrupted.
fn measure(engine: &Engine, plan: &Plan) -> Result<Option<Vec<Row>>> {
    let bar = progress::steady_bar(plan.drawings() as u64, "{bar:30} {percent:>3} %  {msg}  eta {eta}");
    let mut draw = |request: &Request| match interrupt::came() {
        true => Err(Error::environment("interrupted")),
        false => draw(engine, request),
    };
    let measured = compare(plan, &mut draw, &mut |decoding| {
        let (decoder, rule, tree) = (decoding.decoder(), decoding.rule(), decoding.tree());
        bar.set_message(format!("{} {decoder}, {rule}, {tree} nodes", engine.precision()));
        bar.inc(1);
    });
    bar.finish_and_clear();
    match measured {
        Err(_) if interrupt::came() => Ok(None),
        measured => Ok(Some(measured?.iter().map(|measured| Row::new(measured, plan, engine)).collect())),
    }
}

fn print(report: &Report) {
    let threads = report.machine.threads;
    say(format_args!(
        "{} images each, batch 1, {threads} threads, {}, device {}",
        report.settings.turns.len(),
        report.machine.isa,
        report.machine.device
    ));
    say(format_args!(
        "precision  rule       decoder        nodes  speed-up  {:14}  tokens/pass  ms/pass   draft  target  verify  images/s",
        "(quartiles)"
    ));
    for row in &report.rows {
        let spread = &row.speedup_spread;
        say(format_args!(
            "{:9}  {:9}  {:13}  {:5}  {:8.2}  ({:.2} to {:.2})  {:11.3}  {:7.2}  {:6.2}  {:6.2}  {:6.2}  {:8.2}{}",
            row.precision,
            row.rule,
            row.decoder,
            row.budget,
            row.speedup,
            spread.q1,
            spread.q3,
            row.acceptance_length,
            row.ms_per_pass,
            row.pass_parts.draft_ms,
            row.pass_parts.target_ms,
            row.pass_parts.verify_ms,
            row.images_per_s,
            if row.exact { "" } else { "  changes the law" },
        ));
    }
}

/// Precision, rule, decoder and nodes of a row.
fn contender(row: &Row) -> String {
    format!("{:9}  {:9}  {:13}  {:5}", row.precision, row.rule, row.decoder, row.budget)
}

fn print_kinds(report: &Report) {
    if report.rows.iter().all(|row| row.by_kind.is_empty()) {
        return;
    }
    say("\nprecision  rule       decoder        nodes  speed-up  (quartiles)     least  tokens/pass  images  kind");
    for row in &report.rows {
        for of in &row.by_kind {
            let spread = &of.speedup_spread;
            say(format_args!(
                "{}  {:8.2}  ({:.2} to {:.2})  {:5.2}  {:11.3}  {:6}  {}",
                contender(row),
                spread.median,
                spread.q1,
                spread.q3,
                spread.min,
                of.acceptance_length,
                of.images,
                of.kind,
            ));
        }
    }
}

fn print_rows(report: &Report) {
    say("\ntokens per pass in the rows of the grid, from the top; - where every cell was an accepted guess");
    for row in &report.rows {
        let lengths = row.acceptance_length_by_row.iter();
        let lengths = lengths.map(|length| length.map_or("-".to_owned(), |length| format!("{length:.2}")));
        say(format_args!("{}  {}", contender(row), lengths.collect::<Vec<_>>().join(" ")));
    }
}
