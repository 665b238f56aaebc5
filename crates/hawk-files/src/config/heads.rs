//! `config.json` of a folder of draft heads, in the spirit of vLLM's `speculators`, validated.

use std::fmt;
use std::str::FromStr;

use hawk_spec::{Cell, Grid};
use serde::{Deserialize, Serialize};

use crate::config::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::{from_json, size, unsupported};
use crate::source::ModelSource;

const MODEL_TYPE: &str = "hawk";
const ARCHITECTURE: &str = "HawkHeads";
const BLOCK: &str = "residual_silu";
/// Largest number of rows down or columns to the side, as of a grid's side.
const MAX_OFFSET: u32 = 1024;
const MAX_HEADS: usize = 256;
const MAX_RANKS: usize = 1024;

/// How the tokens stand to each other that heads guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrangement {
    /// Cells of an image: rows and columns, raster order, an end.
    Grid(Grid),
    /// Text: one after another, without rows and without an end that is known before.
    Line,
}

impl From<Grid> for Arrangement {
    fn from(grid: Grid) -> Self {
        Self::Grid(grid)
    }
}

impl fmt::Display for Arrangement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grid(grid) => write!(f, "images of {} x {} cells", grid.rows(), grid.cols()),
            Self::Line => f.pad("text"),
        }
    }
}

/// Offset of the cell that a head predicts from the cell that its hidden state predicts: rows down,
/// columns to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadOffset {
    down: u32,
    right: i32,
}

impl HeadOffset {
    /// `H_k` is `(0, k)`, `V_d` is `(d, 0)`; anything else in a lower row is a diagonal.
    ///
    /// # Errors
    /// The offset leads to no later cell, or farther than a grid reaches.
    pub fn new(down: u32, right: i32) -> Result<Self> {
        if down <= MAX_OFFSET && right.unsigned_abs() <= MAX_OFFSET && (down > 0 || right > 0) {
            return Ok(Self { down, right });
        }
        Err(Error::input("a head cannot look there")
            .at("offset")
            .expected(format!("[0, 1 to {MAX_OFFSET}] or [1 to {MAX_OFFSET}, -{MAX_OFFSET} to {MAX_OFFSET}]"))
            .got(format!("[{down}, {right}]")))
    }

    /// Rows down.
    #[must_use]
    pub fn down(self) -> u32 {
        self.down
    }

    /// Columns to the right; below 0 to the left.
    #[must_use]
    pub fn right(self) -> i32 {
        self.right
    }

    /// The cell that a head predicts from the hidden state which predicts `cell`.
    ///
    /// In the same row the offset counts in raster order and passes the end of the row. In a lower
    /// row a cell outside the grid is no neighbour. Text has no lower rows.
    #[must_use]
    pub fn target(self, within: impl Into<Arrangement>, cell: Cell) -> Option<Cell> {
        let right = i64::from(self.right);
        let grid = match within.into() {
            Arrangement::Grid(grid) => grid,
            Arrangement::Line if self.down > 0 => return None,
            Arrangement::Line => return cell.0.checked_add(self.right.unsigned_abs()).map(Cell),
        };
        let col = i64::from(grid.col(cell)) + right;
        if self.down > 0 && !(0..i64::from(grid.cols())).contains(&col) {
            return None;
        }
        let index = i64::from(cell.0) + i64::from(self.down) * i64::from(grid.cols()) + right;
        (index < i64::from(grid.cells())).then_some(Cell(index as u32))
    }

    /// Refuses an offset that has no target anywhere.
    fn check(self, within: Arrangement) -> Result<()> {
        let grid = match within {
            Arrangement::Grid(grid) => grid,
            Arrangement::Line if self.down == 0 => return Ok(()),
            Arrangement::Line => {
                return Err(Error::input("a head looks down, and text has no rows")
                    .at(format!("offset of {self}"))
                    .expected("[0, 1] and so on where the config names no grid")
                    .got(format!("[{}, {}]", self.down, self.right)));
            }
        };
        let first = Cell(if self.right < 0 { self.right.unsigned_abs().min(grid.cols() - 1) } else { 0 });
        if self.target(grid, first).is_some() {
            return Ok(());
        }
        Err(Error::input("a head looks beyond the grid")
            .at(format!("offset of {self}"))
            .expected(format!("inside {} rows of {} cells", grid.rows(), grid.cols()))
            .got(format!("[{}, {}]", self.down, self.right)))
    }
}

impl fmt::Display for HeadOffset {
    /// `H1`, `V2`, and for diagonals rows and columns: `D1-1`, `D1+2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.down, self.right) {
            (0, right) => format!("H{right}"),
            (down, 0) => format!("V{down}"),
            (down, right) => format!("D{down}{right:+}"),
        };
        f.pad(&name)
    }
}

impl FromStr for HeadOffset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let diagonal = |rest: &str| {
            let (down, right) = rest.split_at_checked(rest.find(['+', '-'])?)?;
            Some((down.parse().ok()?, right.parse().ok()?))
        };
        let offset = match name.split_at_checked(1) {
            Some(("H", right)) => right.parse().ok().map(|right| (0, right)),
            Some(("V", down)) => down.parse().ok().map(|down| (down, 0)),
            Some(("D", rest)) => diagonal(rest),
            _ => None,
        };
        let Some((down, right)) = offset else {
            return Err(Error::input("there is no such head")
                .expected("H1 (one to the right), V1 (one down), D1-1 (one down, one to the left), and so on")
                .got(format!("{name:?}")));
        };
        Self::new(down, right)
    }
}

/// What a head was worth on images that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadFigures {
    /// Mean cross-entropy of the head's law against the labels of its training, in nats.
    pub cross_entropy: f64,
    /// Mean of 1 - TV between the head's law and the target's.
    pub overlap: f64,
    /// By rank, rank 1 first: the share of cells where the candidate of that rank is the code that
    /// plain decoding draws. Candidates are ranked by log q plus the replay noise of the cell.
    pub replay_match_by_rank: Vec<f64>,
}

impl HeadFigures {
    pub(crate) fn check(&self) -> Result<()> {
        let share = 0.0..=1.0;
        let wrong = |field: &str, expected: &str, got: &dyn fmt::Display| {
            Err(Error::input("a measured figure cannot be").at(field).expected(expected).got(got))
        };
        if !(self.cross_entropy.is_finite() && self.cross_entropy >= 0.0) {
            return wrong("cross_entropy", "finite and at least 0", &self.cross_entropy);
        }
        if !share.contains(&self.overlap) {
            return wrong("overlap", "0 to 1", &self.overlap);
        }
        if self.replay_match_by_rank.len() > MAX_RANKS {
            return wrong("replay_match_by_rank", "at most 1024 ranks", &self.replay_match_by_rank.len());
        }
        match self.replay_match_by_rank.iter().find(|&chance| !share.contains(chance)) {
            Some(chance) => wrong("replay_match_by_rank", "0 to 1", chance),
            None => Ok(()),
        }
    }
}

/// One head: where it looks, and what it was worth.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadConfig {
    /// Where it looks; also its name.
    pub offset: HeadOffset,
    /// Its validation, where it was measured.
    pub validation: Option<HeadFigures>,
}

/// What a folder of heads says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadsConfig {
    /// D of the target.
    pub hidden: usize,
    /// A name of the target, for people.
    pub target_name: String,
    /// [`ModelSource::digest`](crate::ModelSource::digest) of the target.
    pub target_digest: String,
    /// What the heads were trained on: the grid of images, or text.
    pub arrangement: Arrangement,
    /// The heads in the order of their tensors; no two look at the same place.
    pub heads: Vec<HeadConfig>,
}

#[derive(Serialize, Deserialize)]
struct Raw {
    architectures: Vec<String>,
    speculators_model_type: String,
    block: String,
    hidden_size: u64,
    target: RawTarget,
    /// Rows, columns; none for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grid: Option<[u32; 2]>,
    heads: Vec<RawHead>,
}

/// The target that heads were trained for.
#[derive(Serialize, Deserialize)]
pub(crate) struct RawTarget {
    pub(crate) name: String,
    pub(crate) digest: String,
}

#[derive(Serialize, Deserialize)]
struct RawHead {
    name: String,
    /// Rows down, columns right.
    offset: (u32, i32),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validation: Option<HeadFigures>,
}

/// Compares the hidden size that heads of any kind were trained for with the target's.
pub(super) fn fits_target(hidden: usize, target: &TransformerConfig) -> Result<()> {
    if hidden == target.hidden {
        return Ok(());
    }
    Err(Error::input("the heads were trained for another target")
        .at("hidden_size")
        .expected(format!("{}, as the target has", target.hidden))
        .got(hidden))
}

impl HeadsConfig {
    /// Reads `config.json` in a folder of heads (`"heads/"` of a model, or `""` for a folder of its
    /// own). The caller compares [`target_digest`](Self::target_digest).
    ///
    /// # Errors
    /// A file that is missing or damaged, or heads of another hidden size than the target.
    pub fn read(source: &ModelSource, folder: &str, target: &TransformerConfig) -> Result<Self> {
        let name = format!("{folder}config.json");
        let config = Self::from_json(&source.read(&name)?).map_err(|e| e.at(source.describe(&name)))?;
        fits_target(config.hidden, target).map_err(|e| e.at(source.describe(&name)))?;
        Ok(config)
    }

    /// Reads `config.json`; keys that it does not know are left alone.
    ///
    /// # Errors
    /// Not JSON, a key that is missing or out of range, an unsupported choice, or two heads of one
    /// offset.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let raw: Raw = from_json("a heads' config", bytes)?;
        raw.supported()?;
        let arrangement = match raw.grid {
            Some([rows, cols]) => Grid::new(rows, cols).map_err(|e| Error::input(e.to_string()).at("grid"))?.into(),
            None => Arrangement::Line,
        };
        Ok(Self {
            hidden: size("hidden_size", raw.hidden_size, 1 << 17)?,
            target_digest: digest(raw.target.digest)?,
            target_name: raw.target.name,
            heads: heads(raw.heads, arrangement)?,
            arrangement,
        })
    }

    /// The content of `config.json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let head = |head: &HeadConfig| RawHead {
            name: head.offset.to_string(),
            offset: (head.offset.down, head.offset.right),
            validation: head.validation.clone(),
        };
        serde_json::json!(Raw {
            architectures: vec![ARCHITECTURE.to_owned()],
            speculators_model_type: MODEL_TYPE.to_owned(),
            block: BLOCK.to_owned(),
            hidden_size: self.hidden as u64,
            target: RawTarget { name: self.target_name.clone(), digest: self.target_digest.clone() },
            grid: match self.arrangement {
                Arrangement::Grid(grid) => Some([grid.rows(), grid.cols()]),
                Arrangement::Line => None,
            },
            heads: self.heads.iter().map(head).collect(),
        })
    }
}

impl Raw {
    fn supported(&self) -> Result<()> {
        if self.speculators_model_type != MODEL_TYPE {
            return Err(unsupported("speculators_model_type", MODEL_TYPE, &self.speculators_model_type));
        }
        if self.architectures != [ARCHITECTURE] {
            return Err(unsupported("architectures", &format!("[{ARCHITECTURE:?}]"), &self.architectures.join(", ")));
        }
        if self.block != BLOCK {
            return Err(unsupported("block", BLOCK, &self.block));
        }
        Ok(())
    }
}

/// A digest of a model, checked.
pub(crate) fn digest(digest: String) -> Result<String> {
    if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(digest);
    }
    Err(Error::input("no digest of a model")
        .at("target.digest")
        .expected("64 hex digits, as `hawk inspect` prints them")
        .got(format!("{digest:?}")))
}

fn heads(raw: Vec<RawHead>, arrangement: Arrangement) -> Result<Vec<HeadConfig>> {
    if !(1..=MAX_HEADS).contains(&raw.len()) {
        let expected = format!("1 to {MAX_HEADS}");
        return Err(Error::input("too few or too many heads").at("heads").expected(expected).got(raw.len()));
    }
    let mut heads: Vec<HeadConfig> = Vec::with_capacity(raw.len());
    for (i, RawHead { name, offset: (down, right), validation }) in raw.into_iter().enumerate() {
        let place = format!("heads[{i}]");
        let offset = HeadOffset::new(down, right).map_err(|e| e.at(&place))?;
        offset.check(arrangement).map_err(|e| e.at(&place))?;
        if name != offset.to_string() {
            return Err(Error::input("a head's name contradicts its offset")
                .at(place)
                .expected(offset)
                .got(format!("{name:?}")));
        }
        if heads.iter().any(|head| head.offset == offset) {
            return Err(Error::input("two heads look at the same place").at(place).got(offset));
        }
        if let Some(figures) = &validation {
            figures.check().map_err(|e| e.at(&place))?;
        }
        heads.push(HeadConfig { offset, validation });
    }
    Ok(heads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> HeadsConfig {
        let figures = HeadFigures { cross_entropy: 2.5, overlap: 0.25, replay_match_by_rank: vec![0.2, 0.1] };
        let head = |name: &str, validation| HeadConfig { offset: name.parse().unwrap(), validation };
        HeadsConfig {
            hidden: 384,
            target_name: "emoji-v1".to_owned(),
            target_digest: "0123456789abcdef".repeat(4),
            arrangement: Grid::new(16, 16).unwrap().into(),
            heads: vec![head("H1", Some(figures)), head("V2", None), head("D1-1", None)],
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        assert_eq!(HeadsConfig::from_json(config().to_json().to_string().as_bytes()).unwrap(), config());
    }

    #[test]
    fn heads_of_text_look_ahead_and_have_no_grid() {
        let mut text = config();
        (text.arrangement, text.heads) = (Arrangement::Line, text.heads[..1].to_vec());
        let json = text.to_json();
        assert!(json.get("grid").is_none());
        assert_eq!(HeadsConfig::from_json(json.to_string().as_bytes()).unwrap(), text);
        let offset = |name: &str| name.parse::<HeadOffset>().unwrap();
        assert_eq!(offset("H2").target(Arrangement::Line, Cell(5000)), Some(Cell(5002)));
        assert_eq!(offset("V1").target(Arrangement::Line, Cell(0)), None);
        let mut vertical = config().to_json();
        vertical.as_object_mut().unwrap().remove("grid");
        let error = HeadsConfig::from_json(vertical.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("V2") && error.contains("text has no rows"), "{error}");
    }

    #[test]
    fn names_are_offsets() {
        for (name, down, right) in [("H1", 0, 1), ("H12", 0, 12), ("V3", 3, 0), ("D1-1", 1, -1), ("D2+10", 2, 10)] {
            let offset: HeadOffset = name.parse().unwrap();
            assert_eq!((offset.down(), offset.right(), offset.to_string().as_str()), (down, right, name));
        }
        for name in ["", "H", "H0", "H-1", "V0", "V-1", "D1", "D0-1", "X1", "h1", "V2000", "D1+1-1", "é"] {
            assert!(name.parse::<HeadOffset>().is_err(), "{name}");
        }
    }

    #[test]
    fn targets_are_later_cells_of_the_grid() {
        let grid = Grid::new(3, 4).unwrap();
        let target = |name: &str, cell: u32| name.parse::<HeadOffset>().unwrap().target(grid, Cell(cell)).map(|c| c.0);
        assert_eq!(target("H1", 3), Some(4), "over the row's end");
        assert_eq!((target("H2", 9), target("H2", 10)), (Some(11), None));
        assert_eq!((target("V2", 3), target("V2", 4)), (Some(11), None));
        assert_eq!((target("D1-1", 1), target("D1-1", 0)), (Some(4), None));
        assert_eq!((target("D1+2", 1), target("D1+2", 2)), (Some(7), None));
    }
}
