//! The random numbers of one picture.

/// A stream of random numbers that depends on a seed and an index alone (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn scramble(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

impl Random {
    /// The stream of picture `index` in the data set of `seed`.
    pub fn new(seed: u64, index: u64) -> Self {
        Self { state: scramble(scramble(seed.wrapping_add(STEP)) ^ index.wrapping_mul(STEP)) }
    }

    /// A stream of its own, which takes one number of this one: what it serves may draw any count of numbers.
    pub fn fork(&mut self) -> Self {
        Self { state: scramble(self.next_u64()) }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        scramble(self.state)
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// A number between `low` and `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A whole number in `0..count`. `count` is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of `choices`, each as likely. There is at least one.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of `choices`, as likely as its weight says. There is at least one of positive weight.
    pub fn weighted<T: Copy>(&mut self, choices: &[(T, f32)]) -> T {
        let mut left = self.unit() * choices.iter().map(|choice| choice.1).sum::<f32>();
        for &(choice, weight) in choices {
            if left < weight {
                return choice;
            }
            left -= weight;
        }
        choices[choices.len() - 1].0
    }
}
