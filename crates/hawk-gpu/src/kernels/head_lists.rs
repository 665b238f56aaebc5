//! The best logits of draft heads, from whole rows to short lists.

use cubecl::prelude::*;

use super::numbers::exp;
use super::reduce::{Reduction, UNITS, reduced};

/// Words in front of a list, bits of numbers each.
pub(crate) const HEADER: u32 = 3;
/// The largest logit.
pub(crate) const HIGHEST: u32 = 0;
/// The sum of `e^(logit - highest)` over the codes that are not listed.
pub(crate) const REST: u32 = 1;
/// Number of logits that are none, or too large. Where there is one, the list is void.
pub(crate) const WRONG: u32 = 2;

/// Words of a listed code: the code, and the bits of its logit.
pub(crate) const ENTRY: u32 = 2;

/// Halvings of the interval of logits. What is left of it is a 65536th; some codes in it are listed, some are not.
const HALVINGS: u32 = 16;
/// Bits of the largest logit that is listed: differences of larger ones may overflow.
const LARGEST: u32 = 0x7e00_0000;

/// The best logits of each row, `list` of them, in no order. A cube is a row of `logits`, `[rows][codes]`; `lists` is
/// `[rows][HEADER + list ENTRY]`. A row has `list` codes at least.
#[cube(launch_unchecked)]
pub(crate) fn best_logits(logits: &[f32], lists: &mut [u32], codes: u32, list: u32) {
    let mut parts = Shared::<[f32]>::new_slice(UNITS as usize);
    let mut counts = Shared::<[u32]>::new_slice(UNITS as usize);
    let mut between = Shared::<[u32]>::new_slice(UNITS as usize);
    let first = CUBE_POS_X * codes;
    let head = CUBE_POS_X * (HEADER + list * ENTRY);

    let mut highest = f32::new(-3.0e38);
    let mut negated = f32::new(-3.0e38);
    let mut wrong = 0.0f32;
    for code in range_stepped(UNIT_POS, codes, UNITS) {
        let logit = logits[(first + code) as usize];
        if u32::reinterpret(logit) & 0x7fff_ffff > LARGEST {
            wrong += 1.0f32;
        } else {
            highest = max(highest, logit);
            negated = max(negated, -logit);
        }
    }
    let highest = reduced(highest, &mut parts, Reduction::Most);
    let lowest = -reduced(negated, &mut parts, Reduction::Most);
    let wrong = reduced(wrong, &mut parts, Reduction::Sum);

    // At least `list` codes have a logit from `low` on, and no more from `high` on, but for equal ones.
    let wanted = f32::cast_from(list);
    let mut low = lowest;
    let mut high = highest;
    for _ in 0..HALVINGS {
        let middle = low + 0.5f32 * (high - low);
        let mut part = 0.0f32;
        for code in range_stepped(UNIT_POS, codes, UNITS) {
            if logits[(first + code) as usize] >= middle {
                part += 1.0f32;
            }
        }
        if reduced(part, &mut parts, Reduction::Sum) >= wanted {
            low = middle;
        } else {
            high = middle;
        }
    }

    // The units write one after another: first the codes from `high` on, then those between.
    let mut own = 0u32;
    let mut own_between = 0u32;
    for code in range_stepped(UNIT_POS, codes, UNITS) {
        let logit = logits[(first + code) as usize];
        if logit >= high {
            own += 1u32;
        } else if logit >= low {
            own_between += 1u32;
        }
    }
    counts[UNIT_POS as usize] = own;
    between[UNIT_POS as usize] = own_between;
    sync_cube();
    let mut place = 0u32;
    let mut place_between = 0u32;
    for unit in 0..UNITS {
        place_between += counts[unit as usize];
        if unit < UNIT_POS {
            place += counts[unit as usize];
            place_between += between[unit as usize];
        }
    }
    let mut rest = 0.0f32;
    for code in range_stepped(UNIT_POS, codes, UNITS) {
        let logit = logits[(first + code) as usize];
        let mut to = list;
        if logit >= high {
            to = place;
            place += 1u32;
        } else if logit >= low {
            to = place_between;
            place_between += 1u32;
        }
        if to < list {
            let entry = head + HEADER + to * ENTRY;
            lists[entry as usize] = code;
            lists[(entry + 1) as usize] = u32::reinterpret(logit);
        } else {
            rest += exp(logit - highest);
        }
    }
    let rest = reduced(rest, &mut parts, Reduction::Sum);
    if UNIT_POS == 0 {
        lists[(head + HIGHEST) as usize] = u32::reinterpret(highest);
        lists[(head + REST) as usize] = u32::reinterpret(rest);
        lists[(head + WRONG) as usize] = u32::reinterpret(wrong);
    }
}
