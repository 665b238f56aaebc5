//! An image model that answers requests.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use hawk_nn::kernels::Precision;
use hawk_nn::{
    Backend, Cpu, CpuBackend, Demand, Device, Error, HawkConfig, HeadsConfig, Image, ImageSize, ModelSource, Result,
    Shaping,
};
use hawk_spec::{Code, ImageIndex, Noise};

use crate::decode::batch::Batch;
use crate::decode::job::{BatchEvent, BatchLimits, Finished, Happened, Job, JobId};
use crate::model::{LoadOptions, Model};
use crate::prompt::{Conditioning, PromptsOf};
use crate::request::decoding::Decoding;
use crate::request::event::{CellSource, Event, Failure, Generated, Outcome, Timings};
use crate::request::tree::MAX_NODES;
use crate::request::{MAX_BATCH, Request};

/// Memory of a decoder's heads and cache, and of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftMemory {
    /// Bytes of the draft heads' weights, without the output projection: it is the target's.
    pub heads_bytes: usize,
    /// Bytes of the Speculation Cache of one image.
    pub cache_bytes: usize,
    /// Bytes of the target's weights.
    pub target_bytes: usize,
}

impl DraftMemory {
    /// Bytes of heads and cache as a share of the target's.
    #[must_use]
    pub fn share(&self) -> f64 {
        (self.heads_bytes + self.cache_bytes) as f64 / self.target_bytes as f64
    }
}

/// A model that generates images.
///
/// Several threads may call it at once. Each call has memory of its own; all calls share the
/// device.
pub struct Engine {
    model: Model,
    threads: usize,
}

impl Engine {
    /// Loads a model on the CPU; see [`Model::load`].
    ///
    /// # Errors
    /// As [`Model::load_cpu`].
    pub fn load(source: ModelSource, options: LoadOptions) -> Result<Self> {
        Self::load_on(source, &Cpu::new(options.threads)?, options.precision)
    }

    /// Loads a model on a device.
    ///
    /// # Errors
    /// As [`load`](Self::load), or the device has no room.
    pub fn load_on(source: ModelSource, device: &dyn Device, precision: Precision) -> Result<Self> {
        Ok(Self { model: Model::load(source, device, precision)?, threads: device.threads() })
    }

    /// Replaces the draft heads by those of a folder.
    ///
    /// # Errors
    /// The heads cannot be read, or were trained for another model or for text.
    pub fn with_heads(mut self, folder: &ModelSource) -> Result<Self> {
        self.model.load_heads(folder)?;
        Ok(self)
    }

    /// Sets the size of images, where the model draws several sizes.
    ///
    /// # Errors
    /// The model does not draw that size.
    pub fn with_image_size(mut self, size: ImageSize) -> Result<Self> {
        self.model.set_image_size(size)?;
        Ok(self)
    }

    /// Sets the size of images to one that the model drew ([`draw_size`](Self::draw_size)). The
    /// prompt still names the size that was asked for.
    ///
    /// # Errors
    /// The model does not draw that size.
    pub fn with_drawn_size(mut self, size: ImageSize) -> Result<Self> {
        self.model.set_drawn_size(size)?;
        Ok(self)
    }

    /// Sets the features of a caption for every prompt without features of its own, for a model
    /// that reads captions as features. The prompt of a request is then a name alone.
    ///
    /// # Errors
    /// The file holds no features, they do not fit the model, or the model reads none.
    pub fn with_features(mut self, file: Vec<u8>) -> Result<Self> {
        self.model.put_features(PromptsOf::All, file)?;
        Ok(self)
    }

    /// Sets the features of one prompt. Other prompts keep theirs.
    ///
    /// # Errors
    /// As [`with_features`](Self::with_features).
    pub fn with_features_of(mut self, prompt: &str, file: Vec<u8>) -> Result<Self> {
        self.model.put_features(PromptsOf::One(prompt), file)?;
        Ok(self)
    }

    /// Generates the images of a request.
    ///
    /// The observer is called with every [`Event`]. When it breaks, the run ends and the images
    /// that are finished are returned.
    ///
    /// # Errors
    /// The request is out of range or needs more memory than is free, the prompt is too long, or no image is finished because passes or
    /// images fail. Where some images are finished, they are returned, and [`Outcome::failures`] lists
    /// the failed ones. A failed pass ends the run: the list then has the first image under way.
    pub fn generate(
        &self,
        request: &Request,
        observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        request.check()?;
        self.demand(request.images.len()).check().map_err(|e| e.at("images"))?;
        let conditioning = self.conditioning(&request.prompt)?;
        let first = self.job(request, &conditioning, request.images.start)?;
        let slots = request.batch.min(request.images.len());
        let limits = BatchLimits { slots, ..BatchLimits::of(&first) };
        let batch = Batch::new(Arc::clone(self.model.target()), limits)?;
        let prefix_tokens = conditioning.cond.tokens().len();
        let (under_way, events) = (Vec::with_capacity(slots), Vec::with_capacity(3 * slots));
        let run = Run { engine: self, batch, under_way, events, prefix_tokens, outcome: Outcome::default() };
        run.run(first, &mut |image| self.job(request, &conditioning, image), request, observer)
    }

    /// The memory of so many results.
    fn demand(&self, images: usize) -> Demand {
        let ImageSize { height, width } = self.config().image_size;
        let cells = self.config().layout.grid().cells() as usize;
        let image = 3 * height as usize * width as usize + cells * (size_of::<Code>() + size_of::<CellSource>());
        Demand::default().with("images", &[images, image])
    }

    fn job(&self, request: &Request, conditioning: &Conditioning, image: u32) -> Result<Job> {
        let noise = Noise { seed: request.seed, image: ImageIndex(image) };
        self.model.job(conditioning, noise, request.sampling, request.decoding)
    }

    /// A batch for requests of several users: jobs of [`Model::job`] enter and leave between
    /// passes. It has `slots` slots, for trees of up to `nodes` nodes, with room for the longest
    /// prompt.
    ///
    /// # Errors
    /// `slots` is 0 or above [`MAX_BATCH`], `nodes` is 0 or above 128, or memory is short.
    pub fn batch(&self, slots: usize, nodes: usize) -> Result<Batch> {
        if !(1..=MAX_BATCH).contains(&slots) {
            let expected = format!("1 to {MAX_BATCH} slots");
            return Err(Error::input("invalid batch size").at("slots").expected(expected).got(slots));
        }
        if !(1..=MAX_NODES).contains(&nodes) {
            let expected = format!("1 to {MAX_NODES} nodes");
            return Err(Error::input("invalid tree size").at("nodes").expected(expected).got(nodes));
        }
        let head_rows = self.heads().map_or(0, |heads| heads.heads.len() * nodes);
        let tokens = self.backend().config().max_positions;
        Batch::new(Arc::clone(self.model.target()), BatchLimits { slots, streams: 2, nodes, tokens, head_rows })
    }

    /// The parts of the model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The transformer, loaded on its device.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.model.target().backend
    }

    /// The class of the device: images of one class are the same to the bit.
    #[must_use]
    pub fn device(&self) -> &str {
        self.backend().device()
    }

    /// The CPU backend, for tools that measure it or train beside it.
    ///
    /// # Errors
    /// The model is on another device than the CPU.
    pub fn cpu(&self) -> Result<&CpuBackend> {
        let cpu = self.backend().as_any().downcast_ref();
        cpu.ok_or_else(|| Error::input("the model is on another device").expected("a model on the CPU"))
    }

    /// The configuration of the draft heads, if there are any.
    #[must_use]
    pub fn heads(&self) -> Option<&HeadsConfig> {
        self.model.target().heads.as_ref()
    }

    /// See [`Model::conditioning`].
    ///
    /// # Errors
    /// The prompt is too long for the model.
    pub fn conditioning(&self, prompt: &str) -> Result<Conditioning> {
        self.model.conditioning(prompt)
    }

    /// See [`Model::decode`].
    ///
    /// # Errors
    /// The codes do not fill the grid, or a code is not in the codebook.
    pub fn decode(&self, codes: &[Code]) -> Result<Image> {
        self.model.decode(codes)
    }

    /// Image number `index` of a request: the codes of a finished job and their pixels.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn paint(&self, index: u32, finished: Finished) -> Result<Generated> {
        let started = Instant::now();
        let Finished { codes, sources, stats, elapsed } = finished;
        let image = self.decode(&codes)?;
        Ok(Generated { index, image, codes, sources, stats, elapsed: elapsed + started.elapsed() })
    }

    /// See [`Model::config`].
    #[must_use]
    pub fn config(&self) -> &HawkConfig {
        self.model.config()
    }

    /// See [`Model::source`].
    #[must_use]
    pub fn source(&self) -> &ModelSource {
        self.model.source()
    }

    /// See [`Model::digest`].
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn digest(&self) -> Result<&str> {
        self.model.digest()
    }

    /// See [`Model::heads_digest`].
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn heads_digest(&self) -> Result<&str> {
        self.model.heads_digest()
    }

    /// See [`Model::asked_size`].
    #[must_use]
    pub fn asked_size(&self) -> Option<ImageSize> {
        self.model.asked_size()
    }

    /// See [`Model::features_digest`].
    #[must_use]
    pub fn features_digest(&self, prompt: &str) -> &str {
        self.model.features_digest(prompt)
    }

    /// Number format of the weights.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.backend().precision()
    }

    /// Number of threads of the device on this machine.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Memory of a decoder's heads and cache, and of the target.
    ///
    /// # Errors
    /// The decoder needs draft heads, and the model has none.
    pub fn draft_memory(&self, decoding: Decoding) -> Result<DraftMemory> {
        let drafter = self.model.target().drafter(decoding, Shaping::Sampling(self.config().defaults))?;
        Ok(DraftMemory {
            heads_bytes: if decoding.decoder().needs_heads() { self.backend().heads_bytes() } else { 0 },
            cache_bytes: drafter.bytes(),
            target_bytes: self.backend().cost(self.backend().config().readable()).bytes,
        })
    }
}

/// A request while its images are decoded.
struct Run<'a> {
    engine: &'a Engine,
    batch: Batch,
    under_way: Vec<(JobId, u32)>,
    /// The events of a step. The memory is kept: steps allocate nothing.
    events: Vec<BatchEvent>,
    prefix_tokens: usize,
    outcome: Outcome,
}

impl Run<'_> {
    fn run(
        mut self,
        first: Job,
        job: &mut dyn FnMut(u32) -> Result<Job>,
        request: &Request,
        observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let (mut waiting, mut first) = (request.images.clone(), Some(first));
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() {
            while self.batch.has_room()
                && let Some(image) = waiting.next()
            {
                let admitted = first.take().map_or_else(|| job(image), Ok).and_then(|job| self.batch.admit(job));
                match admitted {
                    Ok(job) => self.under_way.push((job, image)),
                    // The next image would fail as this one. Those under way go on.
                    Err(error) => {
                        waiting = 0..0;
                        flow = self.fail(image, error, observer);
                    }
                }
            }
            if self.batch.is_empty() || flow.is_break() {
                break;
            }
            let mut events = std::mem::take(&mut self.events);
            let stepped = self.batch.step().map(|happened| events.extend(happened));
            // A pass serves all images under way: it fails them all, not those that are finished.
            if let Err(error) = stepped {
                let first = self.under_way.first().map_or(request.images.start, |(_, image)| *image);
                let _ = self.fail(first, error, observer);
                break;
            }
            for event in events.drain(..) {
                if flow.is_continue() {
                    flow = self.handle(event, observer);
                }
            }
            self.events = events;
        }
        self.outcome.timings = Timings { pixels: self.outcome.timings.pixels, ..self.batch.timings() };
        self.outcome.read_back = self.batch.read_back();
        match (self.outcome.images.is_empty(), self.outcome.failures.is_empty()) {
            (true, false) => Err(self.outcome.failures.remove(0).error),
            _ => Ok(self.outcome),
        }
    }

    fn handle(&mut self, event: BatchEvent, observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let Some(at) = self.under_way.iter().position(|(job, _)| *job == event.job) else {
            return ControlFlow::Continue(());
        };
        let (job, image) = self.under_way[at];
        match event.happened {
            // All images of a request have the same prompt: one event is enough.
            Happened::PrefillDone => match std::mem::replace(&mut self.prefix_tokens, 0) {
                0 => ControlFlow::Continue(()),
                prefix_tokens => observer(Event::PrefillDone { prefix_tokens }),
            },
            Happened::CellsCommitted => match self.batch.new_cells(job) {
                Some((first, codes, sources)) => observer(Event::CellsCommitted { image, first, codes, sources }),
                None => ControlFlow::Continue(()),
            },
            Happened::Finished => {
                self.under_way.swap_remove(at);
                match self.batch.take(job) {
                    Some(finished) => self.finish(image, finished, observer),
                    None => ControlFlow::Continue(()),
                }
            }
            Happened::Failed(error) => {
                self.under_way.swap_remove(at);
                self.fail(image, error, observer)
            }
        }
    }

    fn finish(
        &mut self,
        index: u32,
        finished: Finished,
        observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let started = Instant::now();
        let image = match self.engine.paint(index, finished) {
            Ok(image) => image,
            Err(error) => return self.fail(index, error, observer),
        };
        self.outcome.timings.pixels += started.elapsed();
        let flow = observer(Event::ImageDone(&image));
        self.outcome.images.push(image);
        flow
    }

    fn fail(
        &mut self,
        index: u32,
        error: Error,
        observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let failure = Failure { index, error: error.at(format!("image {index}")) };
        let flow = observer(Event::ImageFailed(&failure));
        self.outcome.failures.push(failure);
        flow
    }
}
