//! The content of an image: a bounded walk over its file system, detectors, ELF and fatbinary readers.

pub mod elf;
pub mod fatbin;
pub mod tar;
