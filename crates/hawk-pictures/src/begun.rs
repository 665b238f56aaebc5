//! What a folder is for: `begun.json`, written before the first picture.

use std::ffi::OsString;
use std::fs;

use hawk_files::{Error, FolderLock, Result, atomic};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::mixture::{Percent, Shares};
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
    #[serde(default, skip_serializing_if = "Percent::is_none")]
    auroras: Percent,
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
            auroras: order.mixture.auroras(),
            things: order.mixture.things().map(Things::digest),
            pictures: order.pictures.get(),
        }
    }

    /// Digest of the things, where there are any.
    pub(crate) fn things(&self) -> Option<&str> {
        self.things.as_deref()
    }

    /// Makes the folder, or makes sure that it holds pictures of this kind and no more of them. No other
    /// process works on it while the lock is held.
    ///
    /// # Errors
    /// The folder holds other files, other pictures or more of them, or cannot be written; another
    /// process works on it.
    pub(crate) fn start(&self, order: &Order) -> Result<FolderLock> {
        let (out, path) = (&order.out, order.out.join("begun.json"));
        let lock = FolderLock::take(out)?;
        let foreign = || {
            let error = Error::input("the folder holds other files").at(out.display());
            error.hint("name a new or empty folder, or one that this command made")
        };
        if path.exists() {
            let bytes = fs::read(&path).map_err(|e| Error::io("read the file", &path, &e))?;
            let found: Self = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
            if let Some(what) = found.difference(self) {
                let error = Error::input(format!("the folder holds other pictures; {what}")).at(out.display());
                return Err(
                    error.hint("use the settings that it was made with, choose another folder, or remove this one")
                );
            }
            if found == *self {
                return Ok(lock);
            }
        } else {
            let mut entries = fs::read_dir(out).map_err(|e| Error::io("read the folder", out, &e))?;
            // Hidden files are the lock, and what a run that was killed left.
            let hidden = |name: OsString| name.as_encoded_bytes().starts_with(b".");
            if entries.any(|entry| entry.is_ok_and(|entry| !hidden(entry.file_name()))) {
                return Err(foreign());
            }
        }
        if let Some(things) = order.mixture.things() {
            atomic::write(&out.join("ATTRIBUTION"), things.attribution().as_bytes())?;
        }
        files::write_json(&path, self)?;
        Ok(lock)
    }

    /// Why the pictures that are there cannot become the wanted ones.
    fn difference(&self, wanted: &Self) -> Option<String> {
        let fields = [
            ("painter's version", self.painter.clone(), wanted.painter.clone()),
            ("form", format!("{:?}", self.form), format!("{:?}", wanted.form)),
            ("seed", self.seed.to_string(), wanted.seed.to_string()),
            ("shares", self.shares.to_string(), wanted.shares.to_string()),
            ("shift", format!("{:?}", self.shift), format!("{:?}", wanted.shift)),
            ("auroras", self.auroras.to_string(), wanted.auroras.to_string()),
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
