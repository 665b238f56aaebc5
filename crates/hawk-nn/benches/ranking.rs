//! The best code of a node of 4096 codes with guidance, by the kernels and by the definition, on one thread.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use hawk_nn::kernels::Isa;
use hawk_nn::{Question, Ranker};
use hawk_spec::{Cell, ImageIndex, Noise, Pipeline, Purpose, Sampling, Seed, Warper};

const CODES: usize = 4096;

/// Logits of a spread.
fn logits(spread: f32, salt: u32) -> Vec<f32> {
    let number = |code: u32| (code.wrapping_mul(2_654_435_761).wrapping_add(salt * 40_503) >> 8) as f32 / 16_777_216.0;
    (0..CODES as u32).map(|code| spread * (number(code) - 0.5)).collect()
}

fn ranking(criterion: &mut Criterion) {
    let noise = Noise { seed: Seed(7), image: ImageIndex(0) };
    for (name, spread, [cfg, temperature, top_p], top_k) in [
        ("defaults of the built-in model", 30.0, [1.5, 0.5, 0.8], 0),
        ("temperature 1, no filter", 12.0, [3.0, 1.0, 1.0], 0),
        ("temperature 1, no filter, nearly uniform", 1.0, [3.0, 1.0, 1.0], 0),
        ("temperature 1, top-k 2000", 12.0, [3.0, 1.0, 1.0], 2000),
        ("temperature 1, top-p 0.9, nearly uniform", 1.0, [3.0, 1.0, 0.9], 0),
    ] {
        let sampling = Sampling::new(cfg, temperature, top_k, top_p).expect("in range");
        let (cond, uncond) = (logits(spread, 1), logits(spread, 2));
        let question = |cell: u32| Question {
            cond: &cond,
            uncond: Some(&uncond),
            sampling,
            noise: noise.at(Cell(cell % 256), Purpose::Replay),
            count: 1,
        };
        let mut group = criterion.benchmark_group(name);
        let (mut best, mut cell) = (Vec::new(), 0);
        let mut warper = Warper::new(Pipeline::LUMINA, CODES);
        let mut scores = vec![0.0; CODES];
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let mut ranker = Ranker::new(isa, Pipeline::LUMINA, CODES);
            for cell in 0..256 {
                if ranker.rank(question(cell), &mut best) {
                    warper.warp(&sampling, &cond, Some(&uncond), &mut scores).expect("a law");
                    assert_eq!(Ok(best[0].1), question(cell).noise.argmax(&scores), "{name}, cell {cell}");
                }
            }
            group.bench_function(isa.to_string(), |b| {
                b.iter(|| {
                    cell += 1;
                    ranker.rank(question(cell), &mut best)
                });
            });
        }
        group.bench_function("definition", |b| {
            b.iter(|| {
                cell += 1;
                let question = question(cell);
                warper.warp(&sampling, question.cond, question.uncond, &mut scores).expect("a law");
                question.noise.argmax(&scores)
            });
        });
    }
}

criterion_group!(benches, ranking);
criterion_main!(benches);
