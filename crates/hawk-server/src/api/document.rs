//! The OpenAPI document.

use hawk::{AnyRule, Decoder, Engine, Error, Result};
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::request::size_name;
use super::{error, images, models, request, routes};
use crate::settings::Settings;

/// The document as far as it is the same for every model.
#[derive(OpenApi)]
#[openapi(
    info(title = "hawk", description = "Images from text, as the OpenAI client asks for them", license(name = "MIT OR Apache-2.0")),
    paths(images::generate, models::list, models::one, routes::health, routes::ready, routes::metrics),
    components(schemas(request::GenerationRequest, error::ErrorBody)),
    modifiers(&Keys)
)]
struct Document;

/// Adds the scheme of API keys.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        if let Some(components) = &mut document.components {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
            components.security_schemes.insert("key".to_owned(), SecurityScheme::Http(scheme).into());
        }
    }
}

/// The document with the choices of a model.
///
/// # Errors
/// It has no JSON form.
pub(crate) fn of(engine: &Engine, settings: &Settings) -> Result<String> {
    let failed = |e: serde_json::Error| Error::input(format!("cannot write the OpenAPI document: {e}"));
    let mut document: Value = serde_json::to_value(Document::openapi()).map_err(failed)?;
    let fields = &mut document["components"]["schemas"]["GenerationRequest"]["properties"];
    let decoders: Vec<&str> = Decoder::all()
        .filter(|decoder| !decoder.needs_heads() || engine.heads().is_some())
        .map(Decoder::name)
        .collect();
    let rules = AnyRule::ALL.map(AnyRule::name);
    for (field, names) in [
        ("size", vec!["auto".to_owned(), size_name(engine.config().image_size)]),
        ("model", vec![settings.model.clone()]),
        ("decoder", decoders.into_iter().map(str::to_owned).collect()),
        ("rule", rules.map(str::to_owned).to_vec()),
    ] {
        let choices = names.into_iter().map(Value::from).chain([Value::Null]).collect::<Vec<_>>();
        fields[field]["enum"] = choices.into();
    }
    fields["prompt"]["maxLength"] = json!(settings.prompt_bytes);
    serde_json::to_string(&document).map_err(failed)
}
