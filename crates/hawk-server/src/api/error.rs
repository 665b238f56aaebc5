//! Errors as the official service words them: an object `error`.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hawk::{Error, Fault};
use serde::Serialize;
use utoipa::ToSchema;

use crate::decode::order::Failure;
use crate::decode::scheduler::Refusal;

/// The answer to a request that fails.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    /// In words.
    message: String,
    /// `invalid_request_error`, `authentication_error`, `rate_limit_error` or `server_error`.
    r#type: &'static str,
    /// The field that is wrong.
    #[schema(required)]
    param: Option<String>,
    /// A name for programs.
    #[schema(required)]
    code: Option<&'static str>,
}

/// An error with its HTTP status.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let r#type = match status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let error = ErrorObject { message: message.into(), r#type, param: None, code: Some(code) };
        Self { status, body: ErrorBody { error }, retry_after_s: None }
    }

    /// A field of the request is wrong.
    pub(crate) fn field(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, code, message);
        error.body.error.param = Some(field.to_owned());
        error
    }

    /// A value of a field is out of its range.
    pub(crate) fn range(field: &str, expected: &str, got: impl std::fmt::Display) -> Self {
        Self::field(field, "invalid_value", format!("Invalid value of '{field}': expected {expected}, got {got}."))
    }

    /// The body is no JSON object.
    pub(crate) fn no_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    }

    pub(crate) fn not_json_type() -> Self {
        let message = "The body must be JSON: send the header 'content-type: application/json'.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", message)
    }

    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("The request is too large: expected at most {most} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub(crate) fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request did not arrive in time.")
    }

    pub(crate) fn no_key() -> Self {
        let message = "No valid API key: send one in the header 'authorization: Bearer KEY'.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here. GET /openapi.json lists what there is.")
    }

    pub(crate) fn no_model(name: &str) -> Self {
        let mut error =
            Self::new(StatusCode::NOT_FOUND, "model_not_found", format!("This server has no model '{name}'."));
        error.body.error.param = Some("model".to_owned());
        error
    }

    pub(crate) fn wrong_method() -> Self {
        let message = "This path answers other methods. GET /openapi.json lists them.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(crate) fn not_ready() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The server stops and takes no more requests.")
    }

    /// The decoding thread has ended without an answer.
    pub(crate) fn no_answer() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "no_answer", "The decoding has ended without an answer.")
    }

    /// An error of the library about a field.
    pub(crate) fn library(field: &str, error: &Error) -> Self {
        match error.fault() {
            Fault::Input => Self::field(field, "invalid_value", error.to_string()),
            Fault::Environment => Self::new(StatusCode::SERVICE_UNAVAILABLE, "out_of_resources", error.to_string()),
        }
    }

    pub(crate) fn body(&self) -> &ErrorBody {
        &self.body
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full { retry_after_s } => {
                let message = format!("The queue is full. Try again in {retry_after_s} s.");
                let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
                error.retry_after_s = Some(retry_after_s);
                error
            }
            Refusal::Stopping => Self::not_ready(),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Image(error) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "image_failed", format!("The image failed: {error}"))
            }
            Failure::Deadline => {
                let message = "The request took longer than this server allows.";
                Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", message)
            }
            Failure::Stopping => Self::not_ready(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
