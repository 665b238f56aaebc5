//! From logits to the target's law: guidance, structure mask, temperature, top-k and top-p, in the
//! order of the model family.

use std::cmp::Ordering;

use crate::law::{LawError, check_length, highest};
use crate::token::Code;

const MAX_CFG: f32 = 100.0;
/// A logit divided by it is finite up to 3.4e18; divided by much less, usual logits are infinite.
const MIN_TEMPERATURE: f32 = 1e-20;

/// Validated sampling settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    cfg: f32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
}

impl Sampling {
    /// Settings. The getters define them.
    ///
    /// # Errors
    /// [`SamplingError`] unless `cfg` is in 0..=100, `temperature` is finite and at least 1e-20, and
    /// `top_p` is above 0 and at most 1.
    pub fn new(cfg: f32, temperature: f32, top_k: u32, top_p: f32) -> Result<Self, SamplingError> {
        let in_range = |field, allowed, given: f32, valid: bool| {
            if valid { Ok(()) } else { Err(SamplingError::Range { field, allowed, given }) }
        };
        in_range("cfg", "0 to 100", cfg, (0.0..=MAX_CFG).contains(&cfg))?;
        let warm = temperature.is_finite() && temperature >= MIN_TEMPERATURE;
        in_range("temperature", "finite and at least 1e-20", temperature, warm)?;
        in_range("top_p", "above 0 and at most 1", top_p, top_p > 0.0 && top_p <= 1.0)?;
        Ok(Self { cfg, temperature, top_k, top_p })
    }

    /// Scale of classifier-free guidance: 0 = unconditional, 1 = conditional only, above 1 =
    /// guided.
    #[must_use]
    pub fn cfg(&self) -> f32 {
        self.cfg
    }

    /// Divisor of the logits; 1 leaves them as they are.
    #[must_use]
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// Number of the largest logits that survive; 0 = all.
    #[must_use]
    pub fn top_k(&self) -> u32 {
        self.top_k
    }

    /// Mass that the surviving largest probabilities reach; 1 = all survive.
    #[must_use]
    pub fn top_p(&self) -> f32 {
        self.top_p
    }

    /// Whether an unconditional stream is needed.
    #[must_use]
    pub fn guided(&self) -> bool {
        self.cfg != 1.0
    }
}

/// One step from logits to the target's law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Classifier-free guidance: `uncond + cfg * (cond - uncond)`.
    Guidance,
    /// Structure mask: codes alone survive.
    Mask,
    /// Keeps the `top_k` largest scores.
    TopK,
    /// Divides by the temperature.
    Temperature,
    /// Keeps the smallest set of largest probabilities whose mass reaches `top_p`.
    TopP,
}

/// The order of a model family's stages.
///
/// Laws are slices over the codes alone, never over the vocabulary. The slice is the structure
/// mask: text and structure tokens have no entry, and count neither for top-k nor for top-p.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipeline {
    stages: [Option<Stage>; 5],
}

impl Pipeline {
    /// Lumina-mGPT: guidance, mask, top-k, temperature, top-p.
    pub const LUMINA: Pipeline = Pipeline {
        stages: [
            Some(Stage::Guidance),
            Some(Stage::Mask),
            Some(Stage::TopK),
            Some(Stage::Temperature),
            Some(Stage::TopP),
        ],
    };

    /// Janus and LlamaGen: guidance, mask, temperature, top-k, top-p.
    pub const TEMPERATURE_FIRST: Pipeline = Pipeline {
        stages: [
            Some(Stage::Guidance),
            Some(Stage::Mask),
            Some(Stage::Temperature),
            Some(Stage::TopK),
            Some(Stage::TopP),
        ],
    };

    /// A pipeline of these stages in this order. Other stages are not applied; see
    /// [`check`](Self::check).
    ///
    /// # Errors
    /// [`SamplingError::Pipeline`] unless guidance comes first, the mask second, and every stage at
    /// most once.
    pub fn new(stages: &[Stage]) -> Result<Self, SamplingError> {
        let repeated = (1..stages.len()).any(|i| stages[..i].contains(&stages[i]));
        if repeated || !stages.starts_with(&[Stage::Guidance, Stage::Mask]) {
            return Err(SamplingError::Pipeline { given: stages.to_vec() });
        }
        let mut slots = [None; 5];
        slots.iter_mut().zip(stages).for_each(|(slot, &stage)| *slot = Some(stage));
        Ok(Self { stages: slots })
    }

    /// The stages in order.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + use<> {
        self.stages.into_iter().flatten()
    }

    /// Checks that the pipeline applies every setting that is not neutral.
    ///
    /// # Errors
    /// [`SamplingError::NoStage`] names the setting that would be ignored.
    pub fn check(&self, sampling: &Sampling) -> Result<(), SamplingError> {
        let settings = [
            ("temperature", Stage::Temperature, sampling.temperature != 1.0),
            ("top_k", Stage::TopK, sampling.top_k != 0),
            ("top_p", Stage::TopP, sampling.top_p != 1.0),
        ];
        match settings.into_iter().find(|&(_, stage, set)| set && !self.stages.contains(&Some(stage))) {
            Some((field, ..)) => Err(SamplingError::NoStage { field }),
            None => Ok(()),
        }
    }
}

/// Turns logits into warped scores. After construction it allocates nothing.
#[derive(Clone, Debug)]
pub struct Warper {
    pipeline: Pipeline,
    /// Codes in the order that the top-k or top-p stage needs.
    order: Vec<u32>,
    /// Unnormalised probabilities of the top-p stage.
    weights: Vec<f64>,
}

impl Warper {
    /// A warper for laws over `codes` codes.
    #[must_use]
    pub fn new(pipeline: Pipeline, codes: usize) -> Self {
        Self { pipeline, order: Vec::with_capacity(codes), weights: vec![0.0; codes] }
    }

    /// Number of codes.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.weights.len()
    }

    /// Writes the warped scores of one position: the logits after every stage, -inf for dropped
    /// codes.
    ///
    /// `cond`, `uncond` and `scores` have one entry per code. Guidance is a subtraction, a
    /// multiplication and an addition in f32, each rounded (no fused multiply-add). With `cfg` 1 it
    /// is `cond` itself, and `uncond` is not read. A code with the logit -inf is dropped. Ties at
    /// the border of top-k and top-p go to the lower code. The masses of top-p are f64.
    ///
    /// # Errors
    /// [`LawError::NotALogit`] for a NaN or +inf after guidance or temperature,
    /// [`LawError::NothingLeft`], [`LawError::NoUnconditional`] for guidance without `uncond`,
    /// [`LawError::Length`].
    pub fn warp(
        &mut self,
        sampling: &Sampling,
        cond: &[f32],
        uncond: Option<&[f32]>,
        scores: &mut [f32],
    ) -> Result<(), LawError> {
        check_length("cond", self.codes(), cond.len())?;
        check_length("scores", self.codes(), scores.len())?;
        for stage in self.pipeline.stages() {
            match stage {
                Stage::Guidance => guide(sampling, cond, uncond, scores)?,
                // The slices hold codes alone.
                Stage::Mask => {}
                Stage::TopK => self.keep_top_k(sampling.top_k as usize, scores),
                Stage::Temperature => divide(sampling.temperature, scores),
                Stage::TopP => self.keep_top_p(f64::from(sampling.top_p), scores)?,
            }
        }
        highest(scores).map(|_| ())
    }

    fn keep_top_k(&mut self, k: usize, scores: &mut [f32]) {
        if k == 0 || k >= scores.len() {
            return;
        }
        self.order.clear();
        self.order.extend(0..scores.len() as u32);
        let by_score =
            |&a: &u32, &b: &u32| descending(f64::from(scores[a as usize]), f64::from(scores[b as usize]), a, b);
        self.order.select_nth_unstable_by(k, by_score);
        self.order[k..].iter().for_each(|&code| scores[code as usize] = f32::NEG_INFINITY);
    }

    fn keep_top_p(&mut self, p: f64, scores: &mut [f32]) -> Result<(), LawError> {
        // With p = 1 rounding must not decide which of the smallest codes survive.
        if p >= 1.0 {
            return Ok(());
        }
        let (_, highest) = highest(scores)?;
        self.order.clear();
        let mut sum = 0.0;
        for (code, &score) in scores.iter().enumerate() {
            if score > f32::NEG_INFINITY {
                let weight = libm::exp(f64::from(score) - f64::from(highest));
                self.weights[code] = weight;
                sum += weight;
                self.order.push(code as u32);
            }
        }
        let kept = gather_mass(&mut self.order, &self.weights, p * sum);
        self.order[kept..].iter().for_each(|&code| scores[code as usize] = f32::NEG_INFINITY);
        Ok(())
    }
}

/// Brings the fewest codes whose weights reach `mass`, largest weights first, to the front of
/// `order`, and returns their number.
///
/// It sorts the largest 64 codes, then as many again, and so on: mostly few codes are needed.
fn gather_mass(order: &mut [u32], weights: &[f64], mass: f64) -> usize {
    let by_weight = |&a: &u32, &b: &u32| descending(weights[a as usize], weights[b as usize], a, b);
    let (mut gathered, mut sorted) = (0.0, 0);
    while sorted < order.len() {
        let end = (2 * sorted).max(64).min(order.len());
        if end < order.len() {
            order[sorted..].select_nth_unstable_by(end - sorted, by_weight);
        }
        order[sorted..end].sort_unstable_by(by_weight);
        for (kept, &code) in (sorted..).zip(&order[sorted..end]) {
            if gathered >= mass {
                return kept;
            }
            gathered += weights[code as usize];
        }
        sorted = end;
    }
    order.len()
}

/// Larger values first, ties by the lower code.
fn descending(a_value: f64, b_value: f64, a: u32, b: u32) -> Ordering {
    // total_cmp would order -0 and 0, which are a tie. No value is NaN.
    b_value.partial_cmp(&a_value).unwrap_or(Ordering::Equal).then(a.cmp(&b))
}

fn guide(sampling: &Sampling, cond: &[f32], uncond: Option<&[f32]>, scores: &mut [f32]) -> Result<(), LawError> {
    if sampling.guided() {
        let uncond = uncond.ok_or(LawError::NoUnconditional { cfg: sampling.cfg })?;
        check_length("uncond", cond.len(), uncond.len())?;
        for ((score, &cond), &uncond) in scores.iter_mut().zip(cond).zip(uncond) {
            let scaled = sampling.cfg * (cond - uncond);
            *score = uncond + scaled;
        }
    } else {
        scores.copy_from_slice(cond);
    }
    // Top-k has no order for NaN, and would keep +inf.
    for (code, &value) in (0..).map(Code).zip(&*scores) {
        if value.is_nan() || value == f32::INFINITY {
            return Err(LawError::NotALogit { code, value });
        }
    }
    Ok(())
}

fn divide(temperature: f32, scores: &mut [f32]) {
    if temperature != 1.0 {
        scores.iter_mut().for_each(|score| *score /= temperature);
    }
}

/// Sampling settings, or a pipeline, are invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// A setting is out of range.
    #[error("{field} must be {allowed}, got {given:?}")]
    Range {
        /// The setting.
        field: &'static str,
        /// Its range, in words.
        allowed: &'static str,
        /// The value.
        given: f32,
    },
    /// The stages are in no valid order.
    #[error("a pipeline must be Guidance, Mask, then each other stage at most once, got {given:?}")]
    Pipeline {
        /// The stages as given.
        given: Vec<Stage>,
    },
    /// The model family's pipeline has no stage for a setting.
    #[error("{field} is set, but this model family's pipeline has no such stage")]
    NoStage {
        /// The setting.
        field: &'static str,
    },
}
