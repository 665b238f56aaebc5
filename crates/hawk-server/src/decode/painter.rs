//! From codes to pictures, on a thread of its own: the next pass does not wait for pixels.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hawk::{Code, Engine, Error, Finished, Record, Result};

use super::encode::{cover, filled};
use super::order::{Failure, Order, Progress, Whole};
use crate::metrics::Metrics;

/// A picture to paint.
pub(super) enum Work {
    /// Of the cells so far.
    Partial { order: Arc<Order>, image: u32, index: u32, codes: Vec<Code> },
    /// Of a finished image.
    Whole { order: Arc<Order>, image: u32, finished: Box<Finished> },
}

/// The parts that a painter uses.
pub(super) struct Painter {
    pub(super) engine: Arc<Engine>,
    /// The model's name in records.
    pub(super) model: String,
    pub(super) metrics: Arc<Metrics>,
}

impl Painter {
    /// Starts the thread. At most `bound` pictures wait for it: then the decoding waits.
    ///
    /// # Errors
    /// The system has no thread.
    pub(super) fn start(self, bound: usize) -> Result<(SyncSender<Work>, JoinHandle<()>)> {
        let (sender, work) = sync_channel(bound);
        let thread = std::thread::Builder::new().name("hawk-paint".to_owned()).spawn(move || self.run(&work));
        let thread = thread.map_err(|e| Error::environment(format!("cannot start a thread: {e}")))?;
        Ok((sender, thread))
    }

    fn run(&self, work: &Receiver<Work>) {
        // The first record would wait for it.
        let _ = self.engine.digest();
        while let Ok(work) = work.recv() {
            let (order, painted) = match work {
                Work::Partial { order, .. } | Work::Whole { order, .. } if order.reply.is_closed() => (order, None),
                Work::Partial { order, image, index, codes } => {
                    let painted = self.partial(&order, &codes);
                    (order, Some(painted.map(|base64| Progress::Partial { image, index, cells: codes.len(), base64 })))
                }
                Work::Whole { order, image, finished } => {
                    let painted = self.whole(&order, image, *finished);
                    (order, Some(painted.map(|whole| Progress::Whole(Box::new(whole)))))
                }
            };
            if let Some(painted) = painted {
                self.deliver(&order, painted);
            }
        }
    }

    fn deliver(&self, order: &Order, painted: Result<Progress>) {
        let is_first = match &painted {
            Ok(Progress::Partial { image, index, .. }) => *image == order.request.images.start && *index == 0,
            Ok(Progress::Whole(whole)) => {
                order.image_done();
                order.partial_images == 0 && whole.image == order.request.images.start
            }
            _ => false,
        };
        if is_first {
            self.metrics.first_picture(order.arrived.elapsed());
        }
        // A client that has left needs nothing.
        let _ = order.reply.send(painted.unwrap_or_else(|error| Progress::Failed(Failure::Image(error))));
    }

    fn partial(&self, order: &Order, codes: &[Code]) -> Result<String> {
        let grid = self.engine.config().layout.grid();
        let mut picture = self.engine.decode(&filled(codes, grid))?;
        cover(&mut picture, codes.len(), grid);
        Ok(STANDARD.encode(order.format.encode(&picture, None)?))
    }

    fn whole(&self, order: &Order, index: u32, finished: Finished) -> Result<Whole> {
        let decoding = finished.elapsed;
        let image = self.engine.paint(index, finished)?;
        let record = Record::new(&self.engine, &self.model, &order.request, &image)?;
        let bytes = order.format.encode(&image.image, Some(&record))?;
        Ok(Whole {
            image: index,
            base64: STANDARD.encode(bytes),
            tokens: [order.conditioning.cond.tokens().len() as u64, image.stats.committed],
            passes: image.stats.target_passes,
            acceptance_length: image.stats.acceptance_length(),
            decoding,
        })
    }
}
