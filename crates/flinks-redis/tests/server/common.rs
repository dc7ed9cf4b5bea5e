//! Creates stores, records and workers for the tests.

use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{DueWindow, Record, StoreError};
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};

use crate::support::{self, Flinks, Server};

/// Tests with their names.
pub(crate) type Tests = &'static [(&'static str, fn())];

/// Fails a test that takes too long.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test()).await.unwrap() });
}

/// No other nodes of a cluster.
pub(crate) const NO_OTHER_NODES: [&str; 0] = [];

pub(crate) fn keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

pub(crate) fn store(address: &str) -> RedisStore {
    RedisStore::builder(address, keys()).build().unwrap()
}

/// Creates a record. Only `Consents` can create one, so a memory store captures it.
pub(crate) async fn record(id: &str, token: &str, last_refreshed_at: SystemTime) -> Record {
    let store = flinks_consents::store::MemoryStore::new();
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::builder(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).build().unwrap();
    let consents = Consents::builder(client).store(store.clone()).build();
    let id: ConsentId = id.parse().unwrap();
    consents.import(&id, RefreshToken::new(token).unwrap(), last_refreshed_at).await.unwrap();
    store.load(&id).await.unwrap().unwrap()
}

/// Returns the Redis key of a record: the key that changes when the record is written.
pub(crate) async fn record_key(record: &Record) -> String {
    let lone = Server::start(&[]);
    store(&lone.address()).compare_and_swap(None, record).await.unwrap();
    lone.keys().into_iter().find(|key| !key.ends_with(":due")).unwrap()
}

/// Loads a record up to 21 times until the result is as expected, and returns the last result.
pub(crate) async fn load_until(
    store: &RedisStore,
    id: &ConsentId,
    is_it: impl Fn(&Result<Option<Record>, StoreError>) -> bool,
) -> Result<Option<Record>, StoreError> {
    for _ in 0..20 {
        let loaded = store.load(id).await;
        if is_it(&loaded) {
            return loaded;
        }
    }
    store.load(id).await
}

/// Creates consents in Redis that idle out in two days, and their emulator.
pub(crate) async fn idle(count: usize) -> (Server, Flinks, Vec<ConsentId>) {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let ids: Vec<ConsentId> = (0..count).map(|number| format!("user-{number}").parse().unwrap()).collect();
    import_idle(&server, &flinks, &ids).await;
    (server, flinks, ids)
}

pub(crate) async fn import_idle(server: &Server, flinks: &Flinks, ids: &[ConsentId]) {
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    for id in ids {
        let last_refreshed_at = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
        consents.import(id, flinks.new_refresh_token().await, last_refreshed_at).await.unwrap();
    }
}

pub(crate) fn worker(server: &Server, flinks: &Flinks) -> KeepAlive {
    let store = store(&server.address());
    KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000)
}

pub(crate) async fn nothing_is_due(server: &Server) -> bool {
    let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
    store(&server.address()).due(in_a_week, 1000).await.unwrap().is_empty()
}

/// Creates ended consents in the first shard.
pub(crate) async fn ended(server: &Server, flinks: &Flinks, count: usize) -> Vec<ConsentId> {
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_shard(name));
    let ids: Vec<ConsentId> = names.take(count).map(|name| name.parse().unwrap()).collect();
    for id in &ids {
        consents.import(id, RefreshToken::new("canary-dead").unwrap(), SystemTime::now()).await.unwrap();
        assert!(consents.consent(id).access_token().await.unwrap_err().needs_consent());
    }
    ids
}

/// Runs work to completion in a callback, while a run waits.
pub(crate) fn run_on_another_thread<F: Future<Output = ()> + Send>(work: F) {
    let work = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

/// Returns whether the store assigns the consent to the first shard.
pub(crate) fn is_in_first_shard(id: &str) -> bool {
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(id.as_bytes());
    mac.finalize().into_bytes().first() == Some(&0)
}
