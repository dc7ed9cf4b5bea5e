//! Refreshes the consents in Redis that are about to idle out, and shows a progress bar and a
//! summary.
//!
//! Run this program once an hour, on any number of machines. The program reads the environment
//! variables `FLINKS_OUTBOUND_URL`, `FLINKS_OUTBOUND_CLIENT_ID`, `FLINKS_OUTBOUND_CLIENT_SECRET`,
//! `FLINKS_REDIS_URL`, `FLINKS_REDIS_NAME_KEY` and `FLINKS_REDIS_KEYS`. The optional
//! `FLINKS_KEEP_ALIVE_RATE` variable sets the number of refreshes per second. The `flinks-redis`
//! README describes these environment variables.
//!
//! The exit code is 1 if a refresh failed, if a record is unreadable or could not be stored, if the
//! run stopped early, or if the program itself failed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a terminal program

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use flinks_consents::Consents;
use flinks_consents::flinks::outbound::Client;
use flinks_redis::{KeepAlive, RedisStoreBuilder, Summary};
use indicatif::ProgressBar;

#[tokio::main]
async fn main() -> ExitCode {
    // Required for `rediss://`.
    flinks_redis::install_default_crypto_provider();
    // The log lists unreadable records and the reasons for failures.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    match run().await {
        Ok(summary) => {
            println!("{summary}");
            let is_incomplete = summary.stopped.is_some() || summary.unstored.is_some();
            ExitCode::from(u8::from(is_incomplete || summary.failed > 0 || summary.unreadable > 0))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Summary, Box<dyn Error>> {
    let client = Client::from_env()?;
    let store = RedisStoreBuilder::from_env()?.build()?;
    for warning in store.warnings().await? {
        tracing::warn!("{warning}");
    }

    // The progress bar is visible only if stderr is a terminal.
    let bar = ProgressBar::new(0);
    let progress_bar = bar.clone();
    let consents = Consents::builder(client).store(store.clone()).build();
    let mut worker = KeepAlive::new(consents.clone(), store)
        .on_ended(move |id| println!("the end user must consent again: {}", id.as_str()))
        .on_progress(move |progress| {
            progress_bar.set_length(progress.due);
            progress_bar.set_position(progress.examined);
        });
    let rate = std::env::var("FLINKS_KEEP_ALIVE_RATE").ok();
    if let Some(rate) = rate {
        worker = worker.rate(
            rate.parse()
                .map_err(|_| "invalid FLINKS_KEEP_ALIVE_RATE: expected a whole number of refreshes per second")?,
        );
    }
    let summary = worker.run_once().await;
    bar.finish_and_clear();
    // If the run failed, some refreshes may still be in flight.
    if let Err(unfinished) = consents.shutdown(Duration::from_secs(45)).await {
        eprintln!("{unfinished}");
    }
    Ok(summary?)
}
