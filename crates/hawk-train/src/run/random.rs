//! Random numbers that depend on seed, purpose and step only.
//!
//! A run that resumes draws the numbers that it would have drawn without the stop.

use hawk_spec::philox4x32_10;

/// What the numbers are used for. Two purposes never share a stream.
#[derive(Clone, Copy)]
pub(crate) enum RandomPurpose {
    Weights = 1,
    Pictures = 2,
    Noise = 3,
    Codes = 4,
    Captions = 5,
    Scenes = 6,
    Order = 7,
}

/// A stream of random numbers.
pub(crate) struct Random {
    key: [u32; 2],
    purpose: u32,
    step: u32,
    block: u32,
    left: Vec<u32>,
}

impl Random {
    pub(crate) fn new(seed: u64, purpose: RandomPurpose, step: usize) -> Self {
        let key = [seed as u32, (seed >> 32) as u32];
        Self { key, purpose: purpose as u32, step: step as u32, block: 0, left: Vec::new() }
    }

    fn bits(&mut self) -> u32 {
        loop {
            if let Some(bits) = self.left.pop() {
                return bits;
            }
            // `heads::trainer` shuffles with counters whose last word is 0; every purpose is above
            // 0.
            self.left = philox4x32_10(self.key, [self.block, self.step, 0, self.purpose]).to_vec();
            self.block += 1;
        }
    }

    /// Uniform in `0..1`.
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in `0..n`; `n` is at least 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.bits()) * n as u64) >> 32) as usize
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f32 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
    }
}

/// A random order of `0..n` that depends on seed, purpose and round only.
pub(crate) fn shuffled(n: usize, seed: u64, purpose: RandomPurpose, round: usize) -> Vec<usize> {
    let mut random = Random::new(seed, purpose, round);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, random.below(i + 1));
    }
    order
}
