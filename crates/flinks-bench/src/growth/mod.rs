//! Measures how the cost grows with the number of consents, waiters, threads and due consents, and
//! with the size of a document.

pub mod consents;
pub mod documents;
pub mod stores;
pub mod threads;
pub mod waiters;
