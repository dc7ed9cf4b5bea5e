//! The connection that all calls to a store share.
//!
//! The first call opens the connection. Only one task at a time does so. All other calls wait for
//! it, but no longer than their own timeouts. If Redis does not respond in time, the connection may
//! be broken, so the store drops it and the next call opens a new one.

use std::sync::Arc;
use std::time::Duration;

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
    /// must not be used again. A new one reaches the new primary if the host name or the proxy
    /// already points to it.
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
pub(crate) struct SharedConnection {
    servers: Arc<Servers>,
    timeout: Duration,
    slot: Arc<Mutex<Slot>>,
}

/// The open connection, if any, and the number of the most recently opened connection.
#[derive(Default)]
struct Slot {
    number: u64,
    connection: Option<Connection>,
}

impl SharedConnection {
    pub(crate) fn new(servers: Servers, timeout: Duration) -> Self {
        Self { servers: Arc::new(servers), timeout, slot: Arc::default() }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.servers.is_cluster()
    }

    /// Runs a call with the store's timeout, which includes the time to connect.
    pub(crate) async fn call<T, F>(&self, run: impl FnOnce(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, CallFailure>>,
    {
        let mut used = None;
        let call = async {
            let (number, connection) = self.connection().await.map_err(CallFailure::Replied)?;
            used = Some(number);
            run(connection).await
        };
        let result = tokio::time::timeout(self.timeout, call).await;
        match result.unwrap_or(Err(CallFailure::NoReply(TIMED_OUT))) {
            Ok(value) => Ok(value),
            Err(CallFailure::Replied(error)) => Err(error),
            Err(CallFailure::NoReply(error)) => {
                self.discard(used);
                Err(error)
            }
        }
    }

    /// Drops the connection whose number is `used`, unless a new one has already replaced it.
    fn discard(&self, used: Option<u64>) {
        // If the slot is locked, a task is already opening a new connection.
        if let Ok(mut slot) = self.slot.try_lock()
            && Some(slot.number) == used
        {
            slot.connection = None;
        }
    }

    /// Returns the connection and its number, and opens it first if necessary.
    async fn connection(&self) -> Result<(u64, Connection), StoreError> {
        let (slot, servers, timeout) = (Arc::clone(&self.slot), Arc::clone(&self.servers), self.timeout);
        // A spawned task holds the lock. If the call itself held the lock, a caller that stopped
        // polling the call would block all other calls.
        let connecting = tokio::spawn(async move {
            let mut slot = slot.lock().await;
            if let Some(connection) = &slot.connection {
                return Ok((slot.number, connection.clone()));
            }
            let connection = match tokio::time::timeout(timeout, servers.connect(timeout)).await {
                Ok(connected) => connected.map_err(|error| store_error(&error))?,
                Err(_) => return Err(TIMED_OUT),
            };
            slot.number = slot.number.wrapping_add(1);
            slot.connection = Some(connection.clone());
            Ok((slot.number, connection))
        });
        connecting.await.unwrap_or(Err(TIMED_OUT))
    }
}
