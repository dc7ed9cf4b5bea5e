//! Benchmarks the store and a keep-alive worker.
//!
//! The program starts a `redis-server` and compares store calls with plain `GET` and `SET` commands
//! for values of the same size. Then the program measures how fast one worker refreshes consents
//! against the emulator.
//!
//! `cargo run --release -p flinks-redis --example throughput -- 20000` refreshes 20 000 consents.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // a terminal program

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};
use futures_util::StreamExt as _;
use support::Server;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The number of calls in each measurement.
const CALLS: usize = 20_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let count = std::env::args().nth(1).map_or(Ok(20_000), |count| count.parse())?;
    let server = Server::start(&[]);
    let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
    let store = RedisStore::builder(server.address(), keys).timeout(Duration::from_secs(10)).build()?;
    measure_calls(&server, &store).await?;
    measure_keep_alive(&store, count).await
}

/// Measures store calls and plain Redis commands, and prints the results as a table.
async fn measure_calls(server: &Server, store: &RedisStore) -> Outcome<()> {
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let id: ConsentId = "user-7".parse()?;
    consents.import(&id, RefreshToken::new("r".repeat(43))?, SystemTime::now()).await?;
    let record = store.load(&id).await?.ok_or("the consent was not stored")?;
    let connection = redis::Client::open(server.address())?.get_multiplexed_async_connection().await?;
    let key: Vec<String> =
        redis::cmd("KEYS").arg("*:*:????????????????????????????????").query_async(&mut connection.clone()).await?;
    let value: Vec<u8> = redis::cmd("GET").arg(key.first()).query_async(&mut connection.clone()).await?;
    println!("value size: {} bytes\n", value.len());
    println!("{:<10} {:>8} {:>12} {:>10} {:>10} {:>8}", "call", "parallel", "per second", "median", "p99", "ratio");
    for concurrency in [1, 64] {
        let plain_get = measure("GET", concurrency, None, || async {
            redis::cmd("GET").arg("plain").exec_async(&mut connection.clone()).await.is_ok()
        });
        let plain_get = plain_get.await;
        measure("load", concurrency, Some(plain_get), || async { store.load(&id).await.is_ok() }).await;
        let plain_set = measure("SET", concurrency, None, || async {
            redis::cmd("SET").arg("plain").arg(&value).exec_async(&mut connection.clone()).await.is_ok()
        });
        let plain_set = plain_set.await;
        let swap =
            || async { store.compare_and_swap(Some(record.generation()), &record).await.is_ok_and(|swapped| swapped) };
        measure("swap", concurrency, Some(plain_set), swap).await;
    }
    Ok(())
}

/// Measures a call, prints the results and returns the number of calls per second. `baseline` is
/// the rate of the plain command that the call is compared with, in calls per second.
async fn measure<F: Future<Output = bool>>(
    name: &str,
    concurrency: usize,
    baseline: Option<f64>,
    call: impl Fn() -> F,
) -> f64 {
    let start = Instant::now();
    let timed = || async {
        let start = Instant::now();
        assert!(call().await, "{name} failed");
        start.elapsed()
    };
    let mut durations: Vec<Duration> =
        futures_util::stream::iter(0..CALLS).map(|_| timed()).buffer_unordered(concurrency).collect().await;
    let rate = f64::from(u32::try_from(CALLS).unwrap_or(u32::MAX)) / start.elapsed().as_secs_f64();
    durations.sort();
    let percentile = |percent: usize| durations.get(CALLS * percent / 100).copied().unwrap_or_default();
    let ratio = baseline.map_or_else(String::new, |baseline| format!("{:.2}", rate / baseline));
    println!("{name:<10} {concurrency:>8} {rate:>12.0} {:>10.1?} {:>10.1?} {ratio:>8}", percentile(50), percentile(99));
    rate
}

/// Measures one run of a keep-alive worker that refreshes `count` consents.
async fn measure_keep_alive(store: &RedisStore, count: usize) -> Outcome<()> {
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let last_refreshed_at = SystemTime::now()
        .checked_sub(Duration::from_secs(28 * 24 * 60 * 60))
        .ok_or("the clock is too close to the Unix epoch")?;
    for number in 0..count {
        let id: ConsentId = format!("idle-{number}").parse()?;
        consents.import(&id, flinks.new_refresh_token().await, last_refreshed_at).await?;
    }
    let refreshes_before = flinks.refreshes();
    let memory_before = memory();
    let start = Instant::now();
    let worker = KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store.clone());
    let summary = worker.rate(1_000_000).max_concurrency(64).run_once().await?;
    let elapsed = start.elapsed();
    let requests = flinks.refreshes().saturating_sub(refreshes_before);
    println!("\nkeep-alive run for {count} consents: {summary}");
    println!(
        "{elapsed:.1?}, {:.0} per second, {requests} requests to Flinks; memory including the emulator: {memory_before} MB before, {} MB after",
        f64::from(u32::try_from(count)?) / elapsed.as_secs_f64(),
        memory()
    );
    Ok(())
}

/// Returns the resident memory of this process in megabytes, or 0 if the system does not report it.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes / 1024)
}
