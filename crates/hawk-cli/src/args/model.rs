//! Which model, and how it is loaded.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Once;

use hawk::{Engine, ImageSize, LoadOptions, ModelSource, Precision, Result};
use hawk_hub::find_model;
use hawk_kernels::Threads;

use super::device::DeviceArgs;
use super::values::precision;
use crate::inputs;
use crate::output::note;

#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Folder of the model, or name of a pulled one [default: the built-in model]
    #[arg(long, value_name = "DIR|ORG/NAME")]
    pub(crate) model: Option<PathBuf>,
    /// Number of threads, at most 1024; results do not depend on it [default: one per core]
    #[arg(long, value_name = "T", value_parser = super::values::threads)]
    pub(crate) threads: Option<NonZero<usize>>,
}

impl ModelArgs {
    /// The model's files.
    pub(crate) fn source(&self) -> Result<ModelSource> {
        match &self.model {
            Some(model) => Ok(ModelSource::Dir(find_model(model)?)),
            None => built_in(),
        }
    }

    /// The precision asked for, else the one that the model is packed in, else `default`.
    pub(crate) fn precision(&self, asked: Option<Precision>, default: Precision) -> Result<Precision> {
        match asked {
            Some(precision) => Ok(precision),
            None => Ok(hawk::packed_for(&self.source()?)?.unwrap_or(default)),
        }
    }

    pub(crate) fn options(&self, precision: Precision) -> LoadOptions {
        static NOTE: Once = Once::new();
        let cores = LoadOptions::default().threads;
        let threads = self.threads.map_or(cores, NonZero::get).min(Threads::MOST);
        if threads > cores {
            NOTE.call_once(|| {
                note(format_args!("note: {threads} threads on {cores} cores; more threads than cores do not help"));
            });
        }
        LoadOptions { precision, threads }
    }

    /// The model's name in records.
    pub(crate) fn name(&self) -> String {
        self.model.as_ref().map_or_else(|| hawk::BUILT_IN.to_owned(), |dir| dir.display().to_string())
    }
}

/// Which model, and the number format that it computes with.
#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Number format of the weights [default: the format that the model is packed in, else bf16]
    #[arg(long, value_parser = precision())]
    pub(crate) precision: Option<Precision>,
}

impl LoadArgs {
    pub(crate) fn options(&self) -> Result<LoadOptions> {
        Ok(self.model.options(self.model.precision(self.precision, Precision::Bf16)?))
    }

    /// The engine on a device, of a size and with the draft heads of a folder, where they are given.
    pub(crate) fn engine(&self, device: &DeviceArgs, size: Option<ImageSize>, heads: Option<&Path>) -> Result<Engine> {
        let engine = device.load(self.model.source()?, self.options()?)?;
        let engine = match size {
            Some(size) => engine.with_image_size(size)?,
            None => engine,
        };
        with_heads(engine, heads)
    }
}

/// The model inside the program.
#[cfg(feature = "built-in")]
pub(crate) fn built_in() -> Result<ModelSource> {
    Ok(hawk::built_in_model())
}

/// The error that this program has no model inside.
#[cfg(not(feature = "built-in"))]
pub(crate) fn built_in() -> Result<ModelSource> {
    Err(hawk::Error::input("this program was built without the built-in model")
        .expected("--model DIR")
        .hint("build it with the cargo feature `built-in`"))
}

/// The engine with the draft heads of a folder, where one is given.
pub(crate) fn with_heads(engine: Engine, heads: Option<&Path>) -> Result<Engine> {
    match heads {
        Some(dir) => engine.with_heads(&ModelSource::Dir(dir.to_owned())),
        None => Ok(engine),
    }
}

/// The engine with the caption features of a file, where one is given.
pub(crate) fn with_features(engine: Engine, features: Option<&Path>) -> Result<Engine> {
    match features {
        Some(file) => engine.with_features(inputs::read(file)?).map_err(|e| e.at(file.display())),
        None => Ok(engine),
    }
}
