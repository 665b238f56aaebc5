//! A request as a stream of server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::sse::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_stream::Stream;

use super::answer::{Common, Usage};
use super::error::ApiError;
use super::state::now;
use crate::decode::order::{NewCells, Progress, Whole};

/// The events of a request. They end with the last image, or with an error.
pub(crate) struct Events {
    progress: UnboundedReceiver<Progress>,
    common: Common,
    /// Images that are not finished.
    left: usize,
}

impl Events {
    pub(crate) fn new(progress: UnboundedReceiver<Progress>, common: Common, images: usize) -> Self {
        Self { progress, common, left: images }
    }

    fn event(&mut self, progress: Progress) -> Event {
        match progress {
            Progress::Started { image } => named(json!({ "type": "hawk.started", "image_index": image })),
            Progress::Cells(cells) => named(cells_event(&cells)),
            Progress::Partial { image, index, cells, base64 } => {
                let mut event = self.picture("image_generation.partial_image", image, base64);
                event["partial_image_index"] = index.into();
                event["cells"] = cells.into();
                named(event)
            }
            Progress::Whole(whole) => {
                self.left -= 1;
                let Whole { image, base64, tokens, passes, acceptance_length, decoding } = *whole;
                let mut event = self.picture("image_generation.completed", image, base64);
                event["usage"] = json!(Usage::of(tokens[0], tokens[1]));
                event["passes"] = passes.into();
                event["acceptance_length"] = acceptance_length.into();
                event["decoding_ms"] = (decoding.as_secs_f64() * 1000.0).into();
                named(event)
            }
            Progress::Failed(failure) => self.fail(&failure.into()),
        }
    }

    /// The last event.
    fn fail(&mut self, error: &ApiError) -> Event {
        self.left = 0;
        self.progress.close();
        let mut event = json!(error.body());
        event["type"] = "error".into();
        named(event)
    }

    /// An event with a picture. `image_index` and `seed` are this server's.
    fn picture(&self, kind: &str, image: u32, base64: String) -> Value {
        let mut event = json!(self.common);
        event["type"] = kind.into();
        event["created_at"] = now().into();
        event["image_index"] = image.into();
        event["b64_json"] = base64.into();
        event
    }
}

fn cells_event(cells: &NewCells) -> Value {
    let codes: Vec<u32> = cells.codes.iter().map(|code| code.0).collect();
    let sources: Vec<String> = cells.sources.iter().map(ToString::to_string).collect();
    json!({
        "type": "hawk.cells",
        "image_index": cells.image,
        "first": cells.first,
        "codes": codes,
        "sources": sources,
        "passes": cells.passes,
        "elapsed_ms": cells.elapsed.as_secs_f64() * 1000.0,
    })
}

/// An event with its type as its name.
fn named(event: Value) -> Event {
    let name = event["type"].as_str().unwrap_or_default().to_owned();
    Event::default().event(name).data(event.to_string())
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let events = self.get_mut();
        if events.left == 0 {
            return Poll::Ready(None);
        }
        events.progress.poll_recv(context).map(|progress| {
            Some(Ok(match progress {
                Some(progress) => events.event(progress),
                None => events.fail(&ApiError::no_answer()),
            }))
        })
    }
}
