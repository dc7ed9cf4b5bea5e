//! Moves the consents from a directory of files to Redis, and shows a progress bar and a summary.
//!
//! Run this program with the directory as its argument. It reads the environment variables
//! `FLINKS_REDIS_URL`, `FLINKS_REDIS_NAME_KEY` and `FLINKS_REDIS_KEYS`. Before you run it, deploy
//! the application with a `MigratingStore`. The `flinks-consents` README describes the steps.
//!
//! The program can be stopped at any time and run again. The exit code is 1 if a consent could not be
//! moved or if the program itself failed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a terminal program

use std::error::Error;
use std::process::ExitCode;

use flinks_consents::FileStore;
use flinks_consents::migrate::{Migration, MigrationSummary};
use flinks_redis::RedisStoreBuilder;
use indicatif::{ProgressBar, ProgressStyle};

#[tokio::main]
async fn main() -> ExitCode {
    // Required for `rediss://`.
    flinks_redis::install_default_crypto_provider();
    // The log explains why consents could not be moved.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    match run().await {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::from(u8::from(!summary.is_complete()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<MigrationSummary, Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("expected the directory of the file store as the argument")?;
    let files = FileStore::options().must_exist().open(directory)?;
    let redis = RedisStoreBuilder::from_env()?.build()?;
    for warning in redis.warnings().await? {
        tracing::warn!("{warning}");
    }

    // The progress bar is visible only if stderr is a terminal.
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec}, {eta} left {msg}")?;
    let bar = ProgressBar::new(0).with_style(style);
    let progress_bar = bar.clone();
    let migration = Migration::new(files, redis).on_progress(move |progress| {
        progress_bar.set_length(progress.total.unwrap_or_default());
        progress_bar.set_position(progress.summary.moved);
    });
    let migration = migration.on_conflict(|id| eprintln!("both stores have a record of the consent {id}"));
    let summary = migration.run().await;
    bar.finish_and_clear();
    Ok(summary?)
}
