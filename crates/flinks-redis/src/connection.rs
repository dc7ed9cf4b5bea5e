//! The connection that all calls of a store share.
//!
//! It is opened by the first call. One task at a time opens it; every other call waits for that task,
//! at most until its own timeout. A connection that does not reply in time is dropped, because the
//! network may have forgotten it, and the next call opens another one.

use std::sync::Arc;
use std::time::Duration;

use flinks_consents::store::StoreError;
use redis::RedisError;
use tokio::sync::Mutex;

use crate::error::{LATE, store_error};
use crate::servers::{Connection, Servers};

/// Why a call failed.
pub(crate) enum CallFailure {
    /// Redis replied with an error. The connection can be used again.
    Replied(StoreError),
    /// There was no reply, or one of a server that is no longer the primary: its name, or a proxy,
    /// leads to another server by now. The connection must not be used again.
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

/// The connection of a store, which is opened when it is needed.
pub(crate) struct SharedConnection {
    servers: Arc<Servers>,
    timeout: Duration,
    slot: Arc<Mutex<Slot>>,
}

/// The connection in use, and its number. Each connection has another number.
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

    /// Runs one call. The timeout includes the time to connect.
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
        match result.unwrap_or(Err(CallFailure::NoReply(LATE))) {
            Ok(reply) => Ok(reply),
            Err(CallFailure::Replied(error)) => Err(error),
            Err(CallFailure::NoReply(error)) => {
                self.discard(used);
                Err(error)
            }
        }
    }

    /// Drops a connection that did not reply, unless another one has taken its place.
    fn discard(&self, used: Option<u64>) {
        // If the slot is locked, a task is about to fill it with another connection.
        if let Ok(mut slot) = self.slot.try_lock()
            && Some(slot.number) == used
        {
            slot.connection = None;
        }
    }

    /// Returns the open connection, or a new one, with its number.
    async fn connection(&self) -> Result<(u64, Connection), StoreError> {
        let (slot, servers, timeout) = (Arc::clone(&self.slot), Arc::clone(&self.servers), self.timeout);
        // A spawned task holds the lock: a call that its caller keeps without polling would hold it forever.
        let connecting = tokio::spawn(async move {
            let mut slot = slot.lock().await;
            if let Some(connection) = &slot.connection {
                return Ok((slot.number, connection.clone()));
            }
            let connection = match tokio::time::timeout(timeout, servers.connect(timeout)).await {
                Ok(connected) => connected.map_err(|error| store_error(&error))?,
                Err(_) => return Err(LATE),
            };
            slot.number = slot.number.wrapping_add(1);
            slot.connection = Some(connection.clone());
            Ok((slot.number, connection))
        });
        connecting.await.unwrap_or(Err(LATE))
    }
}
