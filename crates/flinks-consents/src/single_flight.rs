//! Runs one task at a time and passes its outcome to all waiting callers.
//!
//! This module does not depend on tokens or time. The lock comes from `super::sync`, so that the
//! model check in `tests/single_flight.rs` can replace it.

use std::sync::{Arc, OnceLock, PoisonError};

use tokio::runtime::Id;
use tokio::sync::Notify;

use super::sync::{Mutex, MutexGuard};

/// A state `S` and at most one in-flight task, whose outcome is a `T`.
pub(crate) struct SingleFlight<S, T>(Mutex<Inner<S, T>>);

struct Inner<S, T> {
    state: S,
    in_flight: Option<Arc<Flight<T>>>,
}

/// A task and the callers that wait for its outcome. The task is in flight until its outcome is
/// known.
struct Flight<T> {
    /// The runtime that the task runs on.
    runtime: Option<Id>,
    /// The outcome. It is `None` if the leader was dropped before it finished the task.
    outcome: OnceLock<Option<T>>,
    /// Wakes the waiting callers, which then read the outcome without a lock.
    finished: Notify,
}

/// The result of [`SingleFlight::enter`].
pub(crate) enum Entry<R, T> {
    /// The state already contains a result.
    Ready(R),
    /// A task is in flight, and the caller waits for it.
    Joined(Waiter<T>),
    /// No task is in flight, and the caller must start one.
    Leading(Leader<T>, Waiter<T>),
}

/// A guard whose holder must run the task. If the guard is dropped before the task is finished, the
/// waiting callers receive no outcome.
pub(crate) struct Leader<T>(Arc<Flight<T>>);

/// One caller's subscription to the outcome of the in-flight task.
#[derive(Clone)]
pub(crate) struct Waiter<T>(Arc<Flight<T>>);

impl<S, T: Clone> SingleFlight<S, T> {
    pub(crate) fn new(state: S) -> Self {
        Self(Mutex::new(Inner { state, in_flight: None }))
    }

    /// Returns a result from the state, joins the in-flight task, or makes the caller the leader.
    /// `from_state` receives the state and a `bool` that is `true` if a task is in flight. `runtime`
    /// is the runtime on which the caller will run the task if it becomes the leader.
    pub(crate) fn enter<R>(
        &self,
        runtime: Option<Id>,
        from_state: impl FnOnce(&mut S, bool) -> Option<R>,
    ) -> Entry<R, T> {
        let mut inner = self.lock();
        inner.in_flight.take_if(|flight| flight.outcome.get().is_some());
        let is_in_flight = inner.in_flight.is_some();
        if let Some(result) = from_state(&mut inner.state, is_in_flight) {
            return Entry::Ready(result);
        }
        if let Some(flight) = &inner.in_flight {
            return Entry::Joined(Waiter(Arc::clone(flight)));
        }
        let flight = Arc::new(Flight { runtime, outcome: OnceLock::new(), finished: Notify::new() });
        inner.in_flight = Some(Arc::clone(&flight));
        Entry::Leading(Leader(Arc::clone(&flight)), Waiter(flight))
    }

    /// Finishes the task by changing the state and passing the outcome to all waiting callers. If
    /// the task was abandoned, the state does not change.
    pub(crate) fn finish(&self, leader: Leader<T>, outcome: T, change: impl FnOnce(&mut S)) {
        {
            let mut inner = self.lock();
            if inner.in_flight.take_if(|flight| Arc::ptr_eq(flight, &leader.0)).is_some() {
                change(&mut inner.state);
            }
        }
        leader.0.finish(Some(outcome));
    }

    /// Abandons the in-flight task that `waiter` is waiting for, so that the next caller becomes
    /// the leader. All waiting callers receive `outcome`.
    pub(crate) fn give_up(&self, waiter: &Waiter<T>, outcome: T) {
        let abandoned = self.lock().in_flight.take_if(|flight| Arc::ptr_eq(flight, &waiter.0));
        if let Some(flight) = abandoned {
            flight.finish(Some(outcome));
        }
    }

    pub(crate) fn with_state<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock().state)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Flight<T> {
    /// Sets the outcome and wakes the waiting callers, unless an outcome has already been set.
    fn finish(&self, outcome: Option<T>) {
        if self.outcome.set(outcome).is_ok() {
            self.finished.notify_waiters();
        }
    }
}

impl<T> Drop for Leader<T> {
    fn drop(&mut self) {
        self.0.finish(None);
    }
}

impl<T: Clone> Waiter<T> {
    /// Returns the runtime that the in-flight task runs on.
    pub(crate) fn runtime(&self) -> Option<Id> {
        self.0.runtime
    }

    /// Waits for the outcome. Returns `None` if the leader was dropped.
    pub(crate) async fn outcome(&self) -> Option<T> {
        // A `Notified` is woken even if it has not been polled yet, so the notification is not
        // missed if the task finishes after the outcome is checked.
        let finished = self.0.finished.notified();
        if self.0.outcome.get().is_none() {
            finished.await;
        }
        self.0.outcome.get()?.clone()
    }
}
