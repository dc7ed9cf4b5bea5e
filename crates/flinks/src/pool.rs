//! Single-use tokens that are ready before they are asked for: opening a session or an iframe does not wait for a round trip.
//!
//! ```no_run
//! # async fn example(client: flinks::pay::Client, session: &flinks::pay::NewSession) -> Result<(), flinks::Error> {
//! use flinks::pool::{PoolSize, TokenPool};
//!
//! let pool = TokenPool::new(client.clone(), PoolSize::new(4)?);
//! pool.fill();
//! // … and when somebody wants to pay:
//! let token = pool.token().await?;
//! let session = client.initiate_session(token, session).await?;
//! // … and at the end of the program:
//! pool.shutdown(std::time::Duration::from_secs(30)).await;
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flinks_core::runtime::can_sleep;
use flinks_core::{Clock, Deadline};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::config::{Field, Values};
use crate::error::Error;
use crate::retry::backoff;

/// Keeps single-use tokens ready. Each is the token of one reply, and is handed out once (P5). Cloning is cheap; clones share
/// their tokens.
///
/// For each token that is asked for, one is got in advance at most, four at once, in the runtime of who asks; [`fill`](Self::fill)
/// asks for all of them. So nothing runs while nobody asks, and a pool that is used less holds less. When the last clone is
/// dropped, what is under way ends. After a failure nothing is got in advance for about a second, doubled to a minute, or what
/// the server asks for, up to five minutes; nor for a minute where tokens come without a lifetime or old.
#[derive(Clone)]
pub struct TokenPool<C: SingleUse>(Arc<Inner<C>>);

struct Inner<C: SingleUse> {
    client: C,
    size: usize,
    state: Arc<Mutex<PoolState<C::Token>>>,
    /// Cancelled when the last clone of the pool is dropped.
    closed: CancellationToken,
    _close_on_drop: DropGuard,
    tasks: TaskTracker,
}

struct PoolState<T> {
    /// The oldest first.
    ready: VecDeque<T>,
    /// How many are still to be got; and how many are being got, one by each worker.
    owed: usize,
    workers: usize,
    /// Nothing is got in advance before this, on the monotonic clock.
    next_fetch_at: Duration,
    failures: u32,
    is_shut_down: bool,
}

/// The most requests at once, so that a pool is no load test.
const MAX_WORKERS: usize = 4;
/// How long nothing is got in advance where it could not be kept.
const PAUSE_WHEN_UNUSABLE: Duration = Duration::from_secs(60);

impl<T> PoolState<T> {
    fn back_off(&mut self, now: Duration, pause: Duration) {
        self.next_fetch_at = self.next_fetch_at.max(now.saturating_add(pause));
        self.owed = 0;
    }
}

impl<C: SingleUse> TokenPool<C> {
    /// Creates a pool of at most `size` tokens, empty at first.
    pub fn new(client: C, size: PoolSize) -> Self {
        let state = PoolState {
            ready: VecDeque::new(),
            owed: 0,
            workers: 0,
            next_fetch_at: Duration::ZERO,
            failures: 0,
            is_shut_down: false,
        };
        let closed = CancellationToken::new();
        Self(Arc::new(Inner {
            client,
            size: size.0,
            state: Arc::new(Mutex::new(state)),
            _close_on_drop: closed.clone().drop_guard(),
            closed,
            tasks: TaskTracker::new(),
        }))
    }

    /// Begins to get as many tokens as the pool holds: at the start of a program, or before a rush. Without a tokio runtime
    /// it does nothing.
    pub fn fill(&self) {
        let mut state = lock(&self.0.state);
        drop_old::<C>(&mut state);
        let missing = self.missing(&state);
        self.work(state, missing);
    }

    /// A token that nobody else has, with more than half of its life left: one that is ready, or else a new one.
    ///
    /// # Errors
    ///
    /// Those of [`pay::Client::authorize`](crate::pay::Client::authorize) or
    /// [`connect::Client::generate_authorize_token`](crate::connect::Client::generate_authorize_token).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is lost but at most one token that nobody has used.
    pub async fn token(&self) -> Result<C::Token, Error> {
        match self.take() {
            Some(token) => Ok(token),
            None => self.0.client.fetch().await,
        }
    }

    /// Drops the tokens that are ready, fetches none in advance any more, and waits until the requests that are under way have
    /// ended, but no longer than `limit`. Returns how many have not: they end with the runtime, and cost one token each.
    ///
    /// [`token`](Self::token) works afterwards, and sends a request for each token.
    pub async fn shutdown(&self, limit: Duration) -> usize {
        {
            let mut state = lock(&self.0.state);
            state.is_shut_down = true;
            state.owed = 0;
            state.ready.clear();
        }
        // Without a timer there is nothing to wait with, nor a runtime in which a request could be under way.
        self.0.tasks.close();
        if !self.0.tasks.is_empty() && can_sleep(self.0.client.clock()) {
            tokio::select! {
                biased;
                () = self.0.tasks.wait() => {}
                () = self.0.client.clock().sleep(limit) => {}
            }
        }
        self.0.tasks.len()
    }

    fn take(&self) -> Option<C::Token> {
        let mut state = lock(&self.0.state);
        drop_old::<C>(&mut state);
        let token = state.ready.pop_front();
        let missing = self.missing(&state).min(1);
        self.work(state, missing);
        token
    }

    fn missing(&self, state: &PoolState<C::Token>) -> usize {
        let PoolState { ready, owed, workers, .. } = state;
        self.0.size.saturating_sub(ready.len()).saturating_sub(*owed).saturating_sub(*workers)
    }

    /// Begins to get so many more.
    fn work(&self, mut state: MutexGuard<'_, PoolState<C::Token>>, more: usize) {
        let Inner { client, state: shared, closed, tasks, .. } = &*self.0;
        if more == 0 || state.is_shut_down || client.clock().monotonic() < state.next_fetch_at {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        state.owed = state.owed.saturating_add(more);
        // After a failure, one tries.
        let most = if state.failures == 0 { MAX_WORKERS } else { 1 };
        let new = state.owed.min(most.saturating_sub(state.workers));
        state.owed = state.owed.saturating_sub(new);
        state.workers = state.workers.saturating_add(new);
        // Under the lock, so that a shutdown does not miss one.
        let tracked: Vec<_> = (0..new).map(|_| tasks.token()).collect();
        // A runtime that shuts down drops a task while it is spawned, and the drop of a worker takes the lock.
        drop(state);
        for tracked in tracked {
            let mut worker = Worker { client: client.clone(), state: Arc::clone(shared), has_ended: false };
            let closed = closed.clone();
            runtime.spawn(async move {
                closed.run_until_cancelled(worker.run()).await;
                drop(tracked);
            });
        }
    }
}

impl<C: SingleUse> fmt::Debug for TokenPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.0.client.clock().monotonic();
        let (ready, under_way, is_paused) = {
            let state = lock(&self.0.state);
            (state.ready.len(), state.workers, now < state.next_fetch_at)
        };
        let Inner { size, .. } = &*self.0;
        write!(f, "TokenPool {{ size: {size}, ready: {ready}, under_way: {under_way}, is_paused: {is_paused}, .. }}")
    }
}

struct Worker<C: SingleUse> {
    client: C,
    state: Arc<Mutex<PoolState<C::Token>>>,
    /// Whether it is counted no more.
    has_ended: bool,
}

impl<C: SingleUse> Worker<C> {
    async fn run(&mut self) {
        loop {
            let outcome = self.client.fetch().await;
            let mut state = lock(&self.state);
            match outcome {
                // Nobody would take it.
                Ok(_) if state.is_shut_down => {}
                Ok(token) if C::has_half_life_left(&token) => {
                    state.failures = 0;
                    state.ready.push_back(token);
                }
                // A token without a known lifetime could never be dropped as old, and the next token will have none either.
                Ok(_) => state.back_off(self.client.clock().monotonic(), PAUSE_WHEN_UNUSABLE),
                Err(error) => {
                    let now = self.client.clock().monotonic();
                    // Those that failed together are one failure.
                    if now >= state.next_fetch_at {
                        state.failures = state.failures.saturating_add(1);
                    }
                    let pause = backoff(state.failures, error.retry_after());
                    state.back_off(now, pause);
                }
            }
            if state.owed == 0 {
                // At once: a token must not be counted as both there and coming.
                state.workers = state.workers.saturating_sub(1);
                self.has_ended = true;
                return;
            }
            state.owed = state.owed.saturating_sub(1);
        }
    }
}

/// With the pool, or with its runtime.
impl<C: SingleUse> Drop for Worker<C> {
    fn drop(&mut self) {
        if !self.has_ended {
            let mut state = lock(&self.state);
            state.workers = state.workers.saturating_sub(1);
        }
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drop_old<C: SingleUse>(state: &mut PoolState<C::Token>) {
    // Each was asked for later than the one before, or about then.
    while state.ready.front().is_some_and(|token| !C::has_half_life_left(token)) {
        state.ready.pop_front();
    }
}

/// How many tokens a [`TokenPool`] holds. Default: 4.
///
/// A configuration has it as a number, such as `pay_pool_size = 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(try_from = "usize")]
pub struct PoolSize(usize);

impl PoolSize {
    /// The largest pool. Its tokens are fetched within half of their lifetime.
    pub const MAX: usize = 1000;

    /// Creates a size from 1 to [`MAX`](Self::MAX).
    ///
    /// # Errors
    ///
    /// Returns an error for any other number.
    pub fn new(size: usize) -> Result<Self, Error> {
        match size {
            1..=Self::MAX => Ok(Self(size)),
            _ => Err(Error::configuration("pool size", OUT_OF_RANGE)),
        }
    }

    /// Reads `FLINKS_PAY_POOL_SIZE` or `FLINKS_CONNECT_POOL_SIZE`, for the client of that product.
    ///
    /// # Errors
    ///
    /// Returns an error that names the variable, if it is set to anything but a number from 1 to [`MAX`](Self::MAX).
    pub fn from_env<C: SingleUse>() -> Result<Self, Error> {
        let values = Values::from_env(C::FIELDS)?;
        let Some(text) = values.optional("pool_size")? else { return Ok(Self::default()) };
        let size = text.parse().ok().and_then(|size| Self::new(size).ok());
        size.ok_or_else(|| values.error("pool_size", OUT_OF_RANGE).into())
    }
}

const OUT_OF_RANGE: &str = "is not a whole number from 1 to 1000";

impl Default for PoolSize {
    fn default() -> Self {
        Self(4)
    }
}

impl TryFrom<usize> for PoolSize {
    type Error = Error;

    fn try_from(size: usize) -> Result<Self, Error> {
        Self::new(size)
    }
}

/// Whose tokens can be pooled: [`pay::Client`](crate::pay::Client) and [`connect::Client`](crate::connect::Client). Only this
/// crate can implement it.
pub trait SingleUse: sealed::SingleUse {}

mod sealed {
    use super::*;

    pub trait SingleUse: Clone + Send + Sync + 'static {
        type Token: Send + 'static;
        /// The variable of the pool's size.
        const FIELDS: &'static [Field];

        fn fetch(&self) -> impl Future<Output = Result<Self::Token, Error>> + Send;

        fn clock(&self) -> &dyn Clock;

        /// Whether more than half of its life is left: it may be on its way to a browser.
        fn has_half_life_left(token: &Self::Token) -> bool;
    }
}

#[cfg(feature = "pay")]
impl SingleUse for crate::pay::Client {}

#[cfg(feature = "pay")]
impl sealed::SingleUse for crate::pay::Client {
    type Token = crate::pay::SessionToken;
    const FIELDS: &'static [Field] = &[Field { key: "pool_size", variable: "FLINKS_PAY_POOL_SIZE" }];

    async fn fetch(&self) -> Result<Self::Token, Error> {
        self.authorize().await
    }

    fn clock(&self) -> &dyn Clock {
        self.clock().as_ref()
    }

    fn has_half_life_left(token: &Self::Token) -> bool {
        token.0.deadline().is_some_and(Deadline::has_half_left)
    }
}

#[cfg(feature = "connect")]
impl SingleUse for crate::connect::Client {}

#[cfg(feature = "connect")]
impl sealed::SingleUse for crate::connect::Client {
    type Token = crate::connect::AuthorizeToken;
    const FIELDS: &'static [Field] = &[Field { key: "pool_size", variable: "FLINKS_CONNECT_POOL_SIZE" }];

    async fn fetch(&self) -> Result<Self::Token, Error> {
        self.generate_authorize_token().await
    }

    fn clock(&self) -> &dyn Clock {
        self.clock().as_ref()
    }

    fn has_half_life_left(token: &Self::Token) -> bool {
        token.deadline.has_half_left()
    }
}
