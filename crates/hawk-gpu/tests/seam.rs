//! The seam on a GPU, or on a driver that computes like one: logits beside the CPU's, and rows
//! whose bits depend on no other row.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hawk_files::{CaptionFeatures, Checkpoint, Family, HeadsConfig, ModelSource, Rotary, TransformerConfig};
use hawk_gpu::{Api, Gpu};
use hawk_kernels::Precision;
use hawk_nn::{
    Backend, Cpu, Device, HeadRow, Laws, NodeOf, OwnInputs, PassPlan, Ranking, Readout, Shaping, Staged, Walked,
};
use hawk_spec::{Cell, ImageIndex, Noise, Pipeline, Purpose, Sampling, Seed, TokenId};

static GPU: LazyLock<Gpu> = LazyLock::new(|| Gpu::open(Api::Vulkan, 0, 2).unwrap());
static CPU: LazyLock<Cpu> = LazyLock::new(|| Cpu::new(2).unwrap());

/// Most tokens of a stream.
const TOKENS: usize = 96;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hawk-nn/tests/golden").join(name)
}

fn built_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in")
}

fn models() -> impl Iterator<Item = PathBuf> {
    let tiny = ["chameleon", "chameleon-swin", "llama-gqa", "janus", "llamagen-c2i", "llamagen-t2i"];
    tiny.into_iter().map(golden).chain([built_in()])
}

fn load(dir: &Path, device: &dyn Device, precision: Precision) -> Box<dyn Backend> {
    let source = ModelSource::Dir(dir.to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    device.load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

fn plan(backend: &dyn Backend) -> PassPlan {
    PassPlan {
        ids: backend.config().readable(),
        dropped: 0..0,
        pipeline: Pipeline::LUMINA,
        streams: 2,
        rows: 72,
        stream_rows: 72,
        readouts: 72,
        tokens: TOKENS,
        head_rows: 0,
    }
}

/// What a stream begins with: the features of a caption where the family reads them.
fn begin(dir: &Path, backend: &dyn Backend) -> (OwnInputs, Vec<TokenId>) {
    let config = backend.config();
    match (config.family, std::fs::read(dir.join("features.safetensors"))) {
        (Family::LlamaGen(_), Ok(file)) => {
            let features = CaptionFeatures::from_bytes(file).unwrap();
            let first = config.vocab as u32;
            let own = (first..first + features.count() as u32).map(TokenId).collect();
            (backend.caption(&features).unwrap(), own)
        }
        _ => (OwnInputs::default(), vec![TokenId(config.readable().start as u32)]),
    }
}

/// Some tokens of the vocabulary, always the same.
fn tokens(dir: &Path, backend: &dyn Backend, count: usize) -> (OwnInputs, Vec<TokenId>) {
    let (own, mut tokens) = begin(dir, backend);
    let ids = backend.config().readable();
    let some = |i: usize| TokenId((ids.start + (i * 7919 + 13) % ids.len()) as u32);
    tokens.extend((tokens.len()..count).map(some));
    (own, tokens)
}

/// Logits of a chain, in passes of `step` rows.
fn chain(backend: &dyn Backend, (own, tokens): (&OwnInputs, &[TokenId]), step: usize) -> Vec<Vec<f32>> {
    let mut passes = backend.passes(plan(backend)).unwrap();
    let stream = passes.open(own.clone()).unwrap();
    let mut logits = Vec::new();
    for part in tokens.chunks(step) {
        let mut last = None;
        for &token in part {
            last = Some(passes.rows(stream).push(token, last, Readout::Logits));
        }
        let mut staged = Staged::run(&mut *passes, &[Laws::logits(stream)]).unwrap();
        for node in 0..part.len() {
            logits.push(staged.read().scores(NodeOf { tree: 0, node }).unwrap().to_vec());
        }
        staged.commit(last.map(|row| (stream, row)));
    }
    logits
}

fn differences<'a>(a: &'a [Vec<f32>], b: &'a [Vec<f32>]) -> impl Iterator<Item = f32> {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs())
}

/// The root of the mean square.
fn size(differences: impl Iterator<Item = f32>) -> f64 {
    let (sum, count) = differences.fold((0.0, 0.0), |(sum, count), x| (sum + f64::from(x).powi(2), count + 1.0));
    f64::sqrt(sum / count)
}

#[test]
fn logits_are_the_cpus_to_rounding() {
    for dir in models() {
        let logits = |device: &dyn Device, precision: Precision| {
            let backend = load(&dir, device, precision);
            let (own, tokens) = tokens(&dir, &*backend, 30);
            chain(&*backend, (&own, &tokens), 64)
        };
        let exact = logits(&*CPU, Precision::F32);
        for precision in [Precision::F32, Precision::F16] {
            let worst = differences(&logits(&*CPU, precision), &logits(&*GPU, precision)).fold(0.0, f32::max);
            assert!(worst <= 1e-4, "{} {precision}: {worst}", dir.display());
            println!("{}: {precision} {worst:.1e}", dir.display());
        }
        // An input that is rounded to bf16 may be rounded to either side. That moves logits as far
        // as rounding does at all. Under int8 the CPU rounds inputs to 8 bits, a GPU to bf16.
        for precision in [Precision::Bf16, Precision::Int8] {
            let (cpu, gpu) = (logits(&*CPU, precision), logits(&*GPU, precision));
            let [of_cpu, of_gpu, between] =
                [(&exact, &cpu), (&exact, &gpu), (&cpu, &gpu)].map(|(a, b)| size(differences(a, b)));
            println!("{}: {precision} {of_cpu:.1e} {of_gpu:.1e} {between:.1e}", dir.display());
            assert!(of_gpu <= 1.1 * of_cpu && between <= 1.1 * of_cpu, "{}: {of_gpu}, CPU {of_cpu}", dir.display());
        }
    }
}

/// The models with the number formats that they are run in.
fn runs() -> impl Iterator<Item = (PathBuf, Precision)> {
    let formats = |dir: PathBuf| match dir.ends_with("built-in") {
        true => vec![(dir, Precision::Bf16)],
        false => Precision::ALL.map(|format| (dir.clone(), format)).to_vec(),
    };
    models().flat_map(formats)
}

#[test]
fn a_chain_has_the_same_bits_in_any_steps() {
    for (dir, precision) in runs() {
        let backend = load(&dir, &*GPU, precision);
        // Blocks of every number of rows; a grid has few positions.
        let (count, steps) = match backend.config().rotary {
            // A driver in software takes long for the built-in model.
            Rotary::Line if dir.ends_with("built-in") => (34, &[3, 33][..]),
            Rotary::Line => (66, &[2, 3, 7, 16, 33, 64][..]),
            Rotary::Grid { .. } => (30, &[4, 13, 30][..]),
        };
        let (own, tokens) = tokens(&dir, &*backend, count);
        let alone = chain(&*backend, (&own, &tokens), 1);
        for &step in steps {
            assert!(chain(&*backend, (&own, &tokens), step) == alone, "{} {precision} {step}", dir.display());
        }
    }
}

/// Nodes after the root: a tree in which rows are out of the order of paths.
const PARENTS: [Option<usize>; 10] =
    [None, Some(0), Some(0), Some(1), Some(2), Some(1), Some(3), None, Some(7), Some(6)];

fn path_of(row: usize) -> Vec<usize> {
    let mut path = vec![row];
    while let Some(parent) = PARENTS[path[0]] {
        path.insert(0, parent);
    }
    path
}

#[test]
fn a_row_of_a_tree_has_the_bits_of_its_path() {
    for (dir, precision) in runs().filter(|(dir, _)| !dir.ends_with("built-in")) {
        let backend = load(&dir, &*GPU, precision);
        let (own, all) = tokens(&dir, &*backend, 24);
        let (prefix, guesses) = all.split_at(12);
        let follow = |length: usize, rows: &[usize]| {
            let path = prefix[..length].iter().copied().chain(rows.iter().map(|&row| guesses[row]));
            chain(&*backend, (&own, &path.collect::<Vec<_>>()), 1).pop().unwrap()
        };
        let mut passes = backend.passes(plan(&*backend)).unwrap();
        // Two streams of different lengths, the second a copy of the first.
        let streams = [(); 2].map(|()| passes.open(own.clone()).unwrap());
        let last = passes.rows(streams[0]).push_chain(prefix.iter().copied(), None, Readout::Nothing);
        Staged::run(&mut *passes, &[]).unwrap().commit(last.map(|row| (streams[0], row)));
        passes.copy(streams[0], streams[1], 11);
        passes.truncate(streams[1], 10);
        assert_eq!(streams.map(|stream| passes.committed(stream)), [12, 10]);
        for stream in streams {
            for (guess, parent) in guesses.iter().zip(PARENTS) {
                passes.rows(stream).push(*guess, parent, Readout::Logits);
            }
        }
        let trees = streams.map(Laws::logits);
        let mut staged = Staged::run(&mut *passes, &trees).unwrap();
        for (tree, length) in [(0, 12), (1, 10)] {
            for node in [0, 2, 4, 6, 9] {
                let got = staged.read().scores(NodeOf { tree, node }).unwrap().to_vec();
                assert!(got == follow(length, &path_of(node)), "{} {precision} row {node}", dir.display());
            }
        }
        // Paths whose rows do not stand together move to their places.
        staged.commit([(streams[0], 9), (streams[1], 4)]);
        assert_eq!(streams.map(|stream| passes.committed(stream)), [12 + 5, 10 + 3]);
        for stream in streams {
            passes.rows(stream).push(guesses[10], None, Readout::Logits);
        }
        let mut staged = Staged::run(&mut *passes, &trees).unwrap();
        for (tree, length, rows) in [(0, 12, &[0, 1, 3, 6, 9, 10][..]), (1, 10, &[0, 2, 4, 10])] {
            let got = staged.read().scores(NodeOf { tree, node: 0 }).unwrap().to_vec();
            assert!(got == follow(length, rows), "{} {precision}: after a commit", dir.display());
        }
    }
}

#[test]
fn the_best_codes_of_a_pass_are_those_of_its_scores() {
    let noise = Noise { seed: Seed(7), image: ImageIndex(2) };
    for dir in models() {
        let backend = load(&dir, &*GPU, Precision::Bf16);
        let (own, tokens) = tokens(&dir, &*backend, 24);
        let mut passes = backend.passes(plan(&*backend)).unwrap();
        let streams = [(); 2].map(|()| passes.open(own.clone()).unwrap());
        for ((cfg, temperature, top_k, top_p), best) in
            [((3.0, 1.0, 0, 1.0), 1), ((4.0, 0.8, 7, 1.0), 4), ((2.0, 1.2, 0, 0.8), 4), ((1.0, 1.0, 9, 0.6), 0)]
        {
            let sampling = Sampling::new(cfg, temperature, top_k, top_p).unwrap();
            let before = passes.read_back();
            for (at, stream) in streams.into_iter().enumerate() {
                // The streams have other tokens, as those of guidance do.
                let mut last = None;
                for (cell, &token) in (0..).map(Cell).zip(&tokens[at..][..16]) {
                    last = Some(passes.rows(stream).push(token, last, Readout::Law(cell)));
                }
            }
            let laws = Laws {
                uncond: Some(streams[1]),
                shaping: Shaping::Sampling(sampling),
                ranking: Ranking::Noise(noise, Purpose::Replay),
                best,
                walked: Walked::Best,
                ..Laws::logits(streams[0])
            };
            let mut staged = Staged::run(&mut *passes, &[laws]).unwrap();
            let count = best.max(1);
            let got: Vec<_> =
                (0..16).map(|node| staged.read().best(NodeOf { tree: 0, node }, count).unwrap().to_vec()).collect();
            let read = staged.read().read_back();
            let (bytes, listed) = (read.bytes - before.bytes, read.listed - before.listed);
            assert_eq!(listed, 16, "{}", dir.display());
            if read.ranked_on_host == before.ranked_on_host {
                assert_eq!(bytes, 16 * (16 + 32 * (count as u64 + 3)), "{}", dir.display());
            }
            let mut wanted = Vec::new();
            for (node, got) in got.iter().enumerate() {
                let scores = staged.read().scores(NodeOf { tree: 0, node }).unwrap();
                noise.at(Cell(node as u32), Purpose::Replay).rank(scores, count, &mut wanted);
                assert_eq!(got, &wanted, "{} node {node}, {sampling:?}", dir.display());
            }
        }
    }
}

#[test]
fn listed_logits_of_draft_heads_are_the_cpus_and_the_others_keep_their_mass() {
    let dir = built_in();
    let rows: Vec<HeadRow> =
        (0..8).map(|row| HeadRow { at: NodeOf { tree: 0, node: 9 - row }, head: row * 3 % 5 }).collect();
    // The bytes read with the pass and by the heads' own run, and the logits.
    let run = |device: &dyn Device, asks_heads: bool| -> ([u64; 2], Vec<Vec<f32>>) {
        let mut backend = load(&dir, device, Precision::F32);
        let heads = ModelSource::Dir(dir.join("heads"));
        let config = HeadsConfig::from_json(&heads.read("config.json").unwrap()).unwrap();
        backend.load_heads(&config, &Checkpoint::open(&heads, "").unwrap()).unwrap();
        let (own, tokens) = tokens(&dir, &*backend, 10);
        let mut passes = backend.passes(PassPlan { head_rows: 50, ..plan(&*backend) }).unwrap();
        let stream = passes.open(own).unwrap();
        let mut last = None;
        for token in tokens {
            last = Some(passes.rows(stream).push(token, last, Readout::Logits));
        }
        let before = passes.read_back().bytes;
        let mut staged = Staged::run(&mut *passes, &[Laws { asks_heads, ..Laws::logits(stream) }]).unwrap();
        let with_pass = staged.read().read_back().bytes - before;
        staged.read().run_heads(&rows).unwrap();
        let later = staged.read().read_back().bytes - before - with_pass;
        let logits = (0..rows.len()).map(|row| staged.read().head_logits(row).to_vec()).collect();
        drop(staged);
        assert!(passes.run_heads(&rows).is_err(), "a pass that was rolled back has no nodes");
        ([with_pass, later], logits)
    };
    let mass = |logits: &[f32]| logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
    let [(alone, told), (with_pass, the_same)] = [false, true].map(|asks_heads| run(&*GPU, asks_heads));
    let lists = |rows: usize| (rows * (256 * 8 + 12)) as u64;
    assert_eq!(alone, [0, lists(rows.len())]);
    assert_eq!(with_pass, [lists(5 * 10), 0], "all five heads at all ten nodes");
    assert_eq!(told, the_same);
    for (cpu, gpu) in run(&*CPU, false).1.iter().zip(told) {
        let others = gpu.iter().copied().fold(f32::INFINITY, f32::min);
        let listed: Vec<usize> = (0..gpu.len()).filter(|&code| gpu[code] > others).collect();
        assert_eq!(listed.len(), 256);
        let last = listed.iter().map(|&code| gpu[code]).fold(f32::INFINITY, f32::min);
        for code in 0..gpu.len() {
            match gpu[code] > others {
                true => assert!((gpu[code] - cpu[code]).abs() < 1e-4, "{code}: {} {}", gpu[code], cpu[code]),
                false => assert!(cpu[code] < last + 2e-3, "{code} is not listed: {} {last}", cpu[code]),
            }
        }
        assert!((mass(&gpu) - mass(cpu)).abs() < 1e-4, "{} {}", mass(&gpu), mass(cpu));
    }
}

#[test]
fn what_a_device_cannot_do_is_told() {
    let dir = golden("chameleon");
    let error = Gpu::open(Api::Vulkan, 99, 1).err().unwrap();
    assert!(error.to_string().contains("vulkan:99"), "{error}");
    let backend = load(&dir, &*GPU, Precision::F32);
    for huge in [1 << 45, usize::MAX / 16] {
        let error = backend.passes(PassPlan { tokens: huge, ..plan(&*backend) }).err().unwrap().to_string();
        assert!(error.contains("not enough memory") && error.contains("vulkan:0"), "{error}");
    }
    let mut passes = backend.passes(PassPlan { tokens: 16, ..plan(&*backend) }).unwrap();
    let stream = passes.open(OwnInputs::default()).unwrap();
    passes.rows(stream).push_chain((0..17).map(TokenId), None, Readout::Nothing);
    let error = Staged::run(&mut *passes, &[]).err().unwrap().to_string();
    assert!(error.contains("at most 16 tokens"), "{error}");
    passes.rows(stream).push(TokenId(1 << 20), None, Readout::Nothing);
    let error = Staged::run(&mut *passes, &[]).err().unwrap().to_string();
    assert!(error.contains("not in the vocabulary"), "{error}");
}
