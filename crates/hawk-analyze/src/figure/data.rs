//! A figure as data: what is written as JSON, and what plots, tables and the page are made from.

use hawk::Image;
use hawk::Result;
use hawk_bench::plot::{Scale, data_uri};
use serde::{Deserialize, Serialize};

/// The result of one analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of its files: lower-case letters and `-`.
    pub name: String,
    /// Title.
    pub title: String,
    /// The figures of the paper that it stands beside.
    pub paper: String,
    /// What came out, in sentences with numbers.
    pub findings: Vec<String>,
    /// Model, images, sampling: name and value.
    pub settings: Vec<[String; 2]>,
    /// Plots, tables and pictures, in order.
    pub parts: Vec<Part>,
}

/// A part of a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Name of its files: lower-case letters, digits and `-`.
    pub id: String,
    /// Title.
    pub title: String,
    /// What to see in it.
    pub caption: String,
    /// Its data.
    pub content: Content,
}

/// The data of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Content {
    /// Lines over a common axis.
    Lines(LinePlot),
    /// Numbers on a plane.
    Map(MapPlot),
    /// Numbers in rows and columns.
    Table(Table),
    /// Pictures in rows.
    Pictures(Pictures),
}

/// The scale of an axis or of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Equal differences.
    #[default]
    Linear,
    /// Tenfold steps.
    Log10,
}

impl From<Spacing> for Scale {
    fn from(spacing: Spacing) -> Self {
        match spacing {
            Spacing::Linear => Self::Linear,
            Spacing::Log10 => Self::Log10,
        }
    }
}

/// Lines over a common axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinePlot {
    /// Name and unit of the axis below.
    pub x: String,
    /// Name and unit of the values.
    pub y: String,
    /// Scale of the values.
    pub spacing: Spacing,
    /// The lines.
    pub lines: Vec<Line>,
    /// A value to compare with, and its name.
    pub reference: Option<(String, f64)>,
}

/// A line of a plot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Points by rising x, each `[x, y]`.
    pub points: Vec<[f64; 2]>,
}

/// Numbers on a plane of rows and columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapPlot {
    /// Name and unit of the columns.
    pub x: String,
    /// Name and unit of the rows.
    pub y: String,
    /// Name and unit of the values.
    pub value: String,
    /// What the first column is called; the next one is one more.
    pub first_x: i64,
    /// What the first row is called.
    pub first_y: i64,
    /// What is added from a row to the next: 1, or -1 where they count upwards.
    pub step_y: i64,
    /// Scale of the colours.
    pub spacing: Spacing,
    /// Rows of values; none where there is no value.
    pub values: Vec<Vec<Option<f64>>>,
    /// A column and row by name, with what is marked there.
    pub marked: Vec<(i64, i64, String)>,
    /// A picture of the same cells, on which the map lies.
    pub under: Option<Picture>,
}

/// Numbers in rows and columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Names of the columns, that of the rows first.
    pub columns: Vec<String>,
    /// Rows: a name and a value for each further column; none where there is no value.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
    /// Digits after the point.
    pub decimals: usize,
}

/// Pictures in rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// Rows: a name and its pictures.
    pub rows: Vec<(String, Vec<Picture>)>,
}

/// A picture with what stands below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// A PNG as a `data:` address.
    pub png: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What stands below it.
    pub label: String,
    /// Figures that belong to it: name and value.
    pub figures: Vec<(String, f64)>,
}

impl Picture {
    /// A picture; large ones are shrunk.
    ///
    /// # Errors
    /// An image that no PNG can hold.
    pub fn new(image: &Image, label: String, figures: Vec<(String, f64)>) -> Result<Self> {
        Ok(Self { png: data_uri(image)?, width: image.width, height: image.height, label, figures })
    }
}
