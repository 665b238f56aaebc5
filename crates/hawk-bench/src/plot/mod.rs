//! Parts of pages and plots, for reports of this crate and of others: SVG in the colours of one style
//! sheet, markup, the frame of a page.

mod html;
mod page;
mod svg;

pub use html::{data_uri, escape};
pub use page::{STYLE, figure, page};
pub use svg::{Axis, Bars, Lines, Point, Reference, Scale, Series, Stack, bars, heat, lines, stacks};
