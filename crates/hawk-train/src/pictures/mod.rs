//! Captioned pictures: the folder format, its pixels, and contact sheets.

pub(crate) mod canvas;
pub(crate) mod corpus;
pub(crate) mod entry;
pub(crate) mod pixels;
pub(crate) mod sheet;
