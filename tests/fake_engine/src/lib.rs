//! A Docker API server of ours for the tests.
//!
//! It serves whatever a [`Backend`] answers ([`Script`] has containers of its own; the tests put the simulated
//! host behind it) over a Unix socket or loopback TCP, and does on demand what a real engine does not: cut an
//! answer in the middle of a frame, hang, talk nonsense, refuse an API version, reset the connection. HTTP is
//! written by hand: only so can each of its bytes be wrong. A thread a connection; nothing runs after
//! [`FakeEngine`] is dropped.

mod answer;
mod fault;
mod http;
mod route;
mod script;
mod server;

pub use fault::{Fault, Faults};
pub use http::{Reply, Request, Source, Step};
pub use route::{Action, Route, route};
pub use script::{Boxed, LogKind, Script, id_of};
pub use server::FakeEngine;

use std::sync::Arc;

/// What answers requests.
pub trait Backend: Send + Sync + 'static {
    /// The answer to one request.
    fn reply(&self, request: &Request) -> Reply;
}

impl<B: Backend> Backend for Arc<B> {
    fn reply(&self, request: &Request) -> Reply {
        (**self).reply(request)
    }
}

/// The frame of the logs and attach endpoints: stream (1 stdout, 2 stderr), three zeroes, length.
pub fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![stream, 0, 0, 0];
    bytes.extend(
        u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    bytes.extend(payload);
    bytes
}
