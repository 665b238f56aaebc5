//! `GET /v1/models`, and what the page needs to know of the model.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use hawk::{AnyRule, BUILT_IN, Decoder, Engine, PROMPTS, Result};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use super::request::size_name;
use super::state::Service;
use crate::settings::Settings;

/// The models of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    object: &'static str,
    data: Vec<ModelObject>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelObject {
    id: String,
    object: &'static str,
    /// When the server started, in seconds since 1970.
    created: u64,
    owned_by: &'static str,
}

fn model(service: &Service) -> ModelObject {
    ModelObject { id: service.settings.model.clone(), object: "model", created: service.started, owned_by: "hawk" }
}

/// Lists the only model.
#[utoipa::path(
    get,
    path = "/v1/models",
    responses(
        (status = 200, description = "The model", body = ModelList),
        (status = 401, description = "No valid API key", body = ErrorBody),
    ),
    security((), ("key" = []))
)]
pub(crate) async fn list(State(service): State<Arc<Service>>) -> Json<ModelList> {
    Json(ModelList { object: "list", data: vec![model(&service)] })
}

/// The model of a name.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    params(("model" = String, Path, description = "The name")),
    responses(
        (status = 200, description = "The model", body = ModelObject),
        (status = 400, description = "The name is no text", body = ErrorBody),
        (status = 401, description = "No valid API key", body = ErrorBody),
        (status = 404, description = "The server has another model", body = ErrorBody),
    ),
    security((), ("key" = []))
)]
pub(crate) async fn one(
    State(service): State<Arc<Service>>,
    name: std::result::Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> std::result::Result<Json<ModelObject>, ApiError> {
    let Path(name) = name.map_err(|e| ApiError::field("model", "invalid_value", e.body_text()))?;
    if name == service.settings.model { Ok(Json(model(&service))) } else { Err(ApiError::no_model(&name)) }
}

/// A number as a person would write it: 0.8 and not 0.800000012.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}

/// What the page shows of the model and of its choices.
///
/// # Errors
/// A file of the model cannot be read.
pub(crate) fn for_page(engine: &Engine, settings: &Settings) -> Result<String> {
    let (config, default) = (engine.config(), settings.decoding);
    let grid = config.layout.grid();
    let usable = |decoder: &Decoder| !decoder.needs_heads() || engine.heads().is_some();
    let decoders: Vec<_> = Decoder::all()
        .filter(usable)
        .map(|decoder| json!({ "name": decoder.name(), "help": decoder.help() }))
        .collect();
    let model = json!({
        "name": settings.model,
        "version": env!("CARGO_PKG_VERSION"),
        "precision": engine.precision().to_string(),
        "rows": grid.rows(),
        "columns": grid.cols(),
        "width": config.image_size.width,
        "height": config.image_size.height,
        "size": size_name(config.image_size),
        "decoders": decoders,
        "rules": AnyRule::ALL.map(AnyRule::name),
        "decoder": default.decoder().name(),
        "rule": default.rule().name(),
        "tree": default.tree().to_string(),
        "guidance": decimal(config.defaults.cfg()),
        "temperature": decimal(config.defaults.temperature()),
        "top_k": config.defaults.top_k(),
        "top_p": decimal(config.defaults.top_p()),
        "examples": if settings.model == BUILT_IN { &PROMPTS[..4] } else { &[] },
        "needs_key": settings.keys.are_asked_for(),
    });
    Ok(model.to_string())
}
