//! Which files a checkpoint lies in: a single one, or the shards that an index names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::packed;
use crate::error::{Error, Result};
use crate::json::from_json;
use crate::source::ModelSource;

#[derive(Deserialize)]
pub(super) struct Index {
    /// Tensor to shard.
    pub(super) weight_map: BTreeMap<String, String>,
}

/// The two families of files that a checkpoint comes in.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// Packed by `hawk convert --precision`; never in shards.
    Packed,
    Safetensors,
    Pickle,
}

impl Format {
    /// In the order in which they are looked for.
    const ALL: [Self; 3] = [Self::Packed, Self::Safetensors, Self::Pickle];

    pub(super) fn single(self, folder: &str) -> String {
        match self {
            Self::Packed => format!("{folder}{}", packed::FILE),
            Self::Safetensors => format!("{folder}model.safetensors"),
            Self::Pickle => format!("{folder}pytorch_model.bin"),
        }
    }

    fn index(self, folder: &str) -> String {
        format!("{}.index.json", self.single(folder))
    }
}

/// The files of a checkpoint that is there.
pub(super) struct Found {
    pub(super) format: Format,
    /// Place and content of the index, where there is one.
    pub(super) index: Option<(String, Index)>,
}

impl Found {
    /// What `folder` holds; a single safetensors file, there or not, where it holds nothing.
    pub(super) fn look(source: &ModelSource, folder: &str) -> Result<Self> {
        for format in Format::ALL {
            if let Some(index) = Index::read(source, &format.index(folder))? {
                return Ok(Self { format, index: Some(index) });
            }
            if source.contains(&format.single(folder)) {
                return Ok(Self { format, index: None });
            }
        }
        Self::refuse_shards_alone(source, folder)?;
        Ok(Self { format: Format::Safetensors, index: None })
    }

    /// Refuses shards whose index is not there: which tensor lies where is not known, and shards may
    /// be missing.
    fn refuse_shards_alone(source: &ModelSource, folder: &str) -> Result<()> {
        let files = source.files_in(folder);
        for format in Format::ALL {
            let single = format.single("");
            let Some((stem, extension)) = single.rsplit_once('.') else { continue };
            let is_shard = |name: &&String| {
                let between = name.strip_prefix(&format!("{stem}-")).and_then(|name| name.strip_suffix(extension));
                between.is_some_and(|between| between.contains("-of-"))
            };
            if let Some(shard) = files.iter().find(is_shard) {
                return Err(Error::input("the index of the shards is missing")
                    .at(source.describe(&format.index(folder)))
                    .expected(format.index(""))
                    .got(format!("{shard} alone"))
                    .hint("was the download complete?"));
            }
        }
        Ok(())
    }
}

impl Index {
    /// The index of that name with its place, if there is one; every shard is a plain file name.
    fn read(source: &ModelSource, name: &str) -> Result<Option<(String, Self)>> {
        if !source.contains(name) {
            return Ok(None);
        }
        let place = source.describe(name);
        let index: Self = from_json("an index of shards", &source.read(name)?).map_err(|e| e.at(&place))?;
        if index.weight_map.is_empty() {
            return Err(Error::input("an index of no tensors").at("weight_map").at(place));
        }
        let leaves = |file: &&String| file.contains(['/', '\\', ':', '\0']) || file.starts_with('.');
        if let Some(file) = index.weight_map.values().find(leaves) {
            return Err(Error::input("a shard must lie beside its index")
                .at(&place)
                .expected("a file name")
                .got(format!("{file:?}")));
        }
        Ok(Some((place, index)))
    }

    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }
}

/// The files of the checkpoint in `folder`: the only one, or the index and its shards.
pub(crate) fn checkpoint_files(source: &ModelSource, folder: &str) -> Result<Vec<String>> {
    let found = Found::look(source, folder)?;
    Ok(match found.index {
        None => vec![found.format.single(folder)],
        Some((_, index)) => {
            let shards = index.files().into_iter().map(|file| format!("{folder}{file}"));
            shards.chain([found.format.index(folder)]).collect()
        }
    })
}
