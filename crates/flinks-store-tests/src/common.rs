//! Helpers that create stores, records, workers and tests.

use std::time::{Duration, SystemTime};

use flinks_consents::envelope::{EncryptionKeys, Key};
use flinks_consents::flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_consents::store::{DueWindow, MemoryStore, Record, StoreError, TokenStore};
use flinks_consents::{ConsentId, Consents, KeepAlive};
use libtest_mimic::Trial;

use crate::backend::Backend;
use crate::flinks::{Flinks, emulator};

/// A list of test names and test functions.
pub type Tests = Vec<(&'static str, fn())>;

/// Creates a test that passes unless it panics.
pub fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// Creates a test that is ignored if the server is not installed.
pub fn trial_with_server<B: Backend>(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    if B::is_installed() {
        return trial(name, test);
    }
    trial(format!("{name} ({})", B::NOT_INSTALLED), test).with_ignored_flag(true)
}

/// Creates tests that are ignored if the server is not installed.
pub fn trials<B: Backend>(tests: Tests) -> impl Iterator<Item = Trial> {
    tests.into_iter().map(|(name, test)| trial_with_server::<B>(name, test))
}

/// Runs a test. Panics if the test takes longer than 300 seconds.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    block_on(Duration::from_secs(300), test());
}

/// Runs a future to completion. Panics if the future takes longer than `limit`.
pub fn block_on(limit: Duration, work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(limit, work).await.unwrap() });
}

/// The keys that all stores in the tests use.
pub fn keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

/// Creates a store with a long timeout, because the machine that runs the tests may be slow.
pub fn open<B: Backend>(address: &str) -> B::Store {
    B::store(address, Duration::from_secs(10))
}

/// Creates a record. Only `Consents` can create records, so this function imports a consent into a
/// memory store and loads the record of that consent.
pub async fn record(id: &str, token: &str, last_refreshed_at: SystemTime) -> Record {
    let store = MemoryStore::new();
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::builder(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).build().unwrap();
    let consents = Consents::builder(client).store(store.clone()).build();
    let id: ConsentId = id.parse().unwrap();
    consents.import(&id, RefreshToken::new(token).unwrap(), last_refreshed_at).await.unwrap();
    store.load(&id).await.unwrap().unwrap()
}

/// Loads a record repeatedly, up to 21 times, until the result is as expected. Returns the last
/// result.
pub async fn load_until(
    store: &impl TokenStore,
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

/// Starts a server and an emulator and imports consents that will idle out in two days.
pub async fn start_with_idle_consents<B: Backend>(count: usize) -> (B, Flinks, Vec<ConsentId>) {
    let server = B::start();
    let flinks = emulator().await;
    let ids: Vec<ConsentId> = (0..count).map(|number| format!("user-{number}").parse().unwrap()).collect();
    import_idle(&server, &flinks, &ids).await;
    (server, flinks, ids)
}

/// Imports consents that will idle out in two days.
pub async fn import_idle<B: Backend>(server: &B, flinks: &Flinks, ids: &[ConsentId]) {
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    for id in ids {
        let last_refreshed_at = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
        consents.import(id, flinks.new_refresh_token().await, last_refreshed_at).await.unwrap();
    }
}

/// Creates a keep-alive worker whose rate limit is too high to affect the test.
pub fn worker<B: Backend>(server: &B, flinks: &Flinks) -> KeepAlive {
    let store = open::<B>(&server.address());
    KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000)
}

/// Returns `true` if no consent will idle out within a week.
pub async fn nothing_is_due<B: Backend>(server: &B) -> bool {
    let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
    open::<B>(&server.address()).due(in_a_week, 1000).await.unwrap().is_empty()
}

/// Creates ended consents in the first shard.
pub async fn create_ended_consents<B: Backend>(server: &B, flinks: &Flinks, count: usize) -> Vec<ConsentId> {
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    let ids = ids_in_first_shard(count);
    for id in &ids {
        consents.import(id, RefreshToken::new("canary-unknown").unwrap(), SystemTime::now()).await.unwrap();
        assert!(consents.consent(id).access_token().await.unwrap_err().needs_consent());
    }
    ids
}

/// Runs a future to completion on another thread. A worker's callback can call this function.
pub fn run_on_another_thread<F: Future<Output = ()> + Send>(work: F) {
    let work = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

/// Returns whether a store assigns the consent to the first shard.
pub fn is_in_first_shard(id: &ConsentId) -> bool {
    keys().hidden_name(id).shard() == 0
}

/// Returns ids of consents in the first shard.
pub fn ids_in_first_shard(count: usize) -> Vec<ConsentId> {
    let ids = (0..).map(|number| format!("user-{number}").parse().unwrap());
    ids.filter(is_in_first_shard).take(count).collect()
}
