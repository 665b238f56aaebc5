//! Things: cut-outs of emoji with their names, shown alone, counted and beside each other on plain
//! or softly shaded grounds.

mod alone;
mod arranged;
mod collection;
mod cutout;
mod ground;
mod pack;
mod shift;
mod thing;

pub use alone::alone;
pub use arranged::arranged;
pub use collection::Things;
pub use cutout::{Cutout, Foot};
pub use ground::{Colour, Ground};
pub use shift::{CELL, Shift};
pub use thing::{Drawing, Names, Thing};
