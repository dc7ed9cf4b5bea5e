//! Tests outages during a refresh: a failover to a standby, a crash, a slow server and an exhausted
//! pool. The table in the crate's README lists the results.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::Settings;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents};
use flinks_postgres::PostgresStore;
use flinks_store_tests::{
    AutoAdvancingClock, Backend as _, Fault, Flinks, Proxy, Tests, client_of, emulator, keys, load_until, run,
};

use crate::backend::Postgres;
use crate::server::Server;

pub(crate) fn tests() -> Tests {
    vec![
        ("o5_failover_with_synchronous_commit_loses_nothing", || {
            run(|| failover(Commit::Synchronous, Standby::Connected, Expected { call_succeeds: true, is_lost: false }));
        }),
        ("o5_failover_during_a_synchronous_commit_loses_nothing", || {
            run(|| failover(Commit::Synchronous, Standby::Stopped, Expected { call_succeeds: false, is_lost: false }));
        }),
        ("o5_failover_without_synchronous_commit_loses_the_last_write", || {
            run(|| failover(Commit::Asynchronous, Standby::Stopped, Expected { call_succeeds: true, is_lost: true }));
        }),
        ("o5_crash_without_synchronous_commit_can_lose_the_last_write", || run(crash_without_synchronous_commit)),
        ("o5_crash_with_synchronous_commit_loses_nothing", || run(crash_with_synchronous_commit)),
        ("o5_slow_server_fails_the_call_and_sends_no_request", || run(slow_server)),
        ("o5_exhausted_pool_fails_the_call_and_sends_no_request", || run(exhausted_pool)),
    ]
}

/// The `synchronous_commit` setting on a primary with a synchronous standby.
#[derive(Clone, Copy, PartialEq)]
enum Commit {
    Synchronous,
    Asynchronous,
}

/// The state of the standby when the result of the refresh is written.
#[derive(Clone, Copy, PartialEq)]
enum Standby {
    Connected,
    Stopped,
}

struct Expected {
    /// Whether the call during which the primary fails returns a token.
    call_succeeds: bool,
    /// Whether only the failed primary had the new refresh token.
    is_lost: bool,
}

/// An application whose refreshes replace the refresh token.
struct Application {
    flinks: Flinks,
    proxy: Proxy<Postgres>,
    clock: AutoAdvancingClock,
    id: ConsentId,
    consents: Consents,
}

impl Application {
    async fn start(database: &Postgres) -> Self {
        let flinks = emulator().await;
        flinks.rotate_refresh_tokens();
        let proxy = Proxy::to(database);
        // 600 ms is longer than the longest pause before a process checks a lease again.
        let clock = AutoAdvancingClock::new(Duration::from_millis(600));
        let id: ConsentId = "user-7".parse().unwrap();
        let consents = machine(&flinks, &clock, proxy.address());
        consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
        Self { flinks, proxy, clock, id, consents }
    }

    /// Requests an access token. Runs `function` before the result of the refresh is written.
    async fn refresh(&self, function: impl Fn() + Send + Sync + 'static) -> bool {
        let before = self.flinks.refreshes();
        // The first two requests load the record and acquire the lease.
        self.proxy.inject(2, Fault::Run(Arc::new(function)));
        let outcome = self.consents.consent(&self.id).access_token().await;
        assert!(self.proxy.has_injected(), "the fault was not injected");
        assert_eq!(self.flinks.refreshes() - before, 1);
        if let Err(error) = &outcome {
            assert!(error.is_store(), "{error}");
            assert!(error.is_transient(), "{error}");
        }
        outcome.is_ok()
    }

    /// Returns whether another machine can no longer refresh the consent, because the server does
    /// not have the new refresh token. A single request reveals this.
    async fn is_lost(&self) -> bool {
        // If a connection to the previous server is still open, the first call fails.
        let store = Postgres::store(self.proxy.address(), Duration::from_secs(10));
        let loaded = load_until(&store, &self.id, |loaded| matches!(loaded, Ok(Some(_)))).await;
        assert!(loaded.unwrap().is_some());
        // The clock did not advance while the servers stopped and started.
        self.clock.set_wall(SystemTime::now());
        let before = self.flinks.refreshes();
        let other = machine(&self.flinks, &self.clock, self.proxy.address()).consent(&self.id);
        let outcome = other.refresh_now().await;
        assert_eq!(self.flinks.refreshes() - before, 1);
        match outcome {
            Ok(_) => false,
            Err(error) if error.needs_consent() => true,
            Err(error) => panic!("{error}"),
        }
    }
}

fn machine(flinks: &Flinks, clock: &AutoAdvancingClock, address: &str) -> Consents {
    let client = client_of(flinks.address(), &Settings::new().clock(clock.clone()));
    Consents::builder(client).store(Postgres::store(address, Duration::from_secs(2))).build()
}

/// Stops the primary and promotes the standby after a refresh.
async fn failover(commit: Commit, standby_state: Standby, expected: Expected) {
    let primary = Postgres::start_durable();
    let standby = Postgres::on_standby(primary.server().start_standby(&[]), &primary);
    set_replication(&primary, commit);
    let application = Application::start(&primary).await;
    let primary = Arc::new(Mutex::new(primary));
    let standby = Arc::new(Mutex::new(standby));
    let succeeds = application
        .refresh({
            let primary = Arc::clone(&primary);
            let standby = Arc::clone(&standby);
            move || {
                if standby_state == Standby::Stopped {
                    let mut standby = standby.lock().unwrap();
                    wait_for_replay(&primary.lock().unwrap(), &standby);
                    standby.own_server().stop("immediate");
                }
            }
        })
        .await;
    assert_eq!(succeeds, expected.call_succeeds);
    primary.lock().unwrap().own_server().stop("immediate");
    {
        let mut standby = standby.lock().unwrap();
        if standby_state == Standby::Stopped {
            standby.own_server().start_again();
        }
        standby.server().promote();
        application.proxy.redirect_to(&standby);
    }
    // Stores the pending write from the failed call.
    let mut flushed = application.consents.flush().await;
    for _ in 0..20 {
        if flushed.is_ok() {
            break;
        }
        flushed = application.consents.flush().await;
    }
    flushed.unwrap();
    assert_eq!(application.is_lost().await, expected.is_lost);
}

/// Makes the standby synchronous. With `synchronous_commit = off`, a commit does not wait for it.
fn set_replication(primary: &Postgres, commit: Commit) {
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    if commit == Commit::Asynchronous {
        primary.sql("ALTER SYSTEM SET synchronous_commit = off");
    }
    primary.server().reload();
    while primary.sql("SELECT sync_state FROM pg_stat_replication") != "sync" {
        std::thread::yield_now();
    }
}

/// Waits until the standby has replayed all changes from the primary.
fn wait_for_replay(primary: &Postgres, standby: &Postgres) {
    let position = primary.sql("SELECT pg_current_wal_insert_lsn()");
    let is_replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'");
    while standby.sql(&is_replayed) != "t" {
        std::thread::yield_now();
    }
}

/// With `synchronous_commit = off`, PostgreSQL confirms a commit up to three times
/// `wal_writer_delay` before it is on disk. The delay is long here, so that the crash almost always
/// falls within it.
async fn crash_without_synchronous_commit() {
    for _ in 0..5 {
        if crash(&["synchronous_commit=off", "wal_writer_delay=10s"]).await {
            return;
        }
    }
    panic!("no write was lost");
}

async fn crash_with_synchronous_commit() {
    assert!(!crash(&[]).await);
}

/// Kills the server right after a refresh to simulate a crash. Returns whether the new refresh
/// token is lost.
async fn crash(settings: &[&str]) -> bool {
    let database = Postgres::on(Server::start(settings));
    let application = Application::start(&database).await;
    let database = Arc::new(Mutex::new(database));
    let flush = {
        let database = Arc::clone(&database);
        // A synchronous commit also writes all earlier changes to disk.
        move || drop(database.lock().unwrap().sql("SET synchronous_commit = on; CREATE TABLE flushed ()"))
    };
    assert!(application.refresh(flush).await);
    database.lock().unwrap().kill();
    database.lock().unwrap().start_again();
    application.is_lost().await
}

async fn slow_server() {
    let database = Postgres::start();
    let application = Application::start(&database).await;
    let before = application.flinks.refreshes();
    application.proxy.hold(true);
    let error = application.consents.consent(&application.id).access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(error.is_transient(), "{error}");
    application.proxy.hold(false);
    assert_eq!(application.flinks.refreshes(), before);
    application.clock.advance(Duration::from_secs(61));
    assert!(!application.is_lost().await);
}

/// Tests a store whose only connection is in use by a call that is waiting for a response.
async fn exhausted_pool() {
    let database = Postgres::start();
    let application = Application::start(&database).await;
    let store = PostgresStore::builder(application.proxy.address(), keys())
        .timeout(Duration::from_secs(2))
        .max_connections(1)
        .build()
        .unwrap();
    assert!(store.load(&application.id).await.unwrap().is_some());
    let client = client_of(application.flinks.address(), &Settings::new().clock(application.clock.clone()));
    let consents = Consents::builder(client).store(store.clone()).build();
    let before = application.flinks.refreshes();
    application.proxy.hold(true);
    let mut other_call = Box::pin(store.load(&application.id));
    let is_pending =
        std::future::poll_fn(|context| std::task::Poll::Ready(other_call.as_mut().poll(context).is_pending()));
    assert!(is_pending.await);
    let error = consents.consent(&application.id).access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("has no free connection"), "{error}");
    assert_eq!(application.flinks.refreshes(), before);
    application.proxy.hold(false);
    drop(other_call);
    application.clock.advance(Duration::from_secs(61));
    assert!(!application.is_lost().await);
}
