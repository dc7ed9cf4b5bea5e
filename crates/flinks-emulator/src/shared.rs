//! The state, its lock and four signals, which the connections, the control API and the library
//! share.
//!
//! The lock is held for one decision at a time and never across an `await`. A signal does not carry
//! a value, so a task that receives a signal reads the state.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Config;
use crate::fault::Release;
use crate::file_error::FileError;
use crate::observer::Observer;
use crate::operation::Operation;
use crate::scenario::Scenario;
use crate::state::EmulatorState;
use crate::transport::Transport;

pub(crate) struct Shared {
    pub(crate) observer: Observer,
    pub(crate) transport: Transport,
    state: Mutex<EmulatorState>,
    /// The signal that lets blocked requests continue.
    release: watch::Sender<()>,
    /// The signal that is sent when a request has arrived.
    arrival: watch::Sender<()>,
    /// The signal that is sent when the state has been reset.
    reset: watch::Sender<()>,
    /// The signal that is sent when the clock may have been advanced, frozen or unfrozen.
    clock: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(config: Config, transport: Transport) -> Self {
        Self {
            observer: Observer::new(),
            transport,
            state: Mutex::new(EmulatorState::new(config)),
            release: watch::Sender::new(()),
            arrival: watch::Sender::new(()),
            reset: watch::Sender::new(()),
            clock: watch::Sender::new(()),
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
        self.observer.clear();
        // The signal is sent while the lock is held, so a request that subscribes later sees only
        // the new state.
        self.reset.send_replace(());
    }

    /// Advances the emulator's clock, and applies the scenario's steps that are due.
    pub(crate) fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.clock.advance(by);
        state.apply_due_steps();
        drop(state);
        self.announce_clock_change();
    }

    /// Loads a scenario; see [`Emulator::load_scenario`](crate::Emulator::load_scenario).
    pub(crate) fn load_scenario(&self, scenario: &Scenario) -> Result<(), FileError> {
        let mut state = self.state();
        state.load_scenario(scenario)?;
        self.observer.clear();
        self.reset.send_replace(());
        drop(state);
        self.announce_clock_change();
        Ok(())
    }

    pub(crate) fn announce_clock_change(&self) {
        self.clock.send_replace(());
    }

    /// Waits until the emulator's clock reaches `end`, so advancing the clock shortens the wait.
    pub(crate) async fn wait_until(&self, end: Duration) {
        let mut clock = self.clock.subscribe();
        loop {
            let (left, is_frozen) = {
                let state = self.state();
                (end.saturating_sub(state.now()), state.clock.is_frozen())
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left), if !is_frozen => {}
                _ = clock.changed() => {}
            }
        }
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
