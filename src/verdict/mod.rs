//! The CUDA verdict: a pure function from facts of an image and of a host to what will happen.

pub mod catalogue;
pub mod effective;
pub mod facts;
pub mod finding;
pub mod need;
pub mod require;
pub mod version;

pub use catalogue::Catalogue;
pub use version::Version;
