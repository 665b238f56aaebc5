//! The `hawk` program.
fn main() {}
