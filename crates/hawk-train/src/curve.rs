//! Loss per head over the steps, as numbers and as a picture (figure 4 of arXiv 2510.25739).

use hawk_nn::{Error, HeadOffset, Result};
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use crate::settings::Labels;

const SIZE: (u32, u32) = (900, 560);

/// The course of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What the losses are against.
    pub labels: Labels,
    /// Names of the heads.
    pub heads: Vec<String>,
    /// The loss of the target's own law: no head can do better. With the law as label it is its entropy, in nats.
    pub base: f64,
    /// In order of steps.
    pub points: Vec<Point>,
}

/// The losses after some steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps so far.
    pub step: usize,
    /// Per head, the mean cross-entropy of the steps since the last point, in nats.
    pub train: Vec<f64>,
    /// Per head, the mean cross-entropy on the images kept for validation.
    pub validation: Vec<f64>,
}

impl Curve {
    pub(crate) fn new(labels: Labels, heads: &[HeadOffset], base: f64) -> Self {
        Self { labels, heads: heads.iter().map(HeadOffset::to_string).collect(), base, points: Vec::new() }
    }

    /// The curve as an SVG: a line per head for validation, a thin one for training, the base dashed.
    ///
    /// # Errors
    /// There is no point yet.
    pub fn to_svg(&self) -> Result<String> {
        let (Some(last), losses) = (self.points.last(), self.points.iter().flat_map(|point| &point.validation)) else {
            return Err(Error::input("a curve without points cannot be drawn"));
        };
        let highest = losses.copied().fold(self.base, f64::max);
        let margin = 0.05 * (highest - self.base).max(0.1);
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&area, last.step as f64, self.base - margin..highest + margin)
            .map_err(|e| Error::environment(format!("cannot draw the curve: {e}")))?;
        drop(area);
        Ok(svg)
    }

    fn draw<'a>(
        &self,
        area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
        steps: f64,
        losses: std::ops::Range<f64>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..steps, losses)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("step").y_desc("cross-entropy, nats").draw()?;
        for (head, name) in self.heads.iter().enumerate() {
            let colour = Palette99::pick(head).to_rgba();
            let line = |losses: fn(&Point) -> &Vec<f64>| {
                self.points.iter().map(move |point| (point.step as f64, losses(point)[head]))
            };
            chart.draw_series(LineSeries::new(line(|point| &point.train), colour.mix(0.35)))?;
            chart
                .draw_series(LineSeries::new(line(|point| &point.validation), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        let base = [(0.0, self.base), (steps, self.base)];
        chart
            .draw_series(DashedLineSeries::new(base, 6, 4, BLACK.into()))?
            .label("target")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK));
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_a_line_per_head_and_comes_back_from_json() {
        let heads = ["H1", "V1"].map(|name| name.parse().unwrap());
        let mut curve = Curve::new(Labels::Law, &heads, 1.9);
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
