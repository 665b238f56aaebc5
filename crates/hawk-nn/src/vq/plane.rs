//! Feature maps, channels last, and the parallel loops over their pixels.

use std::sync::{Mutex, OnceLock, PoisonError};

use hawk_kernels::Threads;

/// A feature map `[height * width, channels]`, f32, row-major.
pub(super) struct Plane {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) data: Vec<f32>,
}

impl Plane {
    pub(super) fn zeros(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels, data: vec![0.0; height * width * channels] }
    }

    pub(super) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The channels of pixels `first..first + count`, cut off at the last pixel.
    pub(super) fn part(&self, first: usize, count: usize) -> &[f32] {
        &self.data[first * self.channels..(first + count).min(self.pixels()) * self.channels]
    }

    /// The residual connection.
    pub(super) fn add(&mut self, other: &Self) {
        self.data.iter_mut().zip(&other.data).for_each(|(sum, x)| *sum += x);
    }
}

/// Calls `job(part, numbers)` for every part of `length` numbers (the last may be shorter), in
/// parallel.
pub(super) fn for_parts(pool: &Threads, data: &mut [f32], length: usize, job: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    // A lock per part, never contended, hands each part to the one thread that takes it.
    let parts: Vec<Mutex<&mut [f32]>> = data.chunks_mut(length).map(Mutex::new).collect();
    pool.run(parts.len(), &|part| job(part, &mut parts[part].lock().unwrap_or_else(PoisonError::into_inner)));
}

/// The results of `job(0..count)` in order, computed in parallel.
pub(super) fn map_parts<T: Send + Sync>(pool: &Threads, count: usize, job: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
    let results: Vec<OnceLock<T>> = (0..count).map(|_| OnceLock::new()).collect();
    pool.run(count, &|part| _ = results[part].set(job(part)));
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}
