//! Keeps the consents on a Redis alive: one pass, with a bar and a summary. Run it every hour, on as many machines as you like.
//!
//! It asks for what the README of flinks-redis names: `FLINKS_OUTBOUND_URL`, `FLINKS_OUTBOUND_CLIENT_ID`,
//! `FLINKS_OUTBOUND_CLIENT_SECRET`, `FLINKS_REDIS_URL`, `FLINKS_REDIS_NAME_KEY` and `FLINKS_REDIS_KEY`; and, if you like,
//! `FLINKS_KEEP_ALIVE_RATE`, in exchanges a second.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a terminal program

use std::error::Error;

use flinks::outbound::{Client, ClientCredentials, Consents};
use flinks_redis::{KeepAlive, Key, Keys, RedisStore};
use indicatif::ProgressBar;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("the variable {name} is not set"));
    let credentials =
        ClientCredentials::new(&variable("FLINKS_OUTBOUND_CLIENT_ID")?, variable("FLINKS_OUTBOUND_CLIENT_SECRET")?)?;
    let client = Client::new(variable("FLINKS_OUTBOUND_URL")?.parse()?, credentials)?;
    let keys = Keys::new(
        Key::from_base64(&variable("FLINKS_REDIS_NAME_KEY")?)?,
        1,
        Key::from_base64(&variable("FLINKS_REDIS_KEY")?)?,
    );
    let store = RedisStore::builder(variable("FLINKS_REDIS_URL")?, keys).build()?;
    for warning in store.warnings().await? {
        eprintln!("warning: {warning}");
    }

    // Only on a terminal; elsewhere it is silent.
    let bar = ProgressBar::new(0);
    let shown = bar.clone();
    let mut worker = KeepAlive::new(Consents::builder(client).store(store.clone()).build(), store)
        .on_needs_consent(move |id| println!("needs its end user: {}", id.as_str()))
        .on_progress(move |progress| {
            shown.set_length(progress.due);
            shown.set_position(progress.looked_at());
        });
    if let Ok(rate) = variable("FLINKS_KEEP_ALIVE_RATE") {
        worker = worker.rate(rate.parse()?);
    }
    let summary = worker.pass().await?;
    bar.finish_and_clear();
    println!("{summary}");
    Ok(())
}
