//! Figures: their data, their plots, their page, their files.

mod csv;
mod data;
mod draw;
mod page;
mod write;

pub use csv::csv;
pub use data::{Content, Figure, Line, LinePlot, MapPlot, Part, Picture, Pictures, Spacing, Table};
pub use draw::{short, svg, svg_file};
pub use page::report;
pub use write::{PAGE, read_figures, write_figure};
