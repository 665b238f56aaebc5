//! What a folder is for: `begun.json`, written before the first picture.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{self, Durability};
use crate::mixture::Shares;
use crate::order::Order;
use crate::things::{Shift, Things};

/// The pictures of a folder are a function of all of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begun {
    /// The version of this crate: another one may paint other pictures.
    painter: String,
    form: Form,
    seed: u64,
    shares: Shares,
    shift: Shift,
    /// Digest of the things, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    things: Option<String>,
    /// May grow: picture number i does not depend on it.
    pictures: u64,
}

/// The form of the pictures on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// PNG files.
    Images,
    /// Raw pixels, so many pictures a file.
    Shards(u64),
}

impl Begun {
    pub(crate) fn new(order: &Order, form: Form) -> Self {
        Self {
            painter: env!("CARGO_PKG_VERSION").to_owned(),
            form,
            seed: order.mixture.seed(),
            shares: order.mixture.shares(),
            shift: order.mixture.shift(),
            things: order.mixture.things().map(Things::digest),
            pictures: order.pictures.get(),
        }
    }

    /// Digest of the things, where there are any.
    pub(crate) fn things(&self) -> Option<&str> {
        self.things.as_deref()
    }

    /// Makes the folder, or makes sure that it holds pictures of this kind and no more of them.
    ///
    /// # Errors
    /// The folder holds other files, other pictures or more of them, or cannot be written.
    pub(crate) fn check(&self, order: &Order) -> Result<()> {
        let (out, path) = (&order.out, order.out.join("begun.json"));
        fs::create_dir_all(out).map_err(Error::file("make the folder", out))?;
        if path.exists() {
            let bytes = fs::read(&path).map_err(Error::file("read the file", &path))?;
            let found: Self = serde_json::from_slice(&bytes).map_err(|_| Error::Foreign(out.clone()))?;
            if let Some(what) = found.difference(self) {
                return Err(Error::OtherPictures { path: out.clone(), what });
            }
            if found == *self {
                return Ok(());
            }
        } else {
            let mut entries = fs::read_dir(out).map_err(Error::file("read the folder", out))?;
            if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "begun.json.part")) {
                return Err(Error::Foreign(out.clone()));
            }
        }
        if let Some(things) = order.mixture.things() {
            files::write(&out.join("ATTRIBUTION"), things.attribution().as_bytes(), Durability::Synced)?;
        }
        files::write_json(&path, self)
    }

    /// Why the pictures that are there cannot become the wanted ones.
    fn difference(&self, wanted: &Self) -> Option<String> {
        let fields = [
            ("painter's version", self.painter.clone(), wanted.painter.clone()),
            ("form", format!("{:?}", self.form), format!("{:?}", wanted.form)),
            ("seed", self.seed.to_string(), wanted.seed.to_string()),
            ("shares", self.shares.to_string(), wanted.shares.to_string()),
            ("shift", format!("{:?}", self.shift), format!("{:?}", wanted.shift)),
            ("things", format!("{:?}", self.things), format!("{:?}", wanted.things)),
        ];
        let other = fields.into_iter().find(|(_, has, wanted)| has != wanted);
        if let Some((name, has, wanted)) = other {
            return Some(format!("{name}: has {}, wanted {}", has.to_lowercase(), wanted.to_lowercase()));
        }
        let (has, wanted) = (self.pictures, wanted.pictures);
        (has > wanted).then(|| format!("pictures: has {has}, wanted {wanted}"))
    }
}
