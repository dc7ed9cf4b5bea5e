//! The state of one shared access token in this process: the token, its invalidations, and the
//! back-off after a failure. (O3, O4)
//!
//! Readers load the token without taking a lock. The single-flight lock protects everything that
//! changes together with the token.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use flinks::outbound::AccessToken;
use flinks::{Clock, backoff};
use tokio::runtime::Id;

use crate::cached_token::CachedToken;
use crate::error::ConsentError;
use crate::single_flight::{Entry, Leader, SingleFlight, Waiter};
use crate::token_id::TokenId;

/// The kind of token that a caller needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A valid token from the cache, from the store or from a refresh.
    Token,
    /// A token from a refresh. The current token is not returned, even if it is still valid. (O5)
    Refresh,
    /// A valid token, even if a refresh must first reactivate a consent that a refusal has ended.
    /// (O6)
    Reactivation,
}

/// The result of a fetch.
#[derive(Clone)]
pub(crate) struct FetchedToken {
    pub(crate) token: Arc<CachedToken>,
    /// Whether this process or another one has refreshed the token since the fetch started. This is
    /// `false` if the token was already in the store.
    pub(crate) was_refreshed: bool,
}

pub(crate) type Outcome = Result<FetchedToken, ConsentError>;

/// The cache for one access token. It consists of a pointer and a lock, and uses no background task
/// or timer.
pub(crate) struct TokenCache {
    current: ArcSwapOption<CachedToken>,
    flight: SingleFlight<Control, Outcome>,
}

/// The state that changes together with the current token.
#[derive(Default)]
struct Control {
    /// See [`Epoch`].
    epoch: u64,
    /// See [`CachedToken::must_fetch`].
    must_fetch: bool,
    /// The tokens that have been invalidated since the last refresh. They must not be loaded from
    /// the store again.
    invalidated: Vec<TokenId>,
    /// The time on the monotonic clock after which the store can no longer contain an invalidated
    /// token.
    invalidated_until: Duration,
    /// The earliest start time of the next refresh, on the monotonic clock.
    next_refresh_at: Duration,
    last_failure: Option<Failure>,
    /// The time on the monotonic clock until which a rejected token is kept. See
    /// [`reject`](TokenCache::reject).
    keep_rejected_until: Duration,
}

struct Failure {
    error: ConsentError,
    /// The number of consecutive failures.
    count: u32,
}

/// The shortest time between two refreshes. This is also the shortest possible token lifetime, so a
/// short lifetime cannot cause a refresh loop. (O3)
pub(crate) const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// The time after a rejection during which further rejections do not cause the token to be
/// replaced, unless the server has accepted the new token. A server that rejects every token
/// therefore causes at most one refresh per minute.
const KEEP_REJECTED: Duration = Duration::from_secs(60);
/// The longest lifetime of an access token: see
/// [`Client::restore_access_token`](flinks::outbound::Client::restore_access_token).
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The next step for a caller that needs a token.
pub(crate) enum NextStep {
    /// The cache already has the result.
    Return(Result<Arc<CachedToken>, ConsentError>),
    /// A fetch is in flight, and the caller waits for it.
    Join(Waiter<Outcome>),
    /// No fetch is in flight, and the caller must start one.
    Lead(Leader<Outcome>, Waiter<Outcome>, Epoch),
}

/// A counter that identifies the cached consent within this process.
///
/// [`TokenCache::replace`] increments it when this process stores or imports a new consent, when a
/// consent is forgotten or revoked, and when a revocation finds that another process has stored a
/// newer consent. A fetch remembers the epoch in which it started. If the epoch has changed when
/// the fetch completes, the result belongs to an earlier consent and is not cached.
///
/// An epoch is never stored. Across processes, [`Record::grant`](crate::store::Record) identifies
/// the consent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl TokenCache {
    pub(crate) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), flight: SingleFlight::new(Control::default()) }
    }

    /// Passes the current token to `read` and returns the result. If no token is cached or a
    /// refresh is due, returns `read` as the error instead.
    ///
    /// Takes no lock and changes no reference count, so threads do not contend for the token. The
    /// guard that keeps the token in memory occupies one of the thread's eight slots, which all
    /// `ArcSwap`s in the program share. Therefore, the guard never leaves this function.
    pub(crate) fn read_fresh<T, R>(&self, clock: &dyn Clock, read: R) -> Result<T, R>
    where
        R: FnOnce(&CachedToken) -> T,
    {
        let current = self.current.load();
        match current.as_ref() {
            Some(current) if current.is_fresh(clock) => Ok(read(current)),
            _ => Err(read),
        }
    }

    /// Returns the current token, even if it has expired.
    pub(crate) fn current(&self) -> Option<Arc<CachedToken>> {
        self.current.load_full()
    }

    /// Returns the current token if it has not expired.
    pub(crate) fn usable(&self) -> Option<Arc<CachedToken>> {
        self.current().filter(|current| !current.token.is_expired())
    }

    /// Sets whether the next caller must start a fetch even if the token is valid.
    pub(crate) fn set_must_fetch(&self, must_fetch: bool) {
        self.flight.with_state(|control| {
            if control.must_fetch != must_fetch {
                control.must_fetch = must_fetch;
                self.publish(control, self.current());
            }
        });
    }

    /// Invalidates a token that a server has rejected. If a new token has already replaced it, the
    /// new one stays in the cache.
    pub(crate) fn invalidate(&self, token: &AccessToken, clock: &dyn Clock) {
        let id = TokenId::from_token(token);
        self.flight.with_state(|control| self.invalidate_id(control, id, clock.monotonic()));
    }

    fn invalidate_id(&self, control: &mut Control, id: TokenId, now: Duration) {
        // This process cannot have returned this many tokens since the last refresh.
        const MAX_INVALIDATED: usize = 16;
        if self.current().is_some_and(|current| current.id != id) {
            return;
        }
        self.current.store(None);
        control.invalidated_until = now.saturating_add(LONGEST_LIFETIME);
        if !control.invalidated.contains(&id) {
            control.invalidated.truncate(MAX_INVALIDATED.saturating_sub(1));
            control.invalidated.insert(0, id);
        }
    }

    /// Invalidates a token that a server has rejected. Does nothing if a token was rejected and
    /// replaced within the last minute and the server has not [accepted](Self::accept_replay) the
    /// new token. In that case, the tokens are not the cause of the rejections.
    ///
    /// Returns `true` if the token has been or will be replaced, so that the request can be sent
    /// again.
    pub(crate) fn reject(&self, id: TokenId, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        self.flight.with_state(|control| {
            let is_replaced = self.current().is_some_and(|current| current.id != id);
            if is_replaced || control.invalidated.contains(&id) {
                return true;
            }
            if now < control.keep_rejected_until {
                return false;
            }
            control.keep_rejected_until = now.saturating_add(KEEP_REJECTED);
            self.invalidate_id(control, id, now);
            true
        })
    }

    /// Records that a server accepted the token that replaced a rejected one. After that, the token
    /// can be replaced again if it is rejected.
    pub(crate) fn accept_replay(&self) {
        self.flight.with_state(|control| control.keep_rejected_until = Duration::ZERO);
    }

    pub(crate) fn is_invalidated(&self, id: TokenId) -> bool {
        self.flight.with_state(|control| control.invalidated.contains(&id))
    }

    /// Starts the next epoch, with or without a token. The result of an in-flight fetch is not
    /// cached.
    pub(crate) fn replace(&self, token: Option<Arc<CachedToken>>) {
        self.flight.with_state(|control| {
            *control =
                Control { epoch: control.epoch.wrapping_add(1), must_fetch: control.must_fetch, ..Control::default() };
            self.publish(control, token);
        });
    }

    /// Delays the next refresh by at least this duration.
    pub(crate) fn delay(&self, by: Duration, clock: &dyn Clock) {
        let next_refresh_at = clock.monotonic().saturating_add(by);
        self.flight.with_state(|control| control.next_refresh_at = control.next_refresh_at.max(next_refresh_at));
    }

    pub(crate) fn next_refresh_at(&self) -> Duration {
        self.flight.with_state(|control| control.next_refresh_at)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.flight.with_state(|control| control.epoch))
    }

    /// Returns whether this cache must stay in memory. This is the case if the next refresh must
    /// wait, if a rejected token must be kept, or if the store may still contain an invalidated
    /// token.
    pub(crate) fn is_needed(&self, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        self.flight.with_state(|control| {
            now < control.next_refresh_at
                || now < control.keep_rejected_until
                || (!control.invalidated.is_empty() && now < control.invalidated_until)
        })
    }

    /// Decides whether the caller receives the cached result, joins a fetch, or starts one on
    /// `runtime`.
    pub(crate) fn next_step(&self, need: Need, clock: &dyn Clock, runtime: Option<Id>) -> NextStep {
        let mut epoch = Epoch(0);
        let from_cache = |control: &mut Control, is_in_flight: bool| {
            epoch = Epoch(control.epoch);
            let usable = match need {
                Need::Token => self.usable(),
                Need::Refresh | Need::Reactivation => None,
            };
            if let Some(token) = &usable
                && token.is_fresh(clock)
            {
                return Some(Ok(Arc::clone(token)));
            }
            if is_in_flight {
                return None;
            }
            let failure = control.last_failure.as_ref()?;
            if clock.monotonic() >= control.next_refresh_at {
                return None;
            }
            Some(usable.ok_or_else(|| failure.error.clone()))
        };
        match self.flight.enter(runtime, from_cache) {
            Entry::Ready(result) => NextStep::Return(result),
            Entry::Joined(waiter) => NextStep::Join(waiter),
            Entry::Leading(leader, waiter) => NextStep::Lead(leader, waiter, epoch),
        }
    }

    /// Abandons the in-flight fetch, so that the next caller starts another one. All waiting callers
    /// receive `error`.
    pub(crate) fn give_up(&self, waiter: &Waiter<Outcome>, error: ConsentError) {
        self.flight.give_up(waiter, Err(error));
    }

    /// Caches the outcome of a fetch and passes it to all waiting callers.
    pub(crate) fn finish(&self, leader: Leader<Outcome>, outcome: &Outcome, epoch: Epoch, clock: &dyn Clock) {
        self.flight.finish(leader, outcome.clone(), |control| {
            // The consent has been replaced, revoked or forgotten since the fetch started.
            if Epoch(control.epoch) != epoch {
                return;
            }
            match outcome {
                Ok(fetched) => self.cache_token(control, fetched, clock),
                Err(error) => control.record_failure(error, clock),
            }
        });
    }

    fn cache_token(&self, control: &mut Control, fetched: &FetchedToken, clock: &dyn Clock) {
        control.last_failure = None;
        control.next_refresh_at = clock.monotonic().saturating_add(MIN_REFRESH_INTERVAL);
        if fetched.was_refreshed {
            control.invalidated.clear();
        } else if control.invalidated.contains(&fetched.token.id) {
            // The token was invalidated after it had been loaded from the store.
            return;
        }
        self.publish(control, Some(Arc::clone(&fetched.token)));
    }

    /// Sets the current token. A token with an unknown lifetime is returned to the waiting callers
    /// but is not cached. (O3)
    fn publish(&self, control: &Control, token: Option<Arc<CachedToken>>) {
        let token = token.filter(|token| token.token.lifetime().is_some());
        self.current.store(token.map(|token| {
            if token.must_fetch == control.must_fetch {
                return token;
            }
            let mut token = CachedToken::clone(&token);
            token.must_fetch = control.must_fetch;
            Arc::new(token)
        }));
    }
}

impl Control {
    fn record_failure(&mut self, error: &ConsentError, clock: &dyn Clock) {
        let now = clock.monotonic();
        if error.is_suspected() {
            // The record shows how long to wait, and another process may clear the suspicion at any
            // time. Therefore, the cache only enforces the minimum time between two refreshes.
            self.next_refresh_at = self.next_refresh_at.max(now.saturating_add(MIN_REFRESH_INTERVAL));
            self.last_failure = Some(Failure { error: error.clone(), count: 0 });
            return;
        }
        if error.needs_consent() {
            // The record shows that the consent has ended, and another process may reactivate the
            // consent.
            self.last_failure = None;
            return;
        }
        let count = self.last_failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
        self.next_refresh_at = now.saturating_add(backoff(count, error.retry_after()));
        self.last_failure = Some(Failure { error: error.clone(), count });
    }
}

#[cfg(test)]
mod tests {
    use flinks::outbound::{Client, ClientAuthentication};
    use flinks::{ManualClock, Settings};

    use super::*;

    struct Local {
        clock: ManualClock,
        client: Client,
        cache: TokenCache,
    }

    impl Local {
        fn new() -> Self {
            let clock = ManualClock::new();
            let settings = Settings::new().clock(clock.clone());
            let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
            let url = "http://127.0.0.1:9".parse().unwrap();
            let client = Client::builder(url, authentication).settings(&settings).build().unwrap();
            Self { clock, client, cache: TokenCache::new() }
        }

        fn fetched(&self) -> Outcome {
            let token = self.client.restore_access_token("a", self.clock.wall(), Duration::from_secs(299));
            let token = Arc::new(CachedToken::new(token.unwrap(), Some(7), &self.clock));
            Ok(FetchedToken { token, was_refreshed: true })
        }

        fn next_step(&self) -> NextStep {
            self.cache.next_step(Need::Token, &self.clock, None)
        }

        fn is_fresh(&self) -> bool {
            self.cache.read_fresh(&self.clock, |_| ()).is_ok()
        }

        fn lead(&self) -> (Leader<Outcome>, Epoch) {
            match self.next_step() {
                NextStep::Lead(leader, _, epoch) => (leader, epoch),
                _ => panic!("the caller does not lead"),
            }
        }

        fn finish(&self, (leader, epoch): (Leader<Outcome>, Epoch), outcome: &Outcome) {
            self.cache.finish(leader, outcome, epoch, &self.clock);
        }
    }

    #[test]
    fn o4_a_fresh_token_is_borrowed_without_changing_a_reference_count() {
        let local = Local::new();
        local.finish(local.lead(), &local.fetched());
        let current = local.cache.current().unwrap();
        let count = local.cache.read_fresh(&local.clock, |_| Arc::strong_count(&current));
        assert_eq!(count.ok(), Some(2), "the cache and this test own the token");
    }

    #[test]
    fn o5_refresh_from_before_a_consent_was_replaced_is_not_cached() {
        let local = Local::new();
        let refresh = local.lead();
        local.cache.replace(None);
        local.finish(refresh, &local.fetched());
        assert!(local.cache.current().is_none());
        let refresh = local.lead();
        local.finish(refresh, &local.fetched());
        assert!(local.is_fresh());
    }

    #[test]
    fn o4_callers_join_a_refresh_in_flight_during_a_back_off() {
        let local = Local::new();
        let refresh = local.lead();
        local.finish(refresh, &Err(ConsentError::timed_out()));
        assert!(matches!(local.next_step(), NextStep::Return(Err(_))), "a failure is returned during the back-off");
        local.clock.advance(Duration::from_secs(60));
        let _refresh = local.lead();
        local.cache.delay(Duration::from_secs(60), &local.clock);
        assert!(matches!(local.next_step(), NextStep::Join(_)));
    }

    #[test]
    fn token_invalidated_while_it_was_loaded_is_not_cached() {
        let local = Local::new();
        let refresh = local.lead();
        let Ok(loaded) = local.fetched() else { panic!("the fetch failed") };
        local.cache.invalidate(&loaded.token.token, &local.clock);
        local.finish(refresh, &Ok(FetchedToken { was_refreshed: false, ..loaded.clone() }));
        assert!(local.cache.current().is_none());
        // If a server returns the same text again, it has issued another token.
        local.clock.advance(Duration::from_secs(1));
        let refresh = local.lead();
        local.finish(refresh, &Ok(loaded.clone()));
        assert!(local.cache.current().is_some());
        local.cache.invalidate(&loaded.token.token, &local.clock);
        assert!(local.cache.current().is_none(), "the second token can be invalidated as well");
    }

    #[test]
    fn o5_valid_token_is_not_fresh_while_a_fetch_is_required() {
        let local = Local::new();
        let refresh = local.lead();
        local.finish(refresh, &local.fetched());
        local.cache.set_must_fetch(true);
        assert!(!local.is_fresh());
        assert!(local.cache.usable().is_some());
        local.clock.advance(Duration::from_secs(1));
        let refresh = local.lead();
        local.finish(refresh, &local.fetched());
        assert!(!local.is_fresh(), "the next token is not fresh either");
        local.cache.set_must_fetch(false);
        assert!(local.is_fresh());
    }
}
