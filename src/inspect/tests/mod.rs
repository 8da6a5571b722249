//! What is read from archives: whole ones, layered ones, hostile ones.

pub(crate) mod samples;

mod archives;
mod bounds;
mod properties;
mod walks;
