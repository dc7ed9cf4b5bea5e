//! What the store costs beside plain `GET` and `SET` of values of the same size, on a `redis-server` of its own; and how fast
//! one worker keeps consents alive against the emulator.
//!
//! `cargo run --release -p flinks-redis --example throughput -- 20000`: the number is that of the consents.

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

/// How often each thing is done.
const TIMES: usize = 20_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let count = std::env::args().nth(1).map_or(Ok(20_000), |count| count.parse())?;
    let server = Server::start(&[]);
    let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
    let store = RedisStore::builder(server.address(), keys).timeout(Duration::from_secs(10)).build()?;
    costs(&server, &store).await?;
    keep_alive(&store, count).await
}

async fn costs(server: &Server, store: &RedisStore) -> Outcome<()> {
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let id: ConsentId = "user-7".parse()?;
    consents.import(&id, RefreshToken::new("r".repeat(43))?, SystemTime::now()).await?;
    let record = store.load(&id).await?.ok_or("no record")?;
    let connection = redis::Client::open(server.address())?.get_multiplexed_async_connection().await?;
    let key: Vec<String> =
        redis::cmd("KEYS").arg("*:*:????????????????????????????????").query_async(&mut connection.clone()).await?;
    let value: Vec<u8> = redis::cmd("GET").arg(key.first()).query_async(&mut connection.clone()).await?;
    println!("a value has {} bytes\n", value.len());
    println!("{:<10} {:>8} {:>12} {:>10} {:>10} {:>8}", "call", "at once", "per second", "median", "p99", "ratio");
    for at_once in [1, 64] {
        let plain_get = measure("GET", at_once, None, || async {
            redis::cmd("GET").arg("plain").exec_async(&mut connection.clone()).await.is_ok()
        });
        let plain_get = plain_get.await;
        measure("load", at_once, Some(plain_get), || async { store.load(&id).await.is_ok() }).await;
        let plain_set = measure("SET", at_once, None, || async {
            redis::cmd("SET").arg("plain").arg(&value).exec_async(&mut connection.clone()).await.is_ok()
        });
        let plain_set = plain_set.await;
        let swap =
            || async { store.compare_and_swap(Some(record.generation()), &record).await.is_ok_and(|swapped| swapped) };
        measure("swap", at_once, Some(plain_set), swap).await;
    }
    Ok(())
}

/// Calls a second, which are printed, with what they are of those of a peer.
async fn measure<F: Future<Output = bool>>(name: &str, at_once: usize, peer: Option<f64>, call: impl Fn() -> F) -> f64 {
    let start = Instant::now();
    let timed = || async {
        let start = Instant::now();
        assert!(call().await, "{name} failed");
        start.elapsed()
    };
    let mut took: Vec<Duration> =
        futures_util::stream::iter(0..TIMES).map(|_| timed()).buffer_unordered(at_once).collect().await;
    let rate = f64::from(u32::try_from(TIMES).unwrap_or(u32::MAX)) / start.elapsed().as_secs_f64();
    took.sort();
    let at = |part: usize| took.get(TIMES * part / 100).copied().unwrap_or_default();
    let ratio = peer.map_or_else(String::new, |peer| format!("{:.2}", rate / peer));
    println!("{name:<10} {at_once:>8} {rate:>12.0} {:>10.1?} {:>10.1?} {ratio:>8}", at(50), at(99));
    rate
}

async fn keep_alive(store: &RedisStore, count: usize) -> Outcome<()> {
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let last_refreshed_at =
        SystemTime::now().checked_sub(Duration::from_secs(28 * 24 * 60 * 60)).ok_or("no such time")?;
    for number in 0..count {
        let id: ConsentId = format!("idle-{number}").parse()?;
        consents.import(&id, flinks.new_refresh_token().await, last_refreshed_at).await?;
    }
    let before = (flinks.refreshes(), memory());
    let start = Instant::now();
    let worker = KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store.clone());
    let summary = worker.rate(1_000_000).max_concurrency(64).run_once().await?;
    let took = start.elapsed();
    let requests = flinks.refreshes().saturating_sub(before.0);
    println!("\nkeep-alive of {count} consents: {summary}");
    println!(
        "{took:.1?}, {:.0} a second, {requests} requests to Flinks; memory {} MB before, {} MB after (with the emulator)",
        f64::from(u32::try_from(count)?) / took.as_secs_f64(),
        before.1,
        memory()
    );
    Ok(())
}

/// The resident memory of this process, in megabytes; 0 where nobody tells.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes / 1024)
}
