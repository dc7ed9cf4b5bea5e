//! Measures, for different numbers of consents in each store, how long a keep-alive run takes if
//! all consents are due, and how long it takes to list the due consents if none is due.

use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_bench::report::Case;
use flinks_consents::keep_alive::WorkLeases;
use flinks_consents::store::DueWindow;
use flinks_consents::{Consents, FileStore, KeepAlive, MemoryStore};
use flinks_redis::{EncryptionKeys, Key, RedisStore};
use tokio::runtime::{Builder, Runtime};

use crate::redis_server::RedisServer;
use crate::{Bench, server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The number of refreshes that run at the same time, and the number of tasks that fill a store.
const CONCURRENCY: usize = 16;
/// The time to wait before measuring a file store. If a file was changed less than two seconds
/// before the store read it, the store reads the file again when it next lists the due consents.
const FILES_SETTLE: Duration = Duration::from_millis(2500);

const RUN: &str = "Keep-alive run";
const LIST: &str = "Time to list the due consents, none of which is due";

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (_server, url) = server::Child::start()?;
    let url = url.as_str();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let few: &[usize] = if bench.quick { &[20, 80] } else { &[100, 1000, 10_000] };
    let many: &[usize] = if bench.quick { &[20, 80] } else { &[100, 1000, 10_000, 100_000] };
    for &size in many {
        let run = || keep_alive_run(&runtime, MemoryStore::new(), size, url);
        add_runs(bench, "flinks: MemoryStore", size, run)?;
        list(bench, &runtime, "flinks: MemoryStore", &MemoryStore::new(), size, url)?;
    }
    for &size in few {
        let run = || {
            let directory = tempfile::tempdir()?;
            keep_alive_run(&runtime, FileStore::open(directory.path())?, size, url)
        };
        add_runs(bench, "flinks: FileStore", size, run)?;
    }
    for &size in many {
        let directory = tempfile::tempdir()?;
        let store = FileStore::open(directory.path())?;
        fill(&runtime, &consents(store.clone(), url)?, size, SystemTime::now())?;
        std::thread::sleep(FILES_SETTLE);
        let elapsed = time_of_list(&runtime, &store)?;
        let case = Case::sized(LIST, "consents", size, "ms");
        bench.run.add(case, "flinks: FileStore, first list of the process", vec![elapsed]);
        list(bench, &runtime, "flinks: FileStore", &store, size, url)?;
    }
    if !RedisServer::is_installed() {
        bench.run.note("The Redis store was not measured, because redis-server is not installed.".to_owned());
        return Ok(());
    }
    for &size in many {
        let run = || {
            let server = RedisServer::start()?;
            keep_alive_run(&runtime, redis(&server)?, size, url)
        };
        add_runs(bench, "flinks: RedisStore", size, run)?;
        let server = RedisServer::start()?;
        list(bench, &runtime, "flinks: RedisStore", &redis(&server)?, size, url)?;
    }
    Ok(())
}

/// Records the times for several runs of the keep-alive worker, or for one run if the store is
/// large.
fn add_runs(bench: &mut Bench, name: &str, size: usize, run: impl Fn() -> anyhow::Result<f64>) -> anyhow::Result<()> {
    let rounds = if bench.quick || size > 1000 { 1 } else { 5 };
    let times = (0..rounds).map(|_| run()).collect::<Result<_, _>>()?;
    bench.run.add(Case::sized(RUN, "due consents", size, "s"), name, times);
    Ok(())
}

/// Runs the keep-alive worker once on a store with `size` due consents. Returns the time in
/// seconds.
fn keep_alive_run(runtime: &Runtime, store: impl WorkLeases + Clone, size: usize, url: &str) -> anyhow::Result<f64> {
    let consents = consents(store.clone(), url)?;
    fill(runtime, &consents, size, SystemTime::now() - 25 * DAY)?;
    // The rate is unlimited in practice.
    let worker = KeepAlive::new(consents, store).rate(u32::MAX).max_concurrency(CONCURRENCY);
    let began = Instant::now();
    let summary = runtime.block_on(worker.run_once())?;
    let elapsed = began.elapsed().as_secs_f64();
    ensure!(summary.refreshed == size as u64, "the run did not refresh {size} consents: {summary}");
    Ok(elapsed)
}

/// Fills the store if it is empty, and measures how long it takes to list the due consents.
fn list(
    bench: &mut Bench,
    runtime: &Runtime,
    name: &str,
    store: &(impl WorkLeases + Clone),
    size: usize,
    url: &str,
) -> anyhow::Result<()> {
    let is_empty = runtime.block_on(consents(store.clone(), url)?.consent(&id(0)?).status()).is_err();
    if is_empty {
        fill(runtime, &consents(store.clone(), url)?, size, SystemTime::now())?;
    }
    let rounds = if bench.quick { 2 } else { 9 };
    let times = (0..rounds).map(|_| time_of_list(runtime, store)).collect::<Result<_, _>>()?;
    bench.run.add(Case::sized(LIST, "consents", size, "ms"), name, times);
    Ok(())
}

/// Lists the due consents in all shards, as a keep-alive run does. Returns the time in
/// milliseconds.
fn time_of_list(runtime: &Runtime, store: &impl WorkLeases) -> anyhow::Result<f64> {
    let window = DueWindow::new(SystemTime::now(), 7 * DAY);
    let began = Instant::now();
    runtime.block_on(async {
        for shard in 0..store.shards() {
            let due = store.due_in(shard, window, 1000).await?;
            ensure!(due.is_empty(), "a new consent is due");
        }
        Ok(())
    })?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Imports consents that were last refreshed at `refreshed_at`.
fn fill(runtime: &Runtime, consents: &Consents, size: usize, refreshed_at: SystemTime) -> anyhow::Result<()> {
    let import = |first: usize| {
        let consents = consents.clone();
        async move {
            for index in (first..size).step_by(CONCURRENCY) {
                let refresh_token = RefreshToken::new(format!("refresh-token-{index}"))?;
                let _ = consents.import(&id(index)?, refresh_token, refreshed_at).await?;
            }
            anyhow::Ok(())
        }
    };
    let tasks: Vec<_> = (0..CONCURRENCY).map(|first| runtime.spawn(import(first))).collect();
    runtime.block_on(async {
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

fn consents(store: impl WorkLeases, url: &str) -> anyhow::Result<Consents> {
    // On a busy machine, listing many files for the first time takes longer than the default
    // timeout.
    Ok(Consents::builder(client(url)?).store(store).store_timeout(Duration::from_secs(60)).build())
}

/// Creates a client for the benchmark server.
pub fn client(url: &str) -> anyhow::Result<Client> {
    let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
    Ok(Client::builder(url.parse()?, authentication).build()?)
}

fn redis(server: &RedisServer) -> anyhow::Result<RedisStore> {
    let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
    Ok(RedisStore::builder(server.address(), keys).timeout(Duration::from_secs(10)).build()?)
}

fn id(index: usize) -> anyhow::Result<flinks_consents::ConsentId> {
    Ok(format!("user-{index}").parse()?)
}
