//! Decisions from the lists of a device that errs by as much as it may.
#![allow(clippy::unwrap_used)]

use hawk_nn::{NodeLaw, Ranking, Shaping};
use hawk_spec::{Cell, Code, ImageIndex, Noise, Pipeline, Purpose, Sampling, Seed, Warper};

use super::decide::{Filters, Found, List, Rest};
use crate::kernels::noise::NOISE_ERROR;
use crate::kernels::ranking::{self as kernels, ENTRY, HEADER};

const CODES: usize = 60;

/// Random numbers.
struct Random(u64);

impl Random {
    /// In 0..1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / 16_777_216.0
    }

    /// In -1..1, mostly near the ends.
    fn error(&mut self) -> f64 {
        (2.0 * self.next() - 1.0).signum() * self.next().sqrt()
    }
}

/// A node as the host knows it.
struct Node {
    law: NodeLaw,
    sampling: Sampling,
    logits: [Vec<f32>; 2],
    /// Before top-k and top-p.
    scores: Vec<f32>,
    noise: Vec<f64>,
}

impl Node {
    /// Logits on both sides of `step`s of the smallest difference.
    fn new(random: &mut Random, sampling: Sampling, ranking: Ranking, step: f64) -> Self {
        let mut row = || -> Vec<f32> {
            let number = |random: &mut Random| f32::from_bits(5.0_f32.to_bits() + (random.next() * step) as u32);
            (0..CODES).map(|_| number(random)).collect()
        };
        let logits = [row(), row()];
        let law = NodeLaw {
            cond: 0,
            uncond: Some(1),
            shaping: Shaping::Sampling(sampling),
            ranking,
            cell: Cell((random.next() * 1e6) as u32),
        };
        let all = Sampling::new(sampling.cfg(), sampling.temperature(), 0, 1.0).unwrap();
        let mut scores = vec![0.0; CODES];
        Warper::new(Pipeline::LUMINA, CODES).warp(&all, &logits[0], Some(&logits[1]), &mut scores).unwrap();
        let noise = (0..CODES as u32).map(|code| match ranking {
            Ranking::Noise(noise, purpose) => noise.at(law.cell, purpose).gumbel(Code(code)),
            Ranking::Score => 0.0,
        });
        Self { noise: noise.collect(), law, sampling, logits, scores }
    }

    /// The best codes by the definition.
    fn best(&self, count: usize) -> Vec<(f64, Code)> {
        let mut scores = vec![0.0; CODES];
        let [cond, uncond] = &self.logits;
        Warper::new(Pipeline::LUMINA, CODES).warp(&self.sampling, cond, Some(uncond), &mut scores).unwrap();
        let kept = (0..CODES).filter(|code| scores[*code] > f32::NEG_INFINITY);
        let mut best: Vec<_> =
            kept.map(|code| (f64::from(scores[code]) + self.noise[code], Code(code as u32))).collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(count);
        best
    }

    /// The list of a device that computes as the kernels do, with errors.
    fn list(&self, random: &mut Random, filters: &Filters, list: usize) -> Vec<u32> {
        let (cfg, temperature) = (f64::from(filters.cfg), f64::from(filters.temperature));
        let [cond, uncond] = &self.logits;
        let sizes = cond.iter().zip(uncond).map(|(c, u)| f64::from(u.abs()) + cfg * f64::from((c - u).abs()));
        let amplitude = sizes.fold(0.0, f64::max);
        let margin = (amplitude * f64::from(kernels::MARGIN) + f64::from(kernels::TINY)) / temperature;
        let scores: Vec<f64> = self.scores.iter().map(|score| f64::from(*score) + margin * random.error()).collect();
        let values: Vec<f64> = scores
            .iter()
            .zip(&self.noise)
            .map(|(score, noise)| score + noise + f64::from(NOISE_ERROR) * random.error())
            .collect();
        let highest = scores.iter().copied().fold(f64::MIN, f64::max);
        let weight = |code: usize| (scores[code] - highest).exp();
        let mut order: Vec<usize> = (0..CODES).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let sum = |random: &mut Random, from: f64, without: usize| -> f64 {
            let kept = (0..CODES).filter(|code| scores[*code] >= from && *code != without);
            kept.map(weight).sum::<f64>() * (1.0 + 3e-5 * random.error())
        };
        let count = |from: f64, without: usize| {
            (0..CODES).filter(|code| scores[*code] >= from && *code != without).count() as f64
        };

        // What halving leaves is below the border by a tenth of a margin at most.
        let border = scores[order[filters.top_k.unwrap_or(CODES) - 1]] - 0.1 * margin * random.next();
        let floor = border - 2.0 * margin;
        let (mass, sure) = (sum(random, floor, CODES), sum(random, border + 3.0 * margin, CODES));
        let wanted = filters.top_p * mass * (1.0 + f64::from(kernels::MASS_MARGIN) + 4.0 * margin);
        let reached = order.iter().map(|code| scores[*code]).find(|score| sum(random, *score, CODES) >= wanted);
        let floor = floor.max(reached.map_or(floor, |score| score - 2.0 * margin));
        let mut words: Vec<u32> = [margin, mass, sure, count(border - 2.0 * margin, CODES)].map(bits).to_vec();
        let mut listed: Vec<usize> = (0..CODES).filter(|code| scores[*code] >= floor).collect();
        listed.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        for &code in listed.iter().take(list) {
            let (near, far) = (scores[code] - 2.0 * margin, scores[code] + 2.0 * margin);
            words.extend([code as u32, bits(values[code]), cond[code].to_bits(), uncond[code].to_bits()]);
            words.extend([count(near, code), count(far, code)].map(bits));
            words.extend([sum(random, near, code), sum(random, far, code)].map(bits));
        }
        words.resize(HEADER as usize + list * ENTRY as usize, kernels::NO_CODE);
        words
    }
}

fn bits(x: f64) -> u32 {
    (x as f32).to_bits()
}

#[test]
fn what_a_list_decides_is_so_however_a_device_errs() {
    let (mut random, mut decided, mut all) = (Random(9), 0, 0);
    let noise = Noise { seed: Seed(4), image: ImageIndex(1) };
    let of = |cfg, temperature, top_k, top_p| Sampling::new(cfg, temperature, top_k, top_p).unwrap();
    let samplings =
        [of(1.0, 1.0, 0, 1.0), of(3.0, 1.0, 10, 1.0), of(3.0, 0.7, 0, 0.3), of(2.0, 1.3, 7, 0.8), of(1.0, 1.0, 1, 1.0)];
    for turn in 0..4000 {
        let sampling = samplings[turn % samplings.len()];
        let ranking = if turn % 3 == 0 { Ranking::Score } else { Ranking::Noise(noise, Purpose::Replay) };
        // From differences within the errors to smooth laws.
        let step = [30.0, 300.0, 3e4, 3e6][turn / 7 % 4];
        let node = Node::new(&mut random, sampling, ranking, step);
        let filters = Filters::of(Pipeline::LUMINA, node.law, CODES).unwrap();
        let (list, count) = (4 + turn % 4, 1 + turn % 4);
        let words = node.list(&mut random, &filters, list);
        let mut warper = Warper::new(Pipeline::LUMINA, 1);
        let entries = words[HEADER as usize..].chunks_exact(ENTRY as usize);
        let mut found: Vec<Found> =
            entries.map_while(|entry| Found::read(entry, &node.law, &mut warper).unwrap()).collect();
        let rest = if found.len() < list { Rest::Dropped } else { Rest::Below };
        let mut best = Vec::new();
        let header = &words[..HEADER as usize];
        if (List { header, found: &mut found, rest }).decide(&filters, count, &mut best) {
            assert_eq!(best, node.best(count), "{sampling:?} {ranking:?}, step {step}, turn {turn}");
            decided += 1;
        }
        all += 1;
    }
    // Most differences of these laws are within the errors.
    println!("{decided} of {all} lists decide");
    assert!(decided * 3 > all, "{decided} of {all}");
}
