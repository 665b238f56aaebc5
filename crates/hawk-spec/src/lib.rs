//! Pure speculative decoding.
#![forbid(unsafe_code)]
