//! What both networks ask of the tensor library.

use std::error::Error as _;

use candle_core::{Device, Tensor};
use hawk_files::{Checkpoint, Error, Result};
use hawk_nn::Image;
use sha2::{Digest, Sha256};

/// A tensor of a checkpoint in f32. Its bytes go into the digest of the weights.
///
/// # Errors
/// It is missing, has another shape, or a number that is not finite.
pub(crate) fn read(checkpoint: &Checkpoint, name: &str, shape: &[usize], digest: &mut Sha256) -> Result<Vec<f32>> {
    let numbers = checkpoint.tensor(name, shape)?.to_f32();
    checkpoint.release();
    digest.update(name.as_bytes());
    numbers.iter().for_each(|number| digest.update(number.to_le_bytes()));
    Ok(numbers)
}

/// Starts the threads that the tensor library computes with: it panics where it cannot start them.
///
/// # Errors
/// The system refuses.
pub(crate) fn have_threads() -> Result<()> {
    match rayon::ThreadPoolBuilder::new().build_global() {
        // Without a source, they run already.
        Err(e) if e.source().is_some() => Err(Error::environment(format!("there are no threads for scores: {e}"))),
        _ => Ok(()),
    }
}

/// A picture as `[1, 3, height, width]`, each level `of` a channel as a number.
pub(crate) fn planes(picture: &Image, of: &dyn Fn(usize, f32) -> f32) -> candle_core::Result<Tensor> {
    let (height, width) = (picture.height as usize, picture.width as usize);
    let channel =
        |channel: usize| picture.pixels.iter().skip(channel).step_by(3).map(move |&x| of(channel, f32::from(x)));
    let numbers: Vec<f32> = (0..3).flat_map(channel).collect();
    Tensor::from_vec(numbers, (1, 3, height, width), &Device::Cpu)
}

/// Checks that the pixels of a picture are as many as its size says.
///
/// # Errors
/// They are not, or there are none.
pub(crate) fn check(picture: &Image) -> Result<()> {
    let pixels = 3 * picture.width as usize * picture.height as usize;
    if pixels == 0 || picture.pixels.len() != pixels {
        return Err(Error::input("the picture does not have its pixels")
            .expected(format!("3 x {} x {} levels", picture.width, picture.height))
            .got(picture.pixels.len()));
    }
    Ok(())
}

/// Features as numbers.
///
/// # Errors
/// The library failed, or a number is not finite.
pub(crate) fn numbers(what: &str, tensor: candle_core::Result<Tensor>) -> Result<Vec<f32>> {
    let numbers: Vec<f32> = tensor.and_then(|tensor| tensor.flatten_all()?.to_vec1()).map_err(|e| broken(what, &e))?;
    match numbers.iter().find(|x| !x.is_finite()) {
        Some(x) => Err(Error::input("a feature is not finite").at(what).expected("finite numbers").got(x)),
        None => Ok(numbers),
    }
}

pub(crate) fn broken(what: &str, e: &candle_core::Error) -> Error {
    Error::environment(format!("{what} failed: {e}"))
}
