//! Plots as inline SVG. Colours are classes of the style sheet of the page, so that plots have its
//! dark mode.

use std::fmt::Write;

use super::html::escape;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 250.0;
/// Room for the names at the ends of lines.
const RIGHT: f64 = 112.0;
const LEFT: f64 = 38.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 38.0;
/// Least distance of two lines of text.
const LINE: f64 = 15.0;

/// Values of one decoder.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    /// Class of its colour.
    pub(super) class: String,
    pub(super) points: Vec<Point>,
}

/// A value with its spread; `low` = `high` = `y` where there is none.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Values over node budgets.
pub(super) struct Lines<'a> {
    pub(super) title: &'a str,
    pub(super) series: Vec<Series<'a>>,
    /// The value of plain decoding.
    pub(super) plain: f64,
}

/// Shares of one decoder in bins.
pub(super) struct Bars<'a> {
    pub(super) name: &'a str,
    pub(super) class: String,
    pub(super) shares: Vec<f64>,
}

/// Parts of one decoder's sum.
pub(super) struct Stack<'a> {
    pub(super) name: &'a str,
    pub(super) class: String,
    pub(super) parts: Vec<f64>,
}

/// Values to be read off: steps of 1, 2, 2.5 or 5 times a power of ten, six at most inside the
/// range, and the range between them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let high = high.max(low + 0.1);
    let width = high - low;
    let power = 10_f64.powf((width / 6.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| width / step <= 6.0).unwrap_or(width);
    let (first, last) = ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil() as i64);
    (first..=last).map(|tick| tick as f64 * step).collect()
}

fn number(value: f64, all: &[f64]) -> String {
    let decimals =
        (0..3).find(|&d| all.iter().all(|v| (v * 10_f64.powi(d) - (v * 10_f64.powi(d)).round()).abs() < 1e-6));
    format!("{value:.*}", decimals.unwrap_or(3) as usize)
}

fn open(title: &str, height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escape(title))
}

/// The horizontal grid with its numbers; returns the way from values to heights.
fn values(svg: &mut String, ticks: &[f64], right: f64) -> impl Fn(f64) -> f64 + use<> {
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let y = move |value: f64| HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP);
    for &tick in ticks {
        let (at, text) = (y(tick), number(tick, ticks));
        let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        let _ = write!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 7.0, at + 4.0);
    }
    y
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

/// Lines over the budgets on a logarithmic scale, with the spread as whiskers and names at the
/// ends.
pub(super) fn lines(plot: &Lines<'_>) -> String {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let mut budgets: Vec<f64> = points().map(|point| point.x).collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    let low = points().map(|point| point.low).fold(plot.plain, f64::min);
    let high = points().map(|point| point.high).fold(plot.plain, f64::max);
    let mut svg = open(plot.title, HEIGHT);
    let right = WIDTH - RIGHT;
    let y = values(&mut svg, &ticks(low, high), right);
    let (first, last) = (budgets.first().copied().unwrap_or(1.0).log2(), budgets.last().copied().unwrap_or(2.0).log2());
    let x = |budget: f64| match last > first {
        true => LEFT + 22.0 + (budget.log2() - first) / (last - first) * (right - LEFT - 44.0),
        false => (LEFT + right) / 2.0,
    };
    let mut taken = f64::NEG_INFINITY;
    for &budget in budgets.iter().filter(|&&budget| budget > 0.0) {
        if x(budget) > taken + 22.0 {
            taken = x(budget);
            text(&mut svg, taken, HEIGHT - BOTTOM + 17.0, "middle", &budget.to_string());
        }
    }
    text(&mut svg, (LEFT + right) / 2.0, HEIGHT - 4.0, "middle", "nodes of the tree");
    let at = y(plot.plain);
    let _ = write!(svg, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
    let ends = plot.series.iter().filter_map(|series| series.points.last());
    let mut names: Vec<f64> = [at + 4.0].into_iter().chain(ends.map(|end| y(end.y) + 4.0)).collect();
    spread(&mut names);
    text(&mut svg, right + 8.0, names[0], "start", "plain");
    for (index, series) in plot.series.iter().enumerate() {
        let aside = (index as f64 - (plot.series.len() - 1) as f64 / 2.0) * 4.0;
        line(&mut svg, series, |budget| x(budget) + aside, &y);
        if let Some(&height) = names.get(index + 1) {
            let name = escape(series.name);
            let _ = write!(
                svg,
                "<text class=\"name {}\" x=\"{}\" y=\"{height:.1}\">{name}</text>",
                series.class,
                right + 8.0
            );
        }
    }
    svg + "</svg>"
}

fn line(svg: &mut String, series: &Series<'_>, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    let _ = write!(svg, "<g class=\"{}\">", series.class);
    for point in series.points.iter().filter(|point| point.high > point.low) {
        let (at, low, high) = (x(point.x), y(point.low), y(point.high));
        let _ = write!(svg, "<line class=\"whisker\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>");
    }
    let way: Vec<String> = series.points.iter().map(|point| format!("{:.1},{:.1}", x(point.x), y(point.y))).collect();
    let _ = write!(svg, "<polyline class=\"line\" points=\"{}\"/>", way.join(" "));
    for point in &series.points {
        let (name, budget, value) = (escape(series.name), point.x, point.y);
        let _ = write!(svg, "<circle class=\"mark\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\">", x(point.x), y(point.y));
        let _ = write!(svg, "<title>{name}, {budget} nodes: {value:.3}</title></circle>");
    }
    svg.push_str("</g>");
}

/// Bars side by side in bins named `bins`, in percent.
pub(super) fn bars(title: &str, below: &str, bins: &[String], all: &[Bars<'_>]) -> String {
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
pub(super) fn stacks(title: &str, unit: &str, parts: &[&str], all: &[Stack<'_>]) -> String {
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
pub(super) fn heat(title: &str, class: &str, shares: &[Vec<f64>], top: f64) -> String {
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
