//! Runs one piece of work at a time, and passes its outcome to every caller who waits for it.
//!
//! Nothing here knows about tokens or time. The lock comes from `super::sync`, so that the model check in
//! `tests/single_flight.rs` can put another one in its place.

use std::sync::PoisonError;

use tokio::sync::watch;

use super::sync::{Mutex, MutexGuard};

/// A state `S`, and work that may be in flight and completes with a `T`.
pub(crate) struct SingleFlight<S, T>(Mutex<Inner<S, T>>);

struct Inner<S, T> {
    state: S,
    /// Receives the outcome. If the leader is dropped before it has finished, the channel is closed, and the work no longer counts as
    /// in flight: nothing has to be cleaned up for that.
    under_way: Option<watch::Receiver<Option<T>>>,
}

/// The result of [`SingleFlight::ask`].
pub(crate) enum Asked<R, T> {
    /// The state was enough.
    Answered(R),
    /// The work is in flight.
    Joined(Waiter<T>),
    /// The caller must do the work.
    Led(Leader<T>, Waiter<T>),
}

/// The duty to do the work. If it is dropped, the waiting callers get no outcome.
pub(crate) struct Leader<T>(watch::Sender<Option<T>>);

/// A place among the callers who wait.
pub(crate) struct Waiter<T>(watch::Receiver<Option<T>>);

impl<S, T: Clone> SingleFlight<S, T> {
    pub(crate) fn new(state: S) -> Self {
        Self(Mutex::new(Inner { state, under_way: None }))
    }

    /// Answers from the state, or joins the work in flight, or starts it. `answer` gets whether work is in flight.
    pub(crate) fn ask<R>(&self, answer: impl FnOnce(&mut S, bool) -> Option<R>) -> Asked<R, T> {
        let mut inner = self.lock();
        let under_way = inner.under_way.take().filter(|receiver| receiver.has_changed().is_ok());
        inner.under_way = under_way.clone();
        match (answer(&mut inner.state, under_way.is_some()), under_way) {
            (Some(answer), _) => Asked::Answered(answer),
            (None, Some(receiver)) => Asked::Joined(Waiter(receiver)),
            (None, None) => {
                let (sender, receiver) = watch::channel(None);
                inner.under_way = Some(receiver.clone());
                Asked::Led(Leader(sender), Waiter(receiver))
            }
        }
    }

    /// Finishes the work: changes the state, and passes the outcome to all who wait. Work that was given up changes nothing.
    pub(crate) fn finish(&self, leader: Leader<T>, outcome: T, change: impl FnOnce(&mut S)) {
        {
            let mut inner = self.lock();
            let own = leader.0.subscribe();
            if inner.under_way.take_if(|under_way| under_way.same_channel(&own)).is_some() {
                change(&mut inner.state);
            }
        }
        leader.0.send_replace(Some(outcome));
    }

    /// Gives up the work that a waiter waits for, so that the next caller leads.
    pub(crate) fn give_up(&self, waiter: &Waiter<T>) {
        self.lock().under_way.take_if(|under_way| under_way.same_channel(&waiter.0));
    }

    pub(crate) fn with_state<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock().state)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Waiter<T> {
    /// Waits for the outcome. `None` if the leader was dropped.
    pub(crate) async fn outcome(&mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}
