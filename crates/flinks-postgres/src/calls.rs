//! Calls to the server: their timeout, their retries and the connections that they use.

use std::time::Duration;

use deadpool::managed::{Object, Pool, PoolError, TimeoutType, Timeouts};
use flinks_consents::store::StoreError;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use crate::error::{
    CONFLICTS, Failure, InvalidConfiguration, POOL_EXHAUSTED, TIMED_OUT, is_read_only, leaves_connection_open,
};
use crate::pool::Connector;

/// The parameters of a statement and their types.
pub(crate) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// The server, with a pool of connections to it.
pub(crate) struct Server {
    pool: Pool<Connector>,
    timeout: Duration,
}

/// The maximum number of times that a conflicting statement is sent.
const MAX_CONFLICTS: u32 = 10;
/// The maximum number of times that a statement is sent again after its connection was lost. The
/// pool may contain several connections that the server is about to close.
const MAX_LOST: u32 = 2;

impl Server {
    pub(crate) fn new(
        connector: Connector,
        timeout: Duration,
        max_connections: usize,
    ) -> Result<Self, InvalidConfiguration> {
        // A call that waits for a connection fails shortly before its timeout, so that its error
        // states the reason.
        let wait = timeout.saturating_sub(timeout.checked_div(8).unwrap_or_default());
        let timeouts = Timeouts { wait: Some(wait), create: None, recycle: None };
        let pool = Pool::builder(connector)
            .max_size(max_connections)
            .timeouts(timeouts)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|_| InvalidConfiguration::new("connection pool", "cannot be created"))?;
        Ok(Self { pool, timeout })
    }

    /// Runs a call with the store's timeout, which includes the time to connect.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.timeout, call).await.unwrap_or(Err(TIMED_OUT))
    }

    /// Runs a query. Sends the query again if it conflicts or if the connection is lost.
    pub(crate) async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, StoreError> {
        let mut retries = Retries::default();
        loop {
            match self.attempt(async |client| client.query_typed(sql, parameters).await).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => retries.wait_after(failure).await?,
            }
        }
    }

    /// Runs an idempotent statement and returns the number of affected rows. Sends the statement
    /// again if it conflicts or if the connection is lost.
    pub(crate) async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError> {
        let mut retries = Retries::default();
        loop {
            match self.execute_once(sql, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => retries.wait_after(failure).await?,
            }
        }
    }

    /// Sends a statement once and returns the number of affected rows.
    pub(crate) async fn execute_once(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, Failure> {
        self.attempt(async |client| client.execute_typed(sql, parameters).await).await
    }

    /// Calls `run` once with a connection from the pool, and classifies the error if it fails.
    pub(crate) async fn attempt<T>(&self, run: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Failure> {
        self.attempt_raw(run).await?.map_err(|error| Failure::of(&error))
    }

    /// Calls `run` once with a connection from the pool, and returns the statement's error
    /// unchanged.
    pub(crate) async fn attempt_raw<T>(
        &self,
        run: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Failure> {
        let connection = self.pool.get().await.map_err(|error| Failure::Failed(pool_error(error)))?;
        let connection = InUse(Some(connection));
        let result = match connection.client() {
            Some(client) => run(client).await,
            None => return Err(Failure::Failed(TIMED_OUT)),
        };
        match &result {
            Ok(_) => connection.release(),
            Err(error) if is_read_only(error) => {
                // Any connection in the pool may lead to a server that is no longer the primary.
                self.pool.retain(|_, _| false);
            }
            Err(error) if leaves_connection_open(error) => connection.release(),
            // The connection is closed, or is about to be.
            Err(_) => {}
        }
        Ok(result)
    }
}

/// A connection in use. If this value is dropped without a call to `release`, a statement may still
/// be running, so the connection is closed instead of being returned to the pool.
struct InUse(Option<Object<Connector>>);

impl InUse {
    fn client(&self) -> Option<&Client> {
        self.0.as_ref().map(|connection| &connection.client)
    }

    /// Returns the connection to the pool.
    fn release(mut self) {
        self.0.take();
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

fn pool_error(error: PoolError<StoreError>) -> StoreError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(TimeoutType::Wait) => POOL_EXHAUSTED,
        _ => TIMED_OUT,
    }
}

/// Limits how often a statement is sent.
#[derive(Default)]
pub(crate) struct Retries {
    conflicts: u32,
    lost: u32,
}

impl Retries {
    /// Waits before a statement is sent again, or returns the error if the statement must not be
    /// sent again.
    pub(crate) async fn wait_after(&mut self, failure: Failure) -> Result<(), StoreError> {
        match failure {
            Failure::Failed(error) => Err(error),
            Failure::Lost(error) => {
                self.lost = self.lost.saturating_add(1);
                if self.lost > MAX_LOST { Err(error) } else { Ok(()) }
            }
            Failure::Conflict => {
                self.conflicts = self.conflicts.saturating_add(1);
                if self.conflicts >= MAX_CONFLICTS {
                    return Err(CONFLICTS);
                }
                // Adds random jitter so that conflicting processes do not retry together.
                let longest = Duration::from_millis(5).saturating_mul(1 << self.conflicts.min(5));
                tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
                Ok(())
            }
        }
    }
}
