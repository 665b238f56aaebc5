//! The codes of a node that may be its best ones, from logits to a short list.
//!
//! Nothing here decides. Scores, noise and masses are approximate, and every comparison leaves room
//! for their errors: the list holds all codes that can be among the best of the law, up to its
//! length, and with each code what the host needs to decide exactly
//! ([`decide`](crate::ranking::decide)).
//!
//! With A the largest of `(|u| + |cfg (c - u)|) / T` of the codes of a node, scores differ from the
//! exact ones by at most the margin `m = A MARGIN + TINY / T`: the host rounds four times by at most
//! 2^-24, a device three times by at most 2^-23 and once by at most 2.5 times that (Vulkan's
//! bounds), fused or not. The k-th largest score differs from the exact one by at most m, too.

use cubecl::prelude::*;

use super::noise::{gumbel, philox};
use super::numbers::exp;
use super::reduce::{Reduction, UNITS, reduced};

/// Margin of scores, in amplitudes.
pub(crate) const MARGIN: f32 = 10.0 / 8_388_608.0;
/// Margin of scores whose parts a device may have flushed to zero, before the temperature.
pub(crate) const TINY: f32 = 1e-30;
/// The least relative margin of sums of weights `e^(score - highest)`; four margins of scores are
/// added. Rounding moves them by 3e-5: 1.6e-5 from adding 256 of them one after another, 5e-6 from
/// the difference of scores.
pub(crate) const MASS_MARGIN: f32 = 1e-4;
/// Bits of the largest logit that a device ranks: products of larger ones may overflow.
const LARGEST: u32 = 0x4974_2400;
/// Score of a code that is not in the law, and value of an empty place of a list.
const ABSENT: f32 = -3.0e38;
/// Score of a logit that is none or too large, and the margin of its node.
const WRONG: f32 = 3.0e38;
pub(crate) const NO_MARGIN: f32 = 1e30;
/// Halvings of an interval of scores: what is left is less than a tenth of a margin.
pub(crate) const HALVINGS: u32 = 26;

/// Words that describe a node.
pub(crate) const NODE: u32 = 12;
pub(crate) const COND: u32 = 0;
pub(crate) const UNCOND: u32 = 1;
/// 1 where noise is added to scores.
pub(crate) const NOISY: u32 = 2;
/// Bits of the scale of guidance, the temperature and p.
pub(crate) const CFG: u32 = 3;
pub(crate) const TEMPERATURE: u32 = 4;
pub(crate) const TOP_P: u32 = 5;
/// Number of codes that top-k keeps, at most all.
pub(crate) const TOP_K: u32 = 6;
/// The noise, as [`philox`] reads it.
pub(crate) const NOISE: u32 = 7;

/// Words in front of a list, bits of numbers each.
pub(crate) const HEADER: u32 = 4;
/// The margin of scores, [`NO_MARGIN`] where the host has to rank.
pub(crate) const SCORE_MARGIN: u32 = 0;
/// The mass of all codes that top-k may keep, and of those that it keeps for certain.
pub(crate) const MASS: u32 = 1;
pub(crate) const SURE_MASS: u32 = 2;
/// Number of codes that top-k may keep.
pub(crate) const KEPT: u32 = 3;

/// Words of a code in a list, bits of numbers but for the code.
pub(crate) const ENTRY: u32 = 8;
/// The code, or [`NO_CODE`].
pub(crate) const CODE: u32 = 0;
/// Score plus noise.
pub(crate) const VALUE: u32 = 1;
/// The logits.
pub(crate) const COND_LOGIT: u32 = 2;
pub(crate) const UNCOND_LOGIT: u32 = 3;
/// The score, until the logits stand there.
const SCORE: u32 = COND_LOGIT;
/// Number and mass of the other codes that may stand before it, and of those that do so for certain.
pub(crate) const BEFORE: u32 = 4;
pub(crate) const SURELY_BEFORE: u32 = 5;
pub(crate) const MASS_BEFORE: u32 = 6;
pub(crate) const MASS_SURELY_BEFORE: u32 = 7;
/// No code.
pub(crate) const NO_CODE: u32 = u32::MAX;
const NOBODY: i64 = NO_CODE as i64;

/// A number of a node.
#[cube]
fn number(nodes: &[u32], node: u32, #[comptime] which: u32) -> f32 {
    f32::reinterpret(nodes[(node * NODE + which) as usize])
}

/// Approximate scores and values (scores plus noise), `[nodes][blocks]` of four codes each. A unit has
/// a block; codes behind the last are absent.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn score(
    logits: &[f32],
    nodes: &[u32],
    scores: &mut [f32],
    values: &mut [f32],
    codes: u32,
    dropped_from: u32,
    dropped_to: u32,
) {
    let block = CUBE_POS_X * UNITS + UNIT_POS;
    let node = CUBE_POS_Y;
    let blocks = codes.div_ceil(4);
    if block < blocks {
        let about = node * NODE;
        let cond = nodes[(about + COND) as usize] * codes;
        let uncond = nodes[(about + UNCOND) as usize] * codes;
        let noisy = nodes[(about + NOISY) as usize];
        let cfg = number(nodes, node, CFG);
        let temperature = number(nodes, node, TEMPERATURE);
        let mut words = Array::<u32>::new(4usize);
        philox(nodes, about + NOISE, block, &mut words);
        #[unroll]
        for i in 0..4u32 {
            let code = 4 * block + i;
            let mut score = f32::new(ABSENT);
            let mut value = f32::new(ABSENT);
            if code < codes && (code < dropped_from || code >= dropped_to) {
                let c = logits[(cond + code) as usize];
                let u = logits[(uncond + code) as usize];
                let largest = max(u32::reinterpret(c) & 0x7fff_ffff, u32::reinterpret(u) & 0x7fff_ffff);
                score = (u + cfg * (c - u)) / temperature;
                value = score;
                if noisy == 1 {
                    value += gumbel(words[i as usize]);
                }
                if largest > LARGEST {
                    score = f32::new(WRONG);
                }
            }
            scores[(node * blocks * 4 + code) as usize] = score;
            values[(node * blocks * 4 + code) as usize] = value;
        }
    }
}

/// The margin of scores of a node. It is huge where a score is none.
#[cube]
fn margin_of(nodes: &[u32], node: u32, amplitude: f32, highest: f32) -> f32 {
    let mut margin = fma(amplitude, f32::new(MARGIN), f32::new(TINY)) / number(nodes, node, TEMPERATURE);
    if highest > 1e37f32 {
        margin = f32::new(NO_MARGIN);
    }
    margin
}

/// What a code counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Weight {
    One,
    /// `e^(score - highest)`.
    Mass,
}

/// The score from which on the codes of a node weigh `wanted` at least, between `from` and
/// `highest`, by `rounds` halvings of that interval.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel's part are its buffers and sizes")]
#[cube]
fn border(
    scores: &[Vector<f32, Const<4>>],
    first: u32,
    blocks: u32,
    from: f32,
    highest: f32,
    wanted: f32,
    rounds: u32,
    parts: &mut Shared<[f32]>,
    #[comptime] weight: Weight,
) -> f32 {
    let mut low = from;
    let mut high = highest;
    for _ in 0..rounds {
        let middle = low + 0.5f32 * (high - low);
        let mut part = 0.0f32;
        for block in range_stepped(UNIT_POS, blocks, UNITS) {
            let own = scores[(first + block) as usize];
            #[unroll]
            for i in 0..4usize {
                if own.extract(i) >= middle {
                    match comptime!(weight) {
                        Weight::One => part += 1.0f32,
                        Weight::Mass => part += exp(own.extract(i) - highest),
                    }
                }
            }
        }
        if reduced(part, parts, Reduction::Sum) >= wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The codes of a node with the largest values among those that may be in the law, `list` of them,
/// and the header. A cube is a node. `lists` is `[nodes][HEADER + list ENTRY]`.
///
/// `rounds_k` and `rounds_p` are [`HALVINGS`], or 0 where no node has top-k or top-p.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn shortlist(
    logits: &[f32],
    nodes: &[u32],
    scores: &[Vector<f32, Const<4>>],
    values: &[Vector<f32, Const<4>>],
    lists: &mut [u32],
    codes: u32,
    list: u32,
    rounds_k: u32,
    rounds_p: u32,
) {
    let mut parts = Shared::<[f32]>::new_slice(UNITS as usize);
    let mut owners = Shared::<[u32]>::new_slice(UNITS as usize);
    let node = CUBE_POS_X;
    let blocks = codes.div_ceil(4);
    let first = node * blocks;
    let head = node * (HEADER + list * ENTRY);
    let cond = nodes[(node * NODE + COND) as usize] * codes;
    let uncond = nodes[(node * NODE + UNCOND) as usize] * codes;
    let cfg = number(nodes, node, CFG);

    let mut highest = f32::new(ABSENT);
    let mut negated = f32::new(ABSENT);
    let mut amplitude = 0.0f32;
    for block in range_stepped(UNIT_POS, blocks, UNITS) {
        let own = scores[(first + block) as usize];
        #[unroll]
        for i in 0..4usize {
            let score = own.extract(i);
            if score > -1e37f32 {
                highest = max(highest, score);
                negated = max(negated, -score);
                let code = 4 * block + comptime!(i as u32);
                let c = logits[(cond + code) as usize];
                let u = logits[(uncond + code) as usize];
                if score < 1e37f32 {
                    amplitude = max(amplitude, u.abs() + (cfg * (c - u)).abs());
                }
            }
        }
    }
    let highest = reduced(highest, &mut parts, Reduction::Most);
    let lowest = -reduced(negated, &mut parts, Reduction::Most);
    let margin = margin_of(nodes, node, reduced(amplitude, &mut parts, Reduction::Most), highest);

    // At least k codes have a score from `low` on.
    let most_kept = f32::cast_from(nodes[(node * NODE + TOP_K) as usize]);
    let low = border(scores, first, blocks, lowest, highest, most_kept, rounds_k, &mut parts, Weight::One);
    let floor = low - 2.0f32 * margin;

    let mut part = 0.0f32;
    let mut sure = 0.0f32;
    let mut kept = 0.0f32;
    for block in range_stepped(UNIT_POS, blocks, UNITS) {
        let own = scores[(first + block) as usize];
        #[unroll]
        for i in 0..4usize {
            let score = own.extract(i);
            if score >= floor {
                let weight = exp(score - highest);
                kept += 1.0f32;
                part += weight;
                if score >= low + 3.0f32 * margin {
                    sure += weight;
                }
            }
        }
    }
    let mass = reduced(part, &mut parts, Reduction::Sum);
    let sure = reduced(sure, &mut parts, Reduction::Sum);
    let kept = reduced(kept, &mut parts, Reduction::Sum);

    // The mass from `low` on is more than p, or no such score is known.
    let wanted = number(nodes, node, TOP_P) * mass * (1.0f32 + f32::new(MASS_MARGIN) + 4.0f32 * margin);
    let low = border(scores, first, blocks, floor, highest, wanted, rounds_p, &mut parts, Weight::Mass);
    let floor = max(floor, low - 2.0f32 * margin);

    if UNIT_POS == 0 {
        lists[(head + SCORE_MARGIN) as usize] = u32::reinterpret(margin);
        lists[(head + MASS) as usize] = u32::reinterpret(mass);
        lists[(head + SURE_MASS) as usize] = u32::reinterpret(sure);
        lists[(head + KEPT) as usize] = u32::reinterpret(kept);
    }

    // Each unit offers the best of its codes; the unit of the best one looks for its next.
    let mut best = f32::new(WRONG);
    let mut winner = u32::new(NOBODY);
    let mut value = f32::new(ABSENT);
    let mut score = f32::new(ABSENT);
    let mut owned = u32::new(NOBODY);
    for place in 0..list {
        if owned == winner {
            value = f32::new(ABSENT);
            owned = NO_CODE;
            for block in range_stepped(UNIT_POS, blocks, UNITS) {
                let own_scores = scores[(first + block) as usize];
                let own_values = values[(first + block) as usize];
                #[unroll]
                for i in 0..4usize {
                    let next = own_values.extract(i);
                    let code = 4 * block + comptime!(i as u32);
                    let behind = next < best || (next == best && code > winner);
                    if own_scores.extract(i) >= floor && behind && next > value {
                        value = next;
                        score = own_scores.extract(i);
                        owned = code;
                    }
                }
            }
        }
        parts[UNIT_POS as usize] = value;
        owners[UNIT_POS as usize] = owned;
        sync_cube();
        #[unroll]
        for level in 0..7u32 {
            let half = comptime!(UNITS >> (level + 1));
            if UNIT_POS < half {
                let other = parts[(UNIT_POS + half) as usize];
                let mine = parts[UNIT_POS as usize];
                let code = owners[(UNIT_POS + half) as usize];
                if other > mine || (other == mine && code < owners[UNIT_POS as usize]) {
                    parts[UNIT_POS as usize] = other;
                    owners[UNIT_POS as usize] = code;
                }
            }
            sync_cube();
        }
        best = parts[0];
        winner = owners[0];
        sync_cube();
        let entry = head + HEADER + place * ENTRY;
        if UNIT_POS == 0 {
            lists[(entry + CODE) as usize] = winner;
            lists[(entry + VALUE) as usize] = u32::reinterpret(best);
        }
        if owned == winner && owned != NO_CODE {
            lists[(entry + SCORE) as usize] = u32::reinterpret(score);
        }
    }
}

/// The logits of the codes of the lists, and the codes and masses before each. A cube is a code of a
/// node. `counted` is the number of blocks, or 0 where no node has top-k or top-p.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn place(
    logits: &[f32],
    nodes: &[u32],
    scores: &[Vector<f32, Const<4>>],
    lists: &mut [u32],
    codes: u32,
    list: u32,
    counted: u32,
) {
    let mut parts = Shared::<[f32]>::new_slice(UNITS as usize);
    let node = CUBE_POS_X;
    let first = node * codes.div_ceil(4);
    let head = node * (HEADER + list * ENTRY);
    let entry = head + HEADER + CUBE_POS_Y * ENTRY;
    let listed = lists[(entry + CODE) as usize];
    let score = f32::reinterpret(lists[(entry + SCORE) as usize]);
    let margin = 2.0f32 * f32::reinterpret(lists[(head + SCORE_MARGIN) as usize]);
    let mut before = 0.0f32;
    let mut surely = 0.0f32;
    let mut mass = 0.0f32;
    let mut sure_mass = 0.0f32;
    // The highest score scales the weights, as in the header.
    let mut highest = f32::new(ABSENT);
    for block in range_stepped(UNIT_POS, counted, UNITS) {
        let own = scores[(first + block) as usize];
        #[unroll]
        for i in 0..4usize {
            highest = max(highest, own.extract(i));
        }
    }
    let highest = reduced(highest, &mut parts, Reduction::Most);
    for block in range_stepped(UNIT_POS, counted, UNITS) {
        let own = scores[(first + block) as usize];
        #[unroll]
        for i in 0..4usize {
            let other = own.extract(i);
            if other >= score - margin && 4 * block + comptime!(i as u32) != listed {
                let weight = exp(other - highest);
                before += 1.0f32;
                mass += weight;
                if other > score + margin {
                    surely += 1.0f32;
                    sure_mass += weight;
                }
            }
        }
    }
    let before = reduced(before, &mut parts, Reduction::Sum);
    let surely = reduced(surely, &mut parts, Reduction::Sum);
    let mass = reduced(mass, &mut parts, Reduction::Sum);
    let sure_mass = reduced(sure_mass, &mut parts, Reduction::Sum);
    if UNIT_POS == 0 && listed != NO_CODE {
        let cond = nodes[(node * NODE + COND) as usize] * codes;
        let uncond = nodes[(node * NODE + UNCOND) as usize] * codes;
        lists[(entry + COND_LOGIT) as usize] = u32::reinterpret(logits[(cond + listed) as usize]);
        lists[(entry + UNCOND_LOGIT) as usize] = u32::reinterpret(logits[(uncond + listed) as usize]);
        lists[(entry + BEFORE) as usize] = u32::reinterpret(before);
        lists[(entry + SURELY_BEFORE) as usize] = u32::reinterpret(surely);
        lists[(entry + MASS_BEFORE) as usize] = u32::reinterpret(mass);
        lists[(entry + MASS_SURELY_BEFORE) as usize] = u32::reinterpret(sure_mass);
    }
}
