//! Helpers that create databases, stores and records for the tests.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_consents::store::{MemoryStore, Record, TokenStore as _};
use flinks_consents::{ConsentId, Consents};
use flinks_postgres::{EncryptionKeys, Key, PostgresStore, PostgresStoreBuilder};
use tokio_postgres::NoTls;

use crate::support::Server;

/// A list of test names and test functions.
pub(crate) type Tests = &'static [(&'static str, fn())];

/// The server that the tests share.
static SHARED: Mutex<Option<Arc<Server>>> = Mutex::new(None);

/// Runs a test. Panics if the test takes longer than 300 seconds.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test()).await.unwrap() });
}

/// Returns the server that the tests share, and starts it first if necessary.
pub(crate) fn shared_server() -> Arc<Server> {
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Arc::clone(shared.get_or_insert_with(|| Arc::new(Server::start(&[]))))
}

/// Stops the shared server. Statics are not dropped.
pub(crate) fn stop_shared_server() {
    drop(SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
}

/// A database for one test.
pub(crate) struct Database {
    pub(crate) server: Arc<Server>,
    pub(crate) name: String,
}

impl Database {
    /// Creates a database on the shared server.
    pub(crate) fn new() -> Self {
        Self::on(shared_server())
    }

    pub(crate) fn on(server: Arc<Server>) -> Self {
        let name = server.create_database();
        Self { server, name }
    }

    /// Creates a database with the store's tables.
    pub(crate) async fn migrated() -> Self {
        let database = Self::new();
        database.store().migrate().await.unwrap();
        database
    }

    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub(crate) fn url_as(&self, user: &str) -> String {
        self.server.url_as(user, &self.name)
    }

    pub(crate) fn store(&self) -> PostgresStore {
        store(&self.url())
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }

    /// Opens a connection for statements that the store does not send.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Locks all rows until the returned connection is dropped.
    pub(crate) async fn lock_rows(&self) -> tokio_postgres::Client {
        let client = self.connect().await;
        client.batch_execute("BEGIN; SELECT name FROM flinks.consents FOR UPDATE").await.unwrap();
        client
    }

    /// Waits until one of the store's statements is blocked by a lock. Returns the ids of the
    /// blocked server processes.
    pub(crate) async fn wait_for_blocked(&self) -> String {
        loop {
            let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND application_name = 'flinks-postgres'";
            let processes = self.sql(query);
            if !processes.is_empty() {
                return processes;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Terminates the store's connections.
    pub(crate) fn terminate_connections(&self) {
        self.sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'flinks-postgres'",
        );
    }
}

pub(crate) fn keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

/// Creates a builder whose timeout is long enough for a busy machine.
pub(crate) fn builder(url: &str) -> PostgresStoreBuilder {
    PostgresStore::builder(url, keys()).timeout(Duration::from_secs(60))
}

pub(crate) fn store(url: &str) -> PostgresStore {
    builder(url).build().unwrap()
}

/// Creates a record. Only `Consents` can create records, so this function imports a consent into a
/// memory store and loads the record of that consent.
pub(crate) async fn record(id: &str, token: &str, last_refreshed_at: SystemTime) -> Record {
    let store = MemoryStore::new();
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::builder(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).build().unwrap();
    let consents = Consents::builder(client).store(store.clone()).build();
    let id: ConsentId = id.parse().unwrap();
    consents.import(&id, RefreshToken::new(token).unwrap(), last_refreshed_at).await.unwrap();
    store.load(&id).await.unwrap().unwrap()
}
