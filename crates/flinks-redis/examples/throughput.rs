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
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};
use futures_util::StreamExt as _;
use support::Server;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The number of calls in one round.
const CALLS: usize = 20_000;
/// The number of rounds. Each round measures all kinds of calls in turn. For each kind, only the
/// best round counts, because other programs may slow down the rest.
const ROUNDS: usize = 7;

#[tokio::main]
async fn main() -> Outcome<()> {
    let count = std::env::args().nth(1).map_or(Ok(20_000), |count| count.parse())?;
    let server = Server::start(&[]);
    let store = RedisStore::builder(server.address(), encryption_keys()).timeout(Duration::from_secs(10)).build()?;
    measure_calls(&server, &store).await?;
    measure_keep_alive(&store, count).await
}

fn encryption_keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

/// Measures store calls and plain Redis commands, and prints the results as a table.
async fn measure_calls(server: &Server, store: &RedisStore) -> Outcome<()> {
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let id: ConsentId = "user-7".parse()?;
    consents.import(&id, RefreshToken::new("r".repeat(43))?, SystemTime::now()).await?;
    let record = store.load(&id).await?.ok_or("the consent was not stored")?;
    let plain = redis::Client::open(server.address())?.get_multiplexed_async_connection().await?;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*:*:????????????????????????????????").query_async(&mut plain.clone()).await?;
    let key = keys.into_iter().next().ok_or("the consent was not stored")?;
    let value: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut plain.clone()).await?;
    redis::cmd("SET").arg("plain").arg(&value).exec_async(&mut plain.clone()).await?;
    println!("value size: {} bytes; the best of {ROUNDS} rounds\n", value.len());
    println!(
        "{:<14} {:>7} {:>6} {:>12} {:>10} {:>10} {:>6}",
        "call", "callers", "tasks", "per second", "median", "p99", "ratio"
    );
    for load in [Load { callers: 1, tasks: 1 }, Load { callers: 64, tasks: 1 }, Load { callers: 64, tasks: 64 }] {
        let mut best = [Measured::default(); 5];
        for _ in 0..ROUNDS {
            let connection = plain.clone();
            let get = load.measure(move || {
                let mut connection = connection.clone();
                async move { redis::cmd("GET").arg("plain").exec_async(&mut connection).await.is_ok() }
            });
            best[0].improve(get.await?);
            // The least work that a load must do: the command and the decryption.
            let (connection, keys, key_of_record) = (plain.clone(), Arc::new(encryption_keys()), key.clone());
            let get_and_open = load.measure(move || {
                let (mut connection, keys, key) = (connection.clone(), Arc::clone(&keys), key_of_record.clone());
                async move {
                    let value: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
                    keys.open(&value, &key).is_ok()
                }
            });
            best[1].improve(get_and_open.await?);
            let (loaded, id) = (store.clone(), id.clone());
            let load_record = load.measure(move || {
                let (store, id) = (loaded.clone(), id.clone());
                async move { store.load(&id).await.is_ok() }
            });
            best[2].improve(load_record.await?);
            let (connection, value) = (plain.clone(), value.clone());
            let set = load.measure(move || {
                let (mut connection, value) = (connection.clone(), value.clone());
                async move { redis::cmd("SET").arg("plain").arg(&value).exec_async(&mut connection).await.is_ok() }
            });
            best[3].improve(set.await?);
            let (swapped, record) = (store.clone(), record.clone());
            let swap = load.measure(move || {
                let (store, record) = (swapped.clone(), record.clone());
                async move { store.compare_and_swap(Some(record.generation()), &record).await == Ok(true) }
            });
            best[4].improve(swap.await?);
        }
        let [get, _, _, set, _] = best;
        for (name, measured, plain) in [
            ("GET", best[0], get),
            ("GET, decrypt", best[1], get),
            ("load", best[2], get),
            ("SET", best[3], set),
            ("swap", best[4], set),
        ] {
            let Load { callers, tasks } = load;
            let Measured { rate, median, p99 } = measured;
            let ratio = rate / plain.rate;
            println!("{name:<14} {callers:>7} {tasks:>6} {rate:>12.0} {median:>10.1?} {p99:>10.1?} {ratio:>6.2}");
        }
    }
    Ok(())
}

/// The number of concurrent callers, and the number of tasks that they run in. In a server, each
/// handler is a separate task.
#[derive(Clone, Copy)]
struct Load {
    callers: usize,
    tasks: usize,
}

/// The calls per second and the durations of the calls in one round.
#[derive(Clone, Copy, Default)]
struct Measured {
    rate: f64,
    median: Duration,
    p99: Duration,
}

impl Measured {
    fn improve(&mut self, other: Self) {
        if other.rate > self.rate {
            *self = other;
        }
    }
}

impl Load {
    /// Measures `call`, which returns whether it succeeded.
    async fn measure<F>(self, call: impl Fn() -> F + Clone + Send + Sync + 'static) -> Outcome<Measured>
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let Self { callers, tasks } = self;
        let start = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let call = call.clone();
                tokio::spawn(async move {
                    let timed = |_| async {
                        let start = Instant::now();
                        assert!(call().await, "a call failed");
                        start.elapsed()
                    };
                    let calls = futures_util::stream::iter(0..CALLS / tasks).map(timed);
                    calls.buffer_unordered(callers / tasks).collect::<Vec<_>>().await
                })
            })
            .collect();
        let mut durations = Vec::new();
        for task in tasks {
            durations.extend(task.await?);
        }
        let elapsed = start.elapsed();
        durations.sort();
        let percentile = |percent: usize| durations.get(durations.len() * percent / 100).copied().unwrap_or_default();
        let rate = f64::from(u32::try_from(durations.len())?) / elapsed.as_secs_f64();
        Ok(Measured { rate, median: percentile(50), p99: percentile(99) })
    }
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
