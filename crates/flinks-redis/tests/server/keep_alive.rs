//! Tests misconfigured keep-alive workers.

use flinks_consents::Consents;
use flinks_consents::store::{StoreError, TokenStore as _};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};
use flinks_store_tests::start_with_idle_consents;

use crate::common::{Tests, run, store};
use crate::support::Server;

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[("o5_misconfigured_worker_refreshes_nothing", || run(misconfigured))];

/// Checks that a worker that has the wrong keys, or whose `Consents` uses a different store,
/// refreshes nothing but still counts the consents that it lists.
async fn misconfigured() {
    let (server, flinks, _) = start_with_idle_consents::<Server>(10).await;
    let with = |keys: EncryptionKeys| {
        let store = RedisStore::builder(server.address(), keys).build().unwrap();
        KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store)
    };
    let unreadable = with(EncryptionKeys::new(Key::new([7; 32]), 2, Key::new([2; 32]))).run_once().await.unwrap();
    assert_eq!(unreadable.unreadable, 10, "{unreadable}");
    assert_eq!(unreadable.refreshed, 0, "{unreadable}");
    let other = || EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let wrong_name_key = StoreError::misconfigured("was written with a different name key");
    assert_eq!(with(other()).run_once().await.unwrap_err(), wrong_name_key);
    // Without the fingerprint, the store does not detect the wrong name key, but the records are
    // unreadable.
    server.command(&["DEL", "{flinks:000}:names"]);
    let summary = with(other()).run_once().await.unwrap();
    assert_eq!(summary.unreadable, 10, "{summary}");
    assert_eq!(summary.refreshed, 0, "{summary}");
    let correct = store(&server.address());
    assert_eq!(correct.load(&"user-7".parse().unwrap()).await.unwrap_err(), wrong_name_key);
    server.command(&["DEL", "{flinks:000}:names"]);
    assert!(correct.load(&"user-7".parse().unwrap()).await.unwrap().is_some());
    // The worker lists the consents in one store and loads their records from another store.
    let elsewhere = Consents::builder(flinks.client()).build();
    let summary = KeepAlive::new(elsewhere, store(&server.address())).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 0, "{summary}");
    assert_eq!(summary.refreshed_elsewhere, 10, "{summary}");
}
