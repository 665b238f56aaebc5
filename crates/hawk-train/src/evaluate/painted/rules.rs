//! Rules that are learned from painted pictures: which of some classes a picture belongs to.
//!
//! A rule is linear in the features of a picture and in random combinations of them of which the
//! negative part is cut off. Its weights are those of least squares with a penalty on their length
//! (ridge regression). The same pictures give the same rules.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use hawk_files::Result;
use hawk_nn::Image;
use hawk_pictures::random::Random;

use crate::evaluate::painted::features::features;
use crate::evaluate::painted::solve::factored;
use crate::run::params::read;

/// Random combinations of the features of each part.
const COMBINATIONS: [usize; 2] = [1500, 300];
/// Weight of the penalty.
const PENALTY: f64 = 300.0;
/// Standardised features beyond this are cut.
const MOST: f32 = 6.0;
/// Seed of the random combinations.
const SEED: u64 = 0x5275_6c65;

/// A picture of which the rules learn.
pub(super) struct Example {
    features: Vec<f32>,
    /// Number of features of each part.
    parts: [usize; 2],
    /// The class by each rule.
    classes: Vec<String>,
}

impl Example {
    pub(super) fn new(image: &Image, classes: Vec<String>) -> Self {
        let parts = features(image);
        Self { parts: parts.each_ref().map(Vec::len), features: parts.concat(), classes }
    }
}

/// Rules that look at the same features.
pub(super) struct Rules {
    expansion: Expansion,
    rules: Vec<Rule>,
}

/// One linear function per class; the greatest decides.
struct Rule {
    classes: Vec<String>,
    /// `[classes, expanded features]`.
    weights: Vec<f32>,
}

impl Rules {
    /// Learns as many rules as each example has classes. There is at least one example.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn learn(examples: &[Example]) -> Result<Self> {
        let device = Device::flex();
        let expansion = Expansion::new(examples);
        let rows: Vec<f32> = examples.iter().flat_map(|example| expansion.standardised(&example.features)).collect();
        let inputs = tensor(rows, [examples.len(), expansion.mean.len()], &device);
        let expanded = expansion.expanded(inputs, &device);
        let across = expanded.clone().transpose();
        let squares = read(across.clone().matmul(expanded).into_data())?;
        let factor = factored(&squares, PENALTY);
        let rules = (0..examples.first().map_or(0, |example| example.classes.len())).map(|rule| {
            let classes: Vec<String> = examples
                .iter()
                .map(|example| example.classes[rule].clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
            let is = |example: &Example, class: &String| f32::from(u8::from(example.classes[rule] == *class));
            let targets: Vec<f32> =
                examples.iter().flat_map(|example| classes.iter().map(|class| is(example, class))).collect();
            let targets = tensor(targets, [examples.len(), classes.len()], &device);
            // One row per class.
            let products = read(across.clone().matmul(targets).transpose().into_data())?;
            let weights = products.chunks_exact(factor.size()).flat_map(|row| factor.solve(row)).collect();
            Ok(Rule { classes, weights })
        });
        Ok(Self { rules: rules.collect::<Result<_>>()?, expansion })
    }

    /// The class of a picture by each rule.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn classes(&self, image: &Image) -> Result<Vec<&str>> {
        let device = Device::flex();
        let row = self.expansion.standardised(&features(image).concat());
        let inputs = tensor(row, [1, self.expansion.mean.len()], &device);
        let expanded = read(self.expansion.expanded(inputs, &device).into_data())?;
        let class = |rule: &Rule| {
            let scores = rule.weights.chunks_exact(expanded.len()).map(|weights| dot(weights, &expanded));
            let best = scores.enumerate().reduce(|a, b| if b.1 > a.1 { b } else { a });
            best.map_or(0, |(class, _)| class)
        };
        Ok(self.rules.iter().map(|rule| rule.classes[class(rule)].as_str()).collect())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn tensor(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Standardises features and adds random combinations of them and a one.
struct Expansion {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// `[features, combinations]`; a combination is of one part.
    combinations: Vec<f32>,
    /// `[combinations]`.
    offsets: Vec<f32>,
}

impl Expansion {
    fn new(examples: &[Example]) -> Self {
        let width = examples.first().map_or(0, |example| example.features.len());
        let count = examples.len() as f32;
        let mean_of = |of: &dyn Fn(&Example, usize) -> f32| -> Vec<f32> {
            (0..width).map(|at| examples.iter().map(|example| of(example, at)).sum::<f32>() / count).collect()
        };
        let mean = mean_of(&|example, at| example.features[at]);
        let variance = mean_of(&|example, at| (example.features[at] - mean[at]).powi(2));
        let mut random = Random::new(SEED, 0);
        // Uniform numbers of variance one.
        let mut number = || random.between(-1.0, 1.0) * 3f32.sqrt();
        let all: usize = COMBINATIONS.iter().sum();
        let mut combinations = vec![0.0; width * all];
        let (mut top, mut left) = (0, 0);
        for (rows, columns) in examples.first().map_or([0, 0], |example| example.parts).into_iter().zip(COMBINATIONS) {
            for at in 0..rows * columns {
                combinations[(top + at / columns) * all + left + at % columns] = number() * 2.0 / (rows as f32).sqrt();
            }
            (top, left) = (top + rows, left + columns);
        }
        Self {
            mean,
            deviation: variance.into_iter().map(|variance| variance.sqrt() + 1e-3).collect(),
            combinations,
            offsets: (0..all).map(|_| number()).collect(),
        }
    }

    fn standardised(&self, features: &[f32]) -> Vec<f32> {
        let known = features.iter().zip(&self.mean).zip(&self.deviation);
        known.map(|((feature, mean), deviation)| ((feature - mean) / deviation).clamp(-MOST, MOST)).collect()
    }

    /// `[n, features]` to `[n, features + combinations + 1]`.
    fn expanded(&self, inputs: Tensor<2>, device: &Device) -> Tensor<2> {
        let [count, width] = inputs.dims();
        let all = self.offsets.len();
        let combinations = tensor(self.combinations.clone(), [width, all], device);
        let offsets = tensor(self.offsets.clone(), [1, all], device);
        let combined = relu(inputs.clone().matmul(combinations) + offsets);
        Tensor::cat(vec![inputs, combined, Tensor::ones([count, 1], device)], 1)
    }
}
