//! The sources of an image's cells as text, for records: runs in raster order, as `r b left*3
//! V1*2`. `r` is recovered, `b` bonus, the others are the labels of drafters'
//! [`Source`](hawk_spec::Source)s; `*n` repeats.

use hawk_spec::Drawn;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::request::event::CellSource;

/// Most cells of a grid.
const MAX_CELLS: usize = 1 << 20;

pub(crate) fn serialize<S: Serializer>(sources: &[CellSource], serializer: S) -> Result<S::Ok, S::Error> {
    let runs = sources.chunk_by(|a, b| a == b).map(|run| match run.len() {
        1 => name(run[0]),
        length => format!("{}*{length}", name(run[0])),
    });
    serializer.serialize_str(&runs.collect::<Vec<_>>().join(" "))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CellSource>, D::Error> {
    let (text, mut sources) = (String::deserialize(deserializer)?, Vec::new());
    for run in text.split_ascii_whitespace() {
        let (name, length) = run.split_once('*').unwrap_or((run, "1"));
        let length = length.parse().ok().filter(|length| (1..=MAX_CELLS - sources.len()).contains(length));
        let (source, length) = source(name).zip(length).ok_or_else(|| {
            D::Error::custom(format!("sources: {run:?} is not a run of a source, as r, b, left or V1*2"))
        })?;
        sources.resize(sources.len() + length, source);
    }
    Ok(sources)
}

fn name(source: CellSource) -> String {
    match source {
        CellSource::Target(Drawn::Recovered) => "r".to_owned(),
        CellSource::Target(Drawn::Bonus) => "b".to_owned(),
        CellSource::Drafted(source) => source.to_string(),
    }
}

fn source(name: &str) -> Option<CellSource> {
    match name {
        "r" => Some(CellSource::Target(Drawn::Recovered)),
        "b" => Some(CellSource::Target(Drawn::Bonus)),
        _ => name.parse().ok().map(CellSource::Drafted),
    }
}
