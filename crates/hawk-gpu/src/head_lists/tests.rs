//! Lists of rows of many shapes against the rows.
#![allow(clippy::unwrap_used)]

use hawk_nn::PassPlan;
use hawk_spec::Pipeline;

use super::{HeadLists, list_of};
use crate::device::{Api, Gpu};

/// Logits of a row, from numbers in 0..1 and codes.
type Shape = fn(f32, usize) -> f32;

const SHAPES: [Shape; 7] = [
    |x, _| x * 20.0 - 10.0,
    |x, _| (x * 4.0).floor(),
    |_, _| -3.0,
    |x, code| if code == 3 { 400.0 } else { x },
    |x, _| (x - 0.5) * 8e37,
    |x, code| if code % 50 == 0 { x * 5.0 } else { -100.0 + x },
    |x, _| x * 1e-40,
];

fn plan(codes: usize, rows: usize) -> PassPlan {
    PassPlan {
        ids: 0..codes,
        dropped: 0..0,
        pipeline: Pipeline::LUMINA,
        streams: 1,
        rows: 1,
        stream_rows: 1,
        readouts: 1,
        tokens: 1,
        head_rows: rows,
    }
}

/// Rows as lists tell them, and the bytes that were read.
fn told(rows: &[Vec<f32>]) -> (Vec<Vec<f32>>, usize) {
    let codes = rows[0].len();
    let gpu = Gpu::open(Api::Vulkan, 0, 1).unwrap();
    let logits = gpu.memory().upload(rows.concat());
    let (memory, mut out) = (gpu.memory(), Vec::new());
    let lists = HeadLists::new(memory, &plan(codes, rows.len()));
    let unread = lists.run(memory, &logits, rows.len());
    let read = memory.read(&unread.buffer, unread.words).unwrap();
    let mut bytes = read.len();
    for row in 0..rows.len() {
        bytes += lists.tell(memory, &logits, bytemuck::cast_slice(&read), row, &mut out).unwrap();
    }
    (out.chunks(codes).map(<[f32]>::to_vec).collect(), bytes)
}

fn row(shape: Shape, codes: usize) -> Vec<f32> {
    let mut state = codes as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    };
    (0..codes).map(|code| shape(next(), code)).collect()
}

#[test]
fn the_best_logits_stay_and_the_mass_of_all() {
    for codes in [1, 7, 256, 257, 1000, 5000] {
        let rows: Vec<Vec<f32>> = SHAPES.iter().map(|shape| row(*shape, codes)).collect();
        let (told, bytes) = told(&rows);
        assert_eq!(bytes, rows.len() * 4 * (3 + 2 * list_of(codes)));
        for (number, (row, told)) in rows.iter().zip(&told).enumerate() {
            let what = format!("shape {number}, {codes} codes");
            let mut sorted = row.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let (highest, lowest) = (sorted[0], sorted[codes - 1]);
            // What lies as near to the last listed logit as halving tells may be left out.
            let sure = sorted[list_of(codes) - 1] + (highest - lowest) / 65_536.0;
            for (code, (logit, told)) in row.iter().zip(told).enumerate() {
                assert!(*logit <= sure || told == logit, "{what}, code {code}: {logit} {told}");
            }
            let kept = row.iter().zip(told).filter(|(logit, told)| logit == told).count();
            assert!(kept >= list_of(codes), "{what}: {kept}");
            // No code passes one that is surely better.
            let others = (0..codes).filter(|&code| told[code] != row[code]).map(|code| told[code]);
            let listed = row.iter().zip(told).filter(|(logit, told)| logit == told).map(|(logit, _)| *logit);
            let smallest = listed.fold(f32::INFINITY, f32::min);
            assert!(others.fold(f32::NEG_INFINITY, f32::max) <= smallest, "{what}");
            let mass = |logits: &[f32]| logits.iter().map(|x| f64::from(x - highest).exp()).sum::<f64>();
            assert!((mass(told) / mass(row) - 1.0).abs() < 1e-4, "{what}: {} {}", mass(told), mass(row));
        }
    }
}

#[test]
fn rows_with_logits_that_are_none_are_read_whole() {
    let plain = row(SHAPES[0], 1000);
    let with = |logit: f32| {
        let mut row = plain.clone();
        row[700] = logit;
        row
    };
    let rows = [with(f32::NAN), plain.clone(), with(f32::NEG_INFINITY), with(f32::MAX)];
    let (told, bytes) = told(&rows);
    assert_eq!(bytes, 4 * 4 * (3 + 2 * 256) + 3 * 4 * 1000);
    for at in [0, 2, 3] {
        let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&told[at]), bits(&rows[at]));
    }
    assert_ne!(told[1], rows[1]);
}
