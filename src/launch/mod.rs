//! What is to be launched, with one meaning in every form: the form on screen, a `docker run` line, the body
//! of the engine's create call. Pure: what a launch takes from its surroundings (environment, home, working
//! directory) is handed in as [`Surroundings`].

pub mod body;
pub mod defaults;
pub mod field;
pub mod flags;
pub mod free;
pub mod from_body;
pub mod gpus;
pub mod grant;
mod line;
pub mod parse;
pub mod spec;
pub mod surroundings;
pub mod words;

pub use body::{CreateBody, create};
pub use from_body::from_inspect;
pub use gpus::{GpuAsk, GpuRequest, Which};
pub use parse::{FlagFault, Own, ParseFault, Parsed, ScanAsk};
pub use spec::{
    EnvVar, LaunchSpec, MountAsk, OtherFlag, PortAsk, PortRange, PullPolicy, Restart, Ulimit,
};
pub use surroundings::Surroundings;
