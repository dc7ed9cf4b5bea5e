//! Keeps the consents on Redis alive: one run, with a progress bar and a summary. Start it every hour,
//! on as many machines as you like.
//!
//! It reads the variables `FLINKS_OUTBOUND_URL`, `FLINKS_OUTBOUND_CLIENT_ID`,
//! `FLINKS_OUTBOUND_CLIENT_SECRET`, `FLINKS_REDIS_URL`, `FLINKS_REDIS_NAME_KEY` and
//! `FLINKS_REDIS_KEYS`, and optionally `FLINKS_KEEP_ALIVE_RATE`, in refreshes per second. The README of
//! flinks-redis describes them. The exit code is 1 if a consent was not refreshed or cannot be read.

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
    // For `rediss://`.
    flinks_redis::install_default_crypto_provider();
    // The log names records that cannot be read, and the reasons of failures.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    match run().await {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::from(u8::from(summary.failed > 0 || summary.unreadable > 0 || summary.unstored.is_some()))
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

    // The bar is shown on a terminal only.
    let bar = ProgressBar::new(0);
    let shown = bar.clone();
    let consents = Consents::builder(client).store(store.clone()).build();
    let mut worker = KeepAlive::new(consents.clone(), store)
        .on_needs_consent(move |id| println!("needs its end user: {}", id.as_str()))
        .on_progress(move |progress| {
            shown.set_length(progress.due);
            shown.set_position(progress.examined);
        });
    let rate = std::env::var("FLINKS_KEEP_ALIVE_RATE").ok();
    if let Some(rate) = rate {
        worker = worker.rate(rate.parse().map_err(|_| "FLINKS_KEEP_ALIVE_RATE is not a number")?);
    }
    let summary = worker.run_once().await;
    bar.finish_and_clear();
    // A run that failed may have left refreshes under way.
    if let Err(unfinished) = consents.shutdown(Duration::from_secs(45)).await {
        eprintln!("{unfinished}");
    }
    Ok(summary?)
}
