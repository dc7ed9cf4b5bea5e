//! The connection that all calls to a store share.
//!
//! The first call opens the connection. Only one task at a time opens a connection. All other calls
//! wait for the connection, but no longer than their own timeouts. If Redis does not respond in
//! time, the connection may be broken, so the store drops it and the next call opens a new one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use flinks_consents::store::StoreError;
use redis::RedisError;
use tokio::sync::Mutex;

use crate::error::{TIMED_OUT, store_error};
use crate::servers::{Connection, Servers};

/// The error from a failed call. The variant shows whether the connection can still be used.
pub(crate) enum CallFailure {
    /// Redis returned an error. The connection can be used again.
    Replied(StoreError),
    /// Redis did not respond, or the server that responded is no longer the primary. The connection
    /// must not be used again. A new connection reaches the new primary if the host name or the
    /// proxy already points to that server.
    NoReply(StoreError),
}

impl From<RedisError> for CallFailure {
    fn from(error: RedisError) -> Self {
        let store_error = store_error(&error);
        match error.code() {
            Some("READONLY" | "MASTERDOWN") | None => Self::NoReply(store_error),
            Some(_) => Self::Replied(store_error),
        }
    }
}

/// A store's connection, opened on demand.
pub(crate) struct SharedConnection(Arc<State>);

struct State {
    servers: Servers,
    timeout: Duration,
    /// The open connection, if any. Calls use the connection without taking a lock.
    open: ArcSwapOption<Connection>,
    /// Held while a connection is being opened.
    opening: Mutex<()>,
}

impl SharedConnection {
    pub(crate) fn new(servers: Servers, timeout: Duration) -> Self {
        Self(Arc::new(State { servers, timeout, open: ArcSwapOption::empty(), opening: Mutex::new(()) }))
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.0.servers.is_cluster()
    }

    /// Runs a call with the store's timeout, which includes the time to connect.
    pub(crate) async fn call<T, F>(&self, run: impl FnOnce(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, CallFailure>>,
    {
        let mut used = None;
        let call = async {
            let connection = self.connection().await.map_err(CallFailure::Replied)?;
            run(Connection::clone(used.insert(connection))).await
        };
        let result = tokio::time::timeout(self.0.timeout, call).await;
        match result.unwrap_or(Err(CallFailure::NoReply(TIMED_OUT))) {
            Ok(value) => Ok(value),
            Err(CallFailure::Replied(error)) => Err(error),
            Err(CallFailure::NoReply(error)) => {
                self.discard(used);
                Err(error)
            }
        }
    }

    /// Drops the `used` connection, unless a new one has already replaced it.
    fn discard(&self, used: Option<Arc<Connection>>) {
        if used.is_some() {
            self.0.open.compare_and_swap(&used, None);
        }
    }

    /// Returns the connection, opening it if necessary.
    async fn connection(&self) -> Result<Arc<Connection>, StoreError> {
        if let Some(connection) = self.0.open.load_full() {
            return Ok(connection);
        }
        // A spawned task holds the lock. If the call itself held the lock, a caller that stopped
        // polling the call would block all other calls.
        tokio::spawn(Arc::clone(&self.0).open()).await.unwrap_or(Err(TIMED_OUT))
    }
}

impl State {
    /// Opens the connection, unless another task has just done so.
    async fn open(self: Arc<Self>) -> Result<Arc<Connection>, StoreError> {
        let _lock = self.opening.lock().await;
        if let Some(connection) = self.open.load_full() {
            return Ok(connection);
        }
        let connection = match tokio::time::timeout(self.timeout, self.servers.connect(self.timeout)).await {
            Ok(connected) => Arc::new(connected.map_err(|error| store_error(&error))?),
            Err(_) => return Err(TIMED_OUT),
        };
        self.open.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }
}
