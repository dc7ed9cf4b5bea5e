//! Tests `single_flight.rs` under schedules from a model checker. This program includes that file's
//! source code and replaces its lock with a lock from `shuttle`.
//!
//! The model does not include Tokio's `Notify` or the outcome. A caller reads the outcome, and a
//! leader writes it, between two modelled steps, so no other step runs at the same time.

#![allow(clippy::panic, clippy::unwrap_used)] // test helpers are tests too

/// The lock that `single_flight.rs` uses.
mod sync {
    pub(super) use shuttle::sync::{Mutex, MutexGuard};
}

#[allow(dead_code, unreachable_pub)]
#[path = "../src/single_flight.rs"]
mod single_flight;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use shuttle::future::{block_on, spawn, yield_now};
use single_flight::{Entry, Leader, SingleFlight};

/// The outcome of a refresh. Each refresh returns its sequence number, either as the token or as
/// the error.
type Outcome = Result<u32, u32>;

/// A model of the cache. The state contains the token, which each successful refresh replaces.
struct Cache {
    flight: SingleFlight<Option<u32>, Outcome>,
    /// The number of in-flight refreshes.
    in_flight: AtomicU32,
    /// The total number of refreshes.
    refreshes: AtomicU32,
}

#[derive(Clone, Copy, PartialEq)]
enum Server {
    Works,
    /// The first refresh fails.
    FailsOnce,
    /// The task of the first refresh is dropped.
    IsDroppedOnce,
}

impl Cache {
    fn new() -> Arc<Self> {
        let in_flight = AtomicU32::new(0);
        let refreshes = AtomicU32::new(0);
        Arc::new(Self { flight: SingleFlight::new(None), in_flight, refreshes })
    }

    async fn refresh(self: Arc<Self>, leader: Leader<Outcome>, server: Server) {
        assert_eq!(self.in_flight.fetch_add(1, Ordering::SeqCst), 0, "two refreshes are in flight");
        let number = self.refreshes.fetch_add(1, Ordering::SeqCst) + 1;
        yield_now().await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        match server {
            Server::IsDroppedOnce if number == 1 => drop(leader),
            Server::FailsOnce if number == 1 => self.flight.finish(leader, Err(number), |_| {}),
            _ => self.flight.finish(leader, Ok(number), |token| *token = Some(number)),
        }
    }

    /// Returns the outcome of a refresh, or `None` if the leader was dropped.
    async fn get(self: Arc<Self>, server: Server) -> Option<Outcome> {
        match self.flight.enter(None, |token, _| *token) {
            Entry::Ready(token) => Some(Ok(token)),
            Entry::Joined(waiter) => waiter.outcome().await,
            Entry::Leading(leader, waiter) => {
                spawn(Arc::clone(&self).refresh(leader, server));
                waiter.outcome().await
            }
        }
    }

    fn invalidate(&self, refused: u32) {
        self.flight.with_state(|token| {
            token.take_if(|token| *token == refused);
        });
    }

    fn refreshes(&self) -> u32 {
        self.refreshes.load(Ordering::SeqCst)
    }
}

/// Runs random schedules as well as schedules with few preemptions, because each kind reveals
/// different errors.
fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), 3000);
    shuttle::check_pct(test, 3000, 3);
}

#[test]
fn o4_all_callers_get_one_outcome() {
    check(|| {
        let cache = Cache::new();
        let callers: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&cache).get(Server::Works))).collect();
        for caller in callers {
            assert_eq!(block_on(caller).unwrap(), Some(Ok(1)));
        }
        assert_eq!(cache.refreshes(), 1);
    });
}

#[test]
fn o4_waiters_share_a_failure_and_later_callers_try_again() {
    check(|| {
        let cache = Cache::new();
        let callers: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&cache).get(Server::FailsOnce))).collect();
        for caller in callers {
            assert!(matches!(block_on(caller).unwrap(), Some(Err(1) | Ok(2))));
        }
        assert!(cache.refreshes() <= 2);
        assert_eq!(block_on(Arc::clone(&cache).get(Server::FailsOnce)), Some(Ok(2)));
    });
}

#[test]
fn o4_cancelled_caller_does_not_cancel_the_refresh() {
    check(|| {
        let cache = Cache::new();
        // The caller is dropped while it waits, whether or not it is the leader.
        let mut cancelled = Box::pin(Arc::clone(&cache).get(Server::Works));
        let waiter = spawn(Arc::clone(&cache).get(Server::Works));
        let _ = poll_once(&mut cancelled);
        shuttle::thread::yield_now();
        drop(cancelled);
        assert_eq!(block_on(waiter).unwrap(), Some(Ok(1)));
        assert_eq!(cache.refreshes(), 1);
    });
}

#[test]
fn o4_unpolled_caller_delays_no_other_caller() {
    check(|| {
        let cache = Cache::new();
        let mut idle = Box::pin(Arc::clone(&cache).get(Server::Works));
        let first = poll_once(&mut idle);
        assert_eq!(block_on(Arc::clone(&cache).get(Server::Works)), Some(Ok(1)));
        cache.invalidate(1);
        assert_eq!(block_on(Arc::clone(&cache).get(Server::Works)), Some(Ok(2)));
        // The caller receives the outcome that it waited for, no matter when it is polled.
        match first {
            Poll::Ready(outcome) => assert_eq!(outcome, Some(Ok(1))),
            Poll::Pending => assert_eq!(block_on(idle), Some(Ok(1))),
        }
    });
}

#[test]
fn o4_dropped_leader_blocks_no_other_caller() {
    check(|| {
        let cache = Cache::new();
        let callers: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&cache).get(Server::IsDroppedOnce))).collect();
        for caller in callers {
            assert!(matches!(block_on(caller).unwrap(), None | Some(Ok(2))));
        }
        assert_eq!(block_on(Arc::clone(&cache).get(Server::IsDroppedOnce)), Some(Ok(2)));
        assert_eq!(cache.refreshes(), 2);
    });
}

#[test]
fn o4_invalidating_one_token_several_times_causes_one_refresh() {
    check(|| {
        let cache = Cache::new();
        assert_eq!(block_on(Arc::clone(&cache).get(Server::Works)), Some(Ok(1)));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let cache = Arc::clone(&cache);
                spawn(async move {
                    cache.invalidate(1);
                    cache.get(Server::Works).await
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(block_on(caller).unwrap(), Some(Ok(2)));
        }
        assert_eq!(cache.refreshes(), 2);
    });
}

fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
