//! A pool of single-use tokens that are requested in advance, so that a caller can open a session
//! or an iframe without waiting for a round trip.
//!
//! ```no_run
//! # async fn example(client: flinks::pay::Client, session: &flinks::pay::NewSession) -> Result<(), flinks::Error> {
//! use flinks::pool::{PoolSize, TokenPool};
//!
//! let pool = TokenPool::new(client.clone(), PoolSize::new(4)?);
//! pool.fill();
//! // When a payer arrives:
//! let token = pool.token().await?;
//! let session = client.initiate_session(token, session).await?;
//! // At the end of the program:
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
use crate::metrics::{self, PoolSource};
use crate::operation::Product;
use crate::retry::backoff;

/// A pool of single-use tokens. Each token comes from a separate response and is handed out only
/// once. Cloning is cheap, and clones share their tokens. [P5](crate::rules)
///
/// - Each call to [`token`](Self::token) requests at most one token in advance, and
///   [`fill`](Self::fill) requests enough tokens to fill the pool. An idle pool therefore makes no
///   requests, and a pool that is used less often holds fewer tokens.
/// - The pool requests tokens in the caller's runtime, at most four at a time. When the last clone
///   is dropped, in-flight requests are cancelled.
/// - After a failure, the pool requests no tokens in advance for about one second. The pause
///   doubles with each subsequent failure, up to one minute. If the server requests a longer pause,
///   the pool waits that long, up to five minutes.
/// - The pool also pauses for one minute if the server returns a token without a lifetime, or a
///   token that has at most half of its lifetime left.
#[derive(Clone)]
pub struct TokenPool<C: SingleUse>(Arc<Inner<C>>);

struct Inner<C: SingleUse> {
    client: C,
    size: usize,
    state: Arc<Mutex<PoolState<C::Token>>>,
    /// The cancellation token that is triggered when the last clone of the pool is dropped.
    closed: CancellationToken,
    _close_on_drop: DropGuard,
    tasks: TaskTracker,
}

struct PoolState<T> {
    /// The tokens that can be handed out, oldest first.
    ready: VecDeque<T>,
    /// The number of tokens still to be requested.
    backlog: usize,
    /// The number of workers. Each worker requests one token at a time.
    workers: usize,
    /// The earliest time, on the monotonic clock, at which a token may be requested in advance.
    next_fetch_at: Duration,
    failures: u32,
    is_shut_down: bool,
}

/// The maximum number of simultaneous requests. This limit prevents a pool that is being filled
/// from overloading the server.
const MAX_WORKERS: usize = 4;
/// The pause after the server returns a token that the pool cannot keep.
const UNUSABLE_TOKEN_PAUSE: Duration = Duration::from_secs(60);

impl<T> PoolState<T> {
    fn back_off(&mut self, now: Duration, pause: Duration) {
        self.next_fetch_at = self.next_fetch_at.max(now.saturating_add(pause));
        self.backlog = 0;
    }
}

impl<C: SingleUse> TokenPool<C> {
    /// Creates an empty pool that holds at most `size` tokens.
    pub fn new(client: C, size: PoolSize) -> Self {
        let state = PoolState {
            ready: VecDeque::new(),
            backlog: 0,
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

    /// Starts filling the pool, for example when the program starts or before a traffic peak. Does
    /// nothing if no Tokio runtime is running.
    pub fn fill(&self) {
        let mut state = lock(&self.0.state);
        drop_old_tokens::<C>(&mut state);
        let missing = self.missing(&state);
        self.spawn_workers(state, missing);
    }

    /// Returns a pooled token that has more than half of its lifetime left. If the pool has no such
    /// token, requests a new token. No other caller receives the same token.
    ///
    /// # Errors
    ///
    /// Returns an error if the pool is empty and
    /// [`pay::Client::authorize`](crate::pay::Client::authorize) or
    /// [`connect::Client::generate_authorize_token`](crate::connect::Client::generate_authorize_token)
    /// fails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, at most one unused token is lost.
    pub async fn token(&self) -> Result<C::Token, Error> {
        match self.take() {
            Some(token) => {
                metrics::count_pool_token(C::PRODUCT, PoolSource::Pool);
                Ok(token)
            }
            None => {
                let token = self.0.client.fetch().await?;
                metrics::count_pool_token(C::PRODUCT, PoolSource::Request);
                Ok(token)
            }
        }
    }

    /// Shuts down the pool: drops its tokens, stops requesting tokens in advance, and waits up to
    /// `limit` for in-flight requests to complete.
    ///
    /// Returns the number of requests that have not completed. These requests are cancelled when
    /// the last clone of the pool is dropped or the runtime shuts down, and each may cost one
    /// unused token.
    ///
    /// [`token`](Self::token) still works after the shutdown and sends a request for each token.
    pub async fn shutdown(&self, limit: Duration) -> usize {
        {
            let mut state = lock(&self.0.state);
            state.is_shut_down = true;
            state.backlog = 0;
            state.ready.clear();
        }
        // Without a timer, there is no way to wait, but then no request can be in flight either.
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
        drop_old_tokens::<C>(&mut state);
        let token = state.ready.pop_front();
        let missing = self.missing(&state).min(1);
        self.spawn_workers(state, missing);
        token
    }

    fn missing(&self, state: &PoolState<C::Token>) -> usize {
        let PoolState { ready, backlog, workers, .. } = state;
        self.0.size.saturating_sub(ready.len()).saturating_sub(*backlog).saturating_sub(*workers)
    }

    /// Adds `more` to the backlog and spawns workers for it.
    fn spawn_workers(&self, mut state: MutexGuard<'_, PoolState<C::Token>>, more: usize) {
        let Inner { client, state: shared, closed, tasks, .. } = &*self.0;
        if more == 0 || state.is_shut_down || client.clock().monotonic() < state.next_fetch_at {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        state.backlog = state.backlog.saturating_add(more);
        // After a failure, a single worker tests whether the server is working again.
        let max_workers = if state.failures == 0 { MAX_WORKERS } else { 1 };
        let new = state.backlog.min(max_workers.saturating_sub(state.workers));
        state.backlog = state.backlog.saturating_sub(new);
        state.workers = state.workers.saturating_add(new);
        // The tracker tokens are taken under the lock, so that a shutdown waits for these workers.
        let tracked: Vec<_> = (0..new).map(|_| tasks.token()).collect();
        // A runtime that is shutting down drops each task as it is spawned. Dropping a worker takes
        // the lock, so release the lock first.
        drop(state);
        for tracked in tracked {
            let mut worker = Worker { client: client.clone(), state: Arc::clone(shared), has_finished: false };
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
    /// Whether this worker has already been subtracted from `workers`.
    has_finished: bool,
}

impl<C: SingleUse> Worker<C> {
    async fn run(&mut self) {
        loop {
            let outcome = self.client.fetch().await;
            let mut state = lock(&self.state);
            match outcome {
                // The pool was shut down, so nobody would receive this token.
                Ok(_) if state.is_shut_down => {}
                Ok(token) if C::has_half_life_left(&token) => {
                    state.failures = 0;
                    state.ready.push_back(token);
                }
                // The pool cannot determine when a token without a known lifetime becomes too old. The
                // next token is unlikely to have a lifetime either.
                Ok(_) => state.back_off(self.client.clock().monotonic(), UNUSABLE_TOKEN_PAUSE),
                Err(error) => {
                    let now = self.client.clock().monotonic();
                    // Simultaneous failures of several workers count as one failure.
                    if now >= state.next_fetch_at {
                        state.failures = state.failures.saturating_add(1);
                    }
                    let pause = backoff(state.failures, error.retry_after());
                    state.back_off(now, pause);
                }
            }
            if state.backlog == 0 {
                // Decrement under the same lock as `push_back`, so that no token is counted as both
                // ready and in flight.
                state.workers = state.workers.saturating_sub(1);
                self.has_finished = true;
                return;
            }
            state.backlog = state.backlog.saturating_sub(1);
        }
    }
}

/// Decrements the number of workers if this worker was cancelled along with its pool or runtime.
impl<C: SingleUse> Drop for Worker<C> {
    fn drop(&mut self) {
        if !self.has_finished {
            let mut state = lock(&self.state);
            state.workers = state.workers.saturating_sub(1);
        }
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drop_old_tokens<C: SingleUse>(state: &mut PoolState<C::Token>) {
    // Tokens are ordered roughly by the time at which they were requested.
    while state.ready.front().is_some_and(|token| !C::has_half_life_left(token)) {
        state.ready.pop_front();
    }
}

/// The number of tokens that a [`TokenPool`] keeps ready. Default: 4.
///
/// In a configuration file, the size is a plain number, for example `pay_pool_size = 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(try_from = "usize")]
pub struct PoolSize(usize);

impl PoolSize {
    /// The largest size. A pool of this size can be filled within half the lifetime of its tokens.
    pub const MAX: usize = 1000;

    /// Creates a pool size. `size` must be from 1 to [`MAX`](Self::MAX).
    ///
    /// # Errors
    ///
    /// Returns an error if the size is out of range.
    pub fn new(size: usize) -> Result<Self, Error> {
        match size {
            1..=Self::MAX => Ok(Self(size)),
            _ => Err(Error::configuration("pool size", OUT_OF_RANGE)),
        }
    }

    /// Reads the size from `FLINKS_PAY_POOL_SIZE` or `FLINKS_CONNECT_POOL_SIZE`, depending on the
    /// client. Returns the default if the variable is not set.
    ///
    /// # Errors
    ///
    /// Returns an error if the value of the variable is not a number from 1 to [`MAX`](Self::MAX).
    /// The error names the variable.
    pub fn from_env<C: SingleUse>() -> Result<Self, Error> {
        let values = Values::from_env(C::FIELDS)?;
        let Some(text) = values.optional("pool_size")? else { return Ok(Self::default()) };
        let size = text.parse().ok().and_then(|size| Self::new(size).ok());
        size.ok_or_else(|| values.error("pool_size", OUT_OF_RANGE).into())
    }
}

const OUT_OF_RANGE: &str = "must be a whole number from 1 to 1000";

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

/// A client whose tokens can be pooled: [`pay::Client`](crate::pay::Client) or
/// [`connect::Client`](crate::connect::Client).
///
/// This trait is sealed and cannot be implemented outside this crate.
pub trait SingleUse: sealed::SingleUse {}

mod sealed {
    use super::*;

    pub trait SingleUse: Clone + Send + Sync + 'static {
        type Token: Send + 'static;
        /// The environment variable that sets the pool size.
        const FIELDS: &'static [Field];
        /// The product that issues the tokens.
        const PRODUCT: Product;

        fn fetch(&self) -> impl Future<Output = Result<Self::Token, Error>> + Send;

        fn clock(&self) -> &dyn Clock;

        /// Returns whether more than half of the token's lifetime is left. The remaining half
        /// leaves time to send the token to a browser.
        fn has_half_life_left(token: &Self::Token) -> bool;
    }
}

#[cfg(feature = "pay")]
impl SingleUse for crate::pay::Client {}

#[cfg(feature = "pay")]
impl sealed::SingleUse for crate::pay::Client {
    type Token = crate::pay::SessionToken;
    const FIELDS: &'static [Field] = &[Field { key: "pool_size", variable: "FLINKS_PAY_POOL_SIZE" }];
    const PRODUCT: Product = Product::Pay;

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
    const PRODUCT: Product = Product::Connect;

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
