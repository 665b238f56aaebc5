//! All paths, and what stands around their handlers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hawk::{Error, Result};
use serde::Serialize;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use super::state::Service;
use super::{images, models};
use crate::page;
use crate::settings::Cors;

/// A server that is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: &'static str,
}

/// Says whether the server works.
#[utoipa::path(get, path = "/health", responses(
    (status = 200, description = "It works", body = Health),
    (status = 503, description = "The decoding has ended", body = ErrorBody),
))]
pub(crate) async fn health(State(service): State<Arc<Service>>) -> std::result::Result<Json<Health>, ApiError> {
    if service.scheduler.ended() { Err(ApiError::not_ready()) } else { Ok(Json(Health { status: "ok" })) }
}

/// Says whether the server takes requests.
#[utoipa::path(get, path = "/ready", responses(
    (status = 200, description = "It takes requests", body = Health),
    (status = 503, description = "It stops", body = ErrorBody),
))]
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> std::result::Result<Json<Health>, ApiError> {
    if service.scheduler.is_ready() { Ok(Json(Health { status: "ready" })) } else { Err(ApiError::not_ready()) }
}

/// Counts and times for Prometheus.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "The metrics", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
))]
pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, kind)], service.metrics.text()).into_response()
}

async fn document(State(service): State<Arc<Service>>) -> Response {
    json(service.document.clone())
}

async fn model(State(service): State<Arc<Service>>) -> Response {
    json(service.model.clone())
}

fn json(text: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// The colours of the codes, three bytes each. They are computed by the first request.
async fn colours(State(service): State<Arc<Service>>) -> std::result::Result<Response, ApiError> {
    let computed = tokio::task::spawn_blocking(move || {
        if let Some(known) = service.colours.get() {
            return Ok(known.clone());
        }
        let colours = service.engine.code_colours()?;
        Ok(service.colours.get_or_init(|| colours.as_flattened().to_vec()).clone())
    });
    let colours = computed.await.map_err(|_| ApiError::no_answer())?;
    let colours = colours.map_err(|e: Error| ApiError::library("colours", &e))?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, HeaderValue::from_static("no-store"))], colours).into_response())
}

/// The router of a server.
///
/// # Errors
/// An origin of another website is no origin.
pub(crate) fn router(service: &Arc<Service>) -> Result<Router> {
    let keyed = Router::new()
        .route("/v1/images/generations", post(images::generate))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::one))
        .layer(from_fn_with_state(Arc::clone(service), ask_for_key))
        .layer(from_fn_with_state(Arc::clone(service), count_answers));
    let router = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(document))
        .route("/page/model.json", get(model))
        .route("/page/colours", get(colours))
        .merge(page::routes())
        .merge(keyed)
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || ApiError::wrong_method())
        .layer(from_fn(protect))
        .with_state(Arc::clone(service));
    Ok(match &service.settings.cors {
        Cors::Off => router,
        Cors::Origins(origins) => router.layer(cors(origins)?),
    })
}

fn cors(origins: &[String]) -> Result<CorsLayer> {
    let origin = |text: &String| {
        let is_origin = text.starts_with("http://") || text.starts_with("https://");
        HeaderValue::from_str(text).ok().filter(|_| is_origin && !text.ends_with('/')).ok_or_else(|| {
            Error::input("invalid origin").at("cors").expected("an origin such as https://example.org").got(text)
        })
    };
    let origins = origins.iter().map(origin).collect::<Result<Vec<_>>>()?;
    let layer = CorsLayer::new().allow_origin(AllowOrigin::list(origins)).allow_methods([Method::GET, Method::POST]);
    Ok(layer.allow_headers([CONTENT_TYPE, axum::http::header::AUTHORIZATION]))
}

async fn ask_for_key(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let keys = &service.settings.keys;
    let shown = images::bearer(request.headers());
    if keys.are_asked_for() && !shown.is_some_and(|key| keys.accept(key)) {
        return ApiError::no_key().into_response();
    }
    next.run(request).await
}

async fn count_answers(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let counts = request.method() == Method::POST;
    let response = next.run(request).await;
    if counts {
        service.metrics.answered(response.status().as_u16());
    }
    response
}

/// Browsers take no answer for another kind of file than it is, and show no page inside others.
async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    if response.status() == StatusCode::OK {
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }
    response
}
