//! Memory of one model given to another: safe code gets an error, and no byte is written outside of
//! what it allocated.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{
    Checkpoint, Cpu, Device, Fault, Heads, HeadsConfig, ModelSource, OwnInputs, PassLimits, PassPlan, Passes, Readout,
    Result, Staged, Target, TransformerConfig,
};
use hawk_spec::{Pipeline, TokenId};

fn source(name: &str) -> ModelSource {
    ModelSource::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name))
}

fn config(name: &str) -> TransformerConfig {
    TransformerConfig::from_json(&source(name).read("config.json").unwrap()).unwrap()
}

fn target(name: &str, precision: Precision) -> Target {
    Target::load(config(name), &Checkpoint::open(&source(name), "").unwrap(), precision).unwrap()
}

const LIMITS: PassLimits = PassLimits { rows: 8, readouts: 8, tokens: 64, vocabulary: 8 };

fn refused<T>(result: Result<T>, words: &str) {
    let error = result.err().unwrap();
    assert_eq!(error.fault(), Fault::Input, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

/// Models of other sizes, of another precision, and the same model loaded twice.
fn others() -> Vec<Target> {
    let sizes = ["chameleon", "chameleon-swin", "llama-gqa", "llamagen-c2i"].map(|name| target(name, Precision::F32));
    sizes.into_iter().chain([target("chameleon", Precision::Int8)]).collect()
}

#[test]
fn streams_and_workspaces_of_another_model_are_refused() {
    let (pool, own) = (Threads::new(2), target("chameleon", Precision::F32));
    let ids = own.config().readable().start..own.config().readable().start + 8;
    for other in others() {
        let mut streams = [own.stream(64).unwrap(), other.stream(64).unwrap()];
        streams.iter_mut().for_each(|stream| _ = stream.rows.push(TokenId(1), None, Readout::Logits));
        let mut workspace = own.workspace(LIMITS).unwrap();
        refused(own.forward(&pool, &mut workspace, &mut streams, ids.clone()), "stream was made for another model");
        let mut foreign = other.workspace(LIMITS).unwrap();
        let error = own.forward(&pool, &mut foreign, &mut streams[..1], ids.clone());
        refused(error, "workspace was made for another model");
        // What was refused is as good as before.
        own.forward(&pool, &mut workspace, &mut streams[..1], ids.clone()).unwrap().commit(&[Some(0)]);
        assert_eq!(streams[0].committed(), 1);
    }
    let mut short = own.workspace(PassLimits { tokens: 16, ..LIMITS }).unwrap();
    let mut streams = [own.stream(64).unwrap()];
    streams[0].rows.push(TokenId(1), None, Readout::Logits);
    refused(own.forward(&pool, &mut short, &mut streams, ids), "shorter streams");
}

/// Heads of a model of this hidden size, with weights of 0.
fn heads(hidden: usize) -> Heads {
    let config = serde_json::json!({
        "architectures": ["HawkHeads"], "speculators_model_type": "hawk", "block": "residual_silu",
        "hidden_size": hidden, "target": {"name": "golden", "digest": "0".repeat(64)}, "grid": [4, 4],
        "heads": [{"name": "H1", "offset": [0, 1]}],
    });
    let config = HeadsConfig::from_json(config.to_string().as_bytes()).unwrap();
    let zeros = vec![0; 4 * hidden * hidden];
    let view = |shape: Vec<usize>| {
        let bytes = 4 * shape.iter().product::<usize>();
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &zeros[..bytes]).unwrap()
    };
    let tensors = [("heads.0.weight", view(vec![hidden; 2])), ("heads.0.bias", view(vec![hidden]))];
    let file = safetensors::serialize(tensors, None).unwrap();
    Heads::from_checkpoint(config, &Checkpoint::from_bytes(file).unwrap(), Precision::F32).unwrap()
}

#[test]
fn draft_heads_and_their_workspaces_of_another_model_are_refused() {
    let (pool, own) = (Threads::new(1), target("chameleon", Precision::F32));
    let (hidden, ids) = (own.config().hidden, own.config().readable().start..own.config().readable().start + 8);
    let fitting = heads(hidden);
    for other in others() {
        let mut workspace = fitting.workspace(&other, 4, 8).unwrap();
        workspace.push(0, &vec![0.0; hidden]);
        refused(fitting.run(&own, &pool, &mut workspace, ids.clone()), "another model");
    }
    for width in [hidden - 2, hidden + 16] {
        let wrong = heads(width);
        let mut workspace = wrong.workspace(&own, 4, 8).unwrap();
        workspace.push(0, &vec![0.0; width]);
        refused(wrong.run(&own, &pool, &mut workspace, ids.clone()), "another model");
        refused(fitting.run(&own, &pool, &mut workspace, ids.clone()), "another model");
    }
    let mut workspace = fitting.workspace(&own, 4, 8).unwrap();
    workspace.push(1, &vec![0.0; hidden]);
    refused(fitting.run(&own, &pool, &mut workspace, ids.clone()), "no such draft head");
    workspace.clear();
    workspace.push(0, &vec![0.0; hidden]);
    fitting.run(&own, &pool, &mut workspace, ids).unwrap();
}

fn plan(config: &TransformerConfig) -> PassPlan {
    let start = config.readable().start;
    PassPlan {
        ids: start..start + 8,
        dropped: 0..0,
        pipeline: Pipeline::LUMINA,
        streams: 1,
        rows: 8,
        stream_rows: 8,
        readouts: 8,
        tokens: 32,
        head_rows: 0,
    }
}

/// Rows that no pass has run have no keys and values, and may lie behind the memory of the stream.
#[test]
fn rows_that_no_pass_has_run_are_not_committed() {
    let cpu = Cpu::new(2).unwrap();
    let backend = cpu.load(config("chameleon"), &Checkpoint::open(&source("chameleon"), "").unwrap(), Precision::F32);
    let backend = backend.unwrap();
    let mut passes = backend.passes(plan(backend.config())).unwrap();
    let stream = passes.open(OwnInputs::default()).unwrap();
    let chain = |passes: &mut dyn Passes, rows: u32| {
        passes.rows(stream).clear();
        passes.rows(stream).push_chain((0..rows).map(TokenId), None, Readout::Nothing);
    };
    let commit =
        |passes: &mut dyn Passes, row: usize| catch_unwind(AssertUnwindSafe(|| passes.commit(stream, row))).is_ok();
    for rows in [1, 8, 2000] {
        chain(&mut *passes, rows);
        assert!(!commit(&mut *passes, rows as usize - 1), "{rows} rows without a pass");
    }
    chain(&mut *passes, 4);
    passes.forward(&[]).unwrap();
    passes.rows(stream).push_chain((0..1000).map(TokenId), Some(3), Readout::Nothing);
    assert!(!commit(&mut *passes, 1003), "rows after the pass");
    chain(&mut *passes, 4);
    assert!(Staged::run(&mut *passes, &[]).is_ok());
    assert!(!commit(&mut *passes, 3), "a pass that was rolled back");
    assert_eq!(passes.committed(stream), 0);
    chain(&mut *passes, 4);
    Staged::run(&mut *passes, &[]).unwrap().commit([(stream, 3)]);
    assert_eq!(passes.committed(stream), 4);
    refused(passes.open(OwnInputs::default()), "too many streams");
}

#[test]
fn sizes_beyond_all_memory_are_errors_of_the_machine() {
    let own = target("chameleon", Precision::F32);
    let cpu = Cpu::new(1).unwrap();
    let backend = cpu.load(config("chameleon"), &Checkpoint::open(&source("chameleon"), "").unwrap(), Precision::F32);
    let backend = backend.unwrap();
    let refused = |error: hawk_nn::Error| {
        assert_eq!(error.fault(), Fault::Environment, "{error}");
        assert!(error.to_string().contains("not enough memory"), "{error}");
    };
    for huge in [1 << 45, usize::MAX / 16, usize::MAX] {
        refused(own.stream(huge).err().unwrap());
        refused(own.workspace(PassLimits { tokens: huge, ..LIMITS }).err().unwrap());
        refused(own.workspace(PassLimits { rows: huge, ..LIMITS }).err().unwrap());
        refused(own.workspace(PassLimits { readouts: huge, ..LIMITS }).err().unwrap());
        let plan = plan(backend.config());
        for plan in [
            PassPlan { tokens: huge, ..plan.clone() },
            PassPlan { streams: huge, ..plan.clone() },
            PassPlan { rows: huge, ..plan.clone() },
            PassPlan { readouts: huge, ..plan.clone() },
        ] {
            refused(backend.passes(plan).err().unwrap());
        }
    }
    let error = backend.passes(PassPlan { streams: 1 << 40, ..plan(backend.config()) }).err().unwrap().to_string();
    assert!(error.contains("GB for keys and values") && error.contains("are free"), "{error}");
}
