//! One precision under one rule.

use std::fmt::Write;

use hawk::{Image, Result};

use super::colour::{colour, guesses};
use crate::plot::{
    Axis, Bars, Lines, Point, Reference, Scale, Series, Stack, bars, data_uri, escape, figure, heat, lines, stacks,
};
use crate::report::{Budget, Report, Row};

/// Bins of the histogram; the last one holds what is longer.
const BINS: usize = 8;
/// Percentage of the decoder's colour in the background of an acceptance of one. Text stays
/// readable on it.
const STRONGEST: f64 = 55.0;
/// Widest image that is enlarged with its pixels as squares.
const SMALL: u32 = 128;
const PARTS: [&str; 5] = ["target", "draft", "verify", "commit", "prompt, pixels, memory"];

/// Rows of one precision and one rule.
pub(super) struct Group<'a> {
    pub(super) precision: &'a str,
    pub(super) rule: &'a str,
    pub(super) exact: bool,
    pub(super) rows: Vec<&'a Row>,
}

impl<'a> Group<'a> {
    /// Decoders that guess, each with its rows.
    fn decoders(&self) -> Vec<(&'a str, Vec<&'a Row>)> {
        let mut decoders: Vec<(&str, Vec<&Row>)> = Vec::new();
        for &row in self.rows.iter().filter(|row| guesses(row)) {
            match decoders.iter_mut().find(|(name, _)| *name == row.decoder) {
                Some((_, rows)) => rows.push(row),
                None => decoders.push((&row.decoder, vec![row])),
            }
        }
        decoders
    }

    /// The fastest row of those that guess.
    fn fastest(&self) -> Option<&'a Row> {
        let rows = self.rows.iter().copied().filter(|row| guesses(row));
        rows.max_by(|a, b| a.speedup.total_cmp(&b.speedup))
    }

    /// Every guessing decoder at the budget of the fastest row, or at its own nearest one.
    fn featured(&self) -> Vec<&'a Row> {
        let Some(fastest) = self.fastest() else { return Vec::new() };
        let distance = |row: &Row| match (row.budget, fastest.budget) {
            (Budget::Nodes(own), Budget::Nodes(wanted)) => own.abs_diff(wanted),
            (own, wanted) => {
                if own == wanted {
                    0
                } else {
                    usize::MAX
                }
            }
        };
        let nearest = |(_, rows): (&str, Vec<&'a Row>)| {
            rows.into_iter().min_by(|a, b| {
                // Beside an autotuned row, a decoder without one is shown at its best.
                distance(a).cmp(&distance(b)).then(b.speedup.total_cmp(&a.speedup)).then(a.budget.cmp(&b.budget))
            })
        };
        self.decoders().into_iter().filter_map(nearest).collect()
    }

    fn plain(&self) -> Option<&'a Row> {
        self.rows.iter().copied().find(|row| !guesses(row))
    }
}

pub(super) fn section(group: &Group<'_>, report: &Report) -> Result<String> {
    let (badge, words) = match group.rule {
        "replay" => (
            "<span class=\"badge\">exact: the same images</span>",
            "A guess is kept only where it is the very code that plain decoding draws there. Every image was compared \
             with plain decoding’s, code for code, before a time was counted, and all are the same.",
        ),
        _ if group.exact => (
            "<span class=\"badge\">exact: the same law</span>",
            "Speculative sampling: a guess is kept with a probability that leaves the model’s law as it is. Each decoder \
             draws images of its own, as likely as plain decoding’s.",
        ),
        _ => (
            "<span class=\"badge lossy\">changes the law</span>",
            "This rule keeps guesses that the model’s law would refuse. Its images follow another law than plain \
             decoding’s; its figures stand here for comparison only.",
        ),
    };
    let (precision, rule) = (escape(group.precision), escape(group.rule));
    let mut page = format!("<section>\n<h2>{precision}, rule {rule}{badge}</h2>\n<p>{words}</p>\n");
    page += &plots(group, report);
    page += &table(group, report);
    page += &maps(group, report);
    page += &tallies(group, report);
    page += &gallery(group, report)?;
    Ok(page + "</section>\n")
}

/// Decoder and budget, as captions name them.
fn named(row: &Row) -> String {
    if guesses(row) { format!("{}, {}", row.decoder, row.budget.words()) } else { "plain decoding".to_owned() }
}

fn plots(group: &Group<'_>, report: &Report) -> String {
    let featured = group.featured();
    if featured.is_empty() {
        return String::new();
    }
    let series = |point: fn(&Row) -> Option<Point>| -> Vec<Series<'_>> {
        let decoders = group.decoders().into_iter();
        // An autotuned row has no place on the axis; it stands in the table.
        let series = decoders.map(|(name, rows)| {
            let mut points: Vec<Point> = rows.into_iter().filter_map(point).collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            Series { name, class: colour(report, name), points }
        });
        series.filter(|series| !series.points.is_empty()).collect()
    };
    let speed = series(|row| {
        let spread = &row.speedup_spread;
        Some(Point { x: row.budget.nodes()? as f64, y: row.speedup, low: spread.q1, high: spread.q3 })
    });
    let length = series(|row| Some(Point::new(row.budget.nodes()? as f64, row.acceptance_length)));
    let nodes = Axis { label: "nodes of the tree", scale: Scale::Log2 };
    let plot = |title, label, series| {
        let (y, reference) = (Axis { label, scale: Scale::Linear }, Some(Reference { name: "plain", value: 1.0 }));
        lines(&Lines { title, x: nodes, y, series, reference })
    };
    let (speed, length) = (
        plot("Speed-up over plain decoding", "times as fast", speed),
        plot("Acceptance length", "cells a pass", length),
    );
    let plain = group.plain();
    let keys: String = (0..).zip(PARTS).map(|(part, name)| format!("<li class=\"p{part}\">{name}</li>")).collect();
    let times = time_parts(plain.iter().chain(&featured).copied(), report);
    let mut page = "<div class=\"plots\">\n".to_owned();
    page += &figure("Speed-up over plain decoding", "median of the paired images; whiskers: quartiles", &speed);
    page += &figure("Acceptance length", "cells committed a target pass; plain decoding has 1", &length);
    page += &figure(
        "How many cells a pass commits",
        "share of the passes, in percent",
        &(decoder_keys(&featured, report) + &histogram(&featured, report)),
    );
    page += &figure(
        "Where the time of an image goes",
        "mean over the images",
        &format!("<ul class=\"keys\">{keys}</ul>{times}"),
    );
    page + "</div>\n"
}

fn decoder_keys(rows: &[&Row], report: &Report) -> String {
    let key = |row: &&Row| format!("<li class=\"{}\">{}</li>", colour(report, &row.decoder), escape(&named(row)));
    format!("<ul class=\"keys\">{}</ul>", rows.iter().map(key).collect::<String>())
}

fn histogram<'a>(rows: &[&'a Row], report: &Report) -> String {
    let longest = rows.iter().map(|row| row.passes_by_cells.len().saturating_sub(1)).max().unwrap_or(1);
    let bins = longest.clamp(1, BINS);
    let names: Vec<String> =
        (1..=bins).map(|bin| if bin == BINS && longest > BINS { format!("{bin}+") } else { bin.to_string() }).collect();
    let of = |&row: &&'a Row| {
        let mut shares = vec![0.0; bins];
        for (cells, &passes) in row.passes_by_cells.iter().enumerate().skip(1) {
            shares[cells.min(bins) - 1] += passes as f64 / row.passes.max(1) as f64;
        }
        Bars { name: &row.decoder, class: colour(report, &row.decoder), shares }
    };
    let all: Vec<Bars<'_>> = rows.iter().map(of).collect();
    bars("Share of passes by committed cells", "cells committed by a pass", &names, &all)
}

fn time_parts<'a>(rows: impl Iterator<Item = &'a Row>, report: &Report) -> String {
    let stack = |row: &'a Row| {
        let parts = row.image_parts;
        let parts = vec![parts.target_ms, parts.draft_ms, parts.verify_ms, parts.commit_ms, parts.rest_ms];
        Stack { name: &row.decoder, class: colour(report, &row.decoder), parts }
    };
    stacks("Time of an image by parts", "ms", &PARTS, &rows.map(stack).collect::<Vec<_>>())
}

fn table(group: &Group<'_>, report: &Report) -> String {
    let best = group.fastest().map_or(f64::INFINITY, |row| row.speedup);
    let mut body = String::new();
    let mut before = "";
    for row in &group.rows {
        let spread = &row.speedup_spread;
        let first = if before == row.decoder { "" } else { " class=\"first\"" };
        before = &row.decoder;
        let bold = if guesses(row) && row.speedup >= best { " class=\"best\"" } else { "" };
        let _ = write!(
            body,
            "<tr{first}><th scope=\"row\" class=\"dot {}\">{}</th>",
            colour(report, &row.decoder),
            escape(&row.decoder)
        );
        let _ = write!(body, "<td>{}</td><td{bold}>{:.2}</td>", row.budget, row.speedup);
        let _ = write!(
            body,
            "<td><small>{:.2} – {:.2}</small></td><td>{:.3}</td>",
            spread.q1, spread.q3, row.acceptance_length
        );
        let _ =
            write!(body, "<td>{:.1}</td><td>{:.2}</td>", row.passes as f64 / row.images.max(1) as f64, row.ms_per_pass);
        for part in
            [row.pass_parts.draft_ms, row.pass_parts.target_ms, row.pass_parts.verify_ms, row.pass_parts.commit_ms]
        {
            let _ = write!(body, "<td>{part:.2}</td>");
        }
        let memory = row.draft_memory_share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let _ = writeln!(body, "<td>{:.2}</td><td>{memory}</td></tr>", row.images_per_s);
    }
    let heads = [
        "decoder",
        "nodes",
        "speed-up",
        "quartiles",
        "acceptance<br/>length",
        "passes<br/>an image",
        "ms<br/>a pass",
        "draft<br/>ms",
        "target<br/>ms",
        "verify<br/>ms",
        "commit<br/>ms",
        "images<br/>a second",
        "draft<br/>memory",
    ];
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!(
        "<div class=\"scroll\"><table class=\"figures\"><thead><tr>{heads}</tr></thead><tbody>\n{body}</tbody></table></div>\n"
    )
}

fn maps(group: &Group<'_>, report: &Report) -> String {
    let featured = group.featured();
    if featured.is_empty() {
        return String::new();
    }
    let highest = featured.iter().flat_map(|row| row.drafted_share.iter().flatten()).copied().fold(0.0, f64::max);
    let top = (highest * 10.0).ceil().max(1.0) / 10.0;
    let map = |row: &&Row| {
        let cells: usize = row.drafted_share.iter().map(Vec::len).sum();
        let mean = row.drafted_share.iter().flatten().sum::<f64>() / cells.max(1) as f64 * 100.0;
        let title = format!("Share of images in which a cell was an accepted guess: {}", named(row));
        let map = heat(&title, &colour(report, &row.decoder), &row.drafted_share, top);
        figure(&escape(&row.decoder), &format!("{}; {mean:.0} % of all cells", row.budget.words()), &map)
    };
    let maps: String = featured.iter().map(map).collect();
    format!(
        "<h3>Where guesses are accepted</h3>\n<p class=\"note\">The grid of cells as it lies in the image: the darker a \
         cell, the more of the images have an accepted guess there.</p>\n\
         <div class=\"ramp\">none<i></i>{:.0} % of the images</div>\n<div class=\"maps\">\n{maps}</div>\n",
        top * 100.0
    )
}

fn tallies(group: &Group<'_>, report: &Report) -> String {
    let featured = group.featured();
    let tables: String = featured.iter().map(|row| tally(row, &colour(report, &row.decoder))).collect();
    if tables.is_empty() {
        return String::new();
    }
    format!(
        "<h3>What each source’s guesses are worth</h3>\n<p class=\"note\">Percent of the tested guesses that were accepted, by \
         source (H: horizontal head, V: vertical head, left and above: copies) and by depth, in cells after the anchor; in \
         small type how many were tested.</p>\n\
         <div class=\"tallies\">\n{tables}</div>\n"
    )
}

fn tally(row: &Row, class: &str) -> String {
    let tested = || row.sources.iter().filter(|source| source.tested > 0);
    let depths = tested().map(|source| source.depth).max().unwrap_or(0);
    let mut names: Vec<&str> = Vec::new();
    for source in tested() {
        if !names.contains(&source.source.as_str()) {
            names.push(&source.source);
        }
    }
    let cell = |name: &str, depth: usize| match tested().find(|source| source.source == name && source.depth == depth) {
        Some(found) => {
            let share = found.accepted as f64 / found.tested as f64;
            let strength = share * STRONGEST;
            format!("<td style=\"--s:{strength:.0}%\">{:.0} <small>{}</small></td>", share * 100.0, found.tested)
        }
        None => "<td></td>".to_owned(),
    };
    let heads: String = (1..=depths).map(|depth| format!("<th scope=\"col\">{depth}</th>")).collect();
    let body: String = names
        .iter()
        .map(|name| {
            let cells: String = (1..=depths).map(|depth| cell(name, depth)).collect();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(name))
        })
        .collect();
    format!(
        "<figure class=\"{class}\"><figcaption class=\"dot\">{}</figcaption><div class=\"scroll\"><table><thead><tr>\
         <th scope=\"col\">depth</th>{heads}</tr></thead><tbody>\n{body}</tbody></table></div></figure>\n",
        escape(&named(row))
    )
}

/// The same prompts by every decoder: figure 3 of the paper.
fn gallery(group: &Group<'_>, report: &Report) -> Result<String> {
    let rows: Vec<&Row> = group.plain().into_iter().chain(group.featured()).collect();
    let mut figures = String::new();
    for (number, turn) in report.settings.turns.iter().enumerate() {
        let pictures = rows.iter().filter_map(|row| Some(picture(row, row.shown.get(number)?, &turn.prompt, report)));
        let strip = pictures.collect::<Result<String>>()?;
        if !strip.is_empty() {
            let (prompt, seed) = (escape(&turn.prompt), turn.seed);
            let _ = writeln!(
                figures,
                "<figure class=\"gallery\"><figcaption><bdi>{prompt}</bdi><small>seed {seed}</small></figcaption>\
                 <div class=\"strip\">\n{strip}</div></figure>"
            );
        }
    }
    let words = match group.rule {
        "replay" => {
            "The same prompt and seed by every decoder. The check mark says that the codes are plain decoding’s, all of \
             them."
        }
        _ if group.exact => "The same prompt and seed by every decoder: other draws of the same law.",
        _ => "The same prompt and seed by every decoder: draws of the laws that the rule makes of the model’s.",
    };
    Ok(format!("<h3>The images</h3>\n<p class=\"note\">{words}</p>\n<div class=\"galleries\">\n{figures}</div>\n"))
}

fn picture(row: &Row, image: &Image, prompt: &str, report: &Report) -> Result<String> {
    let same = match guesses(row) && row.same_image_as_ar == Some(true) {
        true => " <span class=\"same\" role=\"img\" aria-label=\"the same image\">✓</span>",
        false => "",
    };
    let small = if image.width <= SMALL { " class=\"small\"" } else { "" };
    let (name, prompt, class) = (escape(&row.decoder), escape(prompt), colour(report, &row.decoder));
    let (source, width, height) = (data_uri(image)?, image.width, image.height);
    Ok(format!(
        "<figure><img{small} src=\"{source}\" width=\"{width}\" height=\"{height}\" alt=\"{prompt}, drawn by {name}\"/>\
         <figcaption><span class=\"dot {class}\"></span>{name}{same}</figcaption></figure>\n"
    ))
}
