//! `config.json` of a folder of spatial heads, validated.

use hawk_spec::Grid;
use serde::{Deserialize, Serialize};

use crate::config::heads::{HeadFigures, RawTarget, digest, fits_target};
use crate::config::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::{from_json, size, unsupported};
use crate::source::ModelSource;

const MODEL_TYPE: &str = "hawk";
const ARCHITECTURE: &str = "HawkSpatialHeads";
/// Fewest columns of a grid: the cells above and above to the right must lie before a cell.
const LEAST_COLUMNS: u32 = 3;

/// What a folder of spatial heads says of itself.
///
/// A spatial head guesses a cell from the target's hidden states in the row above and from the codes above and to
/// the left.
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialConfig {
    /// D of the target.
    pub hidden: usize,
    /// Numbers of the hidden layer.
    pub width: usize,
    /// Numbers that the codes are scored from.
    pub rank: usize,
    /// V, number of codes.
    pub codes: usize,
    /// Rows and columns of the images.
    pub grid: Grid,
    /// A name of the target, for people.
    pub target_name: String,
    /// [`ModelSource::digest`](crate::ModelSource::digest) of the target.
    pub target_digest: String,
    /// Its worth on images that it was not trained on, where it was measured.
    pub validation: Option<HeadFigures>,
}

#[derive(Serialize, Deserialize)]
struct Raw {
    architectures: Vec<String>,
    speculators_model_type: String,
    hidden_size: u64,
    width: u64,
    rank: u64,
    codes: u64,
    /// Rows, columns.
    grid: [u32; 2],
    target: RawTarget,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validation: Option<HeadFigures>,
}

/// The part of any heads' config that tells their kind.
#[derive(Deserialize)]
struct Kind {
    architectures: Vec<String>,
}

impl SpatialConfig {
    /// Whether a folder (`""` or with a slash at its end) holds spatial heads.
    ///
    /// # Errors
    /// Its `config.json` cannot be read, or names no architecture.
    pub fn is_in(source: &ModelSource, folder: &str) -> Result<bool> {
        let name = format!("{folder}config.json");
        let kind: Kind =
            from_json("a heads' config", &source.read(&name)?).map_err(|e| e.at(source.describe(&name)))?;
        Ok(kind.architectures == [ARCHITECTURE])
    }

    /// Reads `config.json` in a folder of spatial heads. The caller compares [`target_digest`](Self::target_digest).
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
    /// Not JSON, a key that is missing or out of range, or an unsupported choice.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let raw: Raw = from_json("a config of spatial heads", bytes)?;
        if raw.speculators_model_type != MODEL_TYPE {
            return Err(unsupported("speculators_model_type", MODEL_TYPE, &raw.speculators_model_type));
        }
        if raw.architectures != [ARCHITECTURE] {
            return Err(unsupported("architectures", &format!("[{ARCHITECTURE:?}]"), &raw.architectures.join(", ")));
        }
        let [rows, cols] = raw.grid;
        if cols < LEAST_COLUMNS {
            let expected = format!("at least {LEAST_COLUMNS} columns");
            return Err(Error::input("too few columns for a row above").at("grid").expected(expected).got(cols));
        }
        if let Some(figures) = &raw.validation {
            figures.check().map_err(|e| e.at("validation"))?;
        }
        Ok(Self {
            hidden: size("hidden_size", raw.hidden_size, 1 << 17)?,
            width: size("width", raw.width, 1 << 12)?,
            rank: size("rank", raw.rank, 1 << 10)?,
            codes: size("codes", raw.codes, 1 << 20)?,
            grid: Grid::new(rows, cols).map_err(|e| Error::input(e.to_string()).at("grid"))?,
            target_digest: digest(raw.target.digest)?,
            target_name: raw.target.name,
            validation: raw.validation,
        })
    }

    /// The content of `config.json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!(Raw {
            architectures: vec![ARCHITECTURE.to_owned()],
            speculators_model_type: MODEL_TYPE.to_owned(),
            hidden_size: self.hidden as u64,
            width: self.width as u64,
            rank: self.rank as u64,
            codes: self.codes as u64,
            grid: [self.grid.rows(), self.grid.cols()],
            target: RawTarget { name: self.target_name.clone(), digest: self.target_digest.clone() },
            validation: self.validation.clone(),
        })
    }
}
