//! An implementation of [`TokenStore`] backed by Redis. Redis makes each change to a record
//! atomically.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use flinks_consents::store::{DueWindow, Record, StoreError, StoreFuture, TokenStore};
use flinks_consents::{ConsentId, OwnerId, Page};
use redis::{Cmd, FromRedisValue, ScriptInvocation, Value};

use crate::connection::{CallFailure, SharedConnection};
use crate::error::{WRONG_NAME_KEY, is_permission_denied};
use crate::names::Namespace;
use crate::scripts::{Scripts, parse_result};
use crate::servers::Connection;
use crate::warning::Warning;
use flinks_consents::envelope::Envelope;

/// A store that keeps consents in Redis or Valkey. Build one with [`RedisStore::builder`] or
/// [`RedisStoreBuilder::from_env`](crate::RedisStoreBuilder::from_env).
///
/// Cloning is cheap: clones share one connection.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    namespace: Namespace,
    connection: SharedConnection,
    envelope: ArcSwap<Envelope>,
    /// Whether the name key is known to match the fingerprint in Redis.
    is_name_key_checked: AtomicBool,
    scripts: Scripts,
}

impl RedisStore {
    pub(crate) fn new(namespace: Namespace, connection: SharedConnection, envelope: Envelope) -> Self {
        Self(Arc::new(Inner {
            namespace,
            connection,
            envelope: ArcSwap::from_pointee(envelope),
            is_name_key_checked: AtomicBool::new(false),
            scripts: Scripts::new(),
        }))
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.0.scripts
    }

    pub(crate) fn envelope(&self) -> Arc<Envelope> {
        self.0.envelope.load_full()
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.0.connection.is_cluster()
    }

    /// Replaces the encryption keys. `keys` is either [`EncryptionKeys`](crate::EncryptionKeys) or
    /// an [`Envelope`]. The new keys take effect with the next call. The name key must stay the
    /// same: with a different one, the store could not find the existing records.
    pub fn set_keys(&self, keys: impl Into<Envelope>) {
        self.0.envelope.store(Arc::new(keys.into().with_name_key_of(&self.0.envelope.load())));
    }

    /// Checks the settings of the server, or of every node in the cluster, and returns a warning
    /// for each setting that puts refresh tokens at risk.
    ///
    /// This method does not log the warnings. Log them yourself, for example when your program
    /// starts.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if Redis cannot be reached or rejects the credentials.
    pub async fn warnings(&self) -> Result<Vec<Warning>, StoreError> {
        let info: Option<Value> = self
            .call(|mut connection| async move {
                match redis::cmd("INFO").query_async(&mut connection).await {
                    Err(error) if is_permission_denied(&error) => Ok(None),
                    info => Ok(Some(info?)),
                }
            })
            .await?;
        let Some(info) = info else { return Ok(vec![Warning::Unknown]) };
        let mut warnings: Vec<Warning> = texts(info).iter().flat_map(|text| Warning::all_of(text)).collect();
        warnings.sort();
        warnings.dedup();
        Ok(warnings)
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(key);
        self.command(command).await
    }

    pub(crate) async fn command<T: FromRedisValue>(&self, command: Cmd) -> Result<T, StoreError> {
        self.call(|mut connection| async move { Ok(command.query_async(&mut connection).await?) }).await
    }

    /// Runs a script. Returns `false` if the script's condition is not met.
    pub(crate) async fn script(&self, call: &ScriptInvocation<'_>) -> Result<bool, StoreError> {
        parse_result(self.call(|mut connection| async move { Ok(call.invoke_async(&mut connection).await?) }).await?)
    }

    /// Checks the name key if necessary and then makes a call.
    pub(crate) async fn call<T, F>(&self, run: impl FnOnce(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, CallFailure>>,
    {
        let call = async |mut connection: Connection| {
            self.check_name_key(&mut connection).await.map_err(CallFailure::Replied)?;
            run(connection).await
        };
        self.0.connection.call(call).await
    }

    /// Checks that the name key matches the fingerprint in Redis, unless an earlier check has
    /// succeeded.
    ///
    /// With a different name key, the store would find no records and would store every consent a
    /// second time. If the fingerprint cannot be read, the current call continues and the next one
    /// checks again: in a cluster, an outage of the node that stores the fingerprint must not block
    /// calls to other nodes.
    async fn check_name_key(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.0.is_name_key_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = self.0.namespace.fingerprint_key();
        let fingerprint = self.0.envelope.load().name_key_fingerprint();
        let stored = async {
            let _ = redis::cmd("SET").arg(&key).arg(&fingerprint).arg("NX").exec_async(connection).await;
            redis::cmd("GET").arg(&key).query_async::<Option<String>>(connection).await
        };
        let stored = tokio::time::timeout(self.0.connection.timeout() / 4, stored).await;
        let Ok(Ok(Some(stored))) = stored else { return Ok(()) };
        if stored != fingerprint {
            return Err(WRONG_NAME_KEY);
        }
        self.0.is_name_key_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn load(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        let envelope = self.envelope();
        let key = self.namespace().consent_key(id, &envelope);
        let Some(value) = self.get(&key).await? else { return Ok(None) };
        let record = envelope.open(&value, &key).await?;
        if record.id() != id {
            return Err(StoreError::damaged("returned another consent's record"));
        }
        Ok(Some(record))
    }

    async fn compare_and_swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, StoreError> {
        let envelope = self.envelope();
        let consent_keys = self.namespace().consent_keys(record.id(), &envelope);
        let value = envelope.seal(record, &consent_keys.record).await?;
        self.index_owner(record).await?;
        let is_stored = self.script(&self.scripts().swap(&consent_keys, expected, record, &value)).await?;
        if is_stored {
            // In the meantime, another process may have removed an earlier record together with
            // the owner entry.
            self.index_owner(record).await?;
        }
        Ok(is_stored)
    }

    async fn remove(&self, id: &ConsentId, generation: u64) -> Result<bool, StoreError> {
        let consent_keys = self.namespace().consent_keys(id, &self.envelope());
        // An unreadable record is removed as well. Its owner is unknown, so its owner entry becomes
        // stale and is removed the next time it is read.
        let entry = match self.load(id).await {
            Ok(Some(record)) => self.owner_entry(&record).await?,
            _ => None,
        };
        let is_removed = self.script(&self.scripts().remove(&consent_keys, generation)).await?;
        if is_removed && let Some(entry) = entry {
            self.remove_owner_entry(&entry).await?;
        }
        Ok(is_removed)
    }
}

/// Returns the strings in a response. In a cluster, the response contains one string for each node.
fn texts(response: Value) -> Vec<String> {
    match response {
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(&bytes).into_owned()],
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => vec![text],
        Value::Map(entries) => entries.into_iter().flat_map(|(_, value)| texts(value)).collect(),
        Value::Array(entries) => entries.into_iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

impl TokenStore for RedisStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(self.load(id))
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(self.compare_and_swap(expected, record))
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        Box::pin(self.remove(id, generation))
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        Box::pin(self.list_owner(owner, page))
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        Box::pin(self.list_due_of_all(window, limit))
    }
}

/// Shows only the namespace, because the address may contain a password and the keys are secret.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("namespace", &self.0.namespace.as_str()).finish_non_exhaustive()
    }
}
