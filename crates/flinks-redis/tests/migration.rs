//! Moves consents between files and Redis while they are refreshed, and kills the migrating process
//! at random moments.
//!
//! `FLINKS_MIGRATION_CONSENTS` and `FLINKS_MIGRATION_ROUNDS` set the size of the test. The test
//! program starts the migrating processes as child processes that run the same executable.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // helpers of tests are tests too

mod support;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use flinks_consents::flinks::Settings;
use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::keep_alive::WorkLeases;
use flinks_consents::migrate::{MigratingStore, Migration};
use flinks_consents::store::{ScanRecords, TokenStore};
use flinks_consents::{ConsentId, Consents, FileStore, OwnerId, Page};
use flinks_redis::{EncryptionKeys, Key, RedisStore};
use futures_util::StreamExt as _;
use libtest_mimic::Arguments;
use support::{Flinks, Server};

/// The number of consents that are refreshed during a migration.
const ACTIVE: usize = 50;
/// The number of owners of the active consents.
const OWNERS: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [direction, folder, redis] = arguments.as_slice()
        && let Some(direction) = direction.strip_prefix("role:")
    {
        return run(migrate(direction, Path::new(folder), redis));
    }
    let tests: [(&str, fn()); 2] = [
        ("o5_killed_migration_loses_nothing_and_uses_no_token_twice", || run(killed_migrations())),
        ("o6_unreported_end_is_kept_by_a_migration", || run(unreported_ends())),
    ];
    let trials = tests.map(|(name, test)| support::trial_with_server(name, test));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// Runs a future to completion. Panics if the future takes longer than an hour.
fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(3600), work).await.unwrap() });
}

fn redis_store(address: &str, namespace: &str) -> RedisStore {
    let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
    // The timeout is long because the machine that runs the tests may be slow.
    RedisStore::builder(address, keys).namespace(namespace).timeout(Duration::from_secs(30)).build().unwrap()
}

/// Runs a migration in this process, and prints a line for each moved consent.
async fn migrate(direction: &str, folder: &Path, redis: &str) {
    let (files, redis) = (FileStore::open(folder).unwrap(), redis_store(redis, "flinks"));
    match direction {
        "to-redis" => print_moves(Migration::new(files, redis)).await,
        _ => print_moves(Migration::new(redis, files)).await,
    }
}

async fn print_moves<Old: ScanRecords, New: TokenStore>(migration: Migration<Old, New>) {
    let migration = migration.on_progress(|progress| println!("{}", progress.summary.moved));
    let summary = migration.run().await.unwrap();
    println!("complete: {}", summary.is_complete());
}

/// A process that migrates. Dropping this value kills the process.
struct Migrating(Child);

impl Migrating {
    fn start(direction: &str, folder: &Path, server: &Server) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(format!("role:{direction}")).arg(folder).arg(server.address());
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Reads the lines of the process. Kills it after `moves` moves. Returns whether the migration
    /// has completed.
    fn kill_after(mut self, moves: u64) -> bool {
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            match line.strip_prefix("complete: ") {
                Some(is_complete) => return is_complete == "true",
                None if line.parse::<u64>().unwrap() >= moves => return false,
                None => {}
            }
        }
        panic!("the migration failed");
    }
}

impl Drop for Migrating {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn killed_migrations() {
    let count = size("FLINKS_MIGRATION_CONSENTS", 1000);
    let rounds = size("FLINKS_MIGRATION_ROUNDS", 2);
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("consents");
    let (files, redis) = (FileStore::open(&folder).unwrap(), redis_store(&server.address(), "flinks"));
    let all = import_all(&files, &flinks, count).await;
    let refreshed = Arc::new(AtomicU64::new(0));
    let mut kills = 0;
    for round in 0..rounds {
        let start = Instant::now();
        let before = refreshed.load(Ordering::Relaxed);
        let direction = if round.is_multiple_of(2) { "to-redis" } else { "to-files" };
        let store: Box<dyn Fn() -> Consents> = {
            let (files, redis, client) = (files.clone(), redis.clone(), flinks.client());
            if round.is_multiple_of(2) {
                Box::new(move || consents(&client, MigratingStore::new(files.clone(), redis.clone())))
            } else {
                Box::new(move || consents(&client, MigratingStore::new(redis.clone(), files.clone())))
            }
        };
        let stop = Arc::new(AtomicBool::new(false));
        // Each of the two represents a process of the application.
        let load: Vec<_> =
            (0..2).map(|_| tokio::spawn(refresh_all(store(), Arc::clone(&stop), Arc::clone(&refreshed)))).collect();
        let mut is_complete = false;
        while !is_complete {
            let (folder, address) = (folder.clone(), &server);
            let moves = fastrand::u64(..u64::try_from(count).unwrap() / 2);
            let migrating = Migrating::start(direction, &folder, address);
            is_complete = tokio::task::spawn_blocking(move || migrating.kill_after(moves)).await.unwrap();
            kills += u32::from(!is_complete);
        }
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.unwrap();
        }
        let (left, moved) = if round.is_multiple_of(2) {
            (ids(&files).await, ids(&redis).await)
        } else {
            (ids(&redis).await, ids(&files).await)
        };
        assert!(left.is_empty(), "{} consents are still in the old store", left.len());
        assert_eq!(moved.len(), all.len());
        assert!(moved == all, "a consent is missing");
        let refreshes = refreshed.load(Ordering::Relaxed) - before;
        println!("round {round}: {direction} in {:?}, {kills} kills so far, {refreshes} refreshes", start.elapsed());
    }
    assert!(kills > 0);
    // Each active consent still has its newest refresh token.
    let last =
        if rounds.is_multiple_of(2) { consents(&flinks.client(), files) } else { consents(&flinks.client(), redis) };
    for number in 0..ACTIVE {
        last.consent(&id(number)).refresh_now().await.unwrap();
    }
    let owned = last.list(&"owner-0".parse::<OwnerId>().unwrap(), &Page::first(count)).await.unwrap();
    assert_eq!(owned.len(), ACTIVE / OWNERS);
}

fn consents<S: WorkLeases>(client: &flinks_consents::flinks::outbound::Client, store: S) -> Consents {
    Consents::builder(client.clone()).store(store).store_timeout(Duration::from_secs(60)).build()
}

fn id(number: usize) -> ConsentId {
    format!("user-{number}").parse().unwrap()
}

/// Imports the consents. Only the first [`ACTIVE`] can be refreshed.
async fn import_all(files: &FileStore, flinks: &Flinks, count: usize) -> HashSet<ConsentId> {
    let consents = consents(&support::client_of(flinks.address(), &Settings::new()), files.clone());
    let import = |number: usize| {
        let consents = consents.clone();
        async move {
            let now = SystemTime::now();
            if number < ACTIVE {
                let owner: OwnerId = format!("owner-{}", number % OWNERS).parse().unwrap();
                let consent = consents.new_consent(&id(number)).owner(owner);
                consent.import(flinks.new_refresh_token().await, now).await.unwrap();
            } else {
                consents.import(&id(number), RefreshToken::new("never-sent").unwrap(), now).await.unwrap();
            }
            id(number)
        }
    };
    futures_util::stream::iter(0..count).map(import).buffer_unordered(16).collect().await
}

/// Refreshes the active consents until `stop` is set. No refresh is refused, because no refresh
/// token is used twice.
async fn refresh_all(consents: Consents, stop: Arc<AtomicBool>, refreshed: Arc<AtomicU64>) {
    let work = futures_util::stream::iter(0..ACTIVE).map(|number| {
        let (consents, stop, refreshed) = (consents.clone(), &stop, &refreshed);
        async move {
            while !stop.load(Ordering::Relaxed) {
                consents.consent(&id(number)).refresh_now().await.unwrap();
                refreshed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    work.buffer_unordered(4).collect::<Vec<()>>().await;
}

/// Scans a store and returns the ids of its consents.
async fn ids<S: ScanRecords>(store: &S) -> HashSet<ConsentId> {
    let mut ids = HashSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store.scan(cursor.as_deref(), 1000).await.unwrap();
        assert_eq!(page.unreadable, 0);
        ids.extend(page.records.iter().map(|record| record.id().clone()));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// Moves ended consents between two namespaces. An end that was not reported before the migration is
/// still unreported, and one that was reported is not reported again.
async fn unreported_ends() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let (old, new) = (redis_store(&server.address(), "old"), redis_store(&server.address(), "new"));
    let client = flinks.client();
    let before = consents(&client, old.clone());
    let end = async |id: &str| {
        let id: ConsentId = id.parse().unwrap();
        before.import(&id, RefreshToken::new("unknown").unwrap(), SystemTime::now()).await.unwrap();
        assert!(before.consent(&id).access_token().await.unwrap_err().needs_consent());
    };
    end("reported").await;
    assert_eq!(reports(&before, &old).await, ["reported"]);
    end("unreported").await;
    before.import(&"active".parse().unwrap(), flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let summary = Migration::new(old.clone(), new.clone()).run().await.unwrap();
    assert_eq!(summary.moved, 3);
    assert!(summary.is_complete());
    let after = consents(&client, new.clone());
    assert_eq!(reports(&after, &new).await, ["unreported"]);
    assert_eq!(reports(&after, &new).await, [""; 0]);
    after.consent(&"active".parse().unwrap()).refresh_now().await.unwrap();
}

/// Runs a keep-alive worker and returns the ids that it reports as ended.
async fn reports(consents: &Consents, store: &RedisStore) -> Vec<String> {
    let reports = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&reports);
    let worker = flinks_redis::KeepAlive::new(consents.clone(), store.clone());
    worker.on_ended(move |id| log.lock().unwrap().push(id.to_string())).run_once().await.unwrap();
    reports.lock().unwrap().clone()
}
