//! The page of the server: its files are inside the program.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::api::state::Service;

/// Nothing is loaded from elsewhere, and nothing is run that is not in the page's own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct PageFile {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const FILES: [PageFile; 4] = [
    PageFile { path: "/", kind: "text/html; charset=utf-8", text: include_str!("page/index.html") },
    PageFile { path: "/page/style.css", kind: "text/css; charset=utf-8", text: include_str!("page/style.css") },
    PageFile { path: "/page/app.js", kind: "text/javascript; charset=utf-8", text: include_str!("page/app.js") },
    PageFile { path: "/page/icon.svg", kind: "image/svg+xml", text: include_str!("page/icon.svg") },
];

/// The paths of the page's files.
pub(crate) fn routes() -> Router<Arc<Service>> {
    FILES.iter().fold(Router::new(), |router, file| router.route(file.path, get(async || answer(file))))
}

fn answer(file: &PageFile) -> Response {
    let policy = ("content-security-policy", HeaderValue::from_static(POLICY));
    let kind = (CONTENT_TYPE.as_str(), HeaderValue::from_static(file.kind));
    ([kind, policy], file.text).into_response()
}
