//! What the layers of a VQ tokenizer ask of a device. Feature maps have their channels last.

use hawk_files::Result;

/// Side of a convolution's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The pixel alone.
    One,
    /// 3 x 3 pixels.
    Three,
}

impl Window {
    /// Its side in pixels.
    #[must_use]
    pub fn side(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// How a convolution sees its input; what lies outside is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zoom {
    /// The window stands around each pixel.
    Same,
    /// Each pixel as 2 x 2 pixels (nearest neighbour), without the copy.
    Twice,
    /// Windows start at every second pixel, padded on the right and below only, as `Downsample` of
    /// taming-transformers.
    Half,
}

impl Zoom {
    /// Pixels of the output for as many of the input, along a side.
    #[must_use]
    pub fn output(self, input: usize) -> usize {
        match self {
            Self::Same => input,
            Self::Twice => 2 * input,
            Self::Half => input / 2,
        }
    }

    /// The input pixel along a side under tap `tap` of a window of `side` taps at output pixel
    /// `at`; none outside the input.
    pub(super) fn under(self, at: usize, tap: usize, side: usize, input: usize) -> Option<usize> {
        let pixel = match self {
            Self::Same => (at + tap).checked_sub(side / 2)?,
            // Outside begins at the zoomed input's first and last pixel.
            Self::Twice => (at + tap).checked_sub(side / 2)? / 2,
            Self::Half => 2 * at + tap,
        };
        (pixel < input).then_some(pixel)
    }
}

/// What follows a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// `x sigmoid(x)`.
    Silu,
}

/// Layers in a device's form.
pub trait VqLayers {
    /// A convolution.
    type Conv;
    /// A GroupNorm.
    type Norm;

    /// A convolution: weights `[out, in, window, window]` as a checkpoint has them, bias `[out]`.
    ///
    /// # Errors
    /// The device has no room.
    fn conv(&self, window: Window, inputs: usize, weights: &[f32], bias: Vec<f32>) -> Result<Self::Conv>;

    /// A GroupNorm with weight and bias, biased variance, as torch's.
    ///
    /// # Errors
    /// The device has no room.
    fn norm(&self, groups: usize, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self::Norm>;
}

/// Feature maps in a device's memory, and what is done to them.
pub trait VqMaps {
    /// The layers.
    type Layers: VqLayers;
    /// A feature map.
    type Map;

    /// A convolution with its bias.
    fn convolve(&self, conv: &<Self::Layers as VqLayers>::Conv, input: &Self::Map, zoom: Zoom) -> Self::Map;

    /// A GroupNorm.
    fn normalize(&self, norm: &<Self::Layers as VqLayers>::Norm, input: &Self::Map, then: Then) -> Self::Map;

    /// For every pixel of `q` the mean of the pixels of `v`, weighted by the softmax of the products with the pixels of
    /// `k` over the root of the number of channels.
    fn mix(&self, q: &Self::Map, k: &Self::Map, v: &Self::Map) -> Self::Map;

    /// The sum of two feature maps.
    fn add(&self, sum: Self::Map, other: &Self::Map) -> Self::Map;
}
