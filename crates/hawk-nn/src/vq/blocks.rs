//! The blocks of a tokenizer, on any device.

use super::maps::{Then, VqLayers, VqMaps, Zoom};

/// `shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))`, as taming-transformers'
/// `ResnetBlock`.
pub(super) struct ResBlock<L: VqLayers> {
    pub(super) norm1: L::Norm,
    pub(super) conv1: L::Conv,
    pub(super) norm2: L::Norm,
    pub(super) conv2: L::Conv,
    /// There where the number of channels changes.
    pub(super) shortcut: Option<L::Conv>,
}

impl<L: VqLayers> ResBlock<L> {
    fn apply<M: VqMaps<Layers = L>>(&self, maps: &M, input: M::Map) -> M::Map {
        let inner = maps.convolve(&self.conv1, &maps.normalize(&self.norm1, &input, Then::Silu), Zoom::Same);
        let out = maps.convolve(&self.conv2, &maps.normalize(&self.norm2, &inner, Then::Silu), Zoom::Same);
        match &self.shortcut {
            Some(shortcut) => maps.add(out, &maps.convolve(shortcut, &input, Zoom::Same)),
            None => maps.add(out, &input),
        }
    }
}

/// Self-attention of all pixels with one head, as taming-transformers' `AttnBlock`.
pub(super) struct Attention<L: VqLayers> {
    pub(super) norm: L::Norm,
    pub(super) q: L::Conv,
    pub(super) k: L::Conv,
    pub(super) v: L::Conv,
    pub(super) out: L::Conv,
}

impl<L: VqLayers> Attention<L> {
    pub(super) fn apply<M: VqMaps<Layers = L>>(&self, maps: &M, input: M::Map) -> M::Map {
        let normed = maps.normalize(&self.norm, &input, Then::Nothing);
        let [q, k, v] = [&self.q, &self.k, &self.v].map(|conv| maps.convolve(conv, &normed, Zoom::Same));
        let mixed = maps.mix(&q, &k, &v);
        maps.add(input, &maps.convolve(&self.out, &mixed, Zoom::Same))
    }
}

/// A block and the attention that follows it.
pub(super) type Block<L> = (ResBlock<L>, Option<Attention<L>>);

/// The blocks of one resolution.
pub(super) struct Level<L: VqLayers> {
    pub(super) blocks: Vec<Block<L>>,
    /// To the next level's resolution; there on all but the last.
    pub(super) resample: Option<L::Conv>,
}

impl<L: VqLayers> Level<L> {
    pub(super) fn apply<M: VqMaps<Layers = L>>(&self, maps: &M, mut map: M::Map, zoom: Zoom) -> M::Map {
        for (block, attention) in &self.blocks {
            map = block.apply(maps, map);
            if let Some(attention) = attention {
                map = attention.apply(maps, map);
            }
        }
        match &self.resample {
            Some(resample) => maps.convolve(resample, &map, zoom),
            None => map,
        }
    }
}

/// The blocks at the coarsest resolution.
pub(super) struct Mid<L: VqLayers> {
    pub(super) block_1: ResBlock<L>,
    pub(super) attention: Attention<L>,
    pub(super) block_2: ResBlock<L>,
}

impl<L: VqLayers> Mid<L> {
    pub(super) fn apply<M: VqMaps<Layers = L>>(&self, maps: &M, map: M::Map) -> M::Map {
        self.block_2.apply(maps, self.attention.apply(maps, self.block_1.apply(maps, map)))
    }
}
