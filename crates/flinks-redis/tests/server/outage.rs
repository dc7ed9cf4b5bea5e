//! Tests the store with servers that refuse commands, change their role or lose data.

use std::time::{Duration, SystemTime};

use flinks_consents::store::StoreError;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents};
use flinks_redis::Warning;
use flinks_store_tests::{load_until, record, worker};

use crate::common::{Tests, run, store};
use crate::support::{self, Proxy, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("nothing_is_lost_if_the_server_cannot_write", || run(cannot_write)),
    ("server_configuration_is_checked_with_warnings", || run(warnings)),
    ("rejected_login_is_retried", || run(rejected_login)),
    ("demoted_primary_is_replaced", || run(demoted)),
    ("o5_evicted_consent_is_unknown_and_sends_no_request", || run(evicted)),
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

/// Tests a primary that becomes a replica. The old primary's address then points to the new
/// primary.
async fn demoted() {
    let server = Server::start(&[]);
    let other = Server::start(&[]);
    let proxy = Proxy::to(&server);
    let store = store(proxy.address());
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
