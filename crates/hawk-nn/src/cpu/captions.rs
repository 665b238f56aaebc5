//! The inputs that the features of a caption become.

use std::sync::Arc;

use hawk_files::{
    CaptionFeatures, Checkpoint, Error, Family, LlamaGenCondition, LlamaGenSizes, Result, TransformerConfig, projection,
};
use hawk_kernels::Threads;

use super::dense::{Dense, gelu_tanh, mlp};
use super::stream::OwnInputs;

/// What turns the features of a caption into inputs, in f32.
pub(crate) struct Captions {
    layers: [Dense; 2],
    width: usize,
    most: usize,
}

impl Captions {
    pub(super) fn load(config: &TransformerConfig, checkpoint: &Checkpoint, width: usize, most: usize) -> Result<Self> {
        let [one, two] =
            projection(width, config.hidden).map(|(name, shape)| Dense::without_bias(checkpoint, name, shape));
        Ok(Self { layers: [one?, two?], width, most })
    }

    /// That of a family that reads captions.
    pub(crate) fn of(config: &TransformerConfig, checkpoint: &Checkpoint) -> Result<Option<Self>> {
        match config.family {
            Family::LlamaGen(LlamaGenSizes { condition: LlamaGenCondition::Captions { width, most }, .. }) => {
                Self::load(config, checkpoint, width, most).map(Some)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn project(&self, pool: &Threads, features: &[f32]) -> Vec<f32> {
        mlp(pool, &self.layers, gelu_tanh, features)
    }

    /// The inputs of a caption: its features stand directly before the first cell, and what the reference puts before them as padding
    /// nobody attends to, so that it is left out here.
    pub(crate) fn inputs(&self, pool: &Threads, features: &CaptionFeatures) -> Result<OwnInputs> {
        let (count, wrong) = (features.count(), |what: &str| Error::input(what).at("features"));
        if features.width() != self.width {
            return Err(wrong("the features were made for another model")
                .expected(format!("{} numbers each, caption_dim", self.width))
                .got(features.width()));
        }
        if count > self.most {
            let expected = format!("at most {}, cls_token_num", self.most);
            return Err(wrong("too many features").expected(expected).got(count));
        }
        Ok(OwnInputs::new(Arc::from(self.project(pool, features.values())), self.most - count))
    }
}
