//! Runs one fetch for all callers that need a shared token, and emits the resulting event. Also
//! decides which caller starts the fetch and which callers wait for it. (O4)

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flinks::Clock;
use flinks::outbound::AccessToken;
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::cached_token::CachedToken;
use crate::error::ConsentError;
use crate::event::Event;
use crate::metrics::{self, RefreshOutcome, TokenKind, WaitingCaller};
use crate::runtime;
use crate::single_flight::{Leader, Waiter};
use crate::token_cache::{Epoch, MIN_REFRESH_INTERVAL, Need, NextStep, Outcome, TokenCache};

/// The source of a shared access token. An implementing type is a handle, and all clones of a
/// handle refer to the same source.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    const KIND: TokenKind;

    fn cache(&self) -> &TokenCache;

    fn clock(&self) -> &Arc<dyn Clock>;

    /// Returns the tasks that a shutdown waits for.
    fn tasks(&self) -> &TaskTracker;

    /// Returns the maximum duration of a [`fetch`](Self::fetch).
    fn fetch_timeout(&self) -> Duration;

    /// Fetches a token. Only one fetch runs at a time, unless an earlier fetch exceeded
    /// [`fetch_timeout`](Self::fetch_timeout) because its runtime stopped.
    fn fetch(self, need: Need) -> impl Future<Output = Outcome> + Send;

    fn emit(&self, event: &Event);
}

/// Whether a caller started a fetch or joined an in-flight fetch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

enum Start {
    Ready(Result<Arc<CachedToken>, ConsentError>),
    Waiting(Waiter<Outcome>, Role),
}

/// Returns a valid token.
pub(crate) async fn access_token<S: Source>(source: &S) -> Result<AccessToken, ConsentError> {
    with_token(source, |cached| cached.token.clone()).await
}

/// Passes the cache entry for a valid token to `read` and returns the result.
pub(crate) async fn with_token<S, T, R>(source: &S, read: R) -> Result<T, ConsentError>
where
    S: Source,
    R: FnOnce(&CachedToken) -> T,
{
    match source.cache().read_fresh(source.clock().as_ref(), read) {
        Ok(value) => Ok(value),
        Err(read) => Ok(read(cached_token(source).await?.as_ref())),
    }
}

/// Returns the cache entry for a valid token.
pub(crate) async fn cached_token<S: Source>(source: &S) -> Result<Arc<CachedToken>, ConsentError> {
    // Try a second time if the fetched token expired before the caller was polled.
    let mut is_first = true;
    loop {
        let waiter = match start(source, Need::Token) {
            Start::Ready(result) => return result,
            Start::Waiting(waiter, _) => waiter,
        };
        if let Some(token) = source.cache().usable()
            && token.outlives_a_call()
        {
            return Ok(token);
        }
        match outcome(source, waiter).await {
            Ok(fetched) if !fetched.token.token.is_expired() => return Ok(fetched.token),
            Ok(_) if is_first => is_first = false,
            Ok(_) => return Err(ConsentError::expired()),
            Err(error) => return source.cache().usable().ok_or(error),
        }
    }
}

/// Refreshes the token immediately or waits for an in-flight refresh.
pub(crate) async fn refresh_now<S: Source>(source: &S) -> Result<AccessToken, ConsentError> {
    loop {
        let waiter = match start(source, Need::Refresh) {
            Start::Ready(result) => return Ok(result?.token.clone()),
            Start::Waiting(waiter, _) => waiter,
        };
        let fetched = outcome(source, waiter).await?;
        // If the in-flight fetch only found a token in the store, this caller tries again.
        if fetched.was_refreshed {
            return Ok(fetched.token.token.clone());
        }
    }
}

/// Returns a token for a consent, reactivating the consent first if a refusal has ended it. (O6)
pub(crate) async fn reactivate<S: Source>(source: &S) -> Result<Arc<CachedToken>, ConsentError> {
    loop {
        let (waiter, role) = match start(source, Need::Reactivation) {
            Start::Ready(result) => return result,
            Start::Waiting(waiter, role) => (waiter, role),
        };
        match outcome(source, waiter).await {
            Ok(fetched) => return Ok(fetched.token),
            // Another caller started the in-flight fetch, and that fetch stops if the consent has
            // ended. The next fetch is a reactivation.
            Err(error) if role == Role::Follower && error.attempts() == 0 => {}
            Err(error) => return Err(error),
        }
    }
}

fn start<S: Source>(source: &S, need: Need) -> Start {
    let clock = source.clock().as_ref();
    let runtime = runtime::current(clock);
    let id = runtime.as_ref().ok().map(Handle::id);
    match (source.cache().next_step(need, clock, id), runtime) {
        (NextStep::Return(result), _) => Start::Ready(result),
        (_, Err(error)) => Start::Ready(Err(error)),
        (NextStep::Join(waiter), Ok(_)) => Start::Waiting(waiter, Role::Follower),
        (NextStep::Lead(leader, waiter, epoch), Ok(runtime)) => {
            // The fetch runs in its own task, so that it completes even if the caller is cancelled.
            let task = lead(source.clone(), leader, need, epoch).in_current_span();
            runtime.spawn(source.tasks().track_future(task));
            runtime.spawn(limit(source.clone(), waiter.clone()));
            Start::Waiting(waiter, Role::Leader)
        }
    }
}

/// Waits for the in-flight fetch. If the fetch runs on another runtime, which may have stopped,
/// this function also limits the duration of the fetch.
async fn outcome<S: Source>(source: &S, waiter: Waiter<Outcome>) -> Outcome {
    let _waiting = WaitingCaller::new();
    // This future registers no waker. Each time it is polled, it checks which runtime the caller is
    // running on.
    let elsewhere = poll_fn(|_| {
        let is_elsewhere = runtime::is_other(waiter.runtime(), source.clock().as_ref());
        if is_elsewhere { Poll::Ready(()) } else { Poll::Pending }
    });
    tokio::select! {
        biased;
        outcome = finished(&waiter) => return outcome,
        () = elsewhere => {}
    }
    // Boxed, because this case is rare and must not enlarge the other callers' futures.
    Box::pin(limit(source.clone(), waiter)).await
}

/// Waits for the in-flight fetch. After the maximum duration of a fetch, all waiting callers receive
/// an error, and the next caller starts a new fetch.
///
/// A single task enforces this limit for all callers on the fetch's runtime. If each of thousands
/// of callers had its own timer, the last callers would be delayed.
async fn limit<S: Source>(source: S, waiter: Waiter<Outcome>) -> Outcome {
    tokio::select! {
        biased;
        outcome = finished(&waiter) => return outcome,
        () = source.clock().sleep(source.fetch_timeout().saturating_add(MIN_REFRESH_INTERVAL)) => {}
    }
    source.cache().give_up(&waiter, ConsentError::timed_out());
    finished(&waiter).await
}

async fn finished(waiter: &Waiter<Outcome>) -> Outcome {
    waiter.outcome().await.unwrap_or_else(|| Err(ConsentError::abandoned()))
}

async fn lead<S: Source>(source: S, leader: Leader<Outcome>, need: Need, epoch: Epoch) {
    let cache = source.cache();
    let clock = source.clock();
    let wait = cache.next_refresh_at().saturating_sub(clock.monotonic());
    if !wait.is_zero() {
        clock.sleep(wait).await;
    }
    let fetch = std::panic::AssertUnwindSafe(source.clone().fetch(need)).catch_unwind();
    let outcome = fetch.await.unwrap_or_else(|_| Err(ConsentError::abandoned()));
    cache.finish(leader, &outcome, epoch, clock.as_ref());
    let count = |outcome| metrics::count_refresh(S::KIND, outcome);
    match outcome {
        Ok(fetched) if fetched.was_refreshed => {
            count(RefreshOutcome::Refreshed);
            source.emit(&Event::Refreshed { expires_at: fetched.token.token.expires_at() });
        }
        Ok(_) => count(RefreshOutcome::FromStore),
        Err(error) if error.is_suspected() => {
            // The event is emitted once for each response, and not again for callers that receive
            // the same error later.
            if error.attempts() > 0 {
                count(RefreshOutcome::Suspected);
                source.emit(&Event::ConsentSuspected { error });
            }
        }
        Err(error) if error.needs_consent() => {
            if error.attempts() > 0 {
                count(RefreshOutcome::Ended);
                source.emit(&Event::ConsentEnded { error });
            }
        }
        Err(error) => {
            count(RefreshOutcome::Failed);
            let valid_until = cache.usable().and_then(|current| current.token.expires_at());
            source.emit(&Event::RefreshFailed { error, valid_until });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use flinks::ManualClock;
    use flinks::outbound::{Client, ClientAuthentication};
    use proptest::prelude::*;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::token_cache::FetchedToken;

    /// A source whose tokens all have the same lifetime.
    #[derive(Clone)]
    struct Server(Arc<Inner>);

    struct Inner {
        lifetime: Duration,
        client: Client,
        cache: TokenCache,
        refreshes: AtomicU32,
        tasks: TaskTracker,
        /// Whether the next fetch hangs forever.
        hangs: AtomicBool,
    }

    impl Source for Server {
        const KIND: TokenKind = TokenKind::Consent;

        fn cache(&self) -> &TokenCache {
            &self.0.cache
        }

        fn clock(&self) -> &Arc<dyn Clock> {
            self.0.client.clock()
        }

        fn tasks(&self) -> &TaskTracker {
            &self.0.tasks
        }

        fn fetch_timeout(&self) -> Duration {
            FETCH_TIMEOUT
        }

        async fn fetch(self, _: Need) -> Outcome {
            self.0.refreshes.fetch_add(1, Ordering::SeqCst);
            if self.0.hangs.swap(false, Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let now = self.clock().wall();
            let token = self.0.client.restore_access_token("a", now, self.0.lifetime).unwrap();
            let token = Arc::new(CachedToken::new(token, None, self.clock().as_ref()));
            Ok(FetchedToken { token, was_refreshed: true })
        }

        fn emit(&self, _: &Event) {}
    }

    /// A caller that requests tokens from the server.
    struct User {
        server: Server,
        clock: ManualClock,
        runtime: Runtime,
    }

    impl User {
        fn new(lifetime: u64) -> Self {
            // The clock advances by itself only during the second between two refreshes.
            let clock = ManualClock::auto_advancing(MIN_REFRESH_INTERVAL);
            let settings = flinks::Settings::new().clock(clock.clone());
            let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
            let url = "http://127.0.0.1:9".parse().unwrap();
            let server = Server(Arc::new(Inner {
                lifetime: Duration::from_secs(lifetime),
                client: Client::builder(url, authentication).settings(&settings).build().unwrap(),
                cache: TokenCache::new(),
                refreshes: AtomicU32::new(0),
                tasks: TaskTracker::new(),
                hangs: AtomicBool::new(false),
            }));
            Self { server, clock, runtime: Builder::new_current_thread().enable_all().build().unwrap() }
        }

        /// Requests a valid token and returns the number of refreshes that the request caused.
        fn refreshes_for_a_token(&self) -> u32 {
            let before = self.server.0.refreshes.load(Ordering::SeqCst);
            self.runtime.block_on(async {
                assert!(!access_token(&self.server).await.unwrap().is_expired());
                // Callers do not wait for an early refresh, so the test waits for it here.
                self.server.0.tasks.close();
                self.server.0.tasks.wait().await;
            });
            self.server.0.refreshes.load(Ordering::SeqCst) - before
        }
    }

    const DAY: u64 = 24 * 60 * 60;
    const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

    #[test]
    fn o4_fetch_that_exceeds_its_time_is_abandoned() {
        let user = User::new(DAY);
        user.server.0.hangs.store(true, Ordering::SeqCst);
        user.runtime.block_on(async {
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let server = user.server.clone();
                    tokio::spawn(async move { access_token(&server).await })
                })
                .collect();
            while user.server.0.refreshes.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            // All callers and the task that limits the fetch are waiting.
            tokio::task::yield_now().await;
            user.clock.advance(FETCH_TIMEOUT + MIN_REFRESH_INTERVAL);
            for caller in callers {
                assert_eq!(caller.await.unwrap().unwrap_err().cause(), Some(flinks::Cause::Timeout));
            }
        });
        let token = user.runtime.block_on(access_token(&user.server));
        assert!(!token.unwrap().is_expired());
        assert_eq!(user.server.0.refreshes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn o4_token_is_cached_for_four_fifths_of_any_lifetime() {
        // Test all lifetimes up to 10 minutes and some longer ones.
        for lifetime in (1..=600).chain((600..=DAY).step_by(997)) {
            let user = User::new(lifetime);
            assert_eq!(user.refreshes_for_a_token(), 1, "lifetime {lifetime}: nothing is cached");
            assert_eq!(user.refreshes_for_a_token(), 0, "lifetime {lifetime}: the token is cached");
            let whole = Duration::from_secs(lifetime);
            user.clock.advance(whole.mul_f64(0.8) - Duration::from_micros(1));
            assert_eq!(user.refreshes_for_a_token(), 0, "lifetime {lifetime}: no refresh is due before four fifths");
            user.clock.advance(whole.mul_f64(0.2));
            assert_eq!(
                user.refreshes_for_a_token(),
                1,
                "lifetime {lifetime}: the token is refreshed just before it expires"
            );
            user.clock.advance(whole);
            assert_eq!(user.refreshes_for_a_token(), 1, "lifetime {lifetime}: the token has expired");
        }
    }

    proptest! {
        /// In any period of four fifths of a token's lifetime, at most one refresh is sent,
        /// regardless of how the calls are distributed over time.
        #[test]
        fn o4_no_lifetime_causes_a_loop(lifetime in 2..=DAY, steps in prop::collection::vec(0.0..0.3, 1..100)) {
            let user = User::new(lifetime);
            let mut last = None;
            for step in steps {
                let refreshes = user.refreshes_for_a_token();
                prop_assert!(refreshes <= 1);
                let now = user.clock.monotonic();
                if refreshes == 1 && let Some(last) = last.replace(now) {
                    prop_assert!(now - last >= Duration::from_secs(lifetime).mul_f64(0.79));
                }
                user.clock.advance(Duration::from_secs(lifetime).mul_f64(step));
            }
        }
    }
}
