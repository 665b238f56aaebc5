//! The best codes of a node under noise, by kernels that compute only what decides.
//!
//! The definition is [`Warper`](hawk_spec::Warper) and [`CellNoise::rank`]. A [`Ranker`] gives the
//! same bits or gives up: then the definition itself must be run. It gives up where logits make no
//! law (the definition names the fault), and where the border of top-p is too close to call.

use hawk_kernels::{Divide, GROUP, Guide, Isa, Search, TopP, keep_largest};
use hawk_spec::{CellNoise, Code, NoiseBounds, Pipeline, Sampling, Stage};

/// The ranking of the codes of a node.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Conditional logits, one per code.
    pub cond: &'a [f32],
    /// Unconditional logits, where the sampling is guided.
    pub uncond: Option<&'a [f32]>,
    /// Guidance, temperature, top-k and top-p.
    pub sampling: Sampling,
    /// The noise of the cell whose law is ranked.
    pub noise: CellNoise,
    /// Number of best codes. For 0 the ranker gives up.
    pub count: usize,
}

/// Ranks one node after another. It keeps its memory.
pub struct Ranker {
    isa: Isa,
    pipeline: Pipeline,
    /// The scores, padded.
    scores: Vec<f32>,
    top_p: TopP,
}

impl Ranker {
    /// Memory for laws over `codes` codes.
    pub fn new(isa: Isa, pipeline: Pipeline, codes: usize) -> Self {
        Self { isa, pipeline, scores: vec![0.0; codes.next_multiple_of(GROUP)], top_p: TopP::new(codes) }
    }

    /// Writes the best codes of a node to `best`, best first, with their scores plus noise. False
    /// where it gives up.
    pub fn rank(&mut self, question: Question<'_>, best: &mut Vec<(f64, Code)>) -> bool {
        if question.count == 0 {
            return false;
        }
        let p = f64::from(question.sampling.top_p());
        let Some((highest, has_top_p)) = self.shape(question) else { return false };
        let floor = match has_top_p {
            true if p < 1.0 => self.top_p.floor(self.isa, &self.scores, highest, p),
            _ => Some(f32::MIN),
        };
        let Some(floor) = floor else { return false };
        self.search(question, highest, floor, best);
        let scores = &self.scores;
        floor == f32::MIN || best.iter().all(|(_, code)| self.top_p.surely_keeps(self.isa, scores[code.index()]))
    }

    /// Fills `scores` by the stages before top-p. Returns the highest score and whether top-p
    /// follows. None where the logits make no law, and where a stage follows top-p.
    fn shape(&mut self, Question { cond, uncond, sampling, .. }: Question<'_>) -> Option<(f32, bool)> {
        let (isa, scores) = (self.isa, &mut self.scores);
        if scores.len() != cond.len().next_multiple_of(GROUP) {
            return None;
        }
        let (mut highest, mut has_top_p) = (f32::NEG_INFINITY, false);
        for stage in self.pipeline.stages() {
            if has_top_p {
                return None;
            }
            match stage {
                Stage::Guidance => {
                    let uncond = match (sampling.guided(), uncond) {
                        (true, Some(uncond)) if uncond.len() == cond.len() => Some((uncond, sampling.cfg())),
                        (true, _) => return None,
                        (false, _) => None,
                    };
                    highest = Guide { cond, uncond, out: scores }.on(isa)?;
                }
                Stage::Mask => {}
                Stage::TopK if (1..cond.len()).contains(&(sampling.top_k() as usize)) => {
                    keep_largest(isa, scores, sampling.top_k() as usize);
                }
                Stage::TopK => {}
                Stage::Temperature if sampling.temperature() == 1.0 => {}
                Stage::Temperature => {
                    Divide { scores, divisor: sampling.temperature() }.on(isa);
                    // Division keeps the order.
                    highest /= sampling.temperature();
                }
                Stage::TopP => has_top_p = true,
            }
        }
        highest.is_finite().then_some((highest, has_top_p))
    }

    /// Ranks the codes with scores from `floor` on.
    fn search(&self, question: Question<'_>, highest: f32, floor: f32, best: &mut Vec<(f64, Code)>) {
        let Question { noise, count, .. } = question;
        let bounds = NoiseBounds::get();
        best.clear();
        // The code of the highest score has at least the least noise.
        let least = match count {
            1 => below(f64::from(highest) + f64::from(bounds.least)),
            _ => f32::NEG_INFINITY,
        };
        let mut reached = least;
        let mut visit = |code: usize, score: f32| {
            let code = Code(code as u32);
            let value = f64::from(score) + noise.gumbel(code);
            // Codes come in rising order: equal values stay behind.
            let place = best.partition_point(|&(better, _)| better >= value);
            if place < count {
                best.truncate(count - 1);
                best.insert(place, (value, code));
            }
            if let Some(&(worst, _)) = best.get(count - 1) {
                reached = below(worst);
            }
            reached
        };
        let seed = noise.seed.0;
        Search {
            scores: &self.scores,
            floor,
            key: [seed as u32, (seed >> 32) as u32],
            counter: [noise.cell.0, noise.image.0, noise.purpose as u32],
            bounds: &bounds.most,
            least,
            visit: &mut visit,
        }
        .on(self.isa);
    }
}

/// A number so far below `value` that a sum in f32 reaches it wherever the exact sum reaches
/// `value`: the sum rounds by 2^-24 of itself, and so does the conversion.
fn below(value: f64) -> f32 {
    (value - value.abs() / f64::from(1 << 22)) as f32
}

#[cfg(test)]
mod tests;
