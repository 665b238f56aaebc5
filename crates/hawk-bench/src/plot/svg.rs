//! Plots as inline SVG. Colours are classes of [`STYLE`](super::page::STYLE), so that plots have its dark
//! mode.

use std::fmt::Write;

use super::html::escape;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 262.0;
/// Room for the names at the ends of lines.
const RIGHT: f64 = 112.0;
const LEFT: f64 = 48.0;
/// Room for the label of the values.
const TOP: f64 = 30.0;
const BOTTOM: f64 = 38.0;
/// Least distance of two lines of text.
const LINE: f64 = 15.0;

/// Points of a series from which on they are drawn as a line without marks.
const DENSE: usize = 24;

/// One line of a plot.
pub struct Series<'a> {
    /// Its name, which stands at its end.
    pub name: &'a str,
    /// Class of its colour: `c0` to `c7`.
    pub class: String,
    /// Its points, by rising x.
    pub points: Vec<Point>,
}

/// A value with its spread; `low` = `high` = `y` where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Place along the axis below.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// Lower end of its spread.
    pub low: f64,
    /// Upper end of its spread.
    pub high: f64,
}

impl Point {
    /// A value without a spread.
    #[must_use]
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }
}

/// The distances along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    Linear,
    /// Doublings are equally long; values above 0.
    Log2,
    /// Tenfold steps are equally long; values above 0.
    Log10,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log2 => value.max(f64::MIN_POSITIVE).log2(),
            Self::Log10 => value.max(f64::MIN_POSITIVE).log10(),
        }
    }
}

/// An axis: what it shows, with the unit, and its scale.
#[derive(Clone, Copy, Debug)]
pub struct Axis<'a> {
    /// Name and unit.
    pub label: &'a str,
    /// Distances along it.
    pub scale: Scale,
}

/// A value to compare with: a dashed line over the whole plot.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// Its name, which stands at its end.
    pub name: &'a str,
    /// The value.
    pub value: f64,
}

/// Lines over a common axis.
pub struct Lines<'a> {
    /// Title for those who hear the page.
    pub title: &'a str,
    /// The axis below.
    pub x: Axis<'a>,
    /// The axis at the left.
    pub y: Axis<'a>,
    /// The lines.
    pub series: Vec<Series<'a>>,
    /// A value to compare with.
    pub reference: Option<Reference<'a>>,
}

/// Shares of one series in bins.
pub struct Bars<'a> {
    /// Name of the series.
    pub name: &'a str,
    /// Class of its colour.
    pub class: String,
    /// A share for each bin, 0 to 1.
    pub shares: Vec<f64>,
}

/// Parts of one sum.
pub struct Stack<'a> {
    /// Name of the sum.
    pub name: &'a str,
    /// Class of its colour.
    pub class: String,
    /// The parts, from the left.
    pub parts: Vec<f64>,
}

/// Values to be read off: steps of 1, 2, 2.5 or 5 times a power of ten, six at most inside the
/// range, and the range between them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let high = if high > low { high } else { low + 0.1 };
    let width = high - low;
    let power = 10_f64.powf((width / 6.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| width / step <= 6.0).unwrap_or(width);
    let (first, last) = ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil() as i64);
    (first..=last).map(|tick| tick as f64 * step).collect()
}

fn number(value: f64, all: &[f64]) -> String {
    let decimals =
        (0..7).find(|&d| all.iter().all(|v| (v * 10_f64.powi(d) - (v * 10_f64.powi(d)).round()).abs() < 1e-6));
    format!("{value:.*}", decimals.unwrap_or(7) as usize)
}

fn open(title: &str, height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escape(title))
}

/// The horizontal grid with its numbers; returns the way from values to heights.
fn values(svg: &mut String, ticks: &[f64], right: f64) -> impl Fn(f64) -> f64 + use<> {
    heights(svg, ticks, Scale::Linear, right)
}

/// As [`values`], on a scale.
fn heights(svg: &mut String, ticks: &[f64], scale: Scale, right: f64) -> impl Fn(f64) -> f64 + use<> {
    let (low, high) = (scale.place(ticks[0]), scale.place(ticks[ticks.len() - 1]));
    let y = move |value: f64| {
        let share = (scale.place(value).max(low) - low) / (high - low);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    };
    for &tick in ticks {
        let at = y(tick);
        let text = if scale == Scale::Linear { number(tick, ticks) } else { number(tick, &[tick]) };
        let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        let _ = write!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 7.0, at + 4.0);
    }
    y
}

/// Powers of ten that hold the range, at least two.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let first = low.max(1e-6).log10().floor() as i32;
    let last = (high.max(1e-6).log10().ceil() as i32).max(first + 1);
    (first..=last).map(|power| 10_f64.powi(power)).collect()
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text));
}

/// Moves heights apart, in order, as little as a pass down and a pass up can.
fn spread(heights: &mut [f64]) {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|&a, &b| heights[a].total_cmp(&heights[b]));
    for pair in 1..order.len() {
        heights[order[pair]] = heights[order[pair]].max(heights[order[pair - 1]] + LINE);
    }
    let lowest = HEIGHT - BOTTOM + 4.0;
    let mut limit = lowest;
    for &at in order.iter().rev() {
        heights[at] = heights[at].min(limit);
        limit = heights[at] - LINE;
    }
}

/// Lines over a common axis, with the spread as whiskers and names at the ends.
#[must_use]
pub fn lines(plot: &Lines<'_>) -> String {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let known = plot.reference.map(|reference| reference.value);
    let low = points().map(|point| point.low).chain(known).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.high).chain(known).fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
    let mut svg = open(plot.title, HEIGHT);
    let right = WIDTH - RIGHT;
    let ticks = match plot.y.scale {
        Scale::Linear => ticks(low, high),
        _ => decades(low, high),
    };
    let y = heights(&mut svg, &ticks, plot.y.scale, right);
    text(&mut svg, 0.0, 12.0, "start", plot.y.label);
    let x = below(&mut svg, plot, right);
    text(&mut svg, (LEFT + right) / 2.0, HEIGHT - 4.0, "middle", plot.x.label);
    let ends = plot.series.iter().filter_map(|series| series.points.last());
    let mut names: Vec<f64> = known.into_iter().chain(ends.map(|end| end.y)).map(|value| y(value) + 4.0).collect();
    spread(&mut names);
    let mut names = names.into_iter();
    if let Some(Reference { name, value }) = plot.reference {
        let at = y(value);
        let _ = write!(svg, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        text(&mut svg, right + 8.0, names.next().unwrap_or(at), "start", name);
    }
    for (index, series) in plot.series.iter().enumerate() {
        // Whiskers of several lines stand beside each other.
        let spread = series.points.iter().any(|point| point.high > point.low);
        let aside = if spread { (index as f64 - (plot.series.len() - 1) as f64 / 2.0) * 4.0 } else { 0.0 };
        line(&mut svg, series, |at| x(at) + aside, &y);
        let height = if series.points.is_empty() { None } else { names.next() };
        if let Some(height) = height {
            let (name, class, at) = (escape(series.name), &series.class, right + 8.0);
            let _ = write!(svg, "<text class=\"name {class}\" x=\"{at}\" y=\"{height:.1}\">{name}</text>");
        }
    }
    svg + "</svg>"
}

/// The numbers of the axis below; returns the way from its values to places.
fn below(svg: &mut String, plot: &Lines<'_>, right: f64) -> impl Fn(f64) -> f64 + use<> {
    let mut places: Vec<f64> = plot.series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let scale = plot.x.scale;
    let dense = places.len() >= DENSE;
    let margin = if dense { 0.0 } else { 22.0 };
    let (first, last) = places.first().zip(places.last()).map_or((0.0, 1.0), |(first, last)| (*first, *last));
    let shown = if dense && scale == Scale::Linear {
        ticks(first, last).into_iter().filter(|tick| (first..=last).contains(tick)).collect()
    } else {
        places
    };
    let (first, last) = (scale.place(first), scale.place(last));
    let x = move |value: f64| match last > first {
        true => LEFT + margin + (scale.place(value) - first) / (last - first) * (right - LEFT - 2.0 * margin),
        false => (LEFT + right) / 2.0,
    };
    let mut taken = f64::NEG_INFINITY;
    for &value in shown.iter().filter(|&&value| scale == Scale::Linear || value > 0.0) {
        if x(value) > taken + 22.0 {
            taken = x(value);
            text(svg, taken, HEIGHT - BOTTOM + 17.0, "middle", &number(value, &[value]));
        }
    }
    x
}

fn line(svg: &mut String, series: &Series<'_>, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    let _ = write!(svg, "<g class=\"{}\">", series.class);
    for point in series.points.iter().filter(|point| point.high > point.low) {
        let (at, low, high) = (x(point.x), y(point.low), y(point.high));
        let _ = write!(svg, "<line class=\"whisker\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>");
    }
    let way: Vec<String> = series.points.iter().map(|point| format!("{:.1},{:.1}", x(point.x), y(point.y))).collect();
    let _ = write!(svg, "<polyline class=\"line\" points=\"{}\"/>", way.join(" "));
    let marked = if series.points.len() < DENSE { &series.points[..] } else { &[] };
    for point in marked {
        let (name, at, value) = (escape(series.name), point.x, point.y);
        let _ = write!(svg, "<circle class=\"mark\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\">", x(point.x), y(point.y));
        let _ = write!(svg, "<title>{name}, {at}: {value:.4}</title></circle>");
    }
    svg.push_str("</g>");
}

/// Bars side by side in bins named `bins`, in percent.
#[must_use]
pub fn bars(title: &str, below: &str, bins: &[String], all: &[Bars<'_>]) -> String {
    let mut svg = open(title, HEIGHT);
    let right = WIDTH - 8.0;
    let highest = all.iter().flat_map(|bars| &bars.shares).fold(0.01, |most: f64, &share| most.max(share * 100.0));
    let y = values(&mut svg, &ticks(0.0, highest), right);
    let room = (right - LEFT) / bins.len().max(1) as f64;
    let width = (room * 0.8 / all.len().max(1) as f64).min(30.0);
    for (bin, name) in bins.iter().enumerate() {
        let middle = LEFT + room * (bin as f64 + 0.5);
        text(&mut svg, middle, HEIGHT - BOTTOM + 17.0, "middle", name);
        for (index, bars) in all.iter().enumerate() {
            let share = bars.shares.get(bin).copied().unwrap_or(0.0) * 100.0;
            let x = middle + (index as f64 - all.len() as f64 / 2.0) * width;
            let (top, height, class) = (y(share), y(0.0) - y(share), &bars.class);
            let _ = write!(
                svg,
                "<rect class=\"fill {class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\">",
                width - 1.0
            );
            let _ = write!(svg, "<title>{}, {}: {share:.1} %</title></rect>", escape(bars.name), escape(name));
        }
    }
    text(&mut svg, (LEFT + right) / 2.0, HEIGHT - 4.0, "middle", below);
    svg + "</svg>"
}

/// Lying bars of parts with their sums; `parts` names the classes `p0`, `p1`, ...
#[must_use]
pub fn stacks(title: &str, unit: &str, parts: &[&str], all: &[Stack<'_>]) -> String {
    let row = (HEIGHT / all.len().max(1) as f64).clamp(30.0, 44.0);
    let mut svg = open(title, all.len() as f64 * row + 6.0);
    let longest = all.iter().map(|stack| stack.parts.iter().sum::<f64>()).fold(1e-9, f64::max);
    let scale = (WIDTH - RIGHT - 72.0) / longest;
    for (index, stack) in all.iter().enumerate() {
        let top = index as f64 * row + 6.0;
        let name = escape(stack.name);
        let _ = write!(svg, "<text class=\"name {}\" x=\"0\" y=\"{:.1}\">{name}</text>", stack.class, top + 15.5);
        let mut x = RIGHT;
        for (part, (&value, what)) in stack.parts.iter().zip(parts).enumerate() {
            let width = value * scale;
            // A hair of paper between parts, where they can spare it.
            let drawn = if width > 3.0 { width - 1.0 } else { width };
            let _ = write!(
                svg,
                "<rect class=\"fill p{part}\" x=\"{x:.2}\" y=\"{top}\" width=\"{drawn:.2}\" height=\"22\">"
            );
            let _ = write!(svg, "<title>{name}, {what}: {value:.1} {unit}</title></rect>");
            x += width;
        }
        let sum: f64 = stack.parts.iter().sum();
        let _ =
            write!(svg, "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{sum:.0} {unit}</text>", x + 7.0, top + 15.5);
    }
    svg + "</svg>"
}

/// Shares over the grid of cells, in ten steps of the class's colour up to `top`.
#[must_use]
pub fn heat(title: &str, class: &str, shares: &[Vec<f64>], top: f64) -> String {
    let cols = shares.first().map_or(1, Vec::len);
    let title = escape(title);
    let mut svg = format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {cols} {}\" role=\"img\" aria-label=\"{title}\" \
         shape-rendering=\"crispEdges\">",
        shares.len()
    );
    for level in 1..=10 {
        let mut way = String::new();
        for (row, shares) in shares.iter().enumerate() {
            for (col, _) in
                shares.iter().enumerate().filter(|(_, share)| (*share / top * 10.0 - 1e-9).ceil() as i32 == level)
            {
                let _ = write!(way, "M{col} {row}h1v1h-1z");
            }
        }
        if !way.is_empty() {
            let _ = write!(svg, "<path class=\"fill\" fill-opacity=\"{:.1}\" d=\"{way}\"/>", f64::from(level) / 10.0);
        }
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_range() {
        let check = |low, high, want: &[f64]| {
            let ticks = ticks(low, high);
            assert!(
                ticks.len() == want.len() && ticks.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9),
                "{ticks:?}"
            );
        };
        check(0.0, 100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(0.53, 1.72, &[0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8]);
        check(1.0, 1.0, &[1.0, 1.02, 1.04, 1.06, 1.08, 1.1]);
        assert_eq!(number(0.5, &[0.5, 0.75]), "0.50");
        assert_eq!(number(20.0, &[20.0, 40.0]), "20");
    }

    #[test]
    fn names_do_not_touch() {
        let mut heights = [100.0, 101.0, 99.0, 400.0];
        spread(&mut heights);
        assert!(heights[2] < heights[0] && heights[0] < heights[1] && heights[1] < heights[3]);
        let mut sorted = heights.to_vec();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9));
        assert!(sorted[3] <= HEIGHT - BOTTOM + 4.0);
    }
}
