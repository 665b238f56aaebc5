//! The HTTP interface: requests, answers, events, errors and their document.

pub(crate) mod answer;
pub(crate) mod document;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod images;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod state;
