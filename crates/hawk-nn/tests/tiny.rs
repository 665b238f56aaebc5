//! Passes, commits and copies of a model so small that Miri runs them: on the portable code, it sees
//! every read and write outside of what was allocated, and every data race.
#![allow(clippy::unwrap_used)]

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{Checkpoint, Error, PassLimits, Readout, Stream, Target, TransformerConfig, Workspace};
use hawk_spec::TokenId;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A family with norms on queries and keys, and one with heads that share keys and whose head is not
/// a whole panel.
const CONFIGS: [&str; 2] = [
    r#"{"model_type":"chameleon","hidden_size":24,"intermediate_size":20,"num_hidden_layers":1,
        "num_attention_heads":2,"num_key_value_heads":2,"head_dim":18,"vocab_size":37,"rms_norm_eps":1e-5}"#,
    r#"{"model_type":"llama","hidden_size":16,"intermediate_size":33,"num_hidden_layers":2,
        "num_attention_heads":4,"num_key_value_heads":2,"head_dim":6,"vocab_size":21,"rms_norm_eps":1e-5}"#,
];

fn target(config: &str, precision: Precision) -> Target {
    load(config, precision, 0.25).unwrap()
}

/// A target with weights up to `largest` in magnitude.
fn load(config: &str, precision: Precision, largest: f32) -> Result<Target, Error> {
    let config = TransformerConfig::from_json(config.as_bytes()).unwrap();
    let mut state = 1_u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / 8_388_608.0 - 1.0) * largest
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = config
        .tensors()
        .into_iter()
        .map(|tensor| {
            let count = tensor.shape.iter().product::<usize>();
            let bytes = (0..count).flat_map(|_| number().to_le_bytes()).collect();
            (tensor.name, tensor.shape, bytes)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    Target::load(config, &Checkpoint::from_bytes(file).unwrap(), precision)
}

#[test]
fn weights_that_f16_cannot_hold_are_refused() {
    for config in CONFIGS {
        assert!(load(config, Precision::Bf16, 1e6).is_ok() && load(config, Precision::F16, 65_000.0).is_ok());
        let error = load(config, Precision::F16, 1e6).err().unwrap().to_string();
        assert!(error.contains("too large for f16") && error.contains("bf16"), "{error}");
    }
}

/// Runs the streams' rows and returns all logits; commits a row of each, or nothing.
fn pass(
    target: &Target,
    threads: &Threads,
    workspace: &mut Workspace,
    streams: &mut [Stream],
    commit: &[Option<usize>],
) -> Vec<f32> {
    let staged = target.forward(threads, workspace, streams, target.config().readable()).unwrap();
    let logits = staged.all_logits().to_vec();
    staged.commit(commit);
    logits
}

#[test]
fn trees_chains_and_commits_stay_inside_their_memory_and_agree() {
    let threads = [Threads::new(1), Threads::new(2)];
    for config in CONFIGS {
        for precision in Precision::ALL {
            let target = target(config, precision);
            // Capacities that are no whole panels, and streams of different lengths.
            let vocabulary = target.config().vocab;
            let limits = PassLimits { rows: 14, readouts: 14, tokens: 21, vocabulary };
            let mut workspace = target.workspace(limits).unwrap();
            let ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9].map(TokenId);
            // All tokens one by one.
            let mut alone = [target.stream(21).unwrap()];
            let mut steps = Vec::new();
            for id in ids {
                alone[0].rows.push(id, None, Readout::Logits);
                steps.push(pass(&target, &threads[0], &mut workspace, &mut alone, &[Some(0)]));
            }
            // As a tree whose wanted path is rows 0 2 5, beside the same tokens as a chain.
            let mut both = [target.stream(17).unwrap(), target.stream(21).unwrap()];
            let fill = |stream: &mut Stream, range: std::ops::Range<usize>| {
                let mut last = None;
                for &id in &ids[range] {
                    last = Some(stream.rows.push(id, last, Readout::Logits));
                }
            };
            fill(&mut both[0], 0..2);
            fill(&mut both[1], 0..2);
            pass(&target, &threads[1], &mut workspace, &mut both, &[Some(1), Some(1)]);
            let wrong = TokenId(7);
            let tree = [
                (ids[2], None),
                (wrong, Some(0)),
                (ids[3], Some(0)),
                (wrong, Some(1)),
                (wrong, Some(2)),
                (ids[4], Some(2)),
            ];
            for (token, parent) in tree {
                both[0].rows.push(token, parent, Readout::Logits);
            }
            fill(&mut both[1], 2..8);
            let logits = pass(&target, &threads[1], &mut workspace, &mut both, &[Some(5), None]);
            for (row, step) in [(0, 2), (2, 3), (5, 4), (6, 2), (11, 7)] {
                let got = &logits[row * vocabulary..][..vocabulary];
                assert!(got == steps[step], "{precision} row {row}");
            }
            assert_eq!(both.each_ref().map(Stream::committed), [5, 2]);
            // Across the border of a panel of keys, up to the capacity.
            fill(&mut both[0], 5..13);
            both[1].truncate(1);
            fill(&mut both[1], 1..5);
            let logits = pass(&target, &threads[1], &mut workspace, &mut both, &[Some(7), Some(3)]);
            for row in 0..8 {
                assert!(
                    logits[row * vocabulary..][..vocabulary] == steps[5 + row],
                    "{precision} after a commit, row {row}"
                );
            }
        }
    }
}
