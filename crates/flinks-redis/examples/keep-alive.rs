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
use flinks_consents::flinks::outbound::{Client, ClientCredentials};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore, Summary};
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
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set, or is not text"));
    let credentials =
        ClientCredentials::new(&variable("FLINKS_OUTBOUND_CLIENT_ID")?, variable("FLINKS_OUTBOUND_CLIENT_SECRET")?)?;
    let client = Client::builder(variable("FLINKS_OUTBOUND_URL")?.parse()?, credentials).build()?;
    let keys = keys(&variable("FLINKS_REDIS_NAME_KEY")?, &variable("FLINKS_REDIS_KEYS")?)?;
    let store = RedisStore::builder(variable("FLINKS_REDIS_URL")?, keys).build()?;
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
    if let Ok(rate) = variable("FLINKS_KEEP_ALIVE_RATE") {
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

/// Parses encryption keys with their ids, such as `2:BASE64,1:BASE64`, the newest first.
fn keys(names: &str, values: &str) -> Result<EncryptionKeys, Box<dyn Error>> {
    let names = Key::from_base64(names).map_err(|error| format!("FLINKS_REDIS_NAME_KEY: {error}"))?;
    let mut values = values.split(',').map(|entry| {
        let (id, key) = entry.split_once(':').ok_or("FLINKS_REDIS_KEYS: a key has no id, as in 1:BASE64")?;
        let id = id.trim().parse().map_err(|_| "FLINKS_REDIS_KEYS: the id of a key is not a number")?;
        let key = Key::from_base64(key).map_err(|error| format!("FLINKS_REDIS_KEYS: {error}"))?;
        Ok::<_, Box<dyn Error>>((id, key))
    });
    let (id, newest) = values.next().ok_or("FLINKS_REDIS_KEYS is empty")??;
    values.try_fold(EncryptionKeys::new(names, id, newest), |keys, older| {
        let (id, key) = older?;
        Ok(keys.with_decryption_key(id, key)?)
    })
}
