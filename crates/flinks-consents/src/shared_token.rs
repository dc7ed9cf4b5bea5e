//! One refresh for everyone who asks (O4): who answers a caller, who starts a refresh, and what happens after it.

use std::sync::Arc;
use std::time::Duration;

use flinks::Clock;
use flinks::outbound::AccessToken;
use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::cached_token::CachedToken;
use crate::error::ConsentError;
use crate::event::Event;
use crate::runtime;
use crate::single_flight::{Leader, Waiter};
use crate::token_cache::{Answer, Epoch, MIN_REFRESH_INTERVAL, Need, Outcome, TokenCache};

/// Where a shared access token comes from. It is a handle, and its clones are the same source.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    fn cache(&self) -> &TokenCache;

    fn clock(&self) -> &Arc<dyn Clock>;

    /// The tasks that a shutdown waits for.
    fn tasks(&self) -> &TaskTracker;

    /// The longest time that [`fetch`](Self::fetch) takes.
    fn fetch_timeout(&self) -> Duration;

    /// Gets a token. It is never called twice at once.
    fn fetch(self, need: Need) -> impl Future<Output = Outcome> + Send;

    fn emit(&self, event: &Event);
}

/// Whether a caller started the refresh that it waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

enum Start {
    Answered(Result<Arc<CachedToken>, ConsentError>),
    Waiting(Waiter<Outcome>, Role),
}

/// Returns a valid token.
pub(crate) async fn access_token<S: Source>(source: &S) -> Result<AccessToken, ConsentError> {
    if let Some(token) = source.cache().fresh(source.clock().as_ref()) {
        return Ok(token);
    }
    Ok(cached_token(source).await?.token.clone())
}

/// Returns a valid token with what the cache knows of it.
pub(crate) async fn cached_token<S: Source>(source: &S) -> Result<Arc<CachedToken>, ConsentError> {
    // A second time for a caller who was not polled until the token had expired.
    let mut is_first = true;
    loop {
        let waiter = match start(source, Need::Token) {
            Start::Answered(answer) => return answer,
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

/// Refreshes now, or joins a refresh in flight.
pub(crate) async fn refresh_now<S: Source>(source: &S) -> Result<AccessToken, ConsentError> {
    loop {
        let waiter = match start(source, Need::Refresh) {
            Start::Answered(answer) => return Ok(answer?.token.clone()),
            Start::Waiting(waiter, _) => waiter,
        };
        let fetched = outcome(source, waiter).await?;
        // Otherwise the work in flight found a token in the store, and this caller is next.
        if fetched.was_refreshed {
            return Ok(fetched.token.token.clone());
        }
    }
}

/// Returns a token of a consent that a refusal may have ended (O6).
pub(crate) async fn revive<S: Source>(source: &S) -> Result<Arc<CachedToken>, ConsentError> {
    loop {
        let (waiter, role) = match start(source, Need::Revival) {
            Start::Answered(answer) => return answer,
            Start::Waiting(waiter, role) => (waiter, role),
        };
        match outcome(source, waiter).await {
            Ok(fetched) => return Ok(fetched.token),
            // The work in flight may have been a refresh that stops at the end of a consent. The next one is a revival.
            Err(error) if role == Role::Follower && error.attempts() == 0 => {}
            Err(error) => return Err(error),
        }
    }
}

fn start<S: Source>(source: &S, need: Need) -> Start {
    let answer = source.cache().ask(need, source.clock().as_ref());
    if let Answer::Now(answer) = answer {
        return Start::Answered(answer);
    }
    let runtime = match runtime::current(source.clock().as_ref()) {
        Ok(runtime) => runtime,
        Err(error) => return Start::Answered(Err(error)),
    };
    match answer {
        Answer::Now(answer) => Start::Answered(answer),
        Answer::Join(waiter) => Start::Waiting(waiter, Role::Follower),
        Answer::Lead(leader, waiter, epoch) => {
            // The refresh runs in its own task, so that a caller who is cancelled does not cancel it.
            let task = lead(source.clone(), leader, need, epoch).in_current_span();
            runtime.spawn(source.tasks().track_future(task));
            Start::Waiting(waiter, Role::Leader)
        }
    }
}

/// Waits for the refresh in flight. It runs on the runtime of the caller that started it. If that runtime stops, this gives up after
/// the longest time that a refresh can take, and the next caller starts over.
async fn outcome<S: Source>(source: &S, mut waiter: Waiter<Outcome>) -> Outcome {
    tokio::select! {
        biased;
        outcome = waiter.outcome() => return outcome.unwrap_or_else(|| Err(ConsentError::abandoned())),
        () = source.clock().sleep(source.fetch_timeout().saturating_add(MIN_REFRESH_INTERVAL)) => {}
    }
    source.cache().give_up(&waiter);
    Err(ConsentError::timed_out())
}

async fn lead<S: Source>(source: S, leader: Leader<Outcome>, need: Need, epoch: Epoch) {
    let (cache, clock) = (source.cache(), source.clock());
    let wait = cache.not_before().saturating_sub(clock.monotonic());
    if !wait.is_zero() {
        clock.sleep(wait).await;
    }
    let fetch = std::panic::AssertUnwindSafe(source.clone().fetch(need)).catch_unwind();
    let outcome = fetch.await.unwrap_or_else(|_| Err(ConsentError::abandoned()));
    cache.finish(leader, &outcome, epoch, clock.as_ref());
    match outcome {
        Ok(fetched) if fetched.was_refreshed => {
            source.emit(&Event::Refreshed { expires_at: fetched.token.token.expires_at() });
        }
        Ok(_) => {}
        Err(error) if error.is_suspected() => {
            // Once for each reply of the server, and not for callers who are told again.
            if error.attempts() > 0 {
                source.emit(&Event::ConsentSuspected { error });
            }
        }
        Err(error) if error.needs_consent() => {
            if error.attempts() > 0 {
                source.emit(&Event::ConsentOver { error });
            }
        }
        Err(error) => {
            let valid_until = cache.usable().and_then(|current| current.token.expires_at());
            source.emit(&Event::RefreshFailed { error, valid_until });
        }
    }
}
