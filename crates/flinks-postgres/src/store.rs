//! An implementation of [`TokenStore`] backed by PostgreSQL. Each change to a record is a single
//! conditional statement.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use flinks_consents::envelope::{Envelope, HiddenName};
use flinks_consents::store::{DueWindow, Record, StoreError, StoreFuture, TokenStore};
use flinks_consents::{ConsentId, OwnerId, Page};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::calls::Server;
use crate::error::{DAMAGED_ROW, WRONG_NAME_KEY};
use crate::schema::Schema;
use crate::statements::Statements;
use crate::writes::{ConditionalWrite, StoredValue};

/// A store that keeps consents in PostgreSQL. Build one with [`PostgresStore::builder`] or
/// [`PostgresStoreBuilder::from_env`](crate::PostgresStoreBuilder::from_env).
///
/// Cloning is cheap: clones share one connection pool. The connections belong to the Tokio runtime
/// that was running when they were opened.
///
/// # Cancel safety
///
/// If a call is cancelled, its statement may still take effect. The call's connection is closed, so
/// later calls do not wait for the statement.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    schema: Schema,
    statements: Statements,
    server: Server,
    envelope: ArcSwap<Envelope>,
    /// Whether the name key and the version of the tables are known to be correct.
    is_checked: AtomicBool,
}

impl PostgresStore {
    pub(crate) fn new(schema: Schema, server: Server, envelope: Envelope) -> Self {
        Self(Arc::new(Inner {
            statements: Statements::new(&schema),
            schema,
            server,
            envelope: ArcSwap::from_pointee(envelope),
            is_checked: AtomicBool::new(false),
        }))
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.0.schema
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.0.statements
    }

    pub(crate) fn server(&self) -> &Server {
        &self.0.server
    }

    pub(crate) fn envelope(&self) -> Arc<Envelope> {
        self.0.envelope.load_full()
    }

    /// Replaces the encryption keys. The new keys take effect with the next call. The name key must
    /// stay the same: with a different one, the store could not find the existing records.
    pub fn set_keys(&self, keys: impl Into<Envelope>) {
        self.0.envelope.store(Arc::new(keys.into().with_name_key_of(&self.0.envelope.load())));
    }

    /// Runs a call with the store's timeout. Before the call, checks the tables and the name key,
    /// unless an earlier check has succeeded.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let checked = async {
            if !self.0.is_checked.load(Ordering::Relaxed) {
                self.check_tables().await?;
                self.0.is_checked.store(true, Ordering::Relaxed);
            }
            call.await
        };
        self.server().call(checked).await
    }

    async fn load(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        let name = self.envelope().hidden_name(id);
        let Some(stored) = self.call(self.read_row(&name)).await? else { return Ok(None) };
        let record = self.open(&stored, &name).await?;
        if record.id() != id {
            return Err(StoreError::damaged("returned another consent's record"));
        }
        Ok(Some(record))
    }

    /// Decrypts the record in a row.
    pub(crate) async fn open(&self, stored: &StoredValue, name: &HiddenName) -> Result<Record, StoreError> {
        let record = self.envelope().open(&stored.value, &self.schema().location(name)).await?;
        // If the generation in the column differed from the one in the record, no write could ever
        // succeed.
        if record.generation() == stored.generation { Ok(record) } else { Err(DAMAGED_ROW) }
    }

    async fn compare_and_swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, StoreError> {
        let envelope = self.envelope();
        let name = envelope.hidden_name(record.id());
        let value = envelope.seal(record, &self.schema().location(&name)).await?;
        let name_bytes = name.to_bytes();
        let part = i16::from(name.shard());
        let generation = record.generation().cast_signed();
        let last_deadline = milliseconds(record.idle_deadline());
        let deadline = (!record.is_ended()).then_some(last_deadline);
        let owner = record.owner().map(|owner| envelope.hidden_owner(owner).to_bytes());
        let owner = owner.as_ref().map(<[u8; 16]>::as_slice);
        let write = ConditionalWrite { expected, new: Some((record.generation(), &value)) };
        match expected {
            None => {
                let parameters = [
                    (&name_bytes.as_slice() as _, Type::BYTEA),
                    (&part as _, Type::INT2),
                    (&generation as _, Type::INT8),
                    (&value as _, Type::BYTEA),
                    (&deadline as _, Type::INT8),
                    (&owner as _, Type::BYTEA),
                ];
                self.call(self.write(&name, write, &self.statements().insert, &parameters)).await
            }
            Some(expected) => {
                let expected = expected.cast_signed();
                let parameters = [
                    (&name_bytes.as_slice() as _, Type::BYTEA),
                    (&expected as _, Type::INT8),
                    (&generation as _, Type::INT8),
                    (&value as _, Type::BYTEA),
                    (&deadline as _, Type::INT8),
                    (&last_deadline as _, Type::INT8),
                    (&owner as _, Type::BYTEA),
                ];
                self.call(self.write(&name, write, &self.statements().update, &parameters)).await
            }
        }
    }

    async fn remove(&self, id: &ConsentId, generation: u64) -> Result<bool, StoreError> {
        let name = self.envelope().hidden_name(id);
        let name_bytes = name.to_bytes();
        let expected = generation.cast_signed();
        let parameters = [(&name_bytes.as_slice() as _, Type::BYTEA), (&expected as _, Type::INT8)];
        let write = ConditionalWrite { expected: Some(generation), new: None };
        self.call(self.write(&name, write, &self.statements().remove, &parameters)).await
    }

    /// Lists an owner's records in the order of their hidden names. Skips and logs unreadable ones.
    async fn list(&self, owner: &OwnerId, page: &Page) -> Result<Vec<Record>, StoreError> {
        let envelope = self.envelope();
        let owner_bytes = envelope.hidden_owner(owner).to_bytes();
        let mut after = page.after.as_ref().map(|id| envelope.hidden_name(id).to_bytes().to_vec()).unwrap_or_default();
        let mut records = Vec::new();
        while records.len() < page.limit {
            let limit = row_limit(page.limit.saturating_sub(records.len()));
            let parameters =
                [(&owner_bytes.as_slice() as _, Type::BYTEA), (&after as _, Type::BYTEA), (&limit as _, Type::INT8)];
            let rows = self.server().query(&self.statements().list, &parameters).await?;
            for row in &rows {
                let (name, stored) = named_value(row)?;
                after = name.to_bytes().to_vec();
                if let Some(record) = self.open_or_log(&stored, &name).await?
                    && record.owner() == Some(owner)
                {
                    records.push(record);
                }
            }
            if !is_full(&rows, limit) {
                break;
            }
        }
        Ok(records)
    }

    /// Decrypts the record in a row. Logs the hidden name of an unreadable record and returns
    /// `None`.
    pub(crate) async fn open_or_log(
        &self,
        stored: &StoredValue,
        name: &HiddenName,
    ) -> Result<Option<Record>, StoreError> {
        match self.open(stored, name).await {
            Ok(record) if self.envelope().hidden_name(record.id()) == *name => Ok(Some(record)),
            // The record was written with a different name key, or its row was copied.
            Ok(_) => {
                tracing::warn!(%name, "cannot read a consent: {WRONG_NAME_KEY}");
                Ok(None)
            }
            Err(error @ (StoreError::Damaged(_) | StoreError::Misconfigured(_))) => {
                // The hidden name does not reveal the id, so it is safe to log.
                tracing::warn!(%name, "cannot read a consent: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Reads a row that starts with a name, a generation and a value.
pub(crate) fn named_value(row: &Row) -> Result<(HiddenName, StoredValue), StoreError> {
    Ok((hidden_name(row, 0)?, StoredValue::of(row, 1)?))
}

/// Reads the hidden name in a column.
pub(crate) fn hidden_name(row: &Row, column: usize) -> Result<HiddenName, StoreError> {
    let bytes: &[u8] = row.try_get(column).map_err(|_| DAMAGED_ROW)?;
    bytes.try_into().map(HiddenName::from_bytes).map_err(|_| DAMAGED_ROW)
}

/// Parses the 32 hexadecimal digits of a hidden name.
pub(crate) fn parse_name(text: &str) -> Option<HiddenName> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == HiddenName::DIGITS).then(|| HiddenName::from_bytes(number.to_be_bytes()))
}

/// Converts a time to milliseconds since the Unix epoch, the unit of the deadlines.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The maximum number of rows that one statement returns.
const MAX_ROWS: usize = 10_000;

/// Returns the `LIMIT` for a statement that may return at most `limit` rows.
pub(crate) fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_ROWS)).unwrap_or(i64::MAX)
}

/// Returns whether a statement returned as many rows as its limit allows, in which case there may
/// be more.
pub(crate) fn is_full(rows: &[Row], limit: i64) -> bool {
    i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit
}

impl TokenStore for PostgresStore {
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
        Box::pin(self.call(self.list(owner, page)))
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        Box::pin(self.call(self.list_due_of_all(window, limit)))
    }
}

/// Shows only the schema, because the address may contain a password and the keys are secret.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("schema", &self.0.schema.as_str()).finish_non_exhaustive()
    }
}
