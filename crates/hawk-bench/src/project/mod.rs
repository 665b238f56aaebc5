//! Projections: what recorded acceptance would bring on a device that is not at hand.
//!
//! A pass over R rows reads all weights once, reads the keys and values of its streams, multiplies the
//! weights with R rows, and launches a number of kernels. From the data sheet of a device follows the
//! time t(n) of a pass over a tree of n nodes. The speed-up over plain decoding is then the recorded
//! number of tokens per pass times t(1) / t(n). Drafts and verification are taken to cost nothing.

mod devices;
mod trace;

use hawk::Precision;
use hawk_files::TransformerConfig;
use hawk_synth::{PassSizes, SynthModel};

pub use devices::{Device, Overlap, Speed};
pub use trace::{Nodes, Trace, TraceRow};

/// Kernels, or parallel regions, of a layer: norm, queries with keys and values, attention, output,
/// norm, the two products of the SwiGLU, and sums over parts of products.
const LAUNCHES_OF_LAYER: usize = 8;
/// Share of the shorter of reading and arithmetic that threads of a CPU do not hide behind the longer.
const NOT_HIDDEN: f64 = 0.7;
/// Bytes of a number of keys and values in bf16.
const KV_BYTES: f64 = 2.0;

/// The size of a transformer, as far as the time of a pass depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// L.
    pub layers: usize,
    /// Weights that every row is multiplied with.
    pub weights: f64,
    /// Numbers of keys and values of a token.
    pub kv: f64,
}

impl Shape {
    /// The shape of a transformer that computes the logits of `codes` ids.
    #[must_use]
    pub fn new(config: &TransformerConfig, codes: usize) -> Self {
        let (d, e, layers) = (config.hidden as f64, config.head_dim as f64, config.layers as f64);
        let (heads, kv_heads) = (config.heads as f64, config.kv_heads as f64);
        let layer = 2.0 * d * e * (heads + kv_heads) + 3.0 * d * config.intermediate as f64;
        Self { layers: config.layers, weights: layers * layer + d * codes as f64, kv: layers * 2.0 * kv_heads * e }
    }

    /// The shape of a public model.
    #[must_use]
    pub fn of_public(model: SynthModel) -> Self {
        let PassSizes { hidden, intermediate, layers, codes } = model.pass_sizes();
        let (d, inner, layers_f64) = (hidden as f64, intermediate as f64, layers as f64);
        let weights = layers_f64 * (4.0 * d * d + 3.0 * d * inner) + d * codes as f64;
        Self { layers, weights, kv: layers_f64 * 2.0 * d }
    }

    /// Bytes of the weights of a pass.
    #[must_use]
    pub fn weight_bytes(&self, precision: Precision) -> f64 {
        self.weights * precision.weight_bytes() as f64
    }
}

/// A pass of a tree of nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    /// Nodes of the tree, root included.
    pub nodes: usize,
    /// Rows of a node, and streams with keys and values: 2 with guidance, else 1.
    pub streams: usize,
    /// Tokens of a stream before the tree.
    pub tokens: usize,
}

impl Speed {
    /// The time of a pass in seconds.
    #[must_use]
    pub fn pass_s(&self, shape: &Shape, precision: Precision, pass: Pass) -> f64 {
        let kv_bytes = KV_BYTES * shape.kv * (pass.streams * pass.tokens) as f64;
        let reading = (shape.weight_bytes(precision) + kv_bytes) / self.bytes_per_s;
        let rows = (pass.nodes * pass.streams) as f64;
        let arithmetic = 2.0 * shape.weights * rows / self.operations_per_s;
        let work = match self.overlap {
            Overlap::Hidden => reading.max(arithmetic),
            Overlap::Partly => reading.max(arithmetic) + NOT_HIDDEN * reading.min(arithmetic),
        };
        work + (shape.layers * LAUNCHES_OF_LAYER + 1) as f64 * self.launch_s
    }
}

/// A recorded way of decoding on a device.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Projected {
    /// The decoder.
    pub decoder: String,
    /// The rule.
    pub rule: String,
    /// Nodes of its trees.
    pub nodes: usize,
    /// Tokens per pass, as recorded.
    pub tokens_per_pass: f64,
    /// Time of a pass of plain decoding.
    pub plain_ms: f64,
    /// Time of a pass over the tree.
    pub pass_ms: f64,
    /// Over plain decoding.
    pub speedup: f64,
    /// Time of the target's passes where the trace was recorded.
    #[serde(skip)]
    pub recorded_ms: f64,
}

/// Projects the rows of a trace that were recorded in a precision and have trees of a fixed size.
#[must_use]
pub fn project(trace: &Trace, shape: &Shape, precision: Precision, speed: &Speed) -> Vec<Projected> {
    let pass_ms = |nodes| {
        let pass = Pass { nodes, streams: trace.streams(), tokens: trace.mean_tokens() };
        1e3 * speed.pass_s(shape, precision, pass)
    };
    let row = |row: &TraceRow| {
        let Nodes::Fixed(nodes) = row.budget else { return None };
        let (plain_ms, pass_ms) = (pass_ms(1), pass_ms(nodes));
        Some(Projected {
            decoder: row.decoder.clone(),
            rule: row.rule.clone(),
            nodes,
            tokens_per_pass: row.acceptance_length,
            plain_ms,
            pass_ms,
            speedup: row.acceptance_length * plain_ms / pass_ms,
            recorded_ms: row.target_ms(),
        })
    };
    trace.rows_of(precision).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { layers: 10, weights: 1e9, kv: 1e4 };
    const SPEED: Speed = Speed { bytes_per_s: 1e11, operations_per_s: 1e12, launch_s: 1e-5, overlap: Overlap::Partly };

    fn at(speed: Speed, nodes: usize) -> f64 {
        speed.pass_s(&SHAPE, Precision::Bf16, Pass { nodes, streams: 2, tokens: 100 })
    }

    #[test]
    fn a_pass_reads_multiplies_and_launches() {
        // 2 GB of weights and 4 MB of keys and values at 100 GB/s; 2e9 operations a row; 81 launches.
        let (reading, row, launches) = (2.004e9 / 1e11, 2e9 / 1e12, 81e-5);
        assert!((at(SPEED, 1) - (reading + 0.7 * 2.0 * row + launches)).abs() < 1e-12);
        assert!((at(SPEED, 8) - (16.0 * row + 0.7 * reading + launches)).abs() < 1e-12);
        let hidden = Speed { overlap: Overlap::Hidden, ..SPEED };
        assert!((at(hidden, 1) - (reading + launches)).abs() < 1e-12);
        assert!((at(hidden, 8) - (16.0 * row + launches)).abs() < 1e-12);
    }

    #[test]
    fn speed_ups_are_tokens_a_pass_over_the_cost_of_a_tree() {
        let json = r#"{"settings": {"model": "m", "grid": [10, 20], "sampling": {"cfg": 3.0}}, "rows": [
            {"decoder": "ar", "rule": "replay", "budget": 1, "precision": "bf16", "acceptance_length": 1.0,
             "speedup": 1.0, "pass_parts": {"target_ms": 5.0}},
            {"decoder": "scd", "rule": "replay", "budget": 8, "precision": "bf16", "acceptance_length": 3.0,
             "speedup": 2.0, "pass_parts": {"target_ms": 7.0}},
            {"decoder": "scd", "rule": "replay", "budget": "auto", "precision": "bf16", "acceptance_length": 2.0,
             "speedup": 2.0, "pass_parts": {"target_ms": 7.0}},
            {"decoder": "scd", "rule": "replay", "budget": 8, "precision": "int8", "acceptance_length": 4.0,
             "speedup": 2.0, "pass_parts": {"target_ms": 7.0}}]}"#;
        let trace = Trace::from_json(json.as_bytes()).unwrap();
        assert_eq!((trace.streams(), trace.mean_tokens()), (2, 100));
        let rows = project(&trace, &SHAPE, Precision::Bf16, &SPEED);
        assert_eq!(rows.iter().map(|row| row.nodes).collect::<Vec<_>>(), [1, 8]);
        assert!((rows[0].speedup - 1.0).abs() < 1e-12);
        assert!((rows[1].speedup - 3.0 * at(SPEED, 1) / at(SPEED, 8)).abs() < 1e-12);
    }

    #[test]
    fn more_rows_cost_nothing_on_a_gpu_until_its_peak() {
        for device in Device::ALL {
            let speed = device.speed(Precision::Bf16).unwrap();
            let ratio = at(speed, 4) / at(speed, 1);
            match speed.overlap {
                Overlap::Hidden => assert!(ratio < 1.01, "{}: {ratio}", device.name),
                Overlap::Partly => assert!(ratio < 2.0, "{}: {ratio}", device.name),
            }
            assert_eq!(device.speed(Precision::F32), None);
        }
    }

    #[test]
    fn a_shape_counts_the_weights_of_a_pass() {
        let source = hawk::built_in_model();
        let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
        let shape = Shape::new(&config, 4096);
        assert_eq!(shape.layers, config.layers);
        assert!((1.5e7..1.8e7).contains(&shape.weights), "{shape:?}");
        assert!((shape.weight_bytes(Precision::Bf16) - 2.0 * shape.weights).abs() < 1.0);
        // 32 layers of 4 x 4096^2 + 3 x 4096 x 11008 weights, and 8192 codes.
        let lumina = Shape::of_public(SynthModel::Lumina7b);
        assert!((lumina.weights - 6.5095e9).abs() < 1e6, "{lumina:?}");
        assert_eq!(lumina.kv, 262_144.0);
    }
}
