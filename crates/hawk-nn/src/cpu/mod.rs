//! The transformer on CPUs: it runs any tree of rows of several streams in one pass.

pub(crate) mod attention;
pub(crate) mod backend;
pub(crate) mod id;
pub(crate) mod kv;
pub(crate) mod observe;
pub(crate) mod output;
pub(crate) mod packed;
pub(crate) mod parts;
pub(crate) mod pass;
pub(crate) mod passes;
pub(crate) mod rankers;
pub(crate) mod ranking;
pub(crate) mod staged;
pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod workspace;
