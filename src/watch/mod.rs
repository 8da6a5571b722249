//! Starts the sources, folds their news into one [`World`]: what the dashboard, `ps`, `gpus`, the
//! recorder and the doctor all read.

mod charts;
mod io;
mod start;
mod world;

pub use charts::{ContainerChart, GpuChart, Series};
pub use io::IoThread;
pub use start::{Control, Watch, WatchConfig};
pub use world::{Changes, Locality, Rates, Row, World};
