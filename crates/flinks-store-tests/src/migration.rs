//! Moves consents between files and a server while the consents are being refreshed, and kills the
//! migrating process at random moments.
//!
//! The test program starts the migrating processes as child processes that run the same executable.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use flinks_consents::flinks::Advice;
use flinks_consents::flinks::outbound::{Client, RefreshToken};
use flinks_consents::keep_alive::WorkLeases;
use flinks_consents::migrate::{MigratingStore, Migration};
use flinks_consents::store::{ScanRecords, TokenStore};
use flinks_consents::{ConsentId, Consents, FileStore, KeepAlive, OwnerId, Page};
use futures_util::StreamExt as _;
use libtest_mimic::Trial;

use crate::backend::Backend;
use crate::common::{block_on, open, trial_with_server};
use crate::flinks::{Flinks, emulator};

/// The number of consents that are refreshed during a migration.
const ACTIVE: usize = 50;
/// The number of owners of the active consents.
const OWNERS: usize = 10;

/// The prefix for the role of a migrating process.
const ROLE: &str = "migrate:";

/// If this process is a child of a test, runs its migration and exits. Each test program that runs
/// the [`tests`] must call this function first.
pub fn run_if_child<B: Backend>() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, folder, server] = arguments.as_slice()
        && let Some(direction) = role.strip_prefix(ROLE)
    {
        block_on(Duration::from_secs(60 * 60), migrate::<B>(direction, Path::new(folder), server));
        std::process::exit(0);
    }
}

/// Returns the tests. The environment variables `FLINKS_MIGRATION_CONSENTS` and
/// `FLINKS_MIGRATION_ROUNDS` set the size of the first test.
pub fn tests<B: Backend>() -> Vec<Trial> {
    let size =
        Size { consents: variable("FLINKS_MIGRATION_CONSENTS", 1000), rounds: variable("FLINKS_MIGRATION_ROUNDS", 2) };
    vec![
        trial_with_server::<B>("o5_killed_migration_loses_nothing_and_uses_no_token_twice", move || {
            let limit = Duration::from_secs(600).saturating_mul(size.rounds);
            block_on(limit, killed_migrations::<B>(size));
        }),
        trial_with_server::<B>("o6_unreported_end_is_kept_by_a_migration", || {
            block_on(Duration::from_secs(300), unreported_ends::<B>());
        }),
    ]
}

/// The size of a test.
#[derive(Clone, Copy)]
struct Size {
    consents: usize,
    rounds: u32,
}

fn variable<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str, default: T) -> T {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// The direction of a migration.
#[derive(Clone, Copy)]
enum Direction {
    ToServer,
    ToFiles,
}

impl Direction {
    fn of_round(round: u32) -> Self {
        if round.is_multiple_of(2) { Self::ToServer } else { Self::ToFiles }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ToServer => "to-server",
            Self::ToFiles => "to-files",
        }
    }
}

/// Runs a migration in this process, and prints a line for each moved consent.
async fn migrate<B: Backend>(direction: &str, folder: &Path, server: &str) {
    let (files, server) = (FileStore::open(folder).unwrap(), open_slow::<B>(server));
    if direction == Direction::ToServer.name() {
        print_moves(Migration::new(files, server)).await;
    } else {
        print_moves(Migration::new(server, files)).await;
    }
}

async fn print_moves<Old: ScanRecords, New: ScanRecords>(migration: Migration<Old, New>) {
    let migration = migration.on_progress(|progress| println!("{}", progress.summary.moved));
    let summary = migration.run().await.unwrap();
    println!("complete: {}", summary.is_complete());
}

/// A process that migrates. Dropping this value kills the process.
struct Migrating(Child);

impl Migrating {
    fn start<B: Backend>(direction: Direction, folder: &Path, server: &B) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(format!("{ROLE}{}", direction.name())).arg(folder).arg(server.address());
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Reads the process's output and kills the process after `moves` moves. Returns whether the
    /// migration has completed.
    fn kill_after(mut self, moves: usize) -> bool {
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            match line.strip_prefix("complete: ") {
                Some(is_complete) => return is_complete == "true",
                None if line.parse::<usize>().unwrap() >= moves => return false,
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

async fn killed_migrations<B: Backend>(size: Size) {
    let server = B::start_durable();
    let flinks = emulator().await;
    flinks.rotate_refresh_tokens();
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("consents");
    let (files, shared) = (FileStore::open(&folder).unwrap(), open_slow::<B>(&server.address()));
    let all = import_all(&files, &flinks, size.consents).await;
    let refreshed = Arc::new(AtomicU64::new(0));
    let mut kills = 0;
    for round in 0..size.rounds {
        let start = Instant::now();
        let before = refreshed.load(Ordering::Relaxed);
        let direction = Direction::of_round(round);
        let stop = Arc::new(AtomicBool::new(false));
        // Each of the two tasks represents one process of the application.
        let load: Vec<_> = (0..2)
            .map(|_| {
                let consents = match direction {
                    Direction::ToServer => {
                        consents(&flinks.client(), MigratingStore::new(files.clone(), shared.clone()))
                    }
                    Direction::ToFiles => {
                        consents(&flinks.client(), MigratingStore::new(shared.clone(), files.clone()))
                    }
                };
                tokio::spawn(refresh_all(consents, Arc::clone(&stop), Arc::clone(&refreshed)))
            })
            .collect();
        let mut is_complete = false;
        while !is_complete {
            let moves = fastrand::usize(..size.consents / 2);
            let migrating = Migrating::start(direction, &folder, &server);
            is_complete = tokio::task::spawn_blocking(move || migrating.kill_after(moves)).await.unwrap();
            kills += u32::from(!is_complete);
        }
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.unwrap();
        }
        let (in_files, on_server) = (ids(&files).await, ids(&shared).await);
        let (left, moved) = match direction {
            Direction::ToServer => (in_files, on_server),
            Direction::ToFiles => (on_server, in_files),
        };
        assert!(left.is_empty(), "{} consents are still in the old store", left.len());
        assert_eq!(moved.len(), all.len());
        assert!(moved == all, "a consent is missing");
        let refreshes = refreshed.load(Ordering::Relaxed) - before;
        let (name, duration) = (direction.name(), start.elapsed());
        println!("round {round}: {name} in {duration:?}, {kills} kills so far, {refreshes} refreshes");
    }
    assert!(kills > 0);
    // Each active consent still has its newest refresh token. The consents are now in the store that
    // a further round would move them from.
    let last = match Direction::of_round(size.rounds) {
        Direction::ToServer => consents(&flinks.client(), files),
        Direction::ToFiles => consents(&flinks.client(), shared),
    };
    for number in 0..ACTIVE {
        last.consent(&id(number)).refresh_now().await.unwrap();
    }
    let owned = last.list(&"owner-0".parse::<OwnerId>().unwrap(), &Page::first(size.consents)).await.unwrap();
    assert_eq!(owned.len(), ACTIVE / OWNERS);
}

/// Opens a store with a longer timeout than [`open`], because a scan lists many consents.
fn open_slow<B: Backend>(address: &str) -> B::Store {
    B::store(address, Duration::from_secs(30))
}

fn consents<S: TokenStore>(client: &Client, store: S) -> Consents {
    Consents::builder(client.clone()).store(store).store_timeout(Duration::from_secs(60)).build()
}

fn id(number: usize) -> ConsentId {
    format!("user-{number}").parse().unwrap()
}

/// Imports the consents. Only the first [`ACTIVE`] consents have valid refresh tokens.
async fn import_all(files: &FileStore, flinks: &Flinks, count: usize) -> HashSet<ConsentId> {
    let consents = consents(&flinks.client(), files.clone());
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
                match consents.consent(&id(number)).refresh_now().await {
                    Ok(_) => drop(refreshed.fetch_add(1, Ordering::Relaxed)),
                    // On a machine whose disk is busy, another process can hold the lock of a file
                    // for seconds.
                    Err(error) if error.advice() == Advice::RetryLater => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    work.buffer_unordered(4).collect::<Vec<()>>().await;
    consents.shutdown(Duration::from_secs(60)).await.unwrap();
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

/// Moves ended consents between two servers. An end that was not reported before the migration is
/// reported afterwards, and an end that was already reported is not reported again.
async fn unreported_ends<B: Backend>() {
    let servers = (B::start(), B::start());
    let flinks = emulator().await;
    let (old, new) = (open::<B>(&servers.0.address()), open::<B>(&servers.1.address()));
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
async fn reports<S: WorkLeases + Clone>(consents: &Consents, store: &S) -> Vec<String> {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&reports);
    let worker = KeepAlive::new(consents.clone(), store.clone());
    worker.on_ended(move |id| log.lock().unwrap().push(id.to_string())).run_once().await.unwrap();
    reports.lock().unwrap().clone()
}
