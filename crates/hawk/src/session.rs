//! The loop of generation: guess, run, verify, commit, until every image's grid is full.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use hawk_nn::{PassLimits, Readout, Result, Rows, Stream, Target, Workspace};

use crate::conditioning::{Conditioning, Prefix};
use crate::engine::Engine;
use crate::lane::Lane;
use crate::pace::Pace;
use crate::request::{Event, Generated, Outcome, Request, Timings, Tree};

/// Rows that prefill runs at once where the trees need fewer.
pub(crate) const PREFILL_ROWS: usize = 64;

/// The images of one request under way.
pub(crate) struct Session<'a> {
    engine: &'a Engine,
    request: &'a Request,
    /// What each stream of a lane starts with: cond, and uncond where guided.
    prefixes: Vec<Prefix>,
    lanes: Vec<Lane<'a>>,
    /// Those of the first lane, then those of the next.
    streams: Vec<Stream>,
    workspace: Workspace,
    /// Per stream, the row whose path is committed.
    kept: Vec<Option<usize>>,
    /// Where the trees' size is left to the machine.
    pace: Option<Pace>,
    timings: Timings,
}

impl<'a> Session<'a> {
    pub(crate) fn new(engine: &'a Engine, request: &'a Request, conditioning: Conditioning) -> Result<Self> {
        let Conditioning { cond, uncond } = conditioning;
        let prefixes = if request.sampling.guided() { vec![cond, uncond] } else { vec![cond] };
        let (layout, target, decoding) = (&engine.config().layout, engine.target(), request.decoding);
        let nodes = decoding.shape().nodes();
        let lanes = request.batch.min(request.images.len());
        let tree_rows = nodes * (1 + layout.max_structure_run());
        let rows = (lanes * prefixes.len() * tree_rows).max(PREFILL_ROWS);
        let longest = prefixes.iter().map(|prefix| prefix.tokens().len()).max().unwrap_or(0);
        let tokens = longest + layout.sequence_len() + tree_rows;
        let limits =
            PassLimits { rows, readouts: lanes * prefixes.len() * nodes, tokens, vocabulary: layout.codes() as usize };
        Ok(Self {
            engine,
            request,
            lanes: (0..lanes).map(|_| Lane::new(engine, request)).collect::<Result<_>>()?,
            streams: prefixes
                .iter()
                .cycle()
                .take(lanes * prefixes.len())
                .map(|prefix| stream(target, prefix, tokens, tree_rows.max(PREFILL_ROWS)))
                .collect(),
            workspace: target.workspace(limits),
            kept: vec![None; lanes * prefixes.len()],
            pace: (decoding.tree() == Tree::Auto).then(|| engine.paces().known(decoding, lanes * prefixes.len())),
            prefixes,
            timings: Timings::default(),
        })
    }

    pub(crate) fn run(mut self, observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> Result<Outcome> {
        let mut images = Vec::new();
        let (mut waiting, streams) = (self.request.images.clone(), self.streams.len());
        self.prefill()?;
        let prefix_tokens = self.prefixes[0].tokens().len();
        let mut flow = observer(Event::PrefillDone { prefix_tokens });
        self.lanes.iter_mut().zip(&mut waiting).for_each(|(lane, image)| lane.start(image));
        while flow.is_continue() && !self.lanes.is_empty() {
            self.step()?;
            for at in (0..self.lanes.len()).rev() {
                flow = match flow {
                    ControlFlow::Continue(()) => observer(self.lanes[at].committed()),
                    ControlFlow::Break(()) => break,
                };
                if self.lanes[at].full(&self.engine.config().layout) {
                    let image = self.finish(at)?;
                    flow = observer(Event::ImageDone(&image));
                    images.push(image);
                    self.refill(at, waiting.next());
                }
            }
        }
        if let Some(pace) = self.pace {
            self.engine.paces().keep(self.request.decoding, streams, pace);
        }
        Ok(Outcome { images, timings: self.timings })
    }

    /// One target pass for all lanes.
    fn step(&mut self) -> Result<()> {
        let (layout, each) = (&self.engine.config().layout, self.prefixes.len());
        let (mut clock, started) = (Clock::start(), Instant::now());
        let nodes = self.pace.as_ref().map_or(usize::MAX, Pace::nodes);
        for (lane, streams) in self.lanes.iter_mut().zip(self.streams.chunks_mut(each)) {
            lane.propose(layout, nodes, &self.prefixes, streams)?;
        }
        clock.lap(&mut self.timings.draft);
        let staged = self.engine.forward(&mut self.workspace, &mut self.streams)?;
        clock.lap(&mut self.timings.target);
        for (lane, kept) in self.lanes.iter_mut().zip(0..) {
            let row = lane.verify(&staged, kept * each)?;
            self.kept[kept * each..(kept + 1) * each].fill(Some(row));
        }
        clock.lap(&mut self.timings.verify);
        // Where nothing will be guessed the heads need not speak.
        if nodes > 1 {
            for (lane, at) in self.lanes.iter_mut().zip(0..) {
                lane.observe(layout, &staged, at * each)?;
            }
        }
        clock.lap(&mut self.timings.draft);
        staged.commit(&self.kept);
        clock.lap(&mut self.timings.commit);
        if let Some(pace) = &mut self.pace {
            pace.record(self.lanes.iter().map(Lane::gain).sum(), started.elapsed());
        }
        Ok(())
    }

    /// Commits every stream's prefix but its last token, which is the first tree's root.
    fn prefill(&mut self) -> Result<()> {
        let mut clock = Clock::start();
        let at_once = (PREFILL_ROWS / self.streams.len()).max(1);
        let longest = self.prefixes.iter().map(|prefix| prefix.before_anchor().len()).max().unwrap_or(0);
        for start in (0..longest).step_by(at_once) {
            for ((stream, kept), prefix) in
                self.streams.iter_mut().zip(&mut self.kept).zip(self.prefixes.iter().cycle())
            {
                let tokens = prefix.before_anchor().iter().skip(start).take(at_once).copied();
                *kept = stream.rows.push_chain(tokens, None, Readout::Nothing);
            }
            self.engine.forward(&mut self.workspace, &mut self.streams)?.commit(&self.kept);
        }
        clock.lap(&mut self.timings.prefill);
        Ok(())
    }

    fn finish(&mut self, at: usize) -> Result<Generated> {
        let (lane, mut clock) = (&self.lanes[at], Clock::start());
        let image = self.engine.decode(lane.codes())?;
        clock.lap(&mut self.timings.pixels);
        Ok(Generated {
            index: lane.image(),
            image,
            codes: lane.codes().to_vec(),
            sources: lane.sources().to_vec(),
            stats: lane.stats().clone(),
            elapsed: lane.started().elapsed(),
        })
    }

    /// Gives a lane the next image, which goes on from the prompt, or closes it.
    fn refill(&mut self, at: usize, image: Option<u32>) {
        let each = self.prefixes.len();
        let streams = at * each..(at + 1) * each;
        match image {
            Some(image) => {
                for (stream, prefix) in self.streams[streams].iter_mut().zip(&self.prefixes) {
                    stream.truncate(prefix.before_anchor().len());
                }
                self.lanes[at].start(image);
            }
            None => {
                self.lanes.remove(at);
                self.streams.drain(streams);
                self.kept.truncate(self.streams.len());
            }
        }
    }
}

/// A stream whose steps need no further memory.
fn stream(target: &Target, prefix: &Prefix, tokens: usize, rows: usize) -> Stream {
    let mut stream = target.stream(tokens).with_inputs(prefix.own().clone());
    stream.rows = Rows::with_capacity(rows, rows);
    stream
}

/// A stopwatch that hands out laps.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn lap(&mut self, sum: &mut Duration) {
        let now = Instant::now();
        *sum += now - self.0;
        self.0 = now;
    }
}

#[cfg(test)]
mod tests {
    use hawk_spec::{Code, DraftLaw, NodeId, Rule, Seed, Source, TokenTree, TreeError, TreeShape};

    use super::*;
    use crate::drafter::{Drafter, View};
    use crate::{Decoder, Decoding, LoadOptions, built_in_model};

    /// Knows the image.
    struct Oracle(Vec<Code>);

    impl Drafter for Oracle {
        fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
            let mut node = NodeId::ROOT;
            for &code in &self.0[view.codes.len()..] {
                node = tree.propose(node, code, DraftLaw::Deterministic, Source::Above)?;
            }
            Ok(())
        }
    }

    fn run(engine: &Engine, request: &Request, oracle: Option<Oracle>) -> Generated {
        let conditioning = engine.conditioning(&request.prompt).unwrap();
        let mut session = Session::new(engine, request, conditioning).unwrap();
        if let Some(oracle) = oracle {
            session.lanes[0].replace_drafter(Box::new(oracle));
        }
        session.run(&mut |_| ControlFlow::Continue(())).unwrap().images.remove(0)
    }

    #[test]
    fn a_drafter_that_is_right_is_accepted_wholly() {
        let engine = Engine::load(built_in_model(), LoadOptions::default()).unwrap();
        for nodes in [2, 5, 16, 40] {
            let request = Request {
                prompt: "red apple, fluent 3d style".to_owned(),
                seed: Seed(2),
                images: 0..1,
                sampling: engine.config().defaults,
                decoding: Decoding::new(Decoder::Neighbour, Rule::Replay, TreeShape::Budget(nodes)).unwrap(),
                batch: 1,
            };
            let plain = run(&engine, &request, None);
            let told = run(&engine, &request, Some(Oracle(plain.codes.clone())));
            assert_eq!(told.codes, plain.codes);
            assert_eq!(told.stats.recovered, 0, "{nodes} nodes");
            assert_eq!(told.stats.target_passes, 256_u64.div_ceil(nodes as u64), "{nodes} nodes");
            // One wrong guess costs what is behind it and nothing else.
            let mut wrong = plain.codes.clone();
            wrong[100] = Code(wrong[100].0 ^ 1);
            let misled = run(&engine, &request, Some(Oracle(wrong)));
            assert_eq!((misled.codes, misled.stats.recovered), (plain.codes, 1), "{nodes} nodes");
        }
    }
}
