//! The table as a figure.

use super::measures::{Row, Value};
use super::scores::Space;
use crate::figure::{Content, Figure, Part, Pictures, Table, short};

/// Bytes of a megabyte.
const MEGA: f64 = 1e6;

/// What the table is made of.
pub(super) struct Found<'a> {
    pub(super) rows: &'a [Row],
    /// The features of the distance, where there is one.
    pub(super) space: Option<Space>,
    /// The first images.
    pub(super) shown: Pictures,
    /// Model, images, pictures: name and value.
    pub(super) settings: Vec<[String; 2]>,
}

pub(super) fn figure(found: Found<'_>) -> Figure {
    let mut parts = vec![found.decoders(), found.intervals()];
    parts.extend(found.differences());
    let findings = found.findings();
    parts.push(Part {
        id: "images".to_owned(),
        title: "The first images".to_owned(),
        caption:
            "A row of a prompt, a column of a set of images. Under replay all decoders draw the same files; under \
                  rejection they draw other samples of the same law."
                .to_owned(),
        content: Content::Pictures(found.shown),
    });
    Figure {
        name: "table".to_owned(),
        title: "Speed and quality of decoders".to_owned(),
        paper: "table 1".to_owned(),
        findings,
        settings: found.settings,
        parts,
    }
}

impl Found<'_> {
    fn has_clip(&self) -> bool {
        self.rows.iter().any(|row| row.clip.is_some())
    }

    fn decoders(&self) -> Part {
        let mut columns = words(&["decoder", "speed-up", "tokens a pass", "passes an image", "memory, MB"]);
        columns.extend(self.space.map(|space| space.distance().to_owned()));
        columns.extend(self.has_clip().then(|| "CLIP score".to_owned()));
        let row = |row: &Row| {
            let mut values = vec![
                Some(row.speedup.point),
                Some(row.tokens.point),
                Some(row.passes),
                row.memory.map(|of| (of.target_bytes + of.heads_bytes + of.cache_bytes) as f64 / MEGA),
            ];
            values.extend(self.space.map(|_| row.distance.map(|value| value.point)));
            values.extend(self.has_clip().then(|| row.clip.map(|value| value.point)));
            (row.name.clone(), values)
        };
        Part {
            id: "decoders".to_owned(),
            title: "Decoders".to_owned(),
            caption: "Speed-up: time of plain decoding over the decoder's for the same image in the same turn, the median of \
                      the images. Memory: weights that a pass reads, draft heads, Speculation Cache."
                .to_owned(),
            content: Content::Table(Table { columns, rows: self.rows.iter().map(row).collect(), decimals: 3 }),
        }
    }

    fn intervals(&self) -> Part {
        let mut columns = words(&["decoder"]);
        let mut measures = words(&["speed-up", "tokens a pass"]);
        measures.extend(self.space.map(|space| space.distance().to_owned()));
        measures.extend(self.has_clip().then(|| "CLIP score".to_owned()));
        columns.extend(measures.iter().flat_map(|name| [format!("{name}, from"), format!("{name}, to")]));
        let row = |row: &Row| {
            let mut values = vec![Some(row.speedup), Some(row.tokens)];
            values.extend(self.space.map(|_| row.distance));
            values.extend(self.has_clip().then_some(row.clip));
            (row.name.clone(), values.into_iter().flat_map(ends).collect())
        };
        Part {
            id: "intervals".to_owned(),
            title: "95 % intervals".to_owned(),
            caption: "By resampling the images, the same ones for all decoders. The pictures that they are compared with stay."
                .to_owned(),
            content: Content::Table(Table { columns, rows: self.rows.iter().map(row).collect(), decimals: 3 }),
        }
    }

    /// Differences to plain decoding, where images were scored.
    fn differences(&self) -> Option<Part> {
        let mut columns = words(&["decoder"]);
        let measures = [self.space.map(Space::distance), self.has_clip().then_some("CLIP score")];
        for name in measures.iter().flatten() {
            columns.extend([format!("{name}, more"), "from".to_owned(), "to".to_owned()]);
        }
        let row = |row: &Row| {
            let values = [self.space.map(|_| row.distance_more), self.has_clip().then_some(row.clip_more)];
            let three = |value: Option<Value>| {
                let [low, high] = ends(value);
                [value.map(|value| value.point), low, high]
            };
            (row.name.clone(), values.into_iter().flatten().flat_map(three).collect())
        };
        (columns.len() > 1).then(|| Part {
            id: "differences".to_owned(),
            title: "Quality beside plain decoding".to_owned(),
            caption:
                "The decoder's figure less that of plain decoding under the same rule, with its 95 % interval over the \
                      same resamples. Under replay the files are the same, compared byte for byte: the difference is 0."
                    .to_owned(),
            content: Content::Table(Table {
                columns,
                rows: self.rows.iter().filter(|row| !row.is_plain()).map(row).collect(),
                decimals: 3,
            }),
        })
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let replays: Vec<&Row> = self.rows.iter().filter(|row| row.is_replay()).collect();
        if let Some(plain) = replays.first() {
            let scores = [(self.space.map(Space::distance), plain.distance), (Some("CLIP score"), plain.clip)];
            let scores = scores.iter().filter_map(|(name, value)| name.zip(*value));
            let scores: Vec<String> = scores.map(|(name, value)| format!("{name} {}", with_ends(value))).collect();
            let scores =
                if scores.is_empty() { String::new() } else { format!(" One {} for all.", scores.join(", one ")) };
            findings.push(format!(
                "Under replay {} decoders drew the same images, checked byte for byte.{scores}",
                replays.len()
            ));
        }
        let drafting = || self.rows.iter().filter(|row| !row.is_plain());
        if let Some(best) = drafting().max_by(|a, b| a.speedup.point.total_cmp(&b.speedup.point)) {
            findings.push(format!(
                "The fastest is {}: {} times as fast as plain decoding, with {} tokens a pass.",
                best.name,
                with_ends(best.speedup),
                short(best.tokens.point)
            ));
        }
        for (name, more) in [
            (self.space.map(Space::distance), (|row| row.distance_more) as fn(&Row) -> Option<Value>),
            (Some("CLIP score"), |row| row.clip_more),
        ] {
            let Some(name) = name else { continue };
            let apart = drafting().filter(|row| !row.is_replay()).filter_map(|row| Some((row, more(row)?)));
            let (apart, within): (Vec<_>, Vec<_>) = apart.partition(|(_, value)| value.low > 0.0 || value.high < 0.0);
            if apart.len() + within.len() == 0 {
                continue;
            }
            let names: Vec<String> =
                apart.iter().map(|(row, value)| format!("{} by {}", row.name, with_ends(*value))).collect();
            findings.push(match names.is_empty() {
                true => format!("{name}: no other decoder differs from plain decoding by more than its interval."),
                false => format!("{name}: apart from plain decoding is {}.", names.join("; ")),
            });
        }
        findings
    }
}

fn ends(value: Option<Value>) -> [Option<f64>; 2] {
    [value.map(|value| value.low), value.map(|value| value.high)]
}

fn with_ends(value: Value) -> String {
    format!("{} ({} to {})", short(value.point), short(value.low), short(value.high))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
