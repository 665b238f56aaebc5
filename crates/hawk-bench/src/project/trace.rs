//! Recorded acceptance: what a projection reads of the JSON of a comparison of decoders.

use hawk::Precision;
use hawk_files::{Error, Result};
use serde::Deserialize;

/// The report of a comparison, as far as projections read it.
#[derive(Clone, Debug, Deserialize)]
pub struct Trace {
    rows: Vec<TraceRow>,
    settings: TraceSettings,
}

#[derive(Clone, Debug, Deserialize)]
struct TraceSettings {
    model: String,
    grid: [u32; 2],
    sampling: TraceSampling,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct TraceSampling {
    cfg: f64,
}

/// A recorded way of decoding.
#[derive(Clone, Debug, Deserialize)]
pub struct TraceRow {
    /// The decoder.
    pub decoder: String,
    /// The rule.
    pub rule: String,
    /// The size of its trees.
    pub budget: Nodes,
    precision: String,
    /// Cells committed per target pass.
    pub acceptance_length: f64,
    /// Time over that of plain decoding, as recorded.
    pub speedup: f64,
    pass_parts: TraceParts,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct TraceParts {
    target_ms: f64,
}

/// Most nodes of the trees of a recorded run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Always so many, root included.
    Fixed(usize),
    /// Autotuned. Such a row cannot be projected: another device would choose other sizes.
    Auto,
}

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(usize),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(nodes @ 1..) => Ok(Self::Fixed(nodes)),
            Written::Word(word) if word == "auto" => Ok(Self::Auto),
            _ => Err(serde::de::Error::custom("a budget is a number of nodes or \"auto\"")),
        }
    }
}

impl TraceRow {
    /// The mean time of the target's passes, in ms, as recorded.
    #[must_use]
    pub fn target_ms(&self) -> f64 {
        self.pass_parts.target_ms
    }
}

impl Trace {
    /// Reads the report of `hawk bench decoders --json`.
    ///
    /// # Errors
    /// It is no such report, or it holds a number that no run gives.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let no_report = |error: String| {
            Error::input("not a report of a comparison of decoders")
                .expected("a file of `hawk bench decoders --json`")
                .got(error)
        };
        let trace: Self = serde_json::from_slice(json).map_err(|e| no_report(e.to_string()))?;
        let [rows, cols] = trace.settings.grid.map(u64::from);
        if rows * cols == 0 || rows * cols > 1 << 20 {
            return Err(no_report(format!("a grid of {rows} x {cols} cells")));
        }
        let positive = |number: f64| number.is_finite() && number > 0.0;
        for row in &trace.rows {
            let numbers = [row.acceptance_length, row.speedup, row.target_ms()];
            if !numbers.into_iter().all(positive) {
                return Err(no_report(format!("{numbers:?} in the row of {} {}", row.decoder, row.rule)));
            }
        }
        Ok(trace)
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.settings.model
    }

    /// Rows of a node: 2 with guidance, else 1.
    #[must_use]
    pub fn streams(&self) -> usize {
        if self.settings.sampling.cfg == 1.0 { 1 } else { 2 }
    }

    /// Mean number of tokens of a stream: half of the cells. The prompt is not counted.
    #[must_use]
    pub fn mean_tokens(&self) -> usize {
        let [rows, cols] = self.settings.grid;
        rows as usize * cols as usize / 2
    }

    /// The rows of a precision.
    pub fn rows_of(&self, precision: Precision) -> impl Iterator<Item = &TraceRow> {
        let name = precision.to_string();
        self.rows.iter().filter(move |row| row.precision == name)
    }

    /// The precisions that it has rows of.
    #[must_use]
    pub fn precisions(&self) -> Vec<Precision> {
        Precision::ALL.into_iter().filter(|&precision| self.rows_of(precision).next().is_some()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_refused_by_name() {
        let row = |budget: &str, tokens: &str| {
            format!(
                r#"{{"settings": {{"model": "m", "grid": [2, 2], "sampling": {{"cfg": 1.0}}}}, "rows": [{{"decoder":
                "ar", "rule": "replay", "budget": {budget}, "precision": "bf16", "acceptance_length": {tokens},
                "speedup": 1.0, "pass_parts": {{"target_ms": 5.0}}}}]}}"#
            )
        };
        assert_eq!(Trace::from_json(row("4", "1.5").as_bytes()).unwrap().streams(), 1);
        for bad in [String::from("{}"), row("0", "1.0"), row("\"many\"", "1.0"), row("4", "0.0"), row("4", "-1.0")] {
            let error = Trace::from_json(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("hawk bench decoders --json"), "{error}");
        }
    }
}
