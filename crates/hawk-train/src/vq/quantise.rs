//! The codebook: k-means at its start, straight-through gradients in training, revival of unused
//! codes.

use burn::module::Param;
use burn::tensor::{Device, Int, Tensor, TensorData};
use hawk_files::{Error, Result};

use crate::run::params::read;
use crate::run::random::Random;
use crate::vq::model::Vqgan;

const COMMITMENT: f64 = 0.25;
/// Latents that are compared with the codebook in one product.
const CHUNK: usize = 4096;

/// Quantised latents.
pub(crate) struct Quantised {
    /// The code vectors, `[B, E, rows, columns]`. The gradient passes straight through to the
    /// latents.
    pub(crate) latents: Tensor<4>,
    /// Codebook and commitment terms.
    pub(crate) loss: Tensor<1>,
    /// Code indices `[B * rows * columns]` in raster order.
    pub(crate) codes: Tensor<1, Int>,
}

impl Vqgan {
    /// Replaces each latent of unit length by the nearest code.
    pub(crate) fn quantise(&self, latents: Tensor<4>) -> Quantised {
        let [batch, width, rows, columns] = latents.dims();
        let table = unit_rows(self.quantize.embedding.weight.val());
        let flat = latents.clone().permute([0, 2, 3, 1]).reshape([batch * rows * columns, width]);
        let codes = nearest(flat.detach(), table.clone().detach());
        let chosen = table.select(0, codes.clone()).reshape([batch, rows, columns, width]).permute([0, 3, 1, 2]);
        // `mean` averages over cells and dimensions; the distance sums over dimensions.
        let distance = |a: Tensor<4>, b: Tensor<4>| (a - b).square().mean() * width as f64;
        let loss = distance(chosen.clone(), latents.clone().detach())
            + distance(latents.clone(), chosen.clone().detach()) * COMMITMENT;
        let through = latents.clone() + (chosen - latents).detach();
        Quantised { latents: through, loss, codes }
    }

    /// The codebook `[codes, E]`, with rows of unit length.
    ///
    /// # Errors
    /// It cannot be read from the device.
    pub(crate) fn codebook(&self) -> Result<Vec<f32>> {
        read(unit_rows(self.quantize.embedding.weight.val()).into_data())
    }

    /// Replaces the codebook by `table`, `[codes, E]`.
    pub(crate) fn with_codebook(mut self, table: Vec<f32>) -> Self {
        let (id, old, _) = self.quantize.embedding.weight.consume();
        let table = Tensor::from_data(TensorData::new(table, old.dims()), &old.device()).require_grad();
        self.quantize.embedding.weight = Param::initialized(id, table);
        self
    }
}

/// Scales each row to unit length.
fn unit_rows(table: Tensor<2>) -> Tensor<2> {
    let length = (table.clone().square().sum_dim(1) + 1e-12).sqrt();
    table / length
}

/// The nearest row of `table` to each latent. Rows have unit length, so it has the largest dot
/// product.
fn nearest(latents: Tensor<2>, table: Tensor<2>) -> Tensor<1, Int> {
    latents.matmul(table.transpose()).argmax(1).squeeze_dim(1)
}

/// Copies code indices from the device.
///
/// # Errors
/// The device fails.
pub(crate) fn indices(codes: Tensor<1, Int>) -> Result<Vec<usize>> {
    let failed = |e| Error::environment(format!("cannot read codes from the device: {e:?}"));
    let codes: Vec<i64> = codes.into_data().convert::<i64>().try_into_vec().map_err(failed)?;
    Ok(codes.into_iter().map(|code| code as usize).collect())
}

/// Spherical k-means.
pub(crate) struct KMeans {
    /// Number of clusters.
    pub(crate) codes: usize,
    /// Dimension of a latent.
    pub(crate) width: usize,
    pub(crate) rounds: usize,
}

impl KMeans {
    /// Clusters `latents`, `[n, width]` of unit length, starting from random latents. Returns
    /// `[codes, width]`.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn run(&self, latents: &[f32], mut random: Random, device: &Device) -> Result<Vec<f32>> {
        let Self { codes, width, rounds } = *self;
        let mut pick = || &latents[random.below(latents.len() / width) * width..][..width];
        let mut table: Vec<f32> = (0..codes).flat_map(|_| pick().to_vec()).collect();
        for _ in 0..rounds {
            let (mut sums, mut counts) = (vec![0.0; table.len()], vec![0usize; codes]);
            let centres = Tensor::<2>::from_data(TensorData::new(table.clone(), [codes, width]), device);
            for chunk in latents.chunks(CHUNK * width) {
                let rows = Tensor::from_data(TensorData::new(chunk.to_vec(), [chunk.len() / width, width]), device);
                for (latent, code) in chunk.chunks(width).zip(indices(nearest(rows, centres.clone()))?) {
                    counts[code] += 1;
                    sums[code * width..].iter_mut().zip(latent).for_each(|(sum, x)| *sum += x);
                }
            }
            for ((centre, sum), count) in table.chunks_mut(width).zip(sums.chunks(width)).zip(counts) {
                let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
                if count == 0 || length < 1e-6 {
                    centre.copy_from_slice(pick());
                } else {
                    centre.iter_mut().zip(sum).for_each(|(centre, sum)| *centre = sum / length);
                }
            }
        }
        Ok(table)
    }
}

/// Counts how often each of `of` codes is used; `uses` is empty before the first.
pub(crate) fn count_uses(uses: &mut Vec<usize>, of: usize, codes: &[usize]) {
    uses.resize(of, 0);
    codes.iter().for_each(|&code| uses[code] += 1);
}

/// Number of codes that were used.
pub(crate) fn used(uses: &[usize]) -> usize {
    uses.iter().filter(|&&count| count > 0).count()
}

/// Replaces unused codes of `table` by random rows of `latents`, `[n, width]`.
pub(crate) fn revive(uses: &[usize], table: &mut [f32], latents: &[f32], random: &mut Random) {
    let width = table.len() / uses.len();
    for (code, _) in table.chunks_mut(width).zip(uses).filter(|(_, count)| **count == 0) {
        code.copy_from_slice(&latents[random.below(latents.len() / width) * width..][..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::random::RandomPurpose;

    #[test]
    fn k_means_finds_the_middles_of_clusters_and_unused_codes_move_to_latents() {
        let device = Device::flex();
        let angles = [0.1f32, 0.2, 0.3, 2.1, 2.2, 2.3, 4.1, 4.2, 4.3];
        let latents: Vec<f32> = angles.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
        let table = KMeans { codes: 3, width: 2, rounds: 20 }
            .run(&latents, Random::new(1, RandomPurpose::Codes, 0), &device)
            .unwrap();
        let mut found: Vec<f32> = table.chunks(2).map(|c| c[1].atan2(c[0]).rem_euclid(std::f32::consts::TAU)).collect();
        found.sort_by(f32::total_cmp);
        for (found, middle) in found.iter().zip([0.2, 2.2, 4.2]) {
            assert!((found - middle).abs() < 1e-4, "{found} {middle}");
        }
        let mut uses = Vec::new();
        count_uses(&mut uses, 3, &[0, 2, 2]);
        assert_eq!(used(&uses), 2);
        let mut revived = table.clone();
        revive(&uses, &mut revived, &[0.6, 0.8], &mut Random::new(1, RandomPurpose::Codes, 1));
        assert_eq!((&revived[..2], &revived[2..4], &revived[4..]), (&table[..2], &[0.6, 0.8][..], &table[4..]));
    }
}
