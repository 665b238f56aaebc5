//! Logits against the reference implementation's, and a tree against its chains.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{Checkpoint, ModelSource, PassLimits, Readout, Stream, Target, TransformerConfig};
use hawk_spec::TokenId;

fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tiny = ["chameleon", "chameleon-swin", "llama-gqa"].map(|name| root.join("tests/golden").join(name));
    tiny.into_iter().chain([root.join("../../models/emoji-v0")]).collect()
}

fn load(dir: &Path, precision: Precision) -> Target {
    let source = ModelSource::Dir(dir.to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

/// Token ids and logits of the reference.
fn golden(dir: &Path) -> (Vec<TokenId>, Vec<f32>) {
    let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let ids = file.tensor("input_ids").unwrap().data().as_chunks::<8>().0.to_vec();
    let logits = file.tensor("logits").unwrap().data().as_chunks::<4>().0.to_vec();
    (
        ids.into_iter().map(|id| TokenId(i64::from_le_bytes(id) as u32)).collect(),
        logits.into_iter().map(f32::from_le_bytes).collect(),
    )
}

/// Every row of every pass may be read.
fn limits(target: &Target, rows: usize, tokens: usize) -> PassLimits {
    PassLimits { rows, readouts: rows, tokens, vocabulary: target.config().vocab }
}

/// Logits of a chain, in passes of `step` rows.
fn chain(target: &Target, pool: &Pool, tokens: &[TokenId], step: usize) -> Vec<f32> {
    let vocab = target.config().vocab;
    let mut streams = [target.stream(tokens.len())];
    let mut workspace = target.workspace(limits(target, step, tokens.len()));
    let mut logits = Vec::new();
    for part in tokens.chunks(step) {
        let mut last = None;
        for &token in part {
            last = Some(streams[0].rows.push(token, last, Readout::Logits));
        }
        let staged = target.forward(pool, &mut workspace, &mut streams, 0..vocab).unwrap();
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
    let pool = Pool::new(2);
    for dir in models() {
        let (tokens, want) = golden(&dir);
        for (precision, limit) in [(Precision::F32, 2e-4), (Precision::Bf16, f32::MAX), (Precision::Int8, f32::MAX)] {
            let got = chain(&load(&dir, precision), &pool, &tokens, 64);
            assert_eq!(got.len(), want.len());
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{} {precision}: {worst:.1e}", dir.display());
            assert!(worst <= limit && worst.is_finite(), "{} {precision}: {worst}", dir.display());
        }
    }
}

#[test]
fn a_chain_has_the_same_bits_in_any_steps_and_on_any_threads() {
    for dir in models() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let target = load(&dir, precision);
            let tokens = &golden(&dir).0[..31];
            let alone = chain(&target, &Pool::new(1), tokens, 1);
            for (threads, step) in [(2, 1), (1, 7), (2, 13), (2, 40)] {
                assert!(chain(&target, &Pool::new(threads), tokens, step) == alone, "{precision} {threads} {step}");
            }
        }
    }
}

/// A row of the tree below that is not read.
const UNREAD: usize = 4;

#[test]
fn a_row_of_a_tree_has_the_bits_of_its_path_and_streams_do_not_meet() {
    for dir in models() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let target = load(&dir, precision);
            let (vocab, pool) = (target.config().vocab, Pool::new(2));
            let tokens = golden(&dir).0;
            let (prefix, guesses) = (&tokens[..9], &tokens[9..19]);
            let parents = [None, Some(0), Some(0), Some(1), Some(2), Some(1), Some(3), None, Some(7), Some(6)];
            let mut workspace = target.workspace(limits(&target, 20, 40));
            let mut streams = [3, 9].map(|length| {
                let mut stream = [target.stream(40)];
                let last = stream[0].rows.push_chain(prefix[9 - length..].iter().copied(), None, Readout::Nothing);
                target.forward(&pool, &mut workspace, &mut stream, 0..vocab).unwrap().commit(&[last]);
                let [mut stream] = stream;
                for (row, (guess, parent)) in guesses.iter().zip(parents).enumerate() {
                    let readout = if row == UNREAD { Readout::Nothing } else { Readout::Logits };
                    stream.rows.push(*guess, parent, readout);
                }
                stream
            });
            let staged = target.forward(&pool, &mut workspace, &mut streams, 4..90).unwrap();
            let follow = |length: usize, rows: &[usize]| {
                let path = prefix[9 - length..].iter().copied().chain(rows.iter().map(|row| guesses[*row]));
                let all = chain(&target, &Pool::new(1), &path.collect::<Vec<_>>(), 1);
                all[all.len() - vocab..].to_vec()
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
            let after = target.forward(&pool, &mut workspace, &mut streams, 0..vocab).unwrap();
            assert!(after.all_logits() == follow(9, &[0, 1, 3, 6, 9]), "{precision}: after a commit");
        }
    }
}

/// A golden checkpoint whose SwiGLU keeps its first `width` channels, in a file of `stored` channels (the rest zero).
fn narrowed(dir: &Path, width: usize, stored: usize) -> Target {
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
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
        let tokens = &golden(dir).0[..12];
        for width in [40, 137] {
            let [cut, zeroed] =
                [width, 144].map(|stored| chain(&narrowed(dir, width, stored), &Pool::new(2), tokens, 12));
            assert!(cut == zeroed, "{} channels", width);
        }
    }
}
