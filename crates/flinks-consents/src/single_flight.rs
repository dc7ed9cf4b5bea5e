//! Runs one task at a time and passes its outcome to all waiting callers.
//!
//! This module does not depend on tokens or time. The lock comes from `super::sync`, so that the
//! model check in `tests/single_flight.rs` can replace it.

use std::sync::PoisonError;

use tokio::sync::watch;

use super::sync::{Mutex, MutexGuard};

/// A state `S` and at most one in-flight task, whose outcome is a `T`.
pub(crate) struct SingleFlight<S, T>(Mutex<Inner<S, T>>);

struct Inner<S, T> {
    state: S,
    /// Receives the outcome. If the leader is dropped before it has finished, this channel is
    /// closed and the task is no longer in flight. No other cleanup is needed.
    in_flight: Option<watch::Receiver<Option<T>>>,
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

/// A guard whose holder must run the task. If it is dropped, the waiting callers receive no
/// outcome.
pub(crate) struct Leader<T>(watch::Sender<Option<T>>);

/// One caller's subscription to the outcome of the in-flight task.
pub(crate) struct Waiter<T>(watch::Receiver<Option<T>>);

impl<S, T: Clone> SingleFlight<S, T> {
    pub(crate) fn new(state: S) -> Self {
        Self(Mutex::new(Inner { state, in_flight: None }))
    }

    /// Returns a result from the state, joins the in-flight task, or makes the caller the leader.
    /// `from_state` receives the state and a `bool` that is `true` if a task is in flight.
    pub(crate) fn enter<R>(&self, from_state: impl FnOnce(&mut S, bool) -> Option<R>) -> Entry<R, T> {
        let mut inner = self.lock();
        let in_flight = inner.in_flight.take().filter(|receiver| receiver.has_changed().is_ok());
        inner.in_flight = in_flight.clone();
        if let Some(result) = from_state(&mut inner.state, in_flight.is_some()) {
            return Entry::Ready(result);
        }
        if let Some(receiver) = in_flight {
            return Entry::Joined(Waiter(receiver));
        }
        let (sender, receiver) = watch::channel(None);
        inner.in_flight = Some(receiver.clone());
        Entry::Leading(Leader(sender), Waiter(receiver))
    }

    /// Finishes the task by changing the state and passing the outcome to all waiting callers. If
    /// the task was abandoned, the state does not change.
    pub(crate) fn finish(&self, leader: Leader<T>, outcome: T, change: impl FnOnce(&mut S)) {
        {
            let mut inner = self.lock();
            let own = leader.0.subscribe();
            if inner.in_flight.take_if(|in_flight| in_flight.same_channel(&own)).is_some() {
                change(&mut inner.state);
            }
        }
        leader.0.send_replace(Some(outcome));
    }

    /// Abandons the in-flight task of `waiter`, so that the next caller becomes the leader.
    pub(crate) fn give_up(&self, waiter: &Waiter<T>) {
        self.lock().in_flight.take_if(|in_flight| in_flight.same_channel(&waiter.0));
    }

    pub(crate) fn with_state<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock().state)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Waiter<T> {
    /// Waits for the outcome. Returns `None` if the leader was dropped.
    pub(crate) async fn outcome(&mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}
