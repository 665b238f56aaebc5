//! The loop of a text: guess, run, verify, commit, until an end.

use std::ops::ControlFlow;
use std::time::Instant;

use hawk_nn::{Arrangement, Error, PassLimits, Readout, Result, Rows, Staged, Stream, Workspace};
use hawk_spec::{
    Cell, Code, DecodeStats, Drawn, ImageIndex, Next, NodeId, Purpose, Sampling, Seed, TokenId, TokenTree, TreeError,
    Verdict, Verifier,
};

use super::engine::{PIPELINE, TextEngine};
use super::laws::{Draws, PassLaws, Shaper};
use super::request::{GeneratedText, Stop, TextEvent, TextRequest, TextSampling};
use crate::drafter::{self, Brief, Drafter, HeadsDrafter, Manner, Nothing, Seen, View};
use crate::pace::Pace;
use crate::request::{AnyRule, CellSource, Decoder, Decoding, Timings, Tree};
use crate::session::{Clock, PREFILL_ROWS};

/// One text under way.
pub(super) struct Session<'a> {
    engine: &'a TextEngine,
    decoding: Decoding,
    prompt: Vec<TokenId>,
    /// Most tokens after the prompt, and why there are no more.
    most: (usize, Stop),
    text: Text<'a>,
    streams: [Stream; 1],
    workspace: Workspace,
    /// Where the trees' size is left to the machine.
    pace: Option<Pace>,
    timings: Timings,
}

impl<'a> Session<'a> {
    /// `prompt` leaves the model at least one position.
    pub(super) fn new(
        engine: &'a TextEngine,
        request: &TextRequest,
        decoding: Decoding,
        prompt: Vec<TokenId>,
    ) -> Result<Self> {
        let (target, nodes) = (engine.target(), decoding.shape().nodes());
        let room = target.config().max_positions - prompt.len();
        let most = match request.max_tokens {
            asked if asked <= room => (asked, Stop::MaxTokens),
            _ => (room, Stop::Positions),
        };
        let (rows, tokens) = (nodes.max(PREFILL_ROWS), prompt.len() + most.0 + nodes);
        let mut stream = target.stream(tokens);
        stream.rows = Rows::with_capacity(rows, rows);
        Ok(Self {
            text: Text::new(engine, request.sampling, decoding, most.0)?,
            streams: [stream],
            workspace: target.workspace(PassLimits { rows, readouts: nodes, tokens, vocabulary: engine.ids().len() }),
            pace: (decoding.tree() == Tree::Auto).then(|| engine.paces().known(decoding, 1)),
            timings: Timings::default(),
            engine,
            decoding,
            prompt,
            most,
        })
    }

    pub(super) fn run(mut self, observer: &mut dyn FnMut(TextEvent<'_>) -> ControlFlow<()>) -> Result<GeneratedText> {
        self.prefill()?;
        let mut flow = observer(TextEvent::PrefillDone { prompt: &self.prompt });
        let started = Instant::now();
        let stop = loop {
            if flow.is_break() {
                break Stop::Observer;
            }
            self.step()?;
            flow = observer(self.text.committed());
            match self.text.tokens.last() {
                Some(last) if self.engine.config().eos.contains(last) => break Stop::Eos,
                _ if self.text.tokens.len() == self.most.0 => break self.most.1,
                _ => {}
            }
        };
        if let Some(pace) = self.pace {
            self.engine.paces().keep(self.decoding, 1, pace);
        }
        let Text { tokens, sources, stats, .. } = self.text;
        let (timings, elapsed) = (self.timings, started.elapsed());
        Ok(GeneratedText { prompt: self.prompt, tokens, sources, stop, stats, timings, elapsed })
    }

    /// One target pass.
    fn step(&mut self) -> Result<()> {
        let (mut clock, started) = (Clock::start(), Instant::now());
        let nodes = self.pace.as_ref().map_or(usize::MAX, Pace::nodes);
        let anchor = self.text.tokens.last().copied().unwrap_or(self.prompt[self.prompt.len() - 1]);
        self.text.propose(anchor, self.most.0, nodes, &mut self.streams[0])?;
        clock.lap(&mut self.timings.draft);
        let staged = self.engine.forward(&mut self.workspace, &mut self.streams)?;
        clock.lap(&mut self.timings.target);
        self.text.verify(&staged, &self.engine.config().eos)?;
        clock.lap(&mut self.timings.verify);
        // Where nothing will be guessed the heads need not speak.
        if nodes > 1 && self.text.tokens.len() < self.most.0 {
            self.text.observe(&staged)?;
        }
        clock.lap(&mut self.timings.draft);
        staged.commit(&[self.text.rows.last().copied()]);
        clock.lap(&mut self.timings.commit);
        if let Some(pace) = &mut self.pace {
            pace.record(self.text.tokens.len() - self.text.first(), started.elapsed());
        }
        Ok(())
    }

    /// Commits the prompt but its last token, which is the first tree's root.
    fn prefill(&mut self) -> Result<()> {
        let mut clock = Clock::start();
        for part in self.prompt[..self.prompt.len() - 1].chunks(PREFILL_ROWS) {
            let last = self.streams[0].rows.push_chain(part.iter().copied(), None, Readout::Nothing);
            self.engine.forward(&mut self.workspace, &mut self.streams)?.commit(&[last]);
            self.text.stats.record_prefill();
        }
        clock.lap(&mut self.timings.prefill);
        Ok(())
    }
}

/// What is written and guessed.
struct Text<'a> {
    /// After the prompt.
    tokens: Vec<TokenId>,
    /// The same as codes, as drafters know them.
    codes: Vec<Code>,
    sources: Vec<CellSource>,
    stats: DecodeStats,
    draws: Draws,
    shaper: Shaper,
    drafter: Box<dyn Drafter + 'a>,
    tree: TokenTree,
    verifier: Verifier,
    verdict: Verdict,
    /// Those of the root and of the accepted nodes: a node's row has its number.
    rows: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(engine: &'a TextEngine, sampling: TextSampling, decoding: Decoding, most: usize) -> Result<Self> {
        let ids = engine.ids().len();
        let limits = drafter::tree_limits(engine.heads(), ids, decoding);
        let AnyRule::Exact(rule) = decoding.rule() else {
            return Err(Error::input("text is written by exact rules alone").got(decoding.rule()));
        };
        let mut drafter = new_drafter(engine, sampling, decoding)?;
        let seed = match sampling {
            TextSampling::Greedy => Seed(0),
            TextSampling::Drawn { seed, .. } => seed,
        };
        drafter.start(seed, ImageIndex(0));
        Ok(Self {
            tokens: Vec::with_capacity(most),
            codes: Vec::with_capacity(most),
            sources: Vec::with_capacity(most),
            stats: DecodeStats::default(),
            draws: Draws::new(sampling),
            shaper: Shaper::new(sampling, ids, engine.codes()),
            drafter,
            tree: TokenTree::with_limits(limits),
            verifier: Verifier::new(rule, ids),
            verdict: Verdict::with_capacity(limits.nodes),
            rows: Vec::with_capacity(limits.nodes),
        })
    }

    /// Guesses, and lays out a row for each node. There will be at most `most` tokens, and the tree has at most `nodes` nodes.
    fn propose(&mut self, anchor: TokenId, most: usize, nodes: usize, stream: &mut Stream) -> Result<()> {
        let committed = self.tokens.len() as u32;
        self.tree.reset(Cell(committed), most as u32 - committed);
        self.tree.bound(nodes);
        if !self.tree.is_full() {
            match self.drafter.propose(&View { codes: &self.codes }, &mut self.tree) {
                Ok(()) | Err(TreeError::Full { .. } | TreeError::TooDeep { .. }) => {}
                Err(fault) => return Err(Error::input(format!("a drafter's guess cannot be: {fault}"))),
            }
        }
        for node in self.tree.nodes() {
            let token = self.tree.code(node).map_or(anchor, |code| TokenId(code.0));
            stream.rows.push(token, self.tree.parent(node).map(NodeId::index), Readout::Logits);
        }
        Ok(())
    }

    /// Tests the guesses by the pass and takes what the rule keeps, up to the first end of text.
    fn verify(&mut self, staged: &Staged<'_>, eos: &[TokenId]) -> Result<()> {
        let mut laws = PassLaws { staged, shaper: &mut self.shaper };
        self.verifier
            .verify(&self.tree, &mut laws, &mut self.draws, &mut self.verdict)
            .map_err(|e| Error::input(e.to_string()).at(format!("after token {}", self.tokens.len())))?;
        // Nothing is written behind an end, whatever was guessed there: the end counts as the step's last token.
        let ends = |node: &NodeId| self.tree.code(*node).filter(|code| eos.contains(&TokenId(code.0)));
        let path = &self.verdict.path;
        if let Some((at, code)) = path.iter().enumerate().find_map(|(at, node)| Some((at, ends(node)?))) {
            self.verdict.next = Next { code, drawn: Drawn::Bonus };
            self.verdict.path.truncate(at);
            self.verdict.steps.truncate(at + 1);
        }
        self.codes.extend(self.verdict.codes(&self.tree));
        self.tokens.extend(self.codes[self.tokens.len()..].iter().map(|code| TokenId(code.0)));
        let accepted = self.verdict.path.iter().filter_map(|&node| self.tree.source_of(node));
        self.sources.extend(accepted.map(CellSource::Drafted));
        self.sources.push(CellSource::Target(self.verdict.next.drawn));
        self.stats.record(&self.tree, &self.verdict);
        self.rows.clear();
        self.rows.extend([NodeId::ROOT].iter().chain(&self.verdict.path).map(|node| node.index()));
        Ok(())
    }

    /// Shows the drafter what the pass saw along the verdict's path.
    fn observe(&mut self, staged: &Staged<'_>) -> Result<()> {
        let (first, rows) = (self.tree.first_open(), &self.rows[..]);
        self.drafter.observe(&Seen { first, codes: &self.codes[first.index()..], rows, staged, stream: 0 })
    }

    /// The first token of the last verdict.
    fn first(&self) -> usize {
        self.tree.first_open().index()
    }

    fn committed(&self) -> TextEvent<'_> {
        let first = self.first();
        TextEvent::TokensCommitted { tokens: &self.tokens[first..], sources: &self.sources[first..] }
    }
}

fn new_drafter<'a>(engine: &'a TextEngine, how: TextSampling, decoding: Decoding) -> Result<Box<dyn Drafter + 'a>> {
    if decoding.decoder() == Decoder::Ar {
        return Ok(Box::new(Nothing));
    }
    let heads = engine.heads().ok_or_else(|| {
        Error::input(format!("the decoder {} needs draft heads of text, and the model has none", decoding.decoder()))
            .expected("heads/ in the model's folder, or --heads DIR")
            .hint("--decoder ar needs none")
    })?;
    let neutral = Sampling::new(1.0, 1.0, 0, 1.0).map_err(|e| Error::input(e.to_string()))?;
    let (manner, sampling) = match how {
        TextSampling::Greedy => (Manner::Likeliest, neutral),
        TextSampling::Drawn { sampling, .. } => (Manner::of(decoding.rule(), Purpose::Text), sampling),
    };
    Ok(Box::new(HeadsDrafter::new(Brief {
        target: engine.target(),
        threads: engine.pool(),
        heads,
        ids: engine.ids(),
        arrangement: Arrangement::Line,
        decoding,
        manner,
        sampling,
        pipeline: PIPELINE,
    })))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hawk_nn::{ModelSource, Progress};
    use hawk_spec::{DraftLaw, Rule, Source, TreeShape};
    use hawk_synth::{SynthModel, synthesize, synthesize_heads};

    use super::*;
    use crate::{LoadOptions, PromptStyle};

    /// Knows the text.
    struct Oracle(Vec<Code>);

    impl Drafter for Oracle {
        fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
            let mut node = NodeId::ROOT;
            for &code in &self.0[view.codes.len()..] {
                node = tree.propose(node, code, DraftLaw::Deterministic, Source::Horizontal(1))?;
            }
            Ok(())
        }
    }

    #[test]
    fn a_drafter_that_is_right_is_accepted_wholly() {
        let dir = tempfile::tempdir().unwrap();
        let (model, heads) = (dir.path().join("model"), dir.path().join("heads"));
        let silent: Progress = Arc::new(|_, _| ());
        synthesize(SynthModel::TinyLlama, 2, &model, &silent).unwrap();
        std::fs::write(model.join("generation_config.json"), r#"{ "eos_token_id": null }"#).unwrap();
        let model = ModelSource::Dir(model);
        synthesize_heads(&model, "tiny", 1, &heads, &silent).unwrap();
        let engine = TextEngine::load(model, LoadOptions::default()).unwrap();
        let engine = engine.with_heads(&ModelSource::Dir(heads)).unwrap();
        let drawn = TextSampling::Drawn { sampling: Sampling::new(1.0, 1.0, 0, 1.0).unwrap(), seed: Seed(4) };
        for (sampling, nodes) in [(TextSampling::Greedy, 5), (drawn, 2), (drawn, 16), (drawn, 70)] {
            let decoding = Decoding::new(Decoder::Medusa, Rule::Replay, TreeShape::Budget(nodes)).unwrap();
            let (prompt, style, max_tokens) = ("The hawk".to_owned(), PromptStyle::Plain, 64);
            let request = TextRequest { prompt, style, sampling, decoding, max_tokens };
            let run = |oracle: Option<Oracle>| {
                let prompt = engine.prompt(&request.prompt, request.style).unwrap();
                let mut session = Session::new(&engine, &request, decoding, prompt).unwrap();
                if let Some(oracle) = oracle {
                    session.text.drafter = Box::new(oracle);
                }
                session.run(&mut |_| ControlFlow::Continue(())).unwrap()
            };
            let plain = run(None);
            let mut codes: Vec<Code> = plain.tokens.iter().map(|token| Code(token.0)).collect();
            let told = run(Some(Oracle(codes.clone())));
            assert_eq!((&told.tokens, told.stats.recovered), (&plain.tokens, 0), "{nodes} nodes");
            assert_eq!(told.stats.target_passes, 64_u64.div_ceil(nodes as u64), "{nodes} nodes");
            // One wrong guess costs what is behind it and nothing else.
            codes[30] = Code(codes[30].0 ^ 1);
            let misled = run(Some(Oracle(codes)));
            assert_eq!((misled.tokens, misled.stats.recovered), (plain.tokens, 1), "{nodes} nodes");
        }
    }
}
