//! The state, its lock and three signals, which the connections, the control API and the library
//! share.
//!
//! The lock is held for one decision at a time and never across an `await`. A signal does not carry
//! a value, so a task that receives one reads the state.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::Config;
use crate::fault::Release;
use crate::operation::Operation;
use crate::state::EmulatorState;
use crate::transport::Transport;

pub(crate) struct Shared {
    pub(crate) transport: Transport,
    state: Mutex<EmulatorState>,
    /// The signal that lets blocked requests continue.
    release: watch::Sender<()>,
    /// The signal that is sent when a request has arrived.
    arrival: watch::Sender<()>,
    /// The signal that is sent when the state has been reset.
    reset: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(config: Config, transport: Transport) -> Self {
        Self {
            transport,
            state: Mutex::new(EmulatorState::new(config)),
            release: watch::Sender::new(()),
            arrival: watch::Sender::new(()),
            reset: watch::Sender::new(()),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, EmulatorState> {
        // A panic in one request must not stop the emulator for other requests.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn release(&self) {
        self.release.send_replace(());
    }

    pub(crate) fn on_release(&self) -> Release {
        self.release.subscribe()
    }

    pub(crate) fn announce_arrival(&self) {
        self.arrival.send_replace(());
    }

    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.reset();
        // The signal is sent while the lock is held, so a request that subscribes later sees only
        // the new state.
        self.reset.send_replace(());
    }

    pub(crate) fn on_reset(&self) -> watch::Receiver<()> {
        self.reset.subscribe()
    }

    /// Waits until `count` requests for `operation` have arrived.
    pub(crate) async fn received(&self, operation: Operation, count: u64) {
        let mut arrival = self.arrival.subscribe();
        while self.state().ledger.count(operation) < count {
            if arrival.changed().await.is_err() {
                return;
            }
        }
    }
}
