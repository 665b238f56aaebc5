//! Streams: what the host knows of them. Their keys and values lie on the device.

use hawk_files::{Error, Result};
use hawk_nn::{OwnInputs, PassPlan, Rows, StreamId};

use crate::embedding::Tokens;
use crate::kernels::cache::MOVE;
use crate::kernels::place::ROW;

/// One token sequence.
pub(crate) struct Stream {
    pub(crate) rows: Rows,
    pub(crate) own: OwnInputs,
    pub(crate) committed: usize,
    /// Rows that a pass has run since the last commit; only they have keys and values.
    run: usize,
}

impl Stream {
    fn clear(&mut self) {
        self.rows.clear();
        self.run = 0;
    }

    fn restart(&mut self, own: OwnInputs) {
        (self.committed, self.own) = (0, own);
        self.clear();
    }
}

/// Streams by number, and the moves of keys and values that wait for the next pass.
pub(crate) struct Streams {
    plan: PassPlan,
    pub(crate) all: Vec<Stream>,
    closed: Vec<usize>,
    /// `[moves][stream, from, to]`.
    moves: Vec<u32>,
}

/// What a stream must fit.
pub(crate) struct Bounds {
    /// V.
    pub(crate) vocabulary: usize,
    /// D.
    pub(crate) hidden: usize,
    pub(crate) positions: usize,
}

impl Streams {
    pub(crate) fn new(plan: PassPlan) -> Self {
        Self { all: Vec::with_capacity(plan.streams), closed: Vec::new(), moves: Vec::new(), plan }
    }

    /// Most tokens of a stream, committed and staged.
    pub(crate) fn tokens(&self) -> usize {
        self.plan.tokens
    }

    pub(crate) fn open(&mut self, own: OwnInputs) -> Result<StreamId> {
        if let Some(at) = self.closed.pop() {
            self.all[at].restart(own);
            return Ok(StreamId(at));
        }
        if self.all.len() >= self.plan.streams {
            let expected = format!("at most {}", self.plan.streams);
            return Err(Error::input("too many streams").at("streams").expected(expected).got(self.all.len() + 1));
        }
        let rows = Rows::with_capacity(self.plan.stream_rows, self.plan.stream_rows);
        self.all.push(Stream { rows, own, committed: 0, run: 0 });
        Ok(StreamId(self.all.len() - 1))
    }

    pub(crate) fn close(&mut self, stream: StreamId) {
        self.all[stream.0].restart(OwnInputs::default());
        self.closed.push(stream.0);
    }

    /// Whether the rows of all streams can be run.
    pub(crate) fn check(&self, bounds: &Bounds) -> Result<()> {
        let rows: usize = self.all.iter().map(|stream| stream.rows.len()).sum();
        let readouts: usize = self.all.iter().map(|stream| stream.rows.read().len()).sum();
        for (what, most, given) in [
            ("too many rows in a pass", self.plan.rows, rows),
            ("too many rows to be read in a pass", self.plan.readouts, readouts),
        ] {
            if given > most {
                return Err(Error::input(what).expected(format!("at most {most}")).got(given));
            }
        }
        self.all.iter().try_for_each(|stream| self.check_stream(stream, bounds))
    }

    fn check_stream(&self, stream: &Stream, bounds: &Bounds) -> Result<()> {
        let vocabulary = bounds.vocabulary + stream.own.vectors().len() / bounds.hidden;
        if let Some(token) = stream.rows.tokens().iter().find(|token| token.index() >= vocabulary) {
            let error = Error::input("a token is not in the vocabulary");
            return Err(error.expected(format!("below {vocabulary}")).got(token));
        }
        let needed = stream.committed + stream.rows.len();
        if needed > self.plan.tokens {
            let error = Error::input("the sequence is too long");
            return Err(error.expected(format!("at most {} tokens", self.plan.tokens)).got(needed));
        }
        let needed = stream.own.start().saturating_add(stream.committed + stream.rows.deepest());
        if needed > bounds.positions {
            let error = Error::input("the sequence leaves the positions that the model has");
            return Err(error.expected(format!("at most {}", bounds.positions)).got(needed));
        }
        Ok(())
    }

    /// The rows of all streams as kernels read them: [`ROW`] numbers each, and the slots of all paths.
    pub(crate) fn describe(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut rows, mut paths) = (Vec::new(), Vec::new());
        for (number, stream) in self.all.iter().enumerate() {
            for row in 0..stream.rows.len() {
                let path = stream.rows.path(row);
                let position = stream.own.start() + stream.committed + path.len() - 1;
                let about: [usize; ROW as usize] =
                    [number, position, stream.committed + row, stream.committed, paths.len(), path.len()];
                rows.extend(about.map(|number| number as u32));
                paths.extend(path.iter().map(|&row| row as u32));
            }
        }
        (rows, paths)
    }

    /// The tokens of the rows of all streams. The model has inputs of ids below `ids`, `width` numbers
    /// each; others are a stream's own.
    pub(crate) fn tokens_of_rows(&self, ids: usize, width: usize) -> Tokens {
        let mut tokens = Tokens { ids: Vec::new(), own: Vec::new() };
        for stream in &self.all {
            for token in stream.rows.tokens() {
                let id = match token.index().checked_sub(ids) {
                    None => token.index(),
                    Some(own) => {
                        tokens.own.extend_from_slice(&stream.own.vectors()[own * width..][..width]);
                        ids + tokens.own.len() / width - 1
                    }
                };
                tokens.ids.push(id as u32);
            }
        }
        tokens
    }

    /// The rows that are read, among those of all streams.
    pub(crate) fn read(&self) -> Vec<u32> {
        let (mut read, mut first) = (Vec::new(), 0);
        for stream in &self.all {
            read.extend(stream.rows.read().iter().map(|&row| (first + row) as u32));
            first += stream.rows.len();
        }
        read
    }

    /// Notes that a pass has written the keys and values of all rows.
    pub(crate) fn rows_have_run(&mut self) {
        self.all.iter_mut().for_each(|stream| stream.run = stream.rows.len());
    }

    /// Commits the path to `row`, ancestors first, and removes the other rows of the stream.
    ///
    /// # Panics
    /// The last pass has not run the row.
    pub(crate) fn commit(&mut self, id: StreamId, row: usize) {
        let stream = &mut self.all[id.0];
        let run = stream.run;
        assert!(row < run && stream.rows.len() == run, "row {row} of a pass over {run} rows");
        let path = stream.rows.path(row);
        for (to, &from) in path.iter().enumerate().filter(|(to, from)| to != *from) {
            let slots = [stream.committed + from, stream.committed + to];
            self.moves.extend([id.0, slots[0], slots[1]].map(|number| number as u32));
        }
        stream.committed += path.len();
        stream.clear();
    }

    pub(crate) fn roll_back(&mut self) {
        self.all.iter_mut().for_each(Stream::clear);
    }

    /// The moves that wait, and their number. They wait no longer.
    pub(crate) fn take_moves(&mut self) -> Option<(Vec<u32>, usize)> {
        let moves = std::mem::take(&mut self.moves);
        let count = moves.len() / MOVE as usize;
        (count > 0).then_some((moves, count))
    }
}
