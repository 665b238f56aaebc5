//! The linears of a decoder (dim 512, 8 layers, SwiGLU 1408, vocabulary 8192: 29.9 M weights), a pass over all of them.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hawk_kernels::{Matrix, Precision, Threads, matmul};

/// `(n, k)` of one layer.
const LAYER: [(usize, usize); 4] = [(1536, 512), (512, 512), (2816, 512), (512, 1408)];

fn matrix(precision: Precision, (n, k): (usize, usize)) -> Matrix {
    Matrix::pack(precision, n, k, &mut |row, out| {
        out.iter_mut().enumerate().for_each(|(i, w)| *w = ((row * 31 + i * 17) % 101) as f32 / 1000.0 - 0.05);
    })
}

fn pass(pool: &Threads, weights: &[Matrix], x: &[f32], rows: usize, y: &mut [f32]) {
    for w in weights {
        matmul(pool, w, x, rows, y);
    }
}

fn linears(criterion: &mut Criterion) {
    let pool = Threads::new(std::thread::available_parallelism().map_or(1, |n| n.get()));
    let x: Vec<f32> = (0..32 * 1408).map(|i| ((i * 37) % 199) as f32 / 199.0 - 0.5).collect();
    let mut y = vec![0.0; 32 * 8192];
    for precision in Precision::ALL {
        let shapes = (0..8).flat_map(|_| LAYER).chain([(8192, 512)]);
        let weights: Vec<Matrix> = shapes.map(|shape| matrix(precision, shape)).collect();
        let mut group = criterion.benchmark_group(format!("linears {precision}"));
        group.throughput(Throughput::Bytes(weights.iter().map(|w| w.bytes() as u64).sum()));
        group.sample_size(20);
        for rows in [1, 2, 4, 8, 16, 32] {
            group.bench_function(BenchmarkId::from_parameter(rows), |b| {
                b.iter(|| pass(&pool, &weights, &x, rows, &mut y));
            });
        }
    }
}

criterion_group!(benches, linears);
criterion_main!(benches);
