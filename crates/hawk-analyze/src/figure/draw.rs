//! Parts as SVG, and as markup where they are no plots.

use std::fmt::Write;

use hawk_bench::plot::{Axis, Lines, Point, Reference, STYLE, Scale, Series, escape, lines};

use super::data::{Content, LinePlot, MapPlot, Part, Picture, Pictures, Spacing, Table};

const WIDTH: f64 = 440.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 40.0;
const RIGHT: f64 = 8.0;
/// Largest side of a cell of a map.
const CELL: f64 = 36.0;
/// Steps of colour.
const LEVELS: usize = 12;
/// Tenfold steps that a logarithmic map shows below its largest value.
const DECADES: f64 = 2.0;
/// Widest picture that is enlarged with its pixels as squares.
const SMALL: u32 = 128;
/// Colours of the style sheet beside the first.
const COLOURS: usize = 7;

/// The plot of a part; none where it is a table or pictures.
#[must_use]
pub fn svg(part: &Part) -> Option<String> {
    match &part.content {
        Content::Lines(plot) => Some(line_plot(&part.title, plot)),
        Content::Map(map) => Some(map_plot(&part.title, map)),
        Content::Table(_) | Content::Pictures(_) => None,
    }
}

/// The plot of a part as a file of its own, in light and dark.
#[must_use]
pub fn svg_file(part: &Part) -> Option<String> {
    let svg = svg(part)?;
    let inner = svg
        .split_once('>')
        .map(|(open, rest)| (open.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1), rest))?;
    Some(format!("{}><style>{STYLE}</style>{}\n", inner.0, inner.1))
}

/// A part inside a page.
pub(super) fn markup(part: &Part) -> String {
    match &part.content {
        Content::Lines(_) | Content::Map(_) => svg(part).unwrap_or_default() + &legend(&part.content),
        Content::Table(table) => table_markup(table),
        Content::Pictures(pictures) => pictures_markup(pictures),
    }
}

fn line_plot(title: &str, plot: &LinePlot) -> String {
    let series = |(at, line): (usize, &super::data::Line)| {
        let points: Vec<Point> = line.points.iter().map(|&[x, y]| Point::new(x, y)).collect();
        (line.name.clone(), format!("c{}", at % COLOURS + 1), points)
    };
    let series: Vec<_> = plot.lines.iter().enumerate().map(series).collect();
    lines(&Lines {
        title,
        x: Axis { label: &plot.x, scale: Scale::Linear },
        y: Axis { label: &plot.y, scale: plot.spacing.into() },
        series: series
            .iter()
            .map(|(name, class, points)| Series { name, class: class.clone(), points: points.clone() })
            .collect(),
        reference: plot.reference.as_ref().map(|(name, value)| Reference { name, value: *value }),
    })
}

/// Least and greatest value of a map's colours.
fn range(map: &MapPlot) -> (f64, f64) {
    let values = || map.values.iter().flatten().flatten().copied();
    let most = values().fold(f64::NEG_INFINITY, f64::max);
    match map.spacing {
        Spacing::Linear => (values().fold(0.0, f64::min), if most > 0.0 { most } else { 1.0 }),
        Spacing::Log10 => {
            let most = if most > 0.0 { most } else { 1.0 };
            (most / 10_f64.powf(DECADES), most)
        }
    }
}

/// The share of the way from the least to the greatest colour, 0 to 1.
fn share(map: &MapPlot, (low, high): (f64, f64), value: f64) -> f64 {
    let share = match map.spacing {
        Spacing::Linear => (value - low) / (high - low),
        Spacing::Log10 => (value.max(low) / low).log10() / (high / low).log10(),
    };
    share.clamp(0.0, 1.0)
}

fn map_plot(title: &str, map: &MapPlot) -> String {
    let columns = map.values.first().map_or(1, Vec::len).max(1);
    let rows = map.values.len().max(1);
    let cell = ((WIDTH - LEFT - RIGHT) / columns as f64).min(CELL);
    let (width, height) = (columns as f64 * cell, rows as f64 * cell);
    let mut svg = format!(
        "<svg class=\"{}\" viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\" aria-label=\"{}\">",
        colour(map),
        TOP + height + BOTTOM,
        escape(title)
    );
    let _ = write!(svg, "<g transform=\"translate({LEFT} {TOP})\">");
    if let Some(picture) = &map.under {
        let _ = write!(
            svg,
            "<image class=\"under\" href=\"{}\" width=\"{width:.2}\" height=\"{height:.2}\"/>",
            picture.png
        );
    }
    let limits = range(map);
    let _ = write!(svg, "<g transform=\"scale({cell:.4})\" shape-rendering=\"crispEdges\">");
    for level in 1..=LEVELS {
        let mut way = String::new();
        for (row, values) in map.values.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let of = value.map(|value| (share(map, limits, value) * LEVELS as f64 - 1e-9).ceil() as usize);
                if of == Some(level) {
                    let _ = write!(way, "M{column} {row}h1v1h-1z");
                }
            }
        }
        if !way.is_empty() {
            let opacity = level as f64 / LEVELS as f64 * if map.under.is_some() { 0.8 } else { 1.0 };
            let _ = write!(svg, "<path class=\"fill\" fill-opacity=\"{opacity:.2}\" d=\"{way}\"/>");
        }
    }
    svg += "</g>";
    for (x, y, name) in &map.marked {
        let (column, row) = ((x - map.first_x) as f64, ((y - map.first_y) * map.step_y) as f64);
        let _ = write!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{cell:.2}\" height=\"{cell:.2}\" class=\"mark-cell\"><title>{}</title></rect>",
            column * cell,
            row * cell,
            escape(name)
        );
    }
    let _ = write!(svg, "<rect width=\"{width:.2}\" height=\"{height:.2}\" class=\"frame\"/></g>");
    numbers(&mut svg, map, cell);
    let (middle, foot) = (LEFT + width / 2.0, TOP + height);
    let anchor = if middle < 90.0 { ("start", LEFT) } else { ("middle", middle) };
    let _ = write!(svg, "<text x=\"0\" y=\"12\">{}</text>", escape(&map.y));
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{}</text>",
        anchor.1,
        foot + 33.0,
        anchor.0,
        escape(&map.x)
    );
    svg + "</svg>"
}

/// The names of rows and columns, as many as have room.
fn numbers(svg: &mut String, map: &MapPlot, cell: f64) {
    let every = |room: f64| (1..).find(|every| cell * *every as f64 >= room).unwrap_or(1);
    let (rows, columns) = (every(15.0), every(24.0));
    for row in 0..map.values.len() as i64 {
        let name = map.first_y + map.step_y * row;
        if name % rows == 0 {
            let y = TOP + (row as f64 + 0.5) * cell + 4.0;
            let _ = write!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 6.0);
        }
    }
    for column in 0..map.values.first().map_or(0, Vec::len) as i64 {
        let name = map.first_x + column;
        if name % columns == 0 {
            let x = LEFT + (column as f64 + 0.5) * cell;
            let y = TOP + map.values.len() as f64 * cell + 16.0;
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>");
        }
    }
}

/// The class of a map's colour: another one on a picture, whose own colours are grey then.
fn colour(map: &MapPlot) -> &'static str {
    if map.under.is_some() { "c4" } else { "c2" }
}

/// What the colours of a map mean.
fn legend(content: &Content) -> String {
    let Content::Map(map) = content else { return String::new() };
    let (low, high) = range(map);
    let scale = if map.spacing == Spacing::Log10 { ", logarithmic" } else { "" };
    let below = if map.spacing == Spacing::Log10 { "at most " } else { "" };
    let mut text = format!(
        "<div class=\"ramp\">{below}{}<i class=\"{}\"></i>{} {}{scale}</div>",
        short(low),
        colour(map),
        short(high),
        escape(&map.value)
    );
    if !map.marked.is_empty() {
        let names: Vec<String> = map.marked.iter().map(|(_, _, name)| escape(name)).collect();
        let _ = write!(text, "<p class=\"note\">Framed: {}.</p>", names.join("; "));
    }
    text
}

/// A number with three digits that count.
#[must_use]
pub fn short(value: f64) -> String {
    let size = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    format!("{value:.*}", (2 - size).clamp(0, 7) as usize)
}

fn table_markup(table: &Table) -> String {
    let heads: String = table.columns.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
    let cell = |value: &Option<f64>| match value {
        // Counts have no digits after the point.
        Some(value) if value.fract() == 0.0 && value.abs() >= 100.0 => format!("<td>{value:.0}</td>"),
        Some(value) => format!("<td>{value:.*}</td>", table.decimals),
        None => "<td>–</td>".to_owned(),
    };
    let row = |(name, values): &(String, Vec<Option<f64>>)| {
        format!("<tr><th scope=\"row\">{}</th>{}</tr>\n", escape(name), values.iter().map(cell).collect::<String>())
    };
    let rows: String = table.rows.iter().map(row).collect();
    format!(
        "<div class=\"scroll\"><table class=\"figures\"><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn pictures_markup(pictures: &Pictures) -> String {
    let row = |(name, pictures): &(String, Vec<Picture>)| {
        let strip: String = pictures.iter().map(|picture| one_picture(name, picture)).collect();
        format!(
            "<figure class=\"gallery\"><figcaption><bdi>{}</bdi></figcaption><div class=\"strip\">\n{strip}</div></figure>\n",
            escape(name)
        )
    };
    format!("<div class=\"galleries\">\n{}</div>\n", pictures.rows.iter().map(row).collect::<String>())
}

fn one_picture(row: &str, picture: &Picture) -> String {
    let small = if picture.width <= SMALL { " class=\"small\"" } else { "" };
    let figures: Vec<String> =
        picture.figures.iter().map(|(name, value)| format!("{} {}", short(*value), escape(name))).collect();
    let (label, row) = (escape(&picture.label), escape(row));
    format!(
        "<figure><img{small} src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{row}, {label}\"/><figcaption>{label}<small>{}</small></figcaption></figure>\n",
        picture.png,
        picture.width,
        picture.height,
        figures.join("<br/>")
    )
}
