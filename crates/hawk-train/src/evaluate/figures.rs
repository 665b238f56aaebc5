//! The result of an evaluation: `figures.json`.

use std::collections::BTreeMap;

use hawk_files::Result;
use serde::Serialize;

use crate::evaluate::drawing::KindFigures;

/// A number of right images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accuracy {
    /// Images that are right.
    pub right: usize,
    /// All images.
    pub of: usize,
}

/// How often images show what their captions name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Followed {
    /// Images that the rule finds right.
    pub images: Accuracy,
    /// Real pictures that the rule finds right: what a perfect model would reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Accuracy>,
    /// Of what can be absent: real pictures without it that the rule finds right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures_without: Option<Accuracy>,
    /// For each class that captions name, how many images the rule puts into which class.
    #[serde(skip_serializing_if = "Confusion::is_empty")]
    pub images_by_class: Confusion,
    /// The same of real pictures.
    #[serde(skip_serializing_if = "Confusion::is_empty")]
    pub pictures_by_class: Confusion,
}

/// Numbers of images, or pictures, by their true class and by the class that a rule found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Confusion(pub BTreeMap<String, BTreeMap<String, usize>>);

/// The result of an evaluation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EvaluationFigures {
    /// Entropy and diversity by kind of picture: `landscape`, `composite`, `thing`, `scene`, or `emoji`.
    pub kinds: BTreeMap<String, KindFigures>,
    /// What was measured of the images, by kind and name: `terrain` of `landscape`.
    pub following: BTreeMap<String, BTreeMap<String, Followed>>,
}

impl Accuracy {
    /// Counts one image.
    pub(super) fn add(&mut self, is_right: bool) {
        self.of += 1;
        self.right += usize::from(is_right);
    }

    pub(super) fn of<T>(all: &[T], mut is_right: impl FnMut(&T) -> Result<bool>) -> Result<Self> {
        let mut accuracy = Self::default();
        for one in all {
            accuracy.add(is_right(one)?);
        }
        Ok(accuracy)
    }
}

impl Confusion {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, class: &str, found: &str) {
        *self.0.entry(class.to_owned()).or_default().entry(found.to_owned()).or_default() += 1;
    }

    /// The share of right ones.
    pub(super) fn accuracy(&self) -> Accuracy {
        let mut accuracy = Accuracy::default();
        for (class, found) in &self.0 {
            accuracy.of += found.values().sum::<usize>();
            accuracy.right += found.get(class).unwrap_or(&0);
        }
        accuracy
    }
}
