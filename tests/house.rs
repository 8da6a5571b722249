//! The house rules, checked on the sources themselves. Each checker is first shown a bad sample, so that
//! none can pass by looking at nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may panic: that is how it fails"
)]

#[path = "house/documents.rs"]
mod documents;
#[path = "house/layers.rs"]
mod layers;
#[path = "house/scan.rs"]
mod scan;
#[path = "house/shape.rs"]
mod shape;
