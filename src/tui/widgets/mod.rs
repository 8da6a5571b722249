//! Small drawing parts: text that keeps its columns straight, bars, braille charts, boxes.
//!
//! They know of cells and tones, and of nothing that midwatch shows.

mod bar;
mod chart;
mod paint;

pub use bar::bar;
pub use chart::{Chart, chart};
pub use paint::{Paint, Tone, split, width};
