//! `hawk bench decoders`: decoders draw the same images in turn.

use std::time::Duration;

use hawk::{Decoder, Decoding, Engine, Error, Precision, Result, Seed, TreeShape};
use hawk_bench::{Machine, Plan, Report, Row, Settings, compare, draw};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{BenchDecodersArgs, equip};
use crate::{files, say};

/// What is drawn where no prompts are given: captions in the styles of the model inside the program.
const PROMPTS: [&str; 12] = [
    "red apple, fluent 3d style",
    "snowman, fluent flat style",
    "pizza, fluent 3d style",
    "octopus, fluent flat style",
    "grinning face, fluent 3d style",
    "castle, fluent flat style",
    "sunflower, fluent 3d style",
    "guitar, fluent flat style",
    "whale, fluent 3d style",
    "balloon, fluent flat style",
    "cat, fluent 3d style",
    "birthday cake, fluent flat style",
];

/// Node budgets of decoders that rank their guesses by laws.
const BUDGETS: &[usize] = &[2, 4, 8, 16, 32];
/// Node budgets of a decoder whose guesses are copies: more of them add little.
const COPY_BUDGETS: &[usize] = &[2, 4, 8];

pub(crate) fn run(args: &BenchDecodersArgs) -> Result<()> {
    let contenders = contenders(args)?;
    let prompts = match &args.prompts {
        Some(path) => files::read_prompts(path)?,
        None => PROMPTS.map(str::to_owned).to_vec(),
    };
    if prompts.is_empty() {
        return Err(Error::input("there is nothing to draw").expected("a prompt a line in the file of --prompts"));
    }
    for file in [&args.json, &args.html].into_iter().flatten() {
        files::check_writable(file)?;
    }
    let mut report: Option<Report> = None;
    for &precision in &args.precisions {
        let (engine, plan) = load(args, precision, &prompts, &contenders)?;
        let rows = measure(&engine, &plan)?;
        match &mut report {
            Some(report) => report.rows.extend(rows),
            None => {
                let settings = Settings::new(&engine, args.model.name(), &plan)?;
                report = Some(Report { rows, settings, machine: Machine::here(&engine) });
            }
        }
    }
    let report = report.ok_or_else(|| Error::input("there is nothing to compare").expected("a --precision"))?;
    print(&report);
    if let Some(file) = &args.json {
        files::write_json(file, &report)?;
    }
    args.html.as_deref().map_or(Ok(()), |file| files::write(file, report.page()?.as_bytes()))
}

/// Every decoder under every rule with every budget.
fn contenders(args: &BenchDecodersArgs) -> Result<Vec<Decoding>> {
    let heads = args.heads.is_some() || args.model.source()?.contains("heads/config.json");
    let possible = Decoder::ALL.into_iter().filter(|decoder| heads || !decoder.needs_heads());
    let decoders = if args.decoders.is_empty() { possible.collect() } else { args.decoders.clone() };
    let mut contenders = Vec::new();
    for &rule in &args.rules {
        for &decoder in &decoders {
            for &nodes in budgets(args, decoder) {
                contenders.push(Decoding::new(decoder, rule, TreeShape::Budget(nodes))?);
            }
        }
    }
    Ok(contenders)
}

fn budgets(args: &BenchDecodersArgs, decoder: Decoder) -> &[usize] {
    match decoder {
        Decoder::AR => &[1],
        _ if !args.budgets.is_empty() => &args.budgets,
        Decoder::NEIGHBOUR => COPY_BUDGETS,
        _ => BUDGETS,
    }
}

fn load(
    args: &BenchDecodersArgs,
    precision: Precision,
    prompts: &[String],
    contenders: &[Decoding],
) -> Result<(Engine, Plan)> {
    let engine = equip(Engine::load(args.model.source()?, args.model.options(precision))?, args.heads.as_deref())?;
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

fn measure(engine: &Engine, plan: &Plan) -> Result<Vec<Row>> {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  eta {eta}");
    let bar =
        ProgressBar::new(plan.drawings() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let measured = compare(plan, &mut |request| draw(engine, request), &mut |decoding| {
        let (decoder, rule, nodes) = (decoding.decoder(), decoding.rule(), decoding.shape().nodes());
        bar.set_message(format!("{} {decoder}, {rule}, {nodes} nodes", engine.precision()));
        bar.inc(1);
    });
    bar.finish_and_clear();
    Ok(measured?.iter().map(|measured| Row::new(measured, engine)).collect())
}

fn print(report: &Report) {
    let threads = report.machine.threads;
    say(format_args!(
        "{} images each, batch 1, {threads} threads, {}",
        report.settings.turns.len(),
        report.machine.isa
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
