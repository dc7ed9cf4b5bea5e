//! The state of one shared access token in a process: the token, the refusals of it, and the pause after a failure (O3, O4).
//!
//! Readers take the token without a lock. Everything that changes together with it is behind the lock of the single flight.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use flinks::outbound::AccessToken;
use flinks::{Clock, backoff};

use crate::cached_token::CachedToken;
use crate::error::ConsentError;
use crate::single_flight::{Asked, Leader, SingleFlight, Waiter};
use crate::token_id::TokenId;

/// The kind of token that a caller needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A valid token from any source.
    Token,
    /// A refresh, even if there is a valid token (O5).
    Refresh,
    /// A token, and a refresh for it even if a refusal has ended the consent (O6).
    Reactivation,
}

/// The result of a source.
#[derive(Clone)]
pub(crate) struct Fetched {
    pub(crate) token: Arc<CachedToken>,
    /// `false` if the token was found in the store. Also `true` if another process refreshed it while this one waited.
    pub(crate) was_refreshed: bool,
}

pub(crate) type Outcome = Result<Fetched, ConsentError>;

/// At rest this is a pointer and a lock: no task, no timer.
pub(crate) struct TokenCache {
    current: ArcSwapOption<CachedToken>,
    flight: SingleFlight<Control, Outcome>,
}

/// The state that changes together with the current token.
#[derive(Default)]
struct Control {
    /// Counts the consents that had this place. The result of a refresh that began under an earlier one is not kept.
    epoch: u64,
    /// See [`CachedToken::must_ask_source`].
    must_ask_source: bool,
    /// The tokens that a server has refused since the last refresh, so that none of them is taken from the store again.
    invalidated: Vec<TokenId>,
    /// Until when one of them might be in the store.
    invalidated_until: Duration,
    /// The next refresh does not begin before this, on the monotonic clock.
    next_refresh_at: Duration,
    last_failure: Option<Failure>,
}

struct Failure {
    error: ConsentError,
    /// How many refreshes have failed in a row.
    count: u32,
}

/// The least time between two refreshes (O3). It is the shortest possible lifetime, so that no lifetime causes a loop.
pub(crate) const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// No access token counts as longer-lived: see [`Client::restore_access_token`](flinks::outbound::Client::restore_access_token).
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How a caller gets a token.
pub(crate) enum Answer {
    Now(Result<Arc<CachedToken>, ConsentError>),
    /// A refresh is in flight.
    Join(Waiter<Outcome>),
    /// The caller must start the refresh.
    Lead(Leader<Outcome>, Waiter<Outcome>, Epoch),
}

/// Which consent had this place when a refresh began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl TokenCache {
    pub(crate) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), flight: SingleFlight::new(Control::default()) }
    }

    /// Returns the current token if it is too early to get another one. It takes no lock.
    pub(crate) fn fresh(&self, clock: &dyn Clock) -> Option<AccessToken> {
        let current = self.current.load();
        let current = current.as_ref()?;
        if !current.is_fresh(clock) {
            return None;
        }
        Some(current.token.clone())
    }

    /// Returns the last token, which may have expired.
    pub(crate) fn current(&self) -> Option<Arc<CachedToken>> {
        self.current.load_full()
    }

    pub(crate) fn usable(&self) -> Option<Arc<CachedToken>> {
        self.current().filter(|current| !current.token.is_expired())
    }

    /// Sets whether the next caller must ask the source although the token may be valid.
    pub(crate) fn set_must_ask_source(&self, must_ask_source: bool) {
        self.flight.with_state(|control| {
            if control.must_ask_source != must_ask_source {
                control.must_ask_source = must_ask_source;
                self.publish(control, self.current());
            }
        });
    }

    /// Drops a token that a server has refused, but not one that has replaced it.
    pub(crate) fn invalidate(&self, token: &AccessToken, clock: &dyn Clock) {
        // More than one process can have handed out.
        const MAX_INVALIDATED: usize = 16;
        let id = TokenId::of(token);
        self.flight.with_state(|control| {
            if self.current().is_some_and(|current| current.id != id) {
                return;
            }
            self.current.store(None);
            control.invalidated_until = clock.monotonic().saturating_add(LONGEST_LIFETIME);
            if !control.invalidated.contains(&id) {
                control.invalidated.truncate(MAX_INVALIDATED.saturating_sub(1));
                control.invalidated.insert(0, id);
            }
        });
    }

    pub(crate) fn is_invalidated(&self, id: TokenId) -> bool {
        self.flight.with_state(|control| control.invalidated.contains(&id))
    }

    /// Starts the next epoch, with a token if there is one. The result of a refresh in flight is not kept.
    pub(crate) fn replace(&self, token: Option<Arc<CachedToken>>) {
        self.flight.with_state(|control| {
            *control = Control {
                epoch: control.epoch.wrapping_add(1),
                must_ask_source: control.must_ask_source,
                ..Control::default()
            };
            self.publish(control, token);
        });
    }

    /// Delays the next refresh.
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

    /// Returns whether the next refresh must wait, or must not take a token from the store, so that this state must not be dropped.
    pub(crate) fn is_needed(&self, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        self.flight.with_state(|control| {
            now < control.next_refresh_at || (!control.invalidated.is_empty() && now < control.invalidated_until)
        })
    }

    /// Returns the cached result, or whether to join or to start a refresh.
    pub(crate) fn ask(&self, need: Need, clock: &dyn Clock) -> Answer {
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
        match self.flight.ask(from_cache) {
            Asked::Answered(answer) => Answer::Now(answer),
            Asked::Joined(waiter) => Answer::Join(waiter),
            Asked::Led(leader, waiter) => Answer::Lead(leader, waiter, epoch),
        }
    }

    /// Stops waiting for a refresh, so that the next caller starts another one.
    pub(crate) fn give_up(&self, waiter: &Waiter<Outcome>) {
        self.flight.give_up(waiter);
    }

    /// Keeps the outcome of a refresh, and passes it to everyone who waits.
    pub(crate) fn finish(&self, leader: Leader<Outcome>, outcome: &Outcome, epoch: Epoch, clock: &dyn Clock) {
        self.flight.finish(leader, outcome.clone(), |control| {
            // The consent was replaced or forgotten since the refresh began.
            if Epoch(control.epoch) != epoch {
                return;
            }
            match outcome {
                Ok(fetched) => self.keep_token(control, fetched, clock),
                Err(error) => control.keep_failure(error, clock),
            }
        });
    }

    fn keep_token(&self, control: &mut Control, fetched: &Fetched, clock: &dyn Clock) {
        control.last_failure = None;
        control.next_refresh_at = clock.monotonic().saturating_add(MIN_REFRESH_INTERVAL);
        if fetched.was_refreshed {
            control.invalidated.clear();
        } else if control.invalidated.contains(&fetched.token.id) {
            // A server refused it after it was taken from the store.
            return;
        }
        self.publish(control, Some(Arc::clone(&fetched.token)));
    }

    /// Makes a token the current one. A token whose lifetime is unknown serves those who waited for it, and is not kept (O3).
    fn publish(&self, control: &Control, token: Option<Arc<CachedToken>>) {
        let token = token.filter(|token| token.token.lifetime().is_some());
        self.current.store(token.map(|token| {
            if token.must_ask_source == control.must_ask_source {
                return token;
            }
            let mut token = CachedToken::clone(&token);
            token.must_ask_source = control.must_ask_source;
            Arc::new(token)
        }));
    }
}

impl Control {
    fn keep_failure(&mut self, error: &ConsentError, clock: &dyn Clock) {
        let now = clock.monotonic();
        if error.is_suspected() {
            // The record has the pause, and another process may end the suspicion at any moment.
            self.next_refresh_at = self.next_refresh_at.max(now.saturating_add(MIN_REFRESH_INTERVAL));
            self.last_failure = Some(Failure { error: error.clone(), count: 0 });
            return;
        }
        if error.needs_consent() {
            // The record has the end, and another process may reactivate the consent.
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
            Ok(Fetched { token, was_refreshed: true })
        }

        fn ask(&self) -> Answer {
            self.cache.ask(Need::Token, &self.clock)
        }

        fn lead(&self) -> (Leader<Outcome>, Epoch) {
            match self.ask() {
                Answer::Lead(leader, _, epoch) => (leader, epoch),
                _ => panic!("no refresh is needed"),
            }
        }

        fn finish(&self, (leader, epoch): (Leader<Outcome>, Epoch), outcome: &Outcome) {
            self.cache.finish(leader, outcome, epoch, &self.clock);
        }
    }

    #[test]
    fn o5_refresh_that_began_before_a_consent_was_replaced_is_not_cached() {
        let local = Local::new();
        let refresh = local.lead();
        local.cache.replace(None);
        local.finish(refresh, &local.fetched());
        assert!(local.cache.current().is_none());
        let refresh = local.lead();
        local.finish(refresh, &local.fetched());
        assert!(local.cache.fresh(&local.clock).is_some());
    }

    #[test]
    fn o4_callers_join_a_refresh_in_flight_during_a_pause() {
        let local = Local::new();
        let refresh = local.lead();
        local.finish(refresh, &Err(ConsentError::timed_out()));
        assert!(matches!(local.ask(), Answer::Now(Err(_))), "the pause after a failure");
        local.clock.advance(Duration::from_secs(60));
        let _refresh = local.lead();
        local.cache.delay(Duration::from_secs(60), &local.clock);
        assert!(matches!(local.ask(), Answer::Join(_)));
    }

    #[test]
    fn token_that_was_invalidated_while_it_was_loaded_is_not_cached() {
        let local = Local::new();
        let refresh = local.lead();
        let Ok(loaded) = local.fetched() else { panic!("no token") };
        local.cache.invalidate(&loaded.token.token, &local.clock);
        local.finish(refresh, &Ok(Fetched { was_refreshed: false, ..loaded.clone() }));
        assert!(local.cache.current().is_none());
        // A server that returns the same text again has issued another token.
        local.clock.advance(Duration::from_secs(1));
        let refresh = local.lead();
        local.finish(refresh, &Ok(loaded.clone()));
        assert!(local.cache.current().is_some());
        local.cache.invalidate(&loaded.token.token, &local.clock);
        assert!(local.cache.current().is_none(), "it can be invalidated again");
    }

    #[test]
    fn o5_valid_token_is_not_fresh_while_the_source_has_work() {
        let local = Local::new();
        let refresh = local.lead();
        local.finish(refresh, &local.fetched());
        local.cache.set_must_ask_source(true);
        assert!(local.cache.fresh(&local.clock).is_none());
        assert!(local.cache.usable().is_some());
        local.clock.advance(Duration::from_secs(1));
        let refresh = local.lead();
        local.finish(refresh, &local.fetched());
        assert!(local.cache.fresh(&local.clock).is_none(), "also of the next token");
        local.cache.set_must_ask_source(false);
        assert!(local.cache.fresh(&local.clock).is_some());
    }
}
