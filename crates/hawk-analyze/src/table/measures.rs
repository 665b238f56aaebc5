//! What a decoder is worth, with intervals over the images.

use hawk::{Decoder, Decoding, DraftMemory, Engine};

use super::resample::{interval, median, resample};
use super::turns::{Measured, name_of, set_of};

/// A figure with the ends of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) point: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What is known of a set of images.
pub(super) struct Scores {
    pub(super) set: String,
    /// The distance to the pictures, and that of each resample.
    pub(super) distance: Option<Distances>,
    /// CLIP scores, an image each.
    pub(super) clip: Option<Vec<f64>>,
}

/// A distance, and those of the resamples.
pub(super) struct Distances {
    pub(super) point: f64,
    pub(super) resampled: Vec<f64>,
}

/// All that was measured.
pub(super) struct Results {
    pub(super) entries: Vec<Decoding>,
    /// Turns, each with all entries.
    pub(super) turns: Vec<Vec<Measured>>,
    pub(super) scores: Vec<Scores>,
    pub(super) resamples: usize,
}

/// A row of the table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) of: Decoding,
    /// Time of plain decoding over this decoder's, the median of the images.
    pub(super) speedup: Value,
    /// Cells a pass.
    pub(super) tokens: Value,
    /// Passes an image.
    pub(super) passes: f64,
    /// Weights, heads and cache.
    pub(super) memory: Option<DraftMemory>,
    pub(super) distance: Option<Value>,
    pub(super) clip: Option<Value>,
    /// Distance less that of plain decoding under the same rule.
    pub(super) distance_more: Option<Value>,
    /// CLIP score less that of plain decoding under the same rule.
    pub(super) clip_more: Option<Value>,
}

impl Row {
    /// Whether the images are those of plain decoding, file by file.
    pub(super) fn is_replay(&self) -> bool {
        set_of(self.of) == "replay"
    }

    /// Whether it is plain decoding.
    pub(super) fn is_plain(&self) -> bool {
        self.of.decoder() == Decoder::AR
    }
}

impl Value {
    /// A figure of images, and that of every resample.
    fn of(images: usize, resamples: usize, figure: &dyn Fn(&[usize]) -> f64) -> Self {
        let whole: Vec<usize> = (0..images).collect();
        let [low, high] = interval((0..resamples).map(|number| figure(&resample(number, images))).collect());
        Self { point: figure(&whole), low, high }
    }

    /// A distance, which is at least 0.
    fn distance(of: &Distances) -> Self {
        let Self { point, low, high } = Self::moved(of.point, of.resampled.clone());
        Self { point, low: low.max(0.0), high }
    }

    /// A distance, or a difference of two. That of a resample is larger: it has fewer different images. The resamples are
    /// moved so that their mean is the figure.
    fn moved(point: f64, resampled: Vec<f64>) -> Self {
        let mean = resampled.iter().sum::<f64>() / resampled.len().max(1) as f64;
        let [low, high] = interval(resampled);
        Self { point, low: low - mean + point, high: high - mean + point }
    }
}

impl Results {
    /// The rows of all entries, rule by rule.
    pub(super) fn rows(&self, engine: &Engine) -> Vec<Row> {
        let first_of_rule = |at: &usize| self.entries.iter().position(|entry| entry.rule() == self.entries[*at].rule());
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(first_of_rule);
        order.into_iter().map(|at| self.row(at, engine)).collect()
    }

    fn row(&self, at: usize, engine: &Engine) -> Row {
        let of = self.entries[at];
        let images = self.turns.len();
        let value = |figure: &dyn Fn(&[usize]) -> f64| Value::of(images, self.resamples, figure);
        let turn = |image: &usize| &self.turns[*image][at];
        let sum =
            |images: &[usize], of: &dyn Fn(&Measured) -> u64| images.iter().map(|image| of(turn(image))).sum::<u64>();
        let passes = |images: &[usize]| sum(images, &|turn| turn.passes) as f64;
        let scores = self.scores_of(of);
        let plain = self.scores_of(Decoding::with_defaults(Decoder::AR, of.rule()));
        Row {
            name: name_of(of),
            of,
            speedup: value(&|images| {
                median(images.iter().map(turn).map(|turn| turn.plain_seconds / turn.seconds).collect())
            }),
            tokens: value(&|images| sum(images, &|turn| turn.cells) as f64 / passes(images).max(1.0)),
            passes: passes(&(0..images).collect::<Vec<_>>()) / images as f64,
            memory: engine.draft_memory(of).ok(),
            distance: scores.and_then(|scores| scores.distance.as_ref()).map(Value::distance),
            clip: scores.and_then(|scores| scores.clip.as_ref()).map(|clip| value(&|images| mean(clip, images))),
            distance_more: scores.zip(plain).and_then(|(own, plain)| {
                let (own, plain) = (own.distance.as_ref()?, plain.distance.as_ref()?);
                let more = own.resampled.iter().zip(&plain.resampled).map(|(own, plain)| own - plain);
                Some(Value::moved(own.point - plain.point, more.collect()))
            }),
            clip_more: scores.zip(plain).and_then(|(own, plain)| {
                let (own, plain) = (own.clip.as_ref()?, plain.clip.as_ref()?);
                Some(value(&|images| mean(own, images) - mean(plain, images)))
            }),
        }
    }

    fn scores_of(&self, of: Decoding) -> Option<&Scores> {
        let set = set_of(of);
        self.scores.iter().find(|scores| scores.set == set)
    }
}

fn mean(values: &[f64], images: &[usize]) -> f64 {
    images.iter().map(|&image| values[image]).sum::<f64>() / images.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_lies_inside_its_interval_although_resamples_are_larger() {
        let value = Value::moved(10.0, (0..101).map(|at| 15.0 + f64::from(at) / 100.0).collect());
        assert!((value.low - 9.525).abs() < 1e-9 && (value.high - 10.475).abs() < 1e-9, "{value:?}");
    }

    #[test]
    fn a_figure_of_equal_images_has_no_interval() {
        let value = Value::of(9, 100, &|images| images.len() as f64);
        assert_eq!(value, Value { point: 9.0, low: 9.0, high: 9.0 });
    }
}
