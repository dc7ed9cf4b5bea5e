//! An access token that many share: when it is good, when it is exchanged early, and what follows a failure (O3, O4).

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::event::Event;
use super::single_flight::{Asked, Leader, SingleFlight, Waiter};
use super::tokens::{AccessToken, Issued};
use crate::error::{Error, Operation};
use crate::time::Clock;

/// Where a shared access token comes from.
pub(super) trait Source: Send + Sync + 'static {
    fn cache(&self) -> &TokenCache;

    fn clock(&self) -> &Arc<dyn Clock>;

    fn operation(&self) -> &'static Operation;

    /// Gets a token. Never called twice at once.
    fn fetch(self: Arc<Self>, need: Need) -> impl Future<Output = Result<Fetched, Error>> + Send;

    fn tell(&self, event: &Event);
}

/// What a caller needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A token that is good, wherever it comes from.
    Token,
    /// An exchange, even if there is a good token (O5).
    Exchange,
}

/// What a source gives.
#[derive(Clone)]
pub(super) struct Fetched {
    pub(super) token: AccessToken,
    /// False where somebody else's token was found in the store.
    pub(super) was_exchanged: bool,
}

type Outcome = Result<Fetched, Error>;

/// At rest it is a pointer and a lock: no task, no timer.
pub(super) struct TokenCache {
    current: ArcSwapOption<Issued>,
    flight: SingleFlight<Control, Outcome>,
}

/// What is changed under the lock, together with `current`.
#[derive(Default)]
struct Control {
    /// What a server has refused, so that it is not taken from the store again.
    rejected: Option<AccessToken>,
    /// The next exchange does not begin before this, on the monotonic clock.
    not_before: Duration,
    failure: Option<Failure>,
}

struct Failure {
    error: Error,
    in_a_row: u32,
}

/// The least time between two exchanges (O3): the shortest lifetime there is, so that none makes a loop.
const FLOOR: Duration = Duration::from_secs(1);
/// The longest time between two exchanges that fail, unless the server asks for more.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);
/// The longest that a server may ask for: less than the life of most tokens, so a wrong `Retry-After` ends nothing.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
impl TokenCache {
    pub(super) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), flight: SingleFlight::new(Control::default()) }
    }

    /// Drops a token that was refused; not the one that has replaced it.
    pub(super) fn reject(&self, token: &AccessToken) {
        self.flight.with_state(|control| {
            let current = self.current.load();
            if current.as_ref().is_none_or(|current| Arc::ptr_eq(current, &token.0)) {
                self.current.store(None);
                control.rejected = Some(token.clone());
            }
        });
    }

    /// Starts anew, with a token if there is one.
    pub(super) fn replace(&self, token: Option<&AccessToken>) {
        self.flight.with_state(|control| {
            *control = Control::default();
            self.keep(token);
        });
    }

    pub(super) fn rejected(&self) -> Option<AccessToken> {
        self.flight.with_state(|control| control.rejected.clone())
    }

    /// One whose lifetime is unknown serves those who waited, and is not kept (O3).
    fn keep(&self, token: Option<&AccessToken>) {
        let known = token.filter(|token| token.0.bearer.deadline().is_some());
        self.current.store(known.map(|token| Arc::clone(&token.0)));
    }

    /// What has not expired yet.
    pub(super) fn usable(&self) -> Option<AccessToken> {
        self.current.load_full().map(AccessToken).filter(|token| !token.is_expired())
    }

    fn finish(&self, leader: Leader<Outcome>, outcome: Outcome, clock: &dyn Clock) {
        let kept = outcome.clone();
        self.flight.finish(leader, outcome, |control| match kept {
            Ok(Fetched { token, .. }) => {
                *control = Control { not_before: clock.monotonic().saturating_add(FLOOR), ..Control::default() };
                self.keep(Some(&token));
            }
            // That is remembered with the consent itself, where another process may take it back.
            Err(error) if error.needs_consent() => control.failure = None,
            Err(error) => {
                let in_a_row = control.failure.as_ref().map_or(0, |failure| failure.in_a_row).saturating_add(1);
                control.not_before = clock.monotonic().saturating_add(back_off(&error, in_a_row));
                control.failure = Some(Failure { error, in_a_row });
            }
        });
    }
}

/// Doubles from one second; at most half of it is left to chance, so that it stays a pause.
fn back_off(error: &Error, in_a_row: u32) -> Duration {
    let doubled = FLOOR.saturating_mul(1 << in_a_row.saturating_sub(1).min(6)).min(MAX_BACK_OFF);
    let jittered = doubled.mul_f64(0.5 + fastrand::f64() / 2.0);
    jittered.max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// How far before its end a token is exchanged: a tenth to a fifth of its life, at most five minutes. By chance, so that
/// processes that started together do not come together.
pub(super) fn slack(lifetime: Duration) -> Duration {
    const MAX: Duration = Duration::from_secs(300);
    (lifetime / 5).min(MAX).mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// A token that is good.
pub(super) async fn access_token<S: Source>(source: &Arc<S>) -> Result<AccessToken, Error> {
    if let Some(token) = source.cache().current.load().as_ref()
        && token.is_fresh()
    {
        return Ok(AccessToken(Arc::clone(token)));
    }
    // A second time for a caller who was not polled until the token had expired.
    let mut again = true;
    loop {
        let waiter = match ask(source, Need::Token) {
            Reply::Now(answer) => return answer,
            Reply::Later(waiter) => waiter,
        };
        if let Some(token) = source.cache().usable().filter(|token| token.0.lasts()) {
            return Ok(token);
        }
        match outcome(source, waiter).await {
            Ok(Fetched { token, .. }) if !token.is_expired() => return Ok(token),
            Ok(_) if again => again = false,
            Ok(_) => return Err(Error::stale(source.operation(), None)),
            Err(error) => return source.cache().usable().ok_or(error),
        }
    }
}

/// Exchanges now, or joins an exchange that is under way.
pub(super) async fn exchange_now<S: Source>(source: &Arc<S>) -> Result<AccessToken, Error> {
    loop {
        let waiter = match ask(source, Need::Exchange) {
            Reply::Now(answer) => return answer,
            Reply::Later(waiter) => waiter,
        };
        // What was under way may have found a token in the store: then this one's turn is next.
        if let Fetched { token, was_exchanged: true } = outcome(source, waiter).await? {
            return Ok(token);
        }
    }
}

enum Reply {
    Now(Result<AccessToken, Error>),
    Later(Waiter<Outcome>),
}

fn ask<S: Source>(source: &Arc<S>, need: Need) -> Reply {
    let cache = source.cache();
    let answer = |control: &mut Control, is_under_way: bool| {
        let usable = cache.usable().filter(|_| need == Need::Token);
        if usable.as_ref().is_some_and(|token| token.0.is_fresh()) {
            return usable.map(Ok);
        }
        let failure = control.failure.as_ref().filter(|_| !is_under_way)?;
        let is_pausing = source.clock().monotonic() < control.not_before;
        is_pausing.then(|| usable.ok_or_else(|| failure.error.clone()))
    };
    match cache.flight.ask(answer) {
        Asked::Answered(answer) => Reply::Now(answer),
        Asked::Joined(waiter) => Reply::Later(waiter),
        Asked::Led(leader, waiter) => match Handle::try_current() {
            // A task of its own: a caller who goes away takes nothing with them.
            Ok(runtime) => {
                runtime.spawn(work(Arc::clone(source), leader, need).in_current_span());
                Reply::Later(waiter)
            }
            Err(_) => Reply::Now(Err(Error::no_runtime(source.operation()))),
        },
    }
}

async fn outcome<S: Source>(source: &Arc<S>, waiter: Waiter<Outcome>) -> Outcome {
    waiter.outcome().await.unwrap_or_else(|| Err(Error::abandoned(source.operation())))
}

async fn work<S: Source>(source: Arc<S>, leader: Leader<Outcome>, need: Need) {
    let (cache, clock) = (source.cache(), source.clock());
    let not_before = cache.flight.with_state(|control| control.not_before);
    let wait = not_before.saturating_sub(clock.monotonic());
    if !wait.is_zero() {
        clock.sleep(wait).await;
    }
    let outcome = caught(Arc::clone(&source).fetch(need)).await;
    let outcome = outcome.unwrap_or_else(|| Err(Error::abandoned(source.operation())));
    cache.finish(leader, outcome.clone(), clock.as_ref());
    match outcome {
        Ok(Fetched { token, was_exchanged: true }) => {
            source.tell(&Event::Refreshed { expires_at: token.expires_at() });
        }
        Ok(_) => {}
        Err(error) if error.needs_consent() => {
            // Once, when the server says so.
            if error.status().is_some() {
                source.tell(&Event::ConsentOver { error });
            }
        }
        Err(error) => {
            let valid_until = cache.usable().and_then(|token| token.expires_at());
            source.tell(&Event::RefreshFailed { error, valid_until });
        }
    }
}

/// None where it panics.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}
