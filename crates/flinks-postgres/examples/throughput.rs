//! Compares the store with plain statements and with the Redis store.
//!
//! The program starts a PostgreSQL server and, if Redis is installed, a Redis server, both configured
//! as in production: PostgreSQL with its defaults, and Redis with `appendfsync everysec`. It
//! compares store calls with plain statements for values of the same size. Then it fills the table
//! and measures the table's size on disk, the `due` method and a keep-alive worker.
//!
//! `cargo run --release -p flinks-postgres --example throughput -- 1000000 20000` fills the table with
//! 1 000 000 consents, of which one worker refreshes 20 000.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // a terminal program

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::store::{DueWindow, MemoryStore, Record, TokenStore};
use flinks_consents::{ConsentId, Consents, KeepAlive};
use flinks_postgres::{EncryptionKeys, Key, PostgresStore};
use flinks_redis::RedisStore;
use support::{Flinks, Server};
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The number of connections in each pool, and the number of concurrent callers.
const CONNECTIONS: usize = 10;
/// The number of calls in one round.
const CALLS: usize = 5_000;
/// The number of rounds. Each round measures all kinds of calls in turn. For each kind, only the
/// best round counts, because other programs may slow down the rest.
const ROUNDS: usize = 5;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let total = arguments.next().map_or(Ok(100_000), |count| count.parse())?;
    let due = arguments.next().map_or(Ok(5_000), |count| count.parse())?;
    let server = Server::start(&["fsync=on", "full_page_writes=on", "max_wal_size=4GB", "shared_buffers=512MB"]);
    let database = server.create_database();
    let builder = PostgresStore::builder(server.url(&database), encryption_keys());
    let store = builder.timeout(Duration::from_secs(120)).max_connections(CONNECTIONS).build()?;
    store.migrate().await?;
    let redis = Redis::start()?;
    for callers in [1, CONNECTIONS] {
        measure_calls(&server.url(&database), &store, redis.as_ref().map(|redis| redis.store.clone()), callers).await?;
    }
    fill(&server, &database, total).await?;
    measure_table(&server, &database, &store, due).await
}

fn encryption_keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

/// A `redis-server` process.
struct Redis {
    child: Child,
    store: RedisStore,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// Starts a server. Returns `None` if `redis-server` is not installed.
    fn start() -> Outcome<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let port = support::server::free_port();
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--save",
            "",
            "--dir",
        ]);
        let Ok(child) = command.arg(folder.path()).stdout(Stdio::null()).spawn() else { return Ok(None) };
        let address = format!("redis://127.0.0.1:{port}");
        let store = RedisStore::builder(address, encryption_keys()).timeout(Duration::from_secs(10)).build()?;
        Ok(Some(Self { child, store, _folder: folder }))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures store calls and plain statements, and prints the results as a table.
async fn measure_calls(url: &str, store: &PostgresStore, redis: Option<RedisStore>, callers: usize) -> Outcome<()> {
    // The Redis store keeps the consents from the previous measurement, so the ids must differ.
    let records: Vec<Record> = new_records(callers, &format!("user-of-{callers}")).await?;
    for record in &records {
        store.compare_and_swap(None, record).await?;
        if let Some(redis) = &redis {
            while redis.compare_and_swap(None, record).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }
    let mut clients = Vec::new();
    for _ in 0..callers {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        clients.push(Arc::new(client));
    }
    let names: Vec<Vec<u8>> =
        records.iter().map(|record| encryption_keys().hidden_name(record.id()).to_bytes().to_vec()).collect();
    let value = encryption_keys().seal(&records[0], "flinks/plain")?;
    clients[0].batch_execute("CREATE TABLE IF NOT EXISTS plain (name bytea PRIMARY KEY, value bytea NOT NULL)").await?;
    for name in &names {
        let sql = "INSERT INTO plain (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        clients[0].execute_typed(sql, &[(name, Type::BYTEA), (&value, Type::BYTEA)]).await?;
    }
    let mut best = [Measured::default(); 6];
    for _ in 0..ROUNDS {
        let (plain, names_of_plain) = (clients.clone(), names.clone());
        best[0].improve(
            measure(callers, move |caller| {
                let (client, name) = (Arc::clone(&plain[caller]), names_of_plain[caller].clone());
                async move {
                    let sql = "SELECT value FROM plain WHERE name = $1";
                    client.query_typed(sql, &[(&name, Type::BYTEA)]).await.is_ok()
                }
            })
            .await?,
        );
        best[1].improve(measure_load(store.clone(), &records).await?);
        if let Some(redis) = &redis {
            best[2].improve(measure_load(redis.clone(), &records).await?);
        }
        let (plain, names_of_plain, value) = (clients.clone(), names.clone(), value.clone());
        best[3].improve(
            measure(callers, move |caller| {
                let (client, name, value) = (Arc::clone(&plain[caller]), names_of_plain[caller].clone(), value.clone());
                async move {
                    let sql = "UPDATE plain SET value = $2 WHERE name = $1";
                    client.execute_typed(sql, &[(&name, Type::BYTEA), (&value, Type::BYTEA)]).await.is_ok()
                }
            })
            .await?,
        );
        best[4].improve(measure_swap(store.clone(), &records).await?);
        if let Some(redis) = &redis {
            best[5].improve(measure_swap(redis.clone(), &records).await?);
        }
    }
    println!("{callers} callers; value size: {} bytes; the best of {ROUNDS} rounds", value.len());
    println!("{:<16} {:>12} {:>10} {:>10} {:>6}", "call", "per second", "median", "p99", "ratio");
    for (index, name, plain) in [
        (0, "SELECT", 0),
        (1, "load", 0),
        (2, "load (Redis)", 0),
        (3, "UPDATE", 3),
        (4, "swap", 3),
        (5, "swap (Redis)", 3),
    ] {
        let Measured { rate, median, p99 } = best[index];
        let ratio = rate / best[plain].rate;
        println!("{name:<16} {rate:>12.0} {median:>10.1?} {p99:>10.1?} {ratio:>6.2}");
    }
    println!();
    for record in &records {
        store.remove(record.id(), record.generation()).await?;
    }
    Ok(())
}

async fn measure_load<S: TokenStore + Clone>(store: S, records: &[Record]) -> Outcome<Measured> {
    let ids: Vec<ConsentId> = records.iter().map(|record| record.id().clone()).collect();
    measure(ids.len(), move |caller| {
        let (store, id) = (store.clone(), ids[caller].clone());
        async move { store.load(&id).await.is_ok() }
    })
    .await
}

async fn measure_swap<S: TokenStore + Clone>(store: S, records: &[Record]) -> Outcome<Measured> {
    let records = records.to_vec();
    measure(records.len(), move |caller| {
        let (store, record) = (store.clone(), records[caller].clone());
        async move { store.compare_and_swap(Some(record.generation()), &record).await == Ok(true) }
    })
    .await
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

/// Measures `call`, which returns whether it succeeded. Each caller is a task.
async fn measure<F>(callers: usize, call: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> Outcome<Measured>
where
    F: Future<Output = bool> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut durations = Vec::new();
                for _ in 0..CALLS / callers {
                    let start = Instant::now();
                    assert!(call(caller).await, "a call failed");
                    durations.push(start.elapsed());
                }
                durations
            })
        })
        .collect();
    let mut durations = Vec::new();
    for task in tasks {
        durations.extend(task.await?);
    }
    let elapsed = start.elapsed();
    durations.sort();
    let percentile = |percent: usize| durations[durations.len() * percent / 100];
    let rate = f64::from(u32::try_from(durations.len())?) / elapsed.as_secs_f64();
    Ok(Measured { rate, median: percentile(50), p99: percentile(99) })
}

/// Creates records whose last refresh was a moment ago.
async fn new_records(count: usize, prefix: &str) -> Outcome<Vec<Record>> {
    let memory = MemoryStore::new();
    let flinks = Flinks::start().await;
    let consents = Consents::builder(flinks.client()).store(memory.clone()).build();
    let mut records = Vec::new();
    for number in 0..count {
        let id: ConsentId = format!("{prefix}-{number}").parse()?;
        consents.import(&id, RefreshToken::new("r".repeat(43))?, SystemTime::now()).await?;
        records.extend(memory.load(&id).await?);
    }
    Ok(records)
}

/// Fills the table with `total` consents that are not due, and prints its size.
async fn fill(server: &Server, database: &str, total: usize) -> Outcome<()> {
    let record = new_records(1, "fill").await?.remove(0);
    let value = encryption_keys().seal(&record, "flinks/fill")?;
    let value: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let start = Instant::now();
    // The values cannot be decrypted, but they have the right size. The consents' deadlines are
    // spread over the weeks in which nothing is due. Each owner has two consents.
    server.sql(
        database,
        &format!(
            "INSERT INTO flinks.consents (name, part, generation, value, deadline, owner) \
             SELECT h, get_byte(h, 0), n, '\\x{value}', \
             CAST(extract(epoch FROM now()) * 1000 AS int8) + 8 * 86400000 + (CAST(n AS int8) * 7919) % (21 * 86400000), \
             substring(sha256(CAST(CAST(n / 2 AS text) AS bytea)) FROM 1 FOR 16) \
             FROM (SELECT n, substring(sha256(CAST(CAST(n AS text) AS bytea)) FROM 17 FOR 16) AS h \
             FROM generate_series(1, {total}) AS s (n)) AS t"
        ),
    );
    server.sql(database, "VACUUM (ANALYZE) flinks.consents");
    println!("filled the table with {total} consents in {:.1?}", start.elapsed());
    let bytes = |what: &str| server.sql(database, &format!("SELECT {what}('flinks.consents')"));
    println!(
        "size on disk: {} bytes for the table, {} bytes with indexes",
        bytes("pg_table_size"),
        bytes("pg_total_relation_size")
    );
    println!(
        "indexes: {}",
        server
            .sql(
                database,
                "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relname LIKE 'consents\\_%' AND relkind = 'i'"
            )
            .replace('\n', ", ")
    );
    Ok(())
}

/// Measures `due` and one run of a keep-alive worker that refreshes `count` consents.
async fn measure_table(server: &Server, database: &str, store: &PostgresStore, count: usize) -> Outcome<()> {
    let flinks = Flinks::start().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let last_refreshed_at =
        SystemTime::now().checked_sub(DAY * 28).ok_or("the clock is too close to the Unix epoch")?;
    for number in 0..count {
        let id: ConsentId = format!("idle-{number}").parse()?;
        consents.import(&id, flinks.new_refresh_token().await, last_refreshed_at).await?;
    }
    server.sql(database, "ANALYZE flinks.consents");
    for limit in [10, 1000] {
        let window = DueWindow::new(SystemTime::now(), DAY * 7);
        let mut durations = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(store.due(window, limit).await?.len(), limit.min(count));
            durations.push(start.elapsed());
        }
        durations.sort();
        println!("due, limit {limit}: median {:.1?}, longest {:.1?}", durations[10], durations[19]);
    }
    let before = flinks.refreshes();
    let start = Instant::now();
    let worker = KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store.clone());
    let summary = worker.rate(1_000_000).max_concurrency(64).run_once().await?;
    let elapsed = start.elapsed();
    println!(
        "keep-alive: {summary}\n{elapsed:.1?}, {:.0} per second, {} requests to Flinks",
        f64::from(u32::try_from(count)?) / elapsed.as_secs_f64(),
        flinks.refreshes().saturating_sub(before)
    );
    Ok(())
}
