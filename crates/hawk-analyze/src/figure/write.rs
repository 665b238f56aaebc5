//! The files of figures in a folder.

use std::path::{Path, PathBuf};

use hawk::{Error, Result};
use hawk_files::{atomic, from_json};

use super::csv::csv;
use super::data::Figure;
use super::draw::svg_file;
use super::page::report;

/// The page of a folder.
pub const PAGE: &str = "report.html";
/// The order of figures on the page; others follow.
const ORDER: [&str; 6] = ["attention", "heads", "divergence", "rejection", "sampling", "table"];

/// Writes `NAME.json`, `NAME-PART.csv` and `NAME-PART.svg`, and then `report.html` of all figures in the folder.
/// Returns the page's path.
///
/// # Errors
/// A file cannot be written, or another figure in the folder cannot be read.
pub fn write_figure(dir: &Path, figure: &Figure) -> Result<PathBuf> {
    for part in &figure.parts {
        let path = |ending: &str| dir.join(format!("{}-{}.{ending}", figure.name, part.id));
        atomic::write(&path("csv"), csv(&part.content).as_bytes())?;
        if let Some(svg) = svg_file(part) {
            atomic::write(&path("svg"), svg.as_bytes())?;
        }
    }
    atomic::write_json(&dir.join(format!("{}.json", figure.name)), figure)?;
    let page = dir.join(PAGE);
    atomic::write(&page, report(&read_figures(dir)?).as_bytes())?;
    Ok(page)
}

/// The figures of a folder, in the order of the paper.
///
/// # Errors
/// The folder or a figure cannot be read.
pub fn read_figures(dir: &Path) -> Result<Vec<Figure>> {
    let failed = |e: std::io::Error| Error::io("read the folder", dir, &e);
    let mut figures = Vec::new();
    for name in ORDER {
        let path = dir.join(format!("{name}.json"));
        if !path.try_exists().map_err(failed)? {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read the figure", &path, &e))?;
        let figure: Figure = from_json("a figure", &bytes).map_err(|e| {
            e.at(path.display()).expected("a file of `hawk analyze`").hint("remove it, or make it again by its command")
        })?;
        figures.push(figure);
    }
    Ok(figures)
}
