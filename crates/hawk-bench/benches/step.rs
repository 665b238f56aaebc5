//! Whole target passes of the synthetic decoder, with 256 committed tokens a stream.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hawk_bench::step::{Step, check_bits, synthetic};
use hawk_kernels::{Precision, Threads};
use hawk_nn::Target;

fn step(criterion: &mut Criterion) {
    let pool = Threads::new(std::thread::available_parallelism().map_or(1, |n| n.get()));
    let (config, checkpoint) = synthetic(1).expect("a synthetic model");
    for precision in Precision::ALL {
        let target = Target::load(config.clone(), &checkpoint, precision).expect("the synthetic model");
        let codes = 0..config.vocab;
        check_bits(&target, &pool, codes.clone(), 8).expect("equal bits");
        let mut group = criterion.benchmark_group(format!("step {precision}"));
        group.throughput(Throughput::Bytes(target.pass_cost(codes.clone()).bytes as u64));
        group.sample_size(20);
        for rows in [1, 2, 4, 8, 16, 32] {
            let mut step = Step::new(&target, &pool, codes.clone(), rows).expect("a pass");
            group.bench_function(BenchmarkId::from_parameter(rows), |b| {
                b.iter(|| step.pass(&pool).expect("a pass").all_logits()[0]);
            });
        }
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
