//! The report of the benchmarks: the figures, their tables and plots, and the README.

pub mod callgrind;
pub mod claims;
pub mod fit;
pub mod number;
pub mod plot;
pub mod readme;
pub mod report;
pub mod table;
pub mod versions;
