//! Counts and times for Prometheus. The names behind `hawk_` are those of vllm-omni, and of vLLM where
//! vllm-omni takes them over, where the meaning is the same.

use std::time::Duration;

use hawk::DecodeStats;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// A kind of answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    status: u16,
}

/// How a request ended, in vLLM's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    finished_reason: &'static str,
}

/// Images in a pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPass {
    images: u32,
}

/// The metrics of a server.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    pub(crate) running: Gauge,
    pub(crate) waiting: Gauge,
    latency: Histogram,
    queue: Histogram,
    first_picture: Histogram,
    requests: Family<End, Counter>,
    prompt_tokens: Counter,
    passes: Family<InPass, Histogram>,
    drafts: Counter,
    draft_tokens: Counter,
    accepted_tokens: Counter,
    cells: Counter,
    images: Counter,
    cancelled: Counter,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 16))
}

fn pass_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 14))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("hawk");
        let metrics = Self {
            answers: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            latency: seconds(),
            queue: seconds(),
            first_picture: seconds(),
            requests: Family::default(),
            prompt_tokens: Counter::default(),
            passes: Family::new_with_constructor(pass_seconds as fn() -> Histogram),
            drafts: Counter::default(),
            draft_tokens: Counter::default(),
            accepted_tokens: Counter::default(),
            cells: Counter::default(),
            images: Counter::default(),
            cancelled: Counter::default(),
            registry: Registry::default(),
        };
        let m = &metrics;
        registry.register("http_answers", "Answers to requests for images, by status", m.answers.clone());
        registry.register("num_requests_running", "Images that are decoded now", m.running.clone());
        registry.register("num_requests_waiting", "Images that wait for a slot", m.waiting.clone());
        registry.register(
            "e2e_request_latency_s",
            "Seconds from the arrival of a request to its last picture",
            m.latency.clone(),
        );
        registry.register(
            "image_ttfp_s",
            "Seconds from the arrival of a request to its first picture",
            m.first_picture.clone(),
        );
        registry.register(
            "requests_success",
            "Requests by their end: stop where all images are drawn, abort where an image failed, the client left, the time was over or the server stopped",
            m.requests.clone(),
        );
        let help = "Time of an image in the queue";
        registry.register_with_unit("request_queue_time", help, Unit::Seconds, m.queue.clone());
        let help = "Time of a pass, with all that the loop does around it, by images in the pass: t(n)";
        registry.register_with_unit("pass", help, Unit::Seconds, m.passes.clone());
        registry.register("spec_decode_num_drafts", "Target passes over the trees of images", m.drafts.clone());
        registry.register("spec_decode_num_draft_tokens", "Cells that drafters proposed", m.draft_tokens.clone());
        registry.register(
            "spec_decode_num_accepted_tokens",
            "Proposed cells that were right",
            m.accepted_tokens.clone(),
        );
        registry.register("prompt_tokens", "Tokens of the prompts of finished images", m.prompt_tokens.clone());
        registry.register("generation_tokens", "Cells of finished images", m.cells.clone());
        registry.register("images", "Finished images", m.images.clone());
        registry.register("images_cancelled", "Images whose client left, or whose time was over", m.cancelled.clone());
        Self { registry, ..metrics }
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn answered(&self, status: u16) {
        self.answers.get_or_create(&Answer { status }).inc();
    }

    pub(crate) fn queued(&self, time: Duration) {
        self.queue.observe(time.as_secs_f64());
    }

    pub(crate) fn first_picture(&self, time: Duration) {
        self.first_picture.observe(time.as_secs_f64());
    }

    pub(crate) fn request_done(&self, time: Duration) {
        self.latency.observe(time.as_secs_f64());
        self.requests.get_or_create(&End { finished_reason: "stop" }).inc();
    }

    pub(crate) fn request_aborted(&self) {
        self.requests.get_or_create(&End { finished_reason: "abort" }).inc();
    }

    pub(crate) fn pass(&self, images: usize, time: Duration) {
        self.passes.get_or_create(&InPass { images: images as u32 }).observe(time.as_secs_f64());
    }

    pub(crate) fn cancelled(&self) {
        self.cancelled.inc();
    }

    pub(crate) fn decoded(&self, prompt_tokens: usize, stats: &DecodeStats) {
        self.images.inc();
        self.prompt_tokens.inc_by(prompt_tokens as u64);
        self.cells.inc_by(stats.committed);
        self.drafts.inc_by(stats.target_passes);
        self.draft_tokens.inc_by(stats.nodes);
        self.accepted_tokens.inc_by(stats.accepted);
    }
}
