//! Counts the multiply-adds of a tokenizer.

use hawk_files::VqConfig;

/// Multiply-adds of the convolutions in a forward pass over one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MultiplyAdds {
    pub(crate) encoder: f64,
    pub(crate) decoder: f64,
}

/// Counts those of a picture of `side` x `side` pixels.
pub(crate) fn multiply_adds(config: &VqConfig, side: usize) -> MultiplyAdds {
    let conv = |window: usize, inputs: usize, outputs: usize, side: usize| {
        (window * window * inputs * outputs * side * side) as f64
    };
    let block = |inputs: usize, outputs: usize, side: usize| {
        let shortcut = if inputs == outputs { 0.0 } else { conv(1, inputs, outputs, side) };
        conv(3, inputs, outputs, side) + conv(3, outputs, outputs, side) + shortcut
    };
    let levels = config.level_channels.len();
    let coarsest = config.level_channels[levels - 1];
    let least = side >> (levels - 1);
    let mid = 2.0 * block(coarsest, coarsest, least) + 4.0 * conv(1, coarsest, coarsest, least);
    let middle = conv(3, coarsest, config.latent_channels, least) + mid;
    let mut encoder = conv(3, 3, config.base_channels, side) + middle;
    let mut decoder = conv(3, config.level_channels[0], 3, side) + middle;
    for (level, &channels) in config.level_channels.iter().enumerate() {
        let (here, finer) = (side >> level, config.level_channels[level.saturating_sub(1)]);
        let before = if level == 0 { config.base_channels } else { finer };
        let coarser = config.level_channels.get(level + 1).copied().unwrap_or(coarsest);
        let more = config.res_blocks as f64;
        encoder += block(before, channels, here) + (more - 1.0) * block(channels, channels, here);
        decoder += block(coarser, channels, here) + more * block(channels, channels, here);
        encoder += if level + 1 < levels { conv(3, channels, channels, here / 2) } else { 0.0 };
        decoder += if level > 0 { conv(3, channels, channels, 2 * here) } else { 0.0 };
    }
    MultiplyAdds { encoder, decoder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vq::settings::VqSettings;

    #[test]
    fn the_work_is_counted_as_the_layers_do_it() {
        // One level: conv_in, a block, mid (two blocks, four 1x1), conv_out; conv_in, mid, two
        // blocks, conv_out.
        let settings = VqSettings { channels: 4, multipliers: vec![1], width: 2, ..VqSettings::default() };
        let config = settings.config().unwrap();
        let (block, mid) = (2.0 * 9.0 * 16.0, 4.0 * 9.0 * 16.0 + 4.0 * 16.0);
        let encoder = 9.0 * 12.0 + block + mid + 9.0 * 16.0;
        let decoder = 9.0 * 16.0 + mid + 2.0 * block + 9.0 * 12.0;
        assert_eq!(multiply_adds(&config, 8), MultiplyAdds { encoder: 64.0 * encoder, decoder: 64.0 * decoder });
    }
}
