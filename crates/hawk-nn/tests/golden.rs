//! Logits against the reference implementation's, and a tree against its chains.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{
    CaptionFeatures, Checkpoint, Family, LlamaGenCondition, ModelSource, OwnInputs, PassLimits, Readout, Stream,
    Target, TransformerConfig,
};
use hawk_spec::TokenId;
use safetensors::SafeTensors;

fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tiny = ["chameleon", "chameleon-swin", "llama-gqa", "janus", "llamagen-c2i", "llamagen-t2i"];
    tiny.map(|name| root.join("tests/golden").join(name))
        .into_iter()
        .chain([root.join("../../models/built-in")])
        .collect()
}

fn load(dir: &Path, precision: Precision) -> Target {
    let source = ModelSource::Dir(dir.to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

/// What the reference computed.
struct Golden {
    /// The whole sequence, a caption's features included.
    tokens: Vec<TokenId>,
    own: OwnInputs,
    /// Position of the first logits.
    first: usize,
    logits: Vec<f32>,
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let numbers = file.tensor(name).unwrap().data().as_chunks::<8>().0.to_vec();
    numbers.into_iter().map(|id| i64::from_le_bytes(id) as u32).collect()
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

/// The tokens of a family's grammar before the codes (those without a condition where `kind` is `uncond`), and what they need.
fn before_codes(dir: &Path, target: &Target, file: &SafeTensors<'_>, kind: &str) -> (Vec<u32>, OwnInputs) {
    let config = target.config();
    let Family::LlamaGen(sizes) = config.family else { return (ids(file, "input_ids"), OwnInputs::default()) };
    let behind = sizes.codes as u32;
    match (sizes.condition, kind) {
        (LlamaGenCondition::Classes(_), "logits") => (vec![behind + ids(file, "class")[0]], OwnInputs::default()),
        (LlamaGenCondition::Classes(classes), _) => (vec![behind + classes as u32], OwnInputs::default()),
        (LlamaGenCondition::Captions { most, .. }, kind) => {
            let features = std::fs::read(dir.join("features.safetensors")).unwrap();
            let features = CaptionFeatures::from_bytes(features).unwrap();
            let own = target.caption(&Threads::new(2), &features).unwrap();
            let count = features.count() as u32;
            let first = if kind == "logits" { config.vocab as u32 } else { behind + most as u32 - count };
            ((first..first + count).collect(), if kind == "logits" { own } else { own.positions_alone() })
        }
    }
}

fn golden_of(dir: &Path, target: &Target, kind: &str) -> Golden {
    let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (mut tokens, own) = before_codes(dir, target, &file, kind);
    let mut first = 0;
    if let Family::Janus(_) | Family::LlamaGen(_) = target.config().family {
        first = tokens.len() - 1;
        let offset = target.config().readable().start as u32;
        let codes = ids(&file, "codes");
        // The last code predicts nothing.
        tokens.extend(codes[..codes.len() - 1].iter().map(|code| offset + code));
    }
    Golden { tokens: tokens.into_iter().map(TokenId).collect(), own, first, logits: numbers(&file, kind) }
}

fn golden(dir: &Path, target: &Target) -> Golden {
    golden_of(dir, target, "logits")
}

/// Every row of every pass may be read.
fn limits(target: &Target, rows: usize, tokens: usize) -> PassLimits {
    PassLimits { rows, readouts: rows, tokens, vocabulary: target.config().readable().len() }
}

/// Logits of a chain, in passes of `step` rows.
fn chain(target: &Target, pool: &Threads, (tokens, own): (&[TokenId], &OwnInputs), step: usize) -> Vec<f32> {
    let ids = target.config().readable();
    let mut streams = [target.stream(tokens.len()).unwrap().with_inputs(own.clone())];
    let mut workspace = target.workspace(limits(target, step, tokens.len())).unwrap();
    let mut logits = Vec::new();
    for part in tokens.chunks(step) {
        let mut last = None;
        for &token in part {
            last = Some(streams[0].rows.push(token, last, Readout::Logits));
        }
        let staged = target.forward(pool, &mut workspace, &mut streams, ids.clone()).unwrap();
        logits.extend_from_slice(staged.all_logits());
        staged.commit(&[last]);
    }
    logits
}

#[test]
fn the_inventory_is_what_loading_asks_for() {
    for dir in models() {
        let source = ModelSource::Dir(dir);
        let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
        let checkpoint = Checkpoint::open(&source, "").unwrap();
        let wanted = config.tensors();
        assert!(wanted.iter().all(|tensor| tensor.fault(&checkpoint).is_none()));
        Target::load(config, &checkpoint, Precision::Int8).unwrap();
        let untouched = |name: &&str| wanted.iter().all(|tensor| tensor.name != *name);
        assert_eq!(checkpoint.left_over(), checkpoint.names().filter(untouched).collect::<Vec<_>>());
        let mut other = wanted[0].clone();
        other.shape[0] += 1;
        assert!(other.fault(&checkpoint).unwrap().contains("expected"));
        other.name.push('x');
        assert!(other.fault(&checkpoint).unwrap().contains("missing"));
    }
}

#[test]
fn logits_match_the_reference() {
    let pool = Threads::new(2);
    for dir in models() {
        for (precision, limit) in Precision::ALL.into_iter().zip([2e-4, f32::MAX, 1e-2, f32::MAX]) {
            let target = load(&dir, precision);
            let llamagen = matches!(target.config().family, Family::LlamaGen(_));
            for kind in if llamagen { &["logits", "uncond"][..] } else { &["logits"] } {
                let golden = golden_of(&dir, &target, kind);
                let got = chain(&target, &pool, (&golden.tokens, &golden.own), 64);
                let got = &got[golden.first * target.config().readable().len()..];
                assert_eq!(got.len(), golden.logits.len());
                let worst = got.iter().zip(&golden.logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                println!("{} {kind} {precision}: {worst:.1e}", dir.display());
                assert!(worst <= limit && worst.is_finite(), "{} {precision}: {worst}", dir.display());
            }
        }
    }
}

#[test]
fn a_chain_has_the_same_bits_in_any_steps_and_on_any_threads() {
    for dir in models() {
        for precision in Precision::ALL {
            let target = load(&dir, precision);
            let golden = golden(&dir, &target);
            let tokens = (&golden.tokens[..golden.tokens.len().min(31)], &golden.own);
            let alone = chain(&target, &Threads::new(1), tokens, 1);
            for (threads, step) in [(2, 1), (1, 7), (2, 13), (2, 40)] {
                assert!(chain(&target, &Threads::new(threads), tokens, step) == alone, "{precision} {threads} {step}");
            }
        }
    }
}

/// A row of the tree below that is not read.
const UNREAD: usize = 4;

#[test]
fn a_row_of_a_tree_has_the_bits_of_its_path_and_streams_do_not_meet() {
    for dir in models() {
        for precision in Precision::ALL {
            let target = load(&dir, precision);
            let (ids, pool) = (target.config().readable(), Threads::new(2));
            let (some, count) = (ids.start + 4..ids.start + 90, ids.len());
            let Golden { tokens, own, .. } = golden(&dir, &target);
            let prefix = &tokens[..9];
            let guesses: Vec<TokenId> = tokens.iter().copied().cycle().skip(9).take(10).collect();
            let parents = [None, Some(0), Some(0), Some(1), Some(2), Some(1), Some(3), None, Some(7), Some(6)];
            let mut workspace = target.workspace(limits(&target, 20, 40)).unwrap();
            let mut streams = [3, 9].map(|length| {
                let mut stream = [target.stream(40).unwrap().with_inputs(own.clone())];
                let last = stream[0].rows.push_chain(prefix[9 - length..].iter().copied(), None, Readout::Nothing);
                target.forward(&pool, &mut workspace, &mut stream, ids.clone()).unwrap().commit(&[last]);
                let [mut stream] = stream;
                for (row, (guess, parent)) in guesses.iter().zip(parents).enumerate() {
                    let readout = if row == UNREAD { Readout::Nothing } else { Readout::Logits };
                    stream.rows.push(*guess, parent, readout);
                }
                stream
            });
            let staged = target.forward(&pool, &mut workspace, &mut streams, some.clone()).unwrap();
            let follow = |length: usize, rows: &[usize]| {
                let path = prefix[9 - length..].iter().copied().chain(rows.iter().map(|row| guesses[*row]));
                let all = chain(&target, &Threads::new(1), (&path.collect::<Vec<_>>(), &own), 1);
                all[all.len() - count..].to_vec()
            };
            for row in 0..parents.len() {
                let mut path = vec![row];
                while let Some(parent) = parents[path[0]] {
                    path.insert(0, parent);
                }
                for (stream, length) in [(0, 3), (1, 9)] {
                    let logits = staged.logits(stream, row);
                    assert_eq!(logits.is_none(), row == UNREAD);
                    assert!(
                        logits.is_none_or(|logits| logits == &follow(length, &path)[4..90]),
                        "{precision} row {row}"
                    );
                }
            }
            staged.commit(&[None, Some(6)]);
            assert_eq!(streams.each_ref().map(Stream::committed), [3, 13]);
            streams[1].rows.push(guesses[9], None, Readout::Logits);
            let after = target.forward(&pool, &mut workspace, &mut streams, ids).unwrap();
            assert!(after.all_logits() == follow(9, &[0, 1, 3, 6, 9]), "{precision}: after a commit");
        }
    }
}

#[test]
fn ids_positions_and_ranges_that_a_family_lacks_are_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let refused = |target: &Target, ids: &[u32], range: std::ops::Range<usize>| {
        let mut streams = [target.stream(64).unwrap()];
        streams[0].rows.push_chain(ids.iter().copied().map(TokenId), None, Readout::Logits);
        let mut workspace = target.workspace(limits(target, 64, 64)).unwrap();
        let staged = target.forward(&Threads::new(1), &mut workspace, &mut streams, range);
        staged.err().unwrap().to_string()
    };
    let c2i = load(&root.join("llamagen-c2i"), Precision::F32);
    for (ids, range, named) in
        [(&[96 + 11][..], 0..96, "below 107"), (&[1; 38], 0..96, "at most 37"), (&[106], 90..97, "0..96")]
    {
        let error = refused(&c2i, ids, range);
        assert!(error.contains(named), "{error}");
    }
    let janus = load(&root.join("janus"), Precision::F32);
    for (ids, range, named) in [(&[256][..], 160..256, "below 256"), (&[3], 150..165, "160..256")] {
        let error = refused(&janus, ids, range);
        assert!(error.contains(named), "{error}");
    }
    // Features are no part of the vocabulary of those that were given none.
    let t2i = load(&root.join("llamagen-t2i"), Precision::F32);
    assert!(refused(&t2i, &[96 + 12], 0..96).contains("below 108"));
}

#[test]
fn features_that_do_not_fit_are_named() {
    let target = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llamagen-t2i"), Precision::F32);
    let file = |name: &str, shape: &[usize], x: f32| {
        let data = vec![x.to_le_bytes(); shape.iter().product()].as_flattened().to_vec();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &data).unwrap();
        safetensors::serialize([(name, view)], None).unwrap()
    };
    let read = |bytes: Vec<u8>| {
        CaptionFeatures::from_bytes(bytes).and_then(|features| target.caption(&Threads::new(1), &features))
    };
    assert_eq!(read(file("features", &[12, 24], 0.5)).unwrap().start(), 0);
    for (bytes, named) in [
        (b"no file".to_vec(), "safetensors"),
        (file("caption", &[2, 24], 0.5), "features"),
        (file("features", &[24], 0.5), "[24]"),
        (file("features", &[0, 24], 0.5), "[0, 24]"),
        (file("features", &[2, 23], 0.5), "24 numbers"),
        (file("features", &[13, 24], 0.5), "at most 12"),
        (file("features", &[2, 24], f32::NAN), "NaN"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    let janus = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/janus"), Precision::F32);
    let features = CaptionFeatures::from_bytes(file("features", &[2, 24], 0.5)).unwrap();
    assert!(janus.caption(&Threads::new(1), &features).unwrap_err().to_string().contains("Janus"));
}

/// A golden checkpoint whose SwiGLU keeps its first `width` channels, in a file of `stored` channels (the rest zero).
fn narrowed(dir: &Path, width: usize, stored: usize) -> Target {
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap();
    config["intermediate_size"] = stored.into();
    let cut = |name: &str, view: &safetensors::tensor::TensorView<'_>| {
        let (mut shape, numbers) = (view.shape().to_vec(), view.data().as_chunks::<4>().0);
        let rows: Vec<&[[u8; 4]]> = numbers.chunks(*shape.last().unwrap()).collect();
        let kept: Vec<[u8; 4]> = if name.contains("down_proj") {
            shape[1] = stored;
            let row =
                |row: &&[[u8; 4]]| (0..stored).map(|i| if i < width { row[i] } else { [0; 4] }).collect::<Vec<_>>();
            rows.iter().flat_map(row).collect()
        } else {
            shape[0] = stored;
            rows[..stored].concat()
        };
        (shape, kept.as_flattened().to_vec())
    };
    let tensors: Vec<_> = file
        .iter()
        .filter(|(name, _)| !name.contains("vqmodel"))
        .map(|(name, view)| {
            let (shape, data) =
                if name.contains("mlp") { cut(name, &view) } else { (view.shape().to_vec(), view.data().to_vec()) };
            (name.to_owned(), view.dtype(), shape, data)
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let checkpoint = Checkpoint::from_bytes(safetensors::serialize(views, None).unwrap()).unwrap();
    let config = TransformerConfig::from_json(&serde_json::to_vec(&config).unwrap()).unwrap();
    Target::load(config, &checkpoint, Precision::F32).unwrap()
}

#[test]
fn any_width_of_the_swiglu_works() {
    for dir in &models()[..3] {
        let tokens = &golden(dir, &load(dir, Precision::F32)).tokens[..12];
        for width in [40, 137] {
            let [cut, zeroed] = [width, 144].map(|stored| {
                chain(&narrowed(dir, width, stored), &Threads::new(2), (tokens, &OwnInputs::default()), 12)
            });
            assert!(cut == zeroed, "{} channels", width);
        }
    }
}
