//! A `libnvidia-ml` of ours at the C ABI, driven by a scenario file.
//!
//! The cdylib is loaded by the real nvml-wrapper. It reads its scenario from the file `<library path>.toml` where
//! there is one (so each test copies the library and has its own), else from the path in `MIDWATCH_FAKE_NVML`.
//! The file is looked at again at most every 5 ms and read again when it was replaced.
//!
//! The rlib offers [`Scenario`] with its builders to write such files.
//!
//! Differences to NVIDIA's library: a symbol that an old driver lacks cannot be taken out of this one while it
//! runs. `fail = { name = 13 }` makes it answer `FUNCTION_NOT_FOUND`; to have it really missing, a test patches
//! the name in a copy of the file (`tests/support/nvml.rs`, `without_symbols`).

mod abi;
mod device;
mod events;
mod lists;
mod scenario;
mod state;
mod system;

pub use scenario::{Gpu, Mig, Process, Sample, Scenario, Xid};
