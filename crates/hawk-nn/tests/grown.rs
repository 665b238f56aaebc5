//! Grown models compute what their sources do, in every family. Their weights are numbers, not zeros.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{
    CaptionFeatures, Checkpoint, HeadsConfig, ModelSource, PassLimits, Progress, Readout, Target, TransformerConfig,
};
use hawk_spec::TokenId;
use hawk_synth::{Grown, GrownSizes, SynthModel, synthesize, synthesize_heads};

const TOKENS: usize = 12;

fn silent() -> Progress {
    Arc::new(|_, _| ())
}

fn golden(name: &str) -> ModelSource {
    ModelSource::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name))
}

fn built_in() -> ModelSource {
    ModelSource::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in"))
}

fn transformer(source: &ModelSource) -> TransformerConfig {
    TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap()
}

fn load(source: &ModelSource, precision: Precision) -> Target {
    let checkpoint = Checkpoint::open(source, "").unwrap();
    let config = transformer(source);
    for tensor in config.tensors() {
        assert_eq!(tensor.fault(&checkpoint), None);
    }
    Target::load(config, &checkpoint, precision).unwrap()
}

fn grow(source: &ModelSource, sizes: GrownSizes, out: &Path) -> ModelSource {
    Grown::new(source, "source", sizes, 5).unwrap().write(out, &silent()).unwrap();
    ModelSource::Dir(out.to_owned())
}

/// Logits of a sequence that has ids of every kind, after the features of a caption if the source
/// has any.
fn logits(model: &ModelSource, source: &ModelSource, precision: Precision) -> Vec<f32> {
    let target = load(model, precision);
    let (ids, vocab) = (target.config().readable(), target.config().vocab);
    let mut tokens: Vec<usize> = (0..TOKENS).map(|at| vocab - 1 - at * vocab / TOKENS).collect();
    let mut streams = [target.stream(2 * TOKENS).unwrap()];
    if source.contains("features.safetensors") {
        let features = CaptionFeatures::from_bytes(source.read("features.safetensors").unwrap().to_vec()).unwrap();
        tokens.splice(..0, vocab..vocab + features.count());
        let own = target.caption(&Threads::new(2), &features).unwrap();
        streams = streams.map(|stream| stream.with_inputs(own.clone()));
    }
    let rows = tokens.len();
    let limits = PassLimits { rows, readouts: rows, tokens: 2 * TOKENS, vocabulary: ids.len() };
    let mut workspace = target.workspace(limits).unwrap();
    tokens.iter().fold(None, |last, id| Some(streams[0].rows.push(TokenId(*id as u32), last, Readout::Logits)));
    let staged = target.forward(&Threads::new(2), &mut workspace, &mut streams, ids).unwrap();
    (0..rows).flat_map(|row| staged.logits(0, row).unwrap().to_vec()).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, x| if x <= worst { worst } else { x })
}

/// The source's sizes, `factor` times the hidden size and so much more of the rest.
fn larger(source: &ModelSource, factor: usize, layers: usize, inner: usize) -> GrownSizes {
    let c = transformer(source);
    GrownSizes { hidden: Some(factor * c.hidden), layers: Some(c.layers + layers), inner: Some(c.intermediate + inner) }
}

/// Models of every family and layout: norms before and after, shared keys, one projection for all
/// three, inputs that are computed, two layers of logits.
fn sources(dir: &Path) -> Vec<ModelSource> {
    let goldens = ["chameleon", "chameleon-swin", "llama-gqa", "janus", "llamagen-c2i", "llamagen-t2i"].map(golden);
    let tiny = [SynthModel::TinyLumina, SynthModel::TinyJanusPro, SynthModel::TinyLlamaGen, SynthModel::TinyLlama];
    let tiny = tiny.map(|model| {
        let out = dir.join(model.name());
        synthesize(model, 3, &out, &silent()).unwrap();
        ModelSource::Dir(out)
    });
    goldens.into_iter().chain(tiny).collect()
}

#[test]
fn logits_are_those_of_the_source_in_every_family_and_shape() {
    let dir = tempfile::tempdir().unwrap();
    for (number, source) in sources(dir.path()).iter().enumerate() {
        let own = logits(source, source, Precision::F32);
        assert!(own.iter().all(|x| x.is_finite()) && own.iter().any(|x| x.abs() > 0.1));
        let shapes = [
            GrownSizes { layers: Some(transformer(source).layers + 3), ..GrownSizes::default() },
            GrownSizes { inner: Some(transformer(source).intermediate + 21), ..GrownSizes::default() },
            larger(source, 2, 1, 40),
            larger(source, 3, 2, 0),
        ];
        for (shape, sizes) in shapes.into_iter().enumerate() {
            let grown = grow(source, sizes, &dir.path().join(format!("{number}-{shape}")));
            let worst = worst(&own, &logits(&grown, source, Precision::F32));
            assert!(worst <= 1e-4, "{} {sizes:?}: {worst}", source.describe(""));
        }
    }
}

/// The factor of the norms is a power of two, and int8 rows keep their scales.
#[test]
fn a_hidden_size_of_four_times_the_sources_keeps_every_bit_in_every_precision() {
    let dir = tempfile::tempdir().unwrap();
    for (number, source) in sources(dir.path()).iter().enumerate() {
        let grown = grow(source, larger(source, 4, 1, 64), &dir.path().join(number.to_string()));
        for precision in Precision::ALL {
            let equal = logits(source, source, precision) == logits(&grown, source, precision);
            assert!(equal, "{} in {precision}", source.describe(""));
        }
    }
}

#[test]
fn new_weights_are_drawn_from_the_sources_rows_and_only_few_are_zero() {
    let dir = tempfile::tempdir().unwrap();
    let (source, sizes) = (built_in(), GrownSizes { hidden: Some(768), layers: Some(9), inner: Some(1100) });
    let plan = Grown::new(&source, "built-in", sizes, 5).unwrap();
    let grown = grow(&source, sizes, &dir.path().join("grown"));
    let [from, to] = [&source, &grown].map(|source| Checkpoint::open(source, "").unwrap());
    let (mut zeros, mut all) = (0, 0);
    for tensor in plan.transformer().tensors() {
        let (name, shape) = (&tensor.name, &tensor.shape);
        let numbers = to.tensor(name, shape).unwrap().to_f32();
        assert!(numbers.iter().all(|x| x.is_finite()), "{name}");
        if !name.contains("_proj.weight") {
            continue;
        }
        zeros += numbers.iter().filter(|x| **x == 0.0).count();
        all += numbers.len();
        // No number is larger than those of the source's row and block of 64: int8 scales stay.
        let Some([rows, columns]) = from.shape(name) else { continue };
        let own = from.tensor(name, &[*rows, *columns]).unwrap().to_f32();
        let largest = |row: &[f32]| row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (own, grown) in own.chunks(*columns).zip(numbers.chunks(shape[1])) {
            assert!(own == &grown[..*columns] && largest(own) == largest(grown), "{name}");
            let blocks = own.chunks(64).zip(grown.chunks(64));
            assert!(blocks.into_iter().all(|(own, grown)| largest(own) == largest(grown)), "{name}");
        }
    }
    // What stands beside the logits of the codes is counted in the plan alone.
    let share = zeros as f64 / all as f64;
    assert!(share < 0.2 && (share - plan.zero_share()).abs() < 0.02, "{share} against {}", plan.zero_share());
}

#[test]
fn presets_have_their_number_of_weights() {
    let source = built_in();
    for (sizes, weights) in [(GrownSizes::ONE_BILLION, 1.1e9), (GrownSizes::SEVEN_BILLION, 7e9)] {
        let plan = Grown::new(&source, "built-in", sizes, 0).unwrap();
        let (c, got) = (plan.transformer(), plan.weights_per_pass() as f64);
        assert!((got / weights - 1.0).abs() < 0.02, "{got}");
        // Two bytes a weight; besides the pass there are only tables of ids and draft heads.
        assert!((1.0..1.2).contains(&(plan.bytes() as f64 / (2.0 * got))) && plan.zero_share() < 0.1);
        let layer = 4 * c.hidden * c.hidden + 3 * c.hidden * c.intermediate;
        assert_eq!(got as usize, c.layers * layer + 4096 * c.hidden);
        assert_eq!((c.hidden % 1536, c.head_dim), (0, 64));
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_by_name() {
    let source = golden("llama-gqa");
    let c = transformer(&source);
    let none = GrownSizes::default();
    let step = c.head_dim * c.heads / c.kv_heads;
    for (sizes, named) in [
        (GrownSizes { hidden: Some(c.hidden - step), ..none }, "hidden"),
        (GrownSizes { hidden: Some(c.hidden + step / 2), ..none }, "in steps of"),
        (GrownSizes { hidden: Some(c.hidden + (step << 20)), ..none }, "num_attention_heads"),
        (GrownSizes { layers: Some(c.layers - 1), ..none }, "layers"),
        (GrownSizes { layers: Some(5000), ..none }, "num_hidden_layers"),
        (GrownSizes { inner: Some(0), ..none }, "inner"),
    ] {
        let error = Grown::new(&source, "source", sizes, 0).err().unwrap().to_string();
        assert!(error.contains(named), "{sizes:?}: {error}");
    }
}

#[test]
fn small_files_and_heads_come_along_and_a_broken_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("Lumina-mGPT-7B-512");
    synthesize(SynthModel::TinyLumina, 3, &place, &silent()).unwrap();
    let source = ModelSource::Dir(place.clone());
    synthesize_heads(&source, "tiny", 3, &place.join("heads"), &silent()).unwrap();
    let sizes = larger(&source, 2, 1, 10);
    let whole = grow(&source, sizes, &dir.path().join("whole"));
    let error = Grown::new(&source, "x", sizes, 5).unwrap().write(&dir.path().join("whole"), &silent()).unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
    for name in ["tokenizer.json", "vq/config.json", "vq/model.safetensors"] {
        assert!(*source.read(name).unwrap() == *whole.read(name).unwrap(), "{name}");
    }
    // The size of the images followed from the name of the source's folder.
    let grammar = String::from_utf8(whole.read("hawk.json").unwrap().to_vec()).unwrap();
    assert!(grammar.contains("512"), "{grammar}");
    let heads = HeadsConfig::read(&whole, "heads/", &transformer(&whole)).unwrap();
    assert_eq!((heads.target_digest, heads.heads.len()), (whole.digest().unwrap(), 5));

    let out = dir.path().join("broken");
    let plan = Grown::new(&source, "source", sizes, 5).unwrap();
    let progress: Progress = Arc::new(|done, total| assert!(done < total, "broken off"));
    assert!(catch_unwind(AssertUnwindSafe(|| plan.write(&out, &progress))).is_err());
    assert!(!out.exists());
    plan.write(&out, &silent()).unwrap();
    let broken = ModelSource::Dir(out);
    assert_eq!(broken.digest().unwrap(), whole.digest().unwrap());
    assert!(*broken.read("heads/model.safetensors").unwrap() == *whole.read("heads/model.safetensors").unwrap());
    let other = dir.path().join("other");
    Grown::new(&source, "source", sizes, 6).unwrap().write(&other, &silent()).unwrap();
    assert!(ModelSource::Dir(other).digest().unwrap() != whole.digest().unwrap());

    // Heads of another model are not taken along.
    std::fs::write(place.join("hawk.json"), grammar).unwrap();
    let error = Grown::new(&source, "source", sizes, 5).err().unwrap().to_string();
    assert!(error.contains("another model"), "{error}");
}
