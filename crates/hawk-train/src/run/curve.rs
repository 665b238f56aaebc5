//! A measure over the training steps, as JSON and as SVG. For heads it is figure 4 of arXiv
//! 2510.25739.

use hawk_files::{Error, Result};
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

const SIZE: (u32, u32) = (900, 560);

/// A measure over the steps of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name and unit of the measure.
    pub measure: String,
    /// Names of the series: heads, or kinds of pictures.
    pub series: Vec<String>,
    /// Name and value of the best possible measure, if known. For heads it is the loss of the
    /// target's own law.
    pub bound: Option<(String, f64)>,
    /// In the order of the steps.
    pub points: Vec<Point>,
}

/// The measure after a number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps that were complete.
    pub step: usize,
    /// Per series, the mean over the training steps since the previous point.
    pub train: Vec<f64>,
    /// Per series, the mean over the validation set.
    pub validation: Vec<f64>,
}

impl Curve {
    pub(crate) fn new(measure: &str, series: impl IntoIterator<Item = String>, bound: Option<(String, f64)>) -> Self {
        Self { measure: measure.to_owned(), series: series.into_iter().collect(), bound, points: Vec::new() }
    }

    /// Whether a curve of `points` points gets one after this step.
    pub(crate) fn is_due(step: usize, steps: usize, points: usize) -> bool {
        step.is_multiple_of(steps.div_ceil(points)) || step == steps
    }

    /// Adds the next point.
    ///
    /// # Errors
    /// A measure is not finite, because the training diverged.
    pub(crate) fn push(&mut self, point: Point) -> Result<()> {
        if point.train.iter().chain(&point.validation).any(|value| !value.is_finite()) {
            return Err(Error::input("the training diverged: a loss is not finite")
                .at(format!("step {}", point.step))
                .hint("try a smaller learning rate"));
        }
        self.points.push(point);
        Ok(())
    }

    /// Draws the curve as an SVG file. Validation has bold lines, training has pale lines, and the
    /// bound is dashed.
    ///
    /// # Errors
    /// The curve has no points.
    pub fn to_svg(&self) -> Result<String> {
        let Some(last) = self.points.last() else {
            return Err(Error::input("cannot draw a curve without points"));
        };
        let values = self.points.iter().flat_map(|point| &point.validation).chain(self.bound.iter().map(|(_, x)| x));
        let (lowest, highest) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        let margin = 0.05 * (highest - lowest).max(0.1);
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&area, last.step as f64, lowest - margin..highest + margin)
            .map_err(|e| Error::environment(format!("cannot draw the curve: {e}")))?;
        drop(area);
        Ok(svg)
    }

    fn draw<'a>(
        &self,
        area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
        steps: f64,
        values: std::ops::Range<f64>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..steps, values)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("step").y_desc(&self.measure).draw()?;
        for (series, name) in self.series.iter().enumerate() {
            let colour = Palette99::pick(series).to_rgba();
            let line = |values: fn(&Point) -> &Vec<f64>| {
                self.points.iter().map(move |point| (point.step as f64, values(point)[series]))
            };
            chart.draw_series(LineSeries::new(line(|point| &point.train), colour.mix(0.35)))?;
            chart
                .draw_series(LineSeries::new(line(|point| &point.validation), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        if let Some((name, bound)) = &self.bound {
            chart
                .draw_series(DashedLineSeries::new([(0.0, *bound), (steps, *bound)], 6, 4, BLACK.into()))?
                .label(name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_a_line_per_series_and_comes_back_from_json() {
        let heads = ["H1", "V1"].map(str::to_owned);
        let mut curve = Curve::new("cross-entropy, nats", heads, Some(("target".to_owned(), 1.9)));
        assert!(curve.to_svg().is_err());
        for step in [10, 20] {
            let loss = 3.0 - step as f64 / 20.0;
            curve.points.push(Point { step, train: vec![loss; 2], validation: vec![loss + 0.1, loss + 0.2] });
        }
        let svg = curve.to_svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(["H1", "V1", "target", "step"].iter().all(|text| svg.contains(text)), "{svg}");
        let json = serde_json::to_string(&curve).unwrap();
        assert_eq!(serde_json::from_str::<Curve>(&json).unwrap(), curve);
    }
}
