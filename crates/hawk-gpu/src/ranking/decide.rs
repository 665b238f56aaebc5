//! The decision which codes of a short list are the best of a law, in f64 and by the definition.

use hawk_nn::{NodeLaw, Ranking, Shaping};
use hawk_spec::{Code, Pipeline, Sampling, Stage, Warper};

use crate::kernels::noise::NOISE_ERROR;
use crate::kernels::ranking as kernels;

/// A relative error of masses above which they decide nothing.
const MOST_ERROR: f64 = 0.1;

/// The sampling of a law; none where its logits are its scores.
fn sampling_of(law: &NodeLaw) -> Option<Sampling> {
    match law.shaping {
        Shaping::Sampling(sampling) => Some(sampling),
        Shaping::Logits => None,
    }
}

/// What a pipeline does to the logits of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filters {
    pub(super) cfg: f32,
    pub(super) temperature: f32,
    /// Number of codes that top-k keeps, where it drops any.
    pub(super) top_k: Option<usize>,
    /// 1 where top-p drops none.
    pub(super) top_p: f64,
    /// Number of codes.
    pub(super) codes: usize,
}

impl Filters {
    /// None where a stage follows top-p, or guidance misses a stream.
    pub(super) fn of(pipeline: Pipeline, law: NodeLaw, codes: usize) -> Option<Self> {
        let mut filters = Self { cfg: 1.0, temperature: 1.0, top_k: None, top_p: 1.0, codes };
        let Some(sampling) = sampling_of(&law) else { return Some(filters) };
        if sampling.guided() && law.uncond.is_none() {
            return None;
        }
        for stage in pipeline.stages() {
            if filters.top_p < 1.0 {
                return None;
            }
            match stage {
                Stage::Guidance => filters.cfg = sampling.cfg(),
                Stage::Mask => {}
                Stage::TopK => filters.top_k = Some(sampling.top_k() as usize).filter(|k| (1..codes).contains(k)),
                Stage::Temperature => filters.temperature = sampling.temperature(),
                Stage::TopP => filters.top_p = f64::from(sampling.top_p()),
            }
        }
        Some(filters)
    }
}

/// A code of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    code: Code,
    /// Its exact score, plus its noise where noise ranks.
    value: f64,
    /// The value as the device has it.
    listed: f64,
    /// Number and mass of the other codes that may stand before it, and that do for certain.
    before: f64,
    surely_before: f64,
    mass_before: f64,
    mass_surely_before: f64,
}

impl Found {
    /// Reads an entry of a list; the inner none is an empty place. None where the logits make no
    /// score.
    pub(super) fn read(entry: &[u32], law: &NodeLaw, warper: &mut Warper) -> Option<Option<Self>> {
        let number = |at: u32| f32::from_bits(entry[at as usize]);
        let code = entry[kernels::CODE as usize];
        if code == kernels::NO_CODE {
            return Some(None);
        }
        let (cond, uncond) = (number(kernels::COND_LOGIT), number(kernels::UNCOND_LOGIT));
        let mut score = [cond];
        if let Some(sampling) = sampling_of(law) {
            let uncond = [uncond];
            // Top-k and top-p keep a code that is alone.
            warper.warp(&sampling, &[cond], law.uncond.map(|_| &uncond[..]), &mut score).ok()?;
        }
        let code = Code(code);
        let noise = match law.ranking {
            Ranking::Noise(noise, purpose) => noise.at(law.cell, purpose).gumbel(code),
            Ranking::Score => 0.0,
        };
        let exact = |at: u32| f64::from(number(at));
        Some(Some(Self {
            code,
            value: f64::from(score[0]) + noise,
            listed: exact(kernels::VALUE),
            before: exact(kernels::BEFORE),
            surely_before: exact(kernels::SURELY_BEFORE),
            mass_before: exact(kernels::MASS_BEFORE),
            mass_surely_before: exact(kernels::MASS_SURELY_BEFORE),
        }))
    }
}

/// Whether a law keeps a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Surely,
    Never,
    /// The border of top-k or top-p is too near.
    Unknown,
}

impl Kept {
    fn between(surely: bool, never: bool) -> Self {
        match (surely, never) {
            (_, true) => Self::Never,
            (true, false) => Self::Surely,
            (false, false) => Self::Unknown,
        }
    }
}

/// What a header says of the borders of a law.
struct Borders {
    /// Whether top-k keeps every code that may be in a list.
    keeps_all: bool,
    top_k: Option<f64>,
    /// A code is kept for certain where less mass may stand before it, and is not where as much does
    /// for certain; none without top-p.
    mass: Option<[f64; 2]>,
    /// Relative error of a mass.
    error: f64,
}

impl Borders {
    fn new(header: &[u32], margin: f64, filters: &Filters) -> Self {
        let number = |at: u32| f64::from(f32::from_bits(header[at as usize]));
        let error = f64::from(kernels::MASS_MARGIN) + 4.0 * margin;
        let top_k = filters.top_k.map(|k| k as f64);
        // Top-k keeps k codes at least, and no other than these.
        let keeps_all = top_k.is_none_or(|k| number(kernels::KEPT) <= k);
        let least = number(if keeps_all { kernels::MASS } else { kernels::SURE_MASS });
        let mass = |p: f64| [p * least * (1.0 - error), p * number(kernels::MASS) * (1.0 + error)];
        Self { keeps_all, top_k, mass: Some(filters.top_p).filter(|p| *p < 1.0).map(mass), error }
    }

    fn keep(&self, found: &Found) -> Kept {
        let by_count = match self.top_k {
            Some(k) if !self.keeps_all => Kept::between(found.before < k, found.surely_before >= k),
            _ => Kept::Surely,
        };
        let by_mass = match self.mass {
            Some([least, most]) => Kept::between(
                found.mass_before * (1.0 + self.error) < least,
                found.mass_surely_before * (1.0 - self.error) >= most,
            ),
            None => Kept::Surely,
        };
        match (by_count, by_mass) {
            (Kept::Never, _) | (_, Kept::Never) => Kept::Never,
            (Kept::Surely, Kept::Surely) => Kept::Surely,
            _ => Kept::Unknown,
        }
    }
}

/// The codes that are not in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The law keeps none of them.
    Dropped,
    /// The device has them no higher than the last one in the list.
    Below,
}

/// The list of a node.
pub(super) struct List<'a> {
    pub(super) header: &'a [u32],
    /// The codes, as the device has ordered them.
    pub(super) found: &'a mut [Found],
    pub(super) rest: Rest,
}

impl List<'_> {
    /// Writes the `count` best codes of the law to `best`, or all where it keeps fewer. False where
    /// the list does not decide.
    pub(super) fn decide(self, filters: &Filters, count: usize, best: &mut Vec<(f64, Code)>) -> bool {
        best.clear();
        let margin = f64::from(f32::from_bits(self.header[kernels::SCORE_MARGIN as usize]));
        let Some(last) = self.found.last() else { return false };
        let borders = Borders::new(self.header, margin, filters);
        if margin >= f64::from(kernels::NO_MARGIN) || (borders.mass.is_some() && borders.error > MOST_ERROR) {
            return false;
        }
        // The device rounds noise, the sum of score and noise (both far below this), and scores.
        let error = 2.0 * margin + 2.0 * f64::from(NOISE_ERROR);
        let outside = match self.rest {
            Rest::Dropped => f64::NEG_INFINITY,
            Rest::Below => last.listed + error,
        };
        self.found.sort_unstable_by(|a, b| b.value.total_cmp(&a.value).then(a.code.cmp(&b.code)));
        for found in &*self.found {
            if best.len() == count {
                return true;
            }
            match borders.keep(found) {
                Kept::Surely if found.value > outside => best.push((found.value, found.code)),
                Kept::Never => {}
                Kept::Surely | Kept::Unknown => return false,
            }
        }
        best.len() == count || (self.rest == Rest::Dropped && !best.is_empty())
    }
}
