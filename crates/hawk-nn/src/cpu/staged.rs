//! What comes of a pass, before it is committed.

use super::stream::Stream;

/// A pass that has run and is not committed. Dropping it is the rollback; only [`Staged::commit`]
/// grows a stream.
pub struct Staged<'p> {
    streams: &'p mut [Stream],
    hidden: &'p [f32],
    logits: &'p [f32],
    /// D.
    width: usize,
    vocabulary: usize,
}

impl<'p> Staged<'p> {
    pub(super) fn new(streams: &'p mut [Stream], hidden: &'p [f32], logits: &'p [f32], vocabulary: usize) -> Self {
        let readouts: usize = streams.iter().map(|stream| stream.rows.read().len()).sum();
        let width = hidden.len().checked_div(readouts).unwrap_or(0);
        Self { streams, hidden, logits, width, vocabulary }
    }

    /// The logits behind a row, over the ids that [`Target::forward`](crate::Target::forward) was
    /// asked for; none where the row was not to be read.
    pub fn logits(&self, stream: usize, row: usize) -> Option<&[f32]> {
        self.readout(stream, row).map(|at| &self.logits[at * self.vocabulary..][..self.vocabulary])
    }

    /// The last hidden state (behind the final norm) of a row, `[D]`; none where the row was not to
    /// be read.
    pub fn hidden(&self, stream: usize, row: usize) -> Option<&[f32]> {
        self.readout(stream, row).map(|at| &self.hidden[at * self.width..][..self.width])
    }

    /// All logits, `[readouts, vocabulary]`, stream after stream, rows in order.
    pub fn all_logits(&self) -> &[f32] {
        &self.logits[..self.streams.iter().map(|stream| stream.rows.read().len()).sum::<usize>() * self.vocabulary]
    }

    fn readout(&self, stream: usize, row: usize) -> Option<usize> {
        let before: usize = self.streams[..stream].iter().map(|stream| stream.rows.read().len()).sum();
        self.streams[stream].rows.read().binary_search(&row).ok().map(|at| before + at)
    }

    /// Makes the path to a row of each stream its next committed tokens, ancestors first; `None`
    /// commits nothing. All rows are forgotten.
    ///
    /// # Panics
    /// There are not as many rows given as streams, or a row is none of the pass.
    pub fn commit(self, rows: &[Option<usize>]) {
        assert_eq!(rows.len(), self.streams.len());
        for (stream, row) in self.streams.iter_mut().zip(rows) {
            match row {
                Some(row) => stream.commit(*row),
                None => stream.clear(),
            }
        }
    }
}
