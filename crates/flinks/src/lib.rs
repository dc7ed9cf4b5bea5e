#![doc = include_str!("../README.md")]

pub use {flinks_connect as connect, flinks_outbound as outbound, flinks_pay as pay};

/// The project's README, whose code is tested like any other.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

#[doc = include_str!("../RULES.md")]
pub mod rules {}
