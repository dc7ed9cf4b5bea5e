//! Tests the store with servers that restart, refuse commands, are slow or lose data.

use std::time::{Duration, SystemTime};

use flinks_consents::store::StoreError;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{RedisStore, Warning};

use crate::common::{Tests, keys, load_until, record, run, store, worker};
use crate::support::{self, Proxy, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("nothing_is_lost_if_the_server_cannot_write", || run(cannot_write)),
    ("store_reconnects_after_a_restart", || run(reconnect)),
    ("server_configuration_is_checked_with_warnings", || run(warnings)),
    ("slow_server_times_out_and_recovers", || run(slow_server)),
    ("silent_connection_is_replaced", || run(silent_connection)),
    ("rejected_login_is_retried", || run(rejected_login)),
    ("demoted_primary_is_replaced", || run(demoted)),
    ("o5_evicted_consent_is_unknown_and_sends_no_request", || run(evicted)),
    ("unpolled_call_does_not_block_the_connection", || run(unpolled_call)),
];

async fn cannot_write() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    let before = server.dump();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(
        store.compare_and_swap(Some(first.generation()), &first).await,
        Err(StoreError::unavailable("is out of memory"))
    );
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let swapped = store.compare_and_swap(Some(first.generation()), &first).await;
    assert_eq!(swapped, Err(StoreError::unavailable("is a read-only replica, possibly after a failover")));
    assert!(store.load(first.id()).await.unwrap().is_some());
    server.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(server.dump(), before);
    assert!(store.remove(first.id(), first.generation()).await.unwrap());
}

async fn reconnect() {
    let mut server = Server::start(&["--appendonly", "yes"]);
    let store = store(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    server.kill();
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Unavailable(_))));
    server.start_again();
    // The first call may fail because the old connection was closed.
    let found = load_until(&store, first.id(), Result::is_ok).await;
    assert_eq!(found.unwrap().unwrap().generation(), first.generation());
}

async fn warnings() {
    let server = Server::start(&["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "noeviction"]);
    let store = store(&server.address());
    assert_eq!(store.warnings().await.unwrap(), []);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(store.warnings().await.unwrap(), [Warning::Evicts]);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    assert_eq!(store.warnings().await.unwrap(), []);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.warnings().await.unwrap(), [Warning::DoesNotPersist]);
}

async fn slow_server() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(&server);
    let store = RedisStore::builder(proxy.address(), keys()).timeout(Duration::from_millis(500)).build().unwrap();
    let one = record("one", "r1", SystemTime::now()).await;
    let other = record("other", "r2", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    proxy.hold(true);
    assert!(matches!(store.compare_and_swap(None, &other).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Unavailable(_))));
    proxy.hold(false);
    // The record was stored even though the call timed out. Late responses are discarded.
    let found = load_until(&store, other.id(), Result::is_ok).await;
    assert_eq!(found.unwrap().unwrap().id(), other.id());
    assert_eq!(store.load(one.id()).await.unwrap().unwrap().id(), one.id());
}

/// Tests a server that stops responding on the first connection but responds on a new connection.
async fn silent_connection() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(&server);
    let store = RedisStore::builder(proxy.address(), keys()).timeout(Duration::from_millis(500)).build().unwrap();
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    proxy.silence_connections();
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Unavailable(_))));
    assert!(store.load(one.id()).await.unwrap().is_some());
    // Concurrent calls to a silent server time out together.
    proxy.hold(true);
    let start = std::time::Instant::now();
    let calls = (0..50).map(|_| store.compare_and_swap(None, &one));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_err));
    // Sequential calls would take 25 seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Tests a server that changes its password, closes the connection, and later accepts the old
/// password again.
async fn rejected_login() {
    let server = Server::start(&["--requirepass", "one"]);
    let store = store(&server.address().replace("redis://", "redis://:one@"));
    let id: ConsentId = "a".parse().unwrap();
    assert!(store.load(&id).await.unwrap().is_none());
    server.command_as("one", &["CONFIG", "SET", "requirepass", "two"]);
    server.command_as("two", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let loaded = load_until(&store, &id, |loaded| matches!(loaded, Err(StoreError::Misconfigured(_)))).await;
    assert!(matches!(loaded, Err(StoreError::Misconfigured(_))), "{loaded:?}");
    server.command_as("two", &["CONFIG", "SET", "requirepass", "one"]);
    assert!(store.load(&id).await.unwrap().is_none());
}

/// Tests a primary that becomes a replica. The address of the old primary then points to the new
/// primary.
async fn demoted() {
    let server = Server::start(&[]);
    let other = Server::start(&[]);
    let proxy = Proxy::to(&server);
    let store = store(&proxy.address());
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    server.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    proxy.redirect_to(&other);
    let two = record("two", "r2", SystemTime::now()).await;
    assert!(matches!(store.compare_and_swap(None, &two).await, Err(StoreError::Unavailable(_))));
    assert!(store.compare_and_swap(None, &two).await.unwrap());
    assert_eq!(other.keys().len(), 2);
}

/// Tests a Redis server that is full and evicts records.
async fn evicted() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-random"]);
    let flinks = support::emulator().await;
    let store = store(&server.address());
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let id: ConsentId = "user-7".parse().unwrap();
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let key = server.keys().into_iter().find(|key| !key.ends_with(":due")).unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", &(server.used_memory() + 1_000_000).to_string()]);
    assert!(store.warnings().await.unwrap().contains(&Warning::Evicts));
    for number in 0..100_000 {
        server.set(&format!("else-{number}"), &[0; 10_000]);
        if !server.keys().contains(&key) {
            break;
        }
    }
    let before = flinks.refreshes();
    let error = consents.consent(&id).access_token().await.unwrap_err();
    assert!(error.needs_consent(), "{error}");
    assert!(!error.may_have_been_sent(), "{error}");
    assert_eq!(flinks.refreshes(), before);
    let worker = worker(&server, &flinks).within(Duration::from_secs(29 * 24 * 60 * 60));
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.refreshed, 0, "{summary}");
    assert_eq!(summary.failed, 0, "{summary}");
}

async fn unpolled_call() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    // In the second round, the connection is open, and the unpolled call has sent 512 commands.
    for _ in 0..2 {
        let mut unpolled = Box::pin(consents.due_within(Duration::from_secs(60), 10));
        let is_pending =
            std::future::poll_fn(|context| std::task::Poll::Ready(unpolled.as_mut().poll(context).is_pending()));
        assert!(is_pending.await);
        assert!(store.load(&"user-7".parse().unwrap()).await.unwrap().is_none());
        drop(unpolled);
    }
}
