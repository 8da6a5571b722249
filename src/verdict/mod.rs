//! The CUDA verdict: a pure function from facts of an image and of a host to what will happen.

pub mod require;
pub mod version;

pub use version::Version;
