//! The benchmark report: the figures, their tables and plots, and the README.

#![allow(clippy::disallowed_methods)] // the benchmarks do not write consent files

pub mod callgrind;
pub mod claims;
pub mod fit;
pub mod number;
pub mod plot;
pub mod readme;
pub mod report;
pub mod table;
pub mod versions;
