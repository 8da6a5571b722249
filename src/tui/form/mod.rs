//! The launch form: fields in docker's flag syntax, the plan of what would happen, and the way from there
//! to a running container.
//!
//! A key's way: [`act`] changes the [`Form`], a rested change asks for a plan ([`flow`]), the plan's answer
//! stands beside the fields ([`view`]). A start goes on step by step as outcomes come: plan, pull, look
//! inside, question, start.

pub(crate) mod act;
pub(crate) mod after;
pub(crate) mod complete;
pub(crate) mod fields;
pub(crate) mod flow;
pub(crate) mod gpus;
pub(crate) mod line;
pub(crate) mod open;
mod progress;
pub(crate) mod state;
mod syntax;
pub(crate) mod text;
pub(crate) mod view;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod tests;

pub use complete::complete;
pub(crate) use state::Form;
