//! Short lists against the definition, on logits of many shapes.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, LazyLock};

use cubecl::prelude::*;
use hawk_kernels::Threads;
use hawk_nn::{Laws, NodeLaws, NodeOf, PassPlan, Ranking, Readout, Rows, Shaping, StreamId, Walked};
use hawk_spec::{Cell, Code, ImageIndex, LawError, Noise, Pipeline, Purpose, Sampling, Seed, TokenId};

use super::MOST;
use crate::device::{Api, Gpu};
use crate::kernels::noise::{NOISE_ERROR, gumbel};
use crate::launch::{cubes, units};
use crate::memory::{Buffer, Memory};
use crate::readouts::Readouts;

static GPU: LazyLock<Gpu> = LazyLock::new(|| Gpu::open(Api::Vulkan, 0, 1).unwrap());

/// Logits of a node, `[codes]`.
type Shape = fn(f32, usize) -> f32;

/// Smooth ones first; `x` is random in 0..1.
const SMOOTH: [Shape; 4] = [
    |x, _| x * 12.0 - 6.0,
    |x, _| (x - 0.5) * 0.2,
    |x, code| (x * 30.0).powi(2) / 40.0 - (code % 7) as f32,
    |x, code| if code == 3 { 40.0 } else { x },
];
/// With ties, with neighbouring numbers, all equal, huge, without a law.
const HARD: [Shape; 8] = [
    |x, _| (x * 4.0).floor(),
    |x, code| f32::from_bits(1.5_f32.to_bits() + (code % 5) as u32) + (x * 2.0).floor() * 3.0,
    |_, _| -0.0,
    |x, _| (x - 0.5) * 3.0e38,
    |x, _| x * 1.0e-40,
    |x, code| if code == 1 { f32::NAN } else { x },
    |x, code| if code % 2 == 1 { f32::NEG_INFINITY } else { x * 5.0 },
    |_, _| f32::NEG_INFINITY,
];

fn samplings() -> impl Iterator<Item = Sampling> {
    let of = |cfg, temperature, top_k, top_p| Sampling::new(cfg, temperature, top_k, top_p).unwrap();
    [
        of(1.0, 1.0, 0, 1.0),
        of(3.0, 1.0, 0, 1.0),
        of(4.0, 0.7, 100, 1.0),
        of(7.5, 1.3, 0, 0.9),
        of(1.0, 0.9, 5, 0.5),
        of(0.0, 1.0, 1, 1.0),
        of(3.0, 1e-3, 0, 1.0),
        of(3.0, 1.0, 30, 0.05),
        of(2.0, 1.0, 40, 0.9999),
        of(1.5, 1e-20, 2, 1.0),
    ]
    .into_iter()
}

/// Nodes of two streams, a shape of logits each, on the device and on the host.
struct Case {
    plan: PassPlan,
    rows: [Rows; 2],
    host: Vec<f32>,
    device: Buffer,
}

impl Case {
    fn new(shapes: &[Shape], codes: usize, pipeline: Pipeline, dropped: std::ops::Range<usize>) -> Self {
        let (mut state, mut rows) = (codes as u64, [Rows::default(), Rows::default()]);
        let mut host = Vec::new();
        for rows in &mut rows {
            for (cell, shape) in (5..).zip(shapes) {
                rows.push(TokenId(0), None, Readout::Law(Cell(cell)));
                host.extend((0..codes).map(|code| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    shape((state >> 40) as f32 / 16_777_216.0, code)
                }));
            }
        }
        let readouts = 2 * shapes.len();
        let plan = PassPlan {
            ids: 0..codes,
            dropped,
            pipeline,
            streams: 2,
            rows: readouts,
            stream_rows: shapes.len(),
            readouts,
            tokens: readouts,
            head_rows: 0,
        };
        Self { plan, rows, device: GPU.memory().upload(host.clone()), host }
    }

    /// Trees of the same nodes, one for every sampling and ranking.
    fn trees(&self, best: usize) -> Vec<Laws> {
        let noise = Noise { seed: Seed(0x0123_4567_89ab_cdef), image: ImageIndex(3) };
        let rankings = [Ranking::Noise(noise, Purpose::Replay), Ranking::Noise(noise, Purpose::Text), Ranking::Score];
        let tree = |shaping, ranking| Laws {
            cond: StreamId(0),
            uncond: Some(StreamId(1)),
            shaping,
            ranking,
            best,
            walked: Walked::Best,
            asks_heads: false,
        };
        let shapings = samplings().map(Shaping::Sampling).chain([Shaping::Logits]);
        shapings.zip(rankings.into_iter().cycle()).map(|(shaping, ranking)| tree(shaping, ranking)).collect()
    }

    /// Compares the best codes of all nodes with the definition. Returns how many nodes the host ranked, and of how
    /// many.
    fn compare(&self, count: usize) -> [u64; 2] {
        let (threads, trees, memory) = (Arc::new(Threads::new(1)), self.trees(count), GPU.memory());
        let mut wanted = NodeLaws::new(&self.plan, 1);
        let plain: Vec<Laws> = trees.iter().map(|tree| Laws { best: 0, ..*tree }).collect();
        wanted.begin(&plain, self.rows.iter());
        let mut logits = self.host.clone();
        let mut readouts =
            Readouts::new(memory, &PassPlan { readouts: 64 * trees.len(), ..self.plan.clone() }, Arc::clone(&threads));
        if let Some(lists) = readouts.begin(memory, &self.device, &trees, self.rows.iter()) {
            readouts.take(&memory.read(&lists.buffer, lists.words).unwrap());
        }
        for (tree, laws) in trees.iter().enumerate() {
            for node in 0..self.rows[0].len() {
                let at = NodeOf { tree, node };
                let wanted = told(wanted.best(&threads, &mut logits, at, count));
                let got = told(readouts.best(memory, &self.device, at, count));
                assert_eq!(got, wanted, "{} codes, {:?}, node {node}", self.plan.ids.len(), laws);
            }
        }
        [readouts.read_back.ranked_on_host, readouts.read_back.listed]
    }
}

/// A NaN is not equal to itself; its message is.
fn told(best: Result<&[(f64, Code)], LawError>) -> Result<Vec<(f64, Code)>, String> {
    best.map(<[_]>::to_vec).map_err(|e| e.to_string())
}

#[test]
fn the_best_codes_are_those_of_the_definition() {
    let (mut smooth, mut all) = ([0; 2], [0; 2]);
    let add = |sum: &mut [u64; 2], counts: [u64; 2]| sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    for pipeline in [Pipeline::LUMINA, Pipeline::TEMPERATURE_FIRST] {
        for codes in [1, 7, 129, 1000] {
            for count in [1, 4] {
                add(&mut smooth, Case::new(&SMOOTH, codes, pipeline, 0..0).compare(count));
                add(&mut all, Case::new(&HARD, codes, pipeline, 0..0).compare(count));
            }
        }
    }
    // Lists decide nearly all laws that have no ties; where all codes are the same they cannot.
    assert!(smooth[0] * 20 < smooth[1], "{smooth:?}");
    assert!(all[0] > 0 && all[0] < all[1], "{all:?}");
    println!("ranked on the host: {} of {} smooth laws, {} of {} others", smooth[0], smooth[1], all[0], all[1]);
}

#[test]
fn dropped_codes_are_never_listed_and_long_lists_fall_to_the_host() {
    let case = Case::new(&SMOOTH, 129, Pipeline::TEMPERATURE_FIRST, 2..70);
    case.compare(4);
    let [host, listed] = case.compare(MOST + 1);
    assert!(host > 0 && listed == 0, "{host} {listed}");
}

/// The noise of words.
#[cube(launch_unchecked)]
fn noises(words: &[u32], out: &mut [f32]) {
    let at = (CUBE_POS_X * 128u32 + UNIT_POS) as usize;
    out[at] = gumbel(words[at]);
}

#[test]
fn noise_is_within_a_quarter_of_its_bound() {
    let spread = (0..1_u32 << 15).map(|i| i.wrapping_mul(0x0002_0001));
    let borders = (0..32).flat_map(|bit| {
        let power = 1_u32 << bit;
        (0..128).flat_map(move |i| [power.wrapping_add(i), power.wrapping_sub(i), !power.wrapping_add(i)])
    });
    let mut words: Vec<u32> = spread.chain(borders).chain([0, u32::MAX]).collect();
    words.resize(words.len().next_multiple_of(128), 0);
    let memory: &Memory = GPU.memory();
    let (given, out) = (memory.upload(words.clone()), memory.zeros(words.len()));
    // SAFETY: both buffers have a word for every unit.
    unsafe {
        noises::launch_unchecked(&memory.client, cubes(words.len() / 128, 1), units(128), given.arg(), out.arg());
    }
    let read = memory.read(&out, words.len()).unwrap();
    let exact = |word: u32| {
        let u = (f64::from(word) + 0.5) / 4_294_967_296.0;
        -(-u.ln()).ln()
    };
    let got: &[f32] = bytemuck::cast_slice(&read);
    let error = words.iter().zip(got).map(|(&word, &got)| (f64::from(got) - exact(word)).abs()).fold(0.0, f64::max);
    assert!(error < f64::from(NOISE_ERROR) / 4.0, "{error}");
    println!("noise is within {error:.1e}");
}
