//! Helpers that create stores, records and workers for the tests.

use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{DueWindow, Record, StoreError};
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};

use crate::support::{self, Flinks, Server};

/// A list of test names and test functions.
pub(crate) type Tests = &'static [(&'static str, fn())];

/// Runs a test. Panics if the test takes longer than 300 seconds.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test()).await.unwrap() });
}

/// An empty list of additional cluster nodes.
pub(crate) const NO_OTHER_NODES: [&str; 0] = [];

pub(crate) fn keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

pub(crate) fn store(address: &str) -> RedisStore {
    RedisStore::builder(address, keys()).build().unwrap()
}

/// Creates a record. Only `Consents` can create records, so this function imports a consent into a
/// memory store and loads the record of that consent.
pub(crate) async fn record(id: &str, token: &str, last_refreshed_at: SystemTime) -> Record {
    let store = flinks_consents::store::MemoryStore::new();
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::builder(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).build().unwrap();
    let consents = Consents::builder(client).store(store.clone()).build();
    let id: ConsentId = id.parse().unwrap();
    consents.import(&id, RefreshToken::new(token).unwrap(), last_refreshed_at).await.unwrap();
    store.load(&id).await.unwrap().unwrap()
}

/// Returns the Redis key that a store uses for a record.
pub(crate) async fn record_key(record: &Record) -> String {
    let separate_server = Server::start(&[]);
    store(&separate_server.address()).compare_and_swap(None, record).await.unwrap();
    separate_server.keys().into_iter().find(|key| !key.ends_with(":due")).unwrap()
}

/// Loads a record repeatedly, up to 21 times, until the result is as expected. Returns the last
/// result.
pub(crate) async fn load_until(
    store: &RedisStore,
    id: &ConsentId,
    is_expected: impl Fn(&Result<Option<Record>, StoreError>) -> bool,
) -> Result<Option<Record>, StoreError> {
    for _ in 0..20 {
        let loaded = store.load(id).await;
        if is_expected(&loaded) {
            return loaded;
        }
    }
    store.load(id).await
}

/// Starts Redis and an emulator and imports consents that will idle out in two days.
pub(crate) async fn start_with_idle_consents(count: usize) -> (Server, Flinks, Vec<ConsentId>) {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let ids: Vec<ConsentId> = (0..count).map(|number| format!("user-{number}").parse().unwrap()).collect();
    import_idle(&server, &flinks, &ids).await;
    (server, flinks, ids)
}

/// Imports consents that will idle out in two days.
pub(crate) async fn import_idle(server: &Server, flinks: &Flinks, ids: &[ConsentId]) {
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    for id in ids {
        let last_refreshed_at = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
        consents.import(id, flinks.new_refresh_token().await, last_refreshed_at).await.unwrap();
    }
}

/// Creates a keep-alive worker whose rate limit is too high to affect the test.
pub(crate) fn worker(server: &Server, flinks: &Flinks) -> KeepAlive {
    let store = store(&server.address());
    KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000)
}

/// Returns `true` if no consent will idle out within a week.
pub(crate) async fn nothing_is_due(server: &Server) -> bool {
    let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
    store(&server.address()).due(in_a_week, 1000).await.unwrap().is_empty()
}

/// Creates ended consents in the first shard.
pub(crate) async fn create_ended_consents(server: &Server, flinks: &Flinks, count: usize) -> Vec<ConsentId> {
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_shard(name));
    let ids: Vec<ConsentId> = names.take(count).map(|name| name.parse().unwrap()).collect();
    for id in &ids {
        consents.import(id, RefreshToken::new("canary-unknown").unwrap(), SystemTime::now()).await.unwrap();
        assert!(consents.consent(id).access_token().await.unwrap_err().needs_consent());
    }
    ids
}

/// Runs a future to completion on another thread. The callback of a worker can call this function.
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
