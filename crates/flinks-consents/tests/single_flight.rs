//! The single flight under every schedule that a model checker finds: its own source, with the lock
//! of shuttle.
//!
//! tokio's channel is not modelled; it is used under, and right after, a lock that is.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

/// What `single_flight` takes its lock from.
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

/// What tokens are here: the number of the exchange that gave it, or of the one that failed.
type Outcome = Result<u32, u32>;

/// A cache as the real one: the token is in the state, and changes with the end of an exchange.
struct Cache {
    flight: SingleFlight<Option<u32>, Outcome>,
    /// How many exchanges are under way, and how many there were.
    under_way: AtomicU32,
    exchanges: AtomicU32,
}

#[derive(Clone, Copy, PartialEq)]
enum Server {
    Works,
    /// The first exchange fails.
    FailsOnce,
    /// The task of the first exchange is dropped.
    IsDroppedOnce,
}

impl Cache {
    fn new() -> Arc<Self> {
        let under_way = AtomicU32::new(0);
        let exchanges = AtomicU32::new(0);
        Arc::new(Self { flight: SingleFlight::new(None), under_way, exchanges })
    }

    async fn exchange(self: Arc<Self>, leader: Leader<Outcome>, server: Server) {
        assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two at once");
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst) + 1;
        yield_now().await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        match server {
            Server::IsDroppedOnce if number == 1 => drop(leader),
            Server::FailsOnce if number == 1 => self.flight.finish(leader, Err(number), |_| {}),
            _ => self.flight.finish(leader, Ok(number), |token| *token = Some(number)),
        }
    }

    /// None where the leader was dropped.
    async fn get(self: Arc<Self>, server: Server) -> Option<Outcome> {
        match self.flight.enter(|token, _| *token) {
            Entry::Ready(token) => Some(Ok(token)),
            Entry::Joined(mut waiter) => waiter.outcome().await,
            Entry::Leading(leader, mut waiter) => {
                spawn(Arc::clone(&self).exchange(leader, server));
                waiter.outcome().await
            }
        }
    }

    fn invalidate(&self, refused: u32) {
        self.flight.with_state(|token| {
            token.take_if(|token| *token == refused);
        });
    }

    fn exchanges(&self) -> u32 {
        self.exchanges.load(Ordering::SeqCst)
    }
}

/// Schedules by chance, and schedules that differ in few places, which find other faults.
fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), 3000);
    shuttle::check_pct(test, 3000, 3);
}

#[test]
fn o4_all_callers_get_one_outcome() {
    check(|| {
        let cache = Cache::new();
        let all: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&cache).get(Server::Works))).collect();
        for one in all {
            assert_eq!(block_on(one).unwrap(), Some(Ok(1)));
        }
        assert_eq!(cache.exchanges(), 1);
    });
}

#[test]
fn o4_waiters_share_a_failure_and_later_callers_try_again() {
    check(|| {
        let cache = Cache::new();
        let all: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&cache).get(Server::FailsOnce))).collect();
        for one in all {
            assert!(matches!(block_on(one).unwrap(), Some(Err(1) | Ok(2))));
        }
        assert!(cache.exchanges() <= 2);
        assert_eq!(block_on(Arc::clone(&cache).get(Server::FailsOnce)), Some(Ok(2)));
    });
}

#[test]
fn o4_cancelled_caller_does_not_cancel_the_refresh() {
    check(|| {
        let cache = Cache::new();
        // It asks, and is dropped while it waits: whether it leads or not.
        let mut goes = Box::pin(Arc::clone(&cache).get(Server::Works));
        let stays = spawn(Arc::clone(&cache).get(Server::Works));
        let _ = poll_once(&mut goes);
        shuttle::thread::yield_now();
        drop(goes);
        assert_eq!(block_on(stays).unwrap(), Some(Ok(1)));
        assert_eq!(cache.exchanges(), 1);
    });
}

#[test]
fn o4_caller_that_is_not_polled_delays_nobody() {
    check(|| {
        let cache = Cache::new();
        let mut idle = Box::pin(Arc::clone(&cache).get(Server::Works));
        let first = poll_once(&mut idle);
        assert_eq!(block_on(Arc::clone(&cache).get(Server::Works)), Some(Ok(1)));
        cache.invalidate(1);
        assert_eq!(block_on(Arc::clone(&cache).get(Server::Works)), Some(Ok(2)));
        // It has the outcome that it waited for, whenever it comes for it.
        match first {
            Poll::Ready(outcome) => assert_eq!(outcome, Some(Ok(1))),
            Poll::Pending => assert_eq!(block_on(idle), Some(Ok(1))),
        }
    });
}

#[test]
fn o4_dropped_leader_blocks_nobody() {
    check(|| {
        let cache = Cache::new();
        let all: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&cache).get(Server::IsDroppedOnce))).collect();
        for one in all {
            assert!(matches!(block_on(one).unwrap(), None | Some(Ok(2))));
        }
        assert_eq!(block_on(Arc::clone(&cache).get(Server::IsDroppedOnce)), Some(Ok(2)));
        assert_eq!(cache.exchanges(), 2);
    });
}

#[test]
fn o4_rejections_of_one_token_cause_one_refresh() {
    check(|| {
        let cache = Cache::new();
        assert_eq!(block_on(Arc::clone(&cache).get(Server::Works)), Some(Ok(1)));
        let all: Vec<_> = (0..3)
            .map(|_| {
                let cache = Arc::clone(&cache);
                spawn(async move {
                    cache.invalidate(1);
                    cache.get(Server::Works).await
                })
            })
            .collect();
        for one in all {
            assert_eq!(block_on(one).unwrap(), Some(Ok(2)));
        }
        assert_eq!(cache.exchanges(), 2);
    });
}

fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
