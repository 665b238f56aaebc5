//! `POST /v1/images/generations`.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::answer::{Common, ImagesResponse};
use super::error::{ApiError, ErrorBody};
use super::events::Events;
use super::request::{Asked, Delivery, GenerationRequest};
use super::state::Service;
use crate::decode::order::{Order, Progress};
use crate::keys;
use crate::settings::OTHER_BODY_BYTES;

/// Time that a client has to send its request.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The address of a client.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) String);

/// Draws images.
///
/// The image of a seed is that of `hawk generate` with the same seed and settings, whatever else the
/// server draws. Image `i` of a request is image `i` of its seed. With `stream` the answer is a stream of
/// events `image_generation.partial_image` and `image_generation.completed`.
#[utoipa::path(
    post,
    path = "/v1/images/generations",
    request_body = GenerationRequest,
    responses(
        (status = 200, description = "The images, or a stream of events",
            content((ImagesResponse = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "A field is missing, unknown or out of range", body = ErrorBody),
        (status = 401, description = "No valid API key", body = ErrorBody),
        (status = 404, description = "The server has another model", body = ErrorBody),
        (status = 408, description = "The request did not arrive in time", body = ErrorBody),
        (status = 413, description = "The request is too large", body = ErrorBody),
        (status = 415, description = "The body is not declared as JSON", body = ErrorBody),
        (status = 429, description = "The queue is full", body = ErrorBody,
            headers(("retry-after" = u64, description = "Seconds"))),
        (status = 503, description = "The server stops, or memory is short", body = ErrorBody),
        (status = 504, description = "The request took longer than the server allows", body = ErrorBody),
    ),
    security((), ("key" = []))
)]
pub(crate) async fn generate(
    State(service): State<Arc<Service>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    check_type(&parts.headers)?;
    let most = 6 * service.settings.prompt_bytes + OTHER_BODY_BYTES;
    let asked = GenerationRequest::parse(&read(body, most).await?)?.check(&service.engine, &service.settings)?;
    let client = bearer(&parts.headers).map_or(peer, keys::name_of);
    let common = Common::of(&asked, service.engine.config().image_size);
    let images = asked.request.images.len();
    let (order, progress) = order(&service, client, &asked)?;
    service.scheduler.submit(Arc::new(order))?;
    match asked.delivery {
        Delivery::Whole => whole(common, progress, images).await,
        Delivery::Stream => {
            Ok(Sse::new(Events::new(progress, common, images)).keep_alive(KeepAlive::default()).into_response())
        }
    }
}

/// The key of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Websites can send other types of bodies to this server without asking the browser.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(ApiError::not_json_type()) }
}

async fn read(body: Body, most: usize) -> Result<axum::body::Bytes, ApiError> {
    let bytes = tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await.map_err(|_| ApiError::slow_body())?;
    bytes.map_err(|_| ApiError::too_large(most))
}

fn order(service: &Service, client: String, asked: &Asked) -> Result<(Order, UnboundedReceiver<Progress>), ApiError> {
    let request = asked.request.clone();
    let conditioning = service.engine.conditioning(&request.prompt).map_err(|e| ApiError::library("prompt", &e))?;
    let noise = hawk::Noise { seed: request.seed, image: hawk::ImageIndex(0) };
    // What the model cannot do is refused before the queue.
    let job = service.engine.model().job(&conditioning, noise, request.sampling, request.decoding);
    job.map_err(|e| ApiError::library("decoder", &e))?;
    let (reply, progress) = unbounded_channel();
    let arrived = Instant::now();
    let order = Order {
        client,
        conditioning,
        format: asked.format,
        partial_images: asked.partial_images,
        cells: asked.cells,
        arrived,
        deadline: arrived + service.settings.deadline,
        left: AtomicUsize::new(request.images.len()),
        request,
        reply,
        metrics: Arc::clone(&service.metrics),
    };
    Ok((order, progress))
}

async fn whole(common: Common, mut progress: UnboundedReceiver<Progress>, images: usize) -> Result<Response, ApiError> {
    let mut finished = Vec::with_capacity(images);
    while finished.len() < images {
        match progress.recv().await {
            Some(Progress::Whole(whole)) => finished.push(*whole),
            Some(Progress::Failed(failure)) => return Err(failure.into()),
            Some(_) => {}
            None => return Err(ApiError::no_answer()),
        }
    }
    Ok(Json(ImagesResponse::new(common, finished)).into_response())
}
