//! Measures how the cost grows with the number of consents, waiters, threads and due consents and
//! with the size of a document.

mod consents;
mod documents;
mod stores;
mod threads;
mod waiters;

use crate::Bench;

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    consents::run(bench)?;
    waiters::run(bench)?;
    threads::run(bench)?;
    stores::run(bench)?;
    documents::run(bench)
}
