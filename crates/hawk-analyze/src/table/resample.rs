//! Intervals by resampling images, in pairs: a resample has the same images for every decoder.

use hawk_spec::philox4x32_10;

/// Share of the resamples that lie outside an interval, at each end.
const OUTSIDE: f64 = 0.025;
/// Key of the random numbers: the resamples are the same in every run.
const KEY: [u32; 2] = [0x6861_776b, 0];

/// The images of a resample: as many as there are, drawn with replacement.
pub(crate) fn resample(number: usize, images: usize) -> Vec<usize> {
    let words = |block: usize| philox4x32_10(KEY, [block as u32, number as u32, images as u32, 0]);
    let word = (0..images.div_ceil(4)).flat_map(words);
    word.take(images).map(|word| ((u64::from(word) * images as u64) >> 32) as usize).collect()
}

/// The ends of the middle 95 % of values; NaN where there are none.
pub(crate) fn interval(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [quantile(&values, OUTSIDE), quantile(&values, 1.0 - OUTSIDE)]
}

/// The middle value; NaN where there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// Interpolated between sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (sorted.get(place.floor() as usize), sorted.get(place.ceil() as usize));
    below.zip(above).map_or(f64::NAN, |(below, above)| below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_are_drawn_evenly_and_always_alike() {
        let mut counts = vec![0; 50];
        for number in 0..1000 {
            let images = resample(number, 50);
            assert_eq!((images.len(), &images), (50, &resample(number, 50)));
            images.iter().for_each(|&image| counts[image] += 1);
        }
        // 1000 each, with a spread of 31.
        assert!(counts.iter().all(|&count| (840..1160).contains(&count)), "{counts:?}");
        assert_ne!(resample(0, 50), resample(1, 50));
        assert_eq!(resample(3, 1), [0]);
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_law() {
        let values: Vec<f64> = (0..400).map(|at| f64::from(at % 20)).collect();
        let mean = |images: &[usize]| images.iter().map(|&at| values[at]).sum::<f64>() / images.len() as f64;
        let [low, high] = interval((0..2000).map(|number| mean(&resample(number, values.len()))).collect());
        // 9.5 with a deviation of 5.77 / 20.
        assert!(
            (low - (9.5 - 1.96 * 0.2883)).abs() < 0.05 && (high - (9.5 + 1.96 * 0.2883)).abs() < 0.05,
            "{low} {high}"
        );
        assert!(interval(Vec::new())[0].is_nan() && (median(vec![3.0, 1.0, 2.0, 4.0]) - 2.5).abs() < 1e-12);
    }
}
