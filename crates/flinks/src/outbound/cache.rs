//! An access token that many share: when it is good, when it is exchanged early, and what follows a failure (O3, O4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use flinks_core::ExpiresIn;
use tracing::Instrument as _;

use super::event::Event;
use super::single_flight::{Asked, Leader, SingleFlight, Waiter};
use super::tokens::{AccessToken, Issued};
use crate::error::{Error, Operation};
use crate::in_flight::InFlight;
use crate::retry::pause;
use crate::runtime::{caught, runtime};
use crate::time::{Clock, jittered};

/// Where a shared access token comes from: a handle, whose clones are the same.
pub(super) trait Source: Clone + Send + Sync + 'static {
    fn cache(&self) -> &TokenCache;

    fn clock(&self) -> &Arc<dyn Clock>;

    fn operation(&self) -> &'static Operation;

    /// Where an exchange counts while it is under way.
    fn in_flight(&self) -> &InFlight;

    /// The longest that `fetch` takes.
    fn longest(&self) -> Duration;

    /// Gets a token. Never called twice at once.
    fn fetch(self, need: Need) -> impl Future<Output = Result<Fetched, Error>> + Send;

    fn tell(&self, event: &Event);
}

/// What a caller needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A token that is good, wherever it comes from.
    Token,
    /// An exchange, even if there is a good token (O5).
    Exchange,
    /// A token, and an exchange for it even if a refusal has ended the consent (O6).
    Revival,
}

/// What a source gives.
#[derive(Clone)]
pub(super) struct Fetched {
    pub(super) token: AccessToken,
    /// False where a token was found in the store; true where another process exchanged while this one waited, too.
    pub(super) was_exchanged: bool,
}

type Outcome = Result<Fetched, Error>;

/// At rest it is a pointer and a lock: no task, no timer.
pub(super) struct TokenCache {
    current: ArcSwapOption<Issued>,
    /// Whether the source has something to do, though the token may be good.
    must_fetch: AtomicBool,
    flight: SingleFlight<Control, Outcome>,
}

/// What is changed under the lock, together with `current`.
#[derive(Default)]
struct Control {
    /// Which consent it is of: another one with each that takes its place.
    epoch: u64,
    /// The tokens that a server has refused since the last exchange, so that none is taken from the store again; and until
    /// when one of them might be.
    rejected: Vec<u64>,
    rejected_until: Duration,
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

impl TokenCache {
    pub(super) fn new() -> Self {
        let flight = SingleFlight::new(Control::default());
        Self { current: ArcSwapOption::empty(), must_fetch: AtomicBool::new(false), flight }
    }

    /// Whether the source has something to do, though the token may be good: then the next who asks makes it fetch.
    pub(super) fn set_must_fetch(&self, must_fetch: bool) {
        self.must_fetch.store(must_fetch, Ordering::Release);
    }

    fn is_fresh(&self, token: &Issued) -> bool {
        token.is_fresh() && !self.must_fetch.load(Ordering::Acquire)
    }

    /// Drops a token that was refused; not the one that has replaced it.
    pub(super) fn reject(&self, token: &AccessToken, clock: &dyn Clock) {
        // More than one who is asked can have handed out.
        const MOST: usize = 16;
        let id = token.0.id;
        self.flight.with_state(|control| {
            let is_replaced = self.current().is_some_and(|current| current.0.id != id);
            if !is_replaced && !control.rejected.contains(&id) {
                control.rejected.truncate(MOST.saturating_sub(1));
                control.rejected.insert(0, id);
                control.rejected_until = clock.monotonic().saturating_add(ExpiresIn::MAX);
                self.current.store(None);
            }
        });
    }

    pub(super) fn is_rejected(&self, id: u64) -> bool {
        self.flight.with_state(|control| control.rejected.contains(&id))
    }

    /// Begins anew, with a token if there is one. What is under way is no longer kept.
    pub(super) fn replace(&self, token: Option<&AccessToken>) {
        self.flight.with_state(|control| {
            *control = Control { epoch: control.epoch.wrapping_add(1), ..Control::default() };
            self.keep(token);
        });
    }

    /// Delays the next exchange.
    pub(super) fn delay(&self, by: Duration, clock: &dyn Clock) {
        let not_before = clock.monotonic().saturating_add(by);
        self.flight.with_state(|control| control.not_before = control.not_before.max(not_before));
    }

    pub(super) fn epoch(&self) -> u64 {
        self.flight.with_state(|control| control.epoch)
    }

    /// Whether the next exchange must wait, or must not take what is in the store, so that this must not be forgotten.
    pub(super) fn must_stay(&self, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        self.flight.with_state(|control| {
            now < control.not_before || (!control.rejected.is_empty() && now < control.rejected_until)
        })
    }

    /// One whose lifetime is unknown serves those who waited, and is not kept (O3).
    fn keep(&self, token: Option<&AccessToken>) {
        let known = token.filter(|token| token.0.bearer.deadline().is_some());
        self.current.store(known.map(|token| Arc::clone(&token.0)));
    }

    /// The last one, which may have expired.
    pub(super) fn current(&self) -> Option<AccessToken> {
        self.current.load_full().map(AccessToken)
    }

    fn usable(&self) -> Option<AccessToken> {
        self.current().filter(|token| !token.is_expired())
    }

    fn finish(&self, leader: Leader<Outcome>, outcome: Outcome, epoch: u64, clock: &dyn Clock) {
        let kept = outcome.clone();
        self.flight.finish(leader, outcome, |control| match kept {
            // Of a consent that was replaced meanwhile.
            _ if control.epoch != epoch => {}
            Ok(Fetched { token, was_exchanged }) => {
                control.failure = None;
                control.not_before = clock.monotonic().saturating_add(FLOOR);
                if was_exchanged {
                    control.rejected.clear();
                }
                self.keep(Some(&token));
            }
            // That is remembered with the consent itself, where another process may take it back.
            Err(error) if error.needs_consent() && !error.is_suspected() => control.failure = None,
            // The record has the pause, and another process may end the suspicion at any moment.
            Err(error) if error.is_suspected() => {
                control.not_before = control.not_before.max(clock.monotonic().saturating_add(FLOOR));
                control.failure = Some(Failure { error, in_a_row: 0 });
            }
            Err(error) => {
                let in_a_row = control.failure.as_ref().map_or(0, |failure| failure.in_a_row).saturating_add(1);
                control.not_before = clock.monotonic().saturating_add(pause(&error, in_a_row));
                control.failure = Some(Failure { error, in_a_row });
            }
        });
    }
}

/// How far before its end a token is exchanged: a tenth to a fifth of its life, at most five minutes. By chance, so that
/// processes that started together do not come together.
pub(super) fn slack(lifetime: Duration) -> Duration {
    const MAX: Duration = Duration::from_secs(300);
    jittered(lifetime.mul_f64(0.2).min(MAX))
}

/// A token that is good.
pub(super) async fn access_token<S: Source>(source: &S) -> Result<AccessToken, Error> {
    if let Some(token) = source.cache().current.load().as_ref()
        && source.cache().is_fresh(token)
    {
        return Ok(AccessToken(Arc::clone(token)));
    }
    // A second time for a caller who was not polled until the token had expired.
    let mut again = true;
    loop {
        let waiter = match ask(source, Need::Token) {
            Reply::Now(answer) => return answer,
            Reply::Later(waiter, _) => waiter,
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
pub(super) async fn exchange_now<S: Source>(source: &S) -> Result<AccessToken, Error> {
    loop {
        let waiter = match ask(source, Need::Exchange) {
            Reply::Now(answer) => return answer,
            Reply::Later(waiter, _) => waiter,
        };
        // What was under way may have found a token in the store: then this one's turn is next.
        if let Fetched { token, was_exchanged: true } = outcome(source, waiter).await? {
            return Ok(token);
        }
    }
}

/// Returns a token of a consent that a refusal may have ended (O6).
pub(super) async fn revive<S: Source>(source: &S) -> Result<AccessToken, Error> {
    loop {
        let (waiter, role) = match ask(source, Need::Revival) {
            Reply::Now(answer) => return answer,
            Reply::Later(waiter, role) => (waiter, role),
        };
        match (outcome(source, waiter).await, role) {
            (Ok(Fetched { token, .. }), _) => return Ok(token),
            (Err(error), Role::Leader) => return Err(error),
            // It may have been an exchange that stops at the end of a consent. The next one is ours, or another revival.
            (Err(error), Role::Follower) if error.attempts() > 0 => return Err(error),
            (Err(_), Role::Follower) => {}
        }
    }
}

enum Reply {
    Now(Result<AccessToken, Error>),
    Later(Waiter<Outcome>, Role),
}

/// Whether a caller began the exchange that it waits for.
enum Role {
    Leader,
    Follower,
}

fn ask<S: Source>(source: &S, need: Need) -> Reply {
    let cache = source.cache();
    let mut epoch = 0;
    let answer = |control: &mut Control, is_under_way: bool| {
        epoch = control.epoch;
        let usable = cache.usable().filter(|_| need == Need::Token);
        if usable.as_ref().is_some_and(|token| cache.is_fresh(&token.0)) {
            return usable.map(Ok);
        }
        let failure = control.failure.as_ref().filter(|_| !is_under_way)?;
        let is_pausing = source.clock().monotonic() < control.not_before;
        is_pausing.then(|| usable.ok_or_else(|| failure.error.clone()))
    };
    let (leader, waiter) = match cache.flight.ask(answer) {
        Asked::Answered(answer) => return Reply::Now(answer),
        Asked::Joined(waiter) => (None, waiter),
        Asked::Led(leader, waiter) => (Some(leader), waiter),
    };
    let runtime = match runtime(source.operation(), source.clock().as_ref()) {
        Ok(runtime) => runtime,
        Err(error) => return Reply::Now(Err(error)),
    };
    let Some(leader) = leader else { return Reply::Later(waiter, Role::Follower) };
    let (source, counted) = (source.clone(), source.in_flight().start());
    // The exchange runs in its own task, so that a caller who is cancelled does not cancel it.
    runtime.spawn(
        async move {
            work(source, leader, need, epoch).await;
            drop(counted);
        }
        .in_current_span(),
    );
    Reply::Later(waiter, Role::Leader)
}

/// The work is done in the runtime of who began it: if nobody drives that any more, those of others do not wait for ever.
async fn outcome<S: Source>(source: &S, mut waiter: Waiter<Outcome>) -> Outcome {
    tokio::select! {
        biased;
        outcome = waiter.outcome() => return outcome.unwrap_or_else(|| Err(Error::abandoned(source.operation()))),
        () = source.clock().sleep(source.longest().saturating_add(FLOOR)) => {}
    }
    source.cache().flight.give_up(&waiter);
    Err(Error::timeout(source.operation()))
}

async fn work<S: Source>(source: S, leader: Leader<Outcome>, need: Need, epoch: u64) {
    let (cache, clock) = (source.cache(), source.clock());
    let not_before = cache.flight.with_state(|control| control.not_before);
    let wait = not_before.saturating_sub(clock.monotonic());
    if !wait.is_zero() {
        clock.sleep(wait).await;
    }
    let outcome = caught(source.clone().fetch(need)).await;
    let outcome = outcome.unwrap_or_else(|| Err(Error::abandoned(source.operation())));
    cache.finish(leader, outcome.clone(), epoch, clock.as_ref());
    match outcome {
        Ok(Fetched { token, was_exchanged: true }) => {
            source.tell(&Event::Refreshed { expires_at: token.expires_at() });
        }
        Ok(_) => {}
        Err(error) if error.needs_consent() => {
            // Once, when the server says so.
            if error.attempts() == 0 {
                return;
            }
            if error.is_suspected() {
                source.tell(&Event::ConsentSuspected { error });
            } else {
                source.tell(&Event::ConsentOver { error });
            }
        }
        Err(error) => {
            let valid_until = cache.usable().and_then(|token| token.expires_at());
            source.tell(&Event::RefreshFailed { error, valid_until });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU32;
    use std::time::SystemTime;

    use flinks_core::Secret;
    use proptest::prelude::*;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::bearer::Bearer;
    use crate::outbound::CLIENT_CREDENTIALS;
    use crate::time::{Deadline, Moment, Sleep};

    /// A server whose tokens live for `lifetime`, and a clock that moves when it is told or slept on.
    #[derive(Clone)]
    struct Server(Arc<Inner>);

    struct Inner {
        lifetime: Option<Duration>,
        cache: TokenCache,
        clock: Arc<dyn Clock>,
        exchanges: AtomicU32,
        in_flight: InFlight,
    }

    #[derive(Clone)]
    struct ManualClock(Arc<Mutex<Duration>>);

    impl ManualClock {
        fn advance(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for ManualClock {
        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + self.monotonic()
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            let clock = self.clone();
            Box::pin(async move {
                // Not the limit of a wait.
                if duration > FLOOR {
                    std::future::pending().await
                }
                clock.advance(duration);
            })
        }
    }

    impl Source for Server {
        fn cache(&self) -> &TokenCache {
            &self.0.cache
        }

        fn clock(&self) -> &Arc<dyn Clock> {
            &self.0.clock
        }

        fn operation(&self) -> &'static Operation {
            &CLIENT_CREDENTIALS
        }

        fn in_flight(&self) -> &InFlight {
            &self.0.in_flight
        }

        fn longest(&self) -> Duration {
            Duration::MAX
        }

        async fn fetch(self, _: Need) -> Result<Fetched, Error> {
            let Inner { lifetime, clock, exchanges, .. } = &*self.0;
            exchanges.fetch_add(1, Ordering::SeqCst);
            let now = Moment::now(clock.as_ref());
            let deadline = lifetime.map(|lifetime| Deadline::after(now, lifetime, clock));
            let token = AccessToken::new(Bearer::new(Secret::new("a"), deadline));
            Ok(Fetched { token, was_exchanged: true })
        }

        fn tell(&self, _: &Event) {}
    }

    /// A user of that server.
    struct User {
        server: Server,
        clock: ManualClock,
        runtime: Runtime,
    }

    impl User {
        fn of(lifetime: u64) -> Self {
            let clock = ManualClock(Arc::new(Mutex::new(Duration::from_secs(1_000_000))));
            let lifetime = Some(Duration::from_secs(lifetime)).filter(|lifetime| !lifetime.is_zero());
            let (cache, exchanges) = (TokenCache::new(), AtomicU32::new(0));
            let in_flight = InFlight::new();
            let server =
                Server(Arc::new(Inner { lifetime, cache, clock: Arc::new(clock.clone()), exchanges, in_flight }));
            Self { server, clock, runtime: Builder::new_current_thread().build().unwrap() }
        }

        /// Whether that took an exchange. A token that is handed out is never one that has expired.
        fn gets(&self) -> bool {
            let before = self.server.0.exchanges.load(Ordering::SeqCst);
            self.runtime.block_on(async {
                assert!(!access_token(&self.server).await.unwrap().is_expired());
                // The early exchange, which nobody waits for.
                tokio::task::yield_now().await;
            });
            let exchanges = self.server.0.exchanges.load(Ordering::SeqCst) - before;
            assert!(exchanges <= 1);
            exchanges == 1
        }
    }

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn o4_of_each_lifetime_four_fifths_are_hits_and_nothing_is_used_beyond_its_end() {
        for lifetime in 1..=DAY {
            let user = User::of(lifetime);
            assert!(user.gets() && !user.gets());
            let whole = Duration::from_secs(lifetime);
            user.clock.advance(whole.mul_f64(0.8) - Duration::from_micros(1));
            assert!(!user.gets(), "{lifetime}");
            user.clock.advance(whole.mul_f64(0.2));
            // A microsecond before its end it was exchanged, if not before.
            assert!(user.gets(), "{lifetime}");
            user.clock.advance(whole);
            assert!(user.gets(), "{lifetime}");
        }
    }

    #[test]
    fn o3_an_unknown_lifetime_is_an_exchange_a_second_at_most() {
        let user = User::of(0);
        let began = user.clock.monotonic();
        for _ in 0..10 {
            assert!(user.gets());
        }
        assert_eq!(user.clock.monotonic() - began, Duration::from_secs(9));
    }

    proptest! {
        /// However the calls are spread, there is never more than one exchange in four fifths of a lifetime.
        #[test]
        fn o4_no_lifetime_makes_it_spin(lifetime in 1..=DAY, steps in prop::collection::vec(0.0..0.3, 1..100)) {
            let user = User::of(lifetime);
            let mut last = None;
            for step in steps {
                let is_exchanged = user.gets();
                let now = user.clock.monotonic();
                if is_exchanged && let Some(last) = last.replace(now) {
                    prop_assert!(now - last >= Duration::from_secs(lifetime).mul_f64(0.79));
                }
                user.clock.advance(Duration::from_secs(lifetime).mul_f64(step));
            }
        }

        /// 50 processes that started in the same second do not come back in the same second.
        #[test]
        fn a4_chance_spreads_early_exchanges(lifetime in 1..=DAY) {
            let whole = Duration::from_secs(lifetime);
            let mut slacks: Vec<_> = (0..50).map(|_| slack(whole)).collect();
            slacks.sort();
            let (first, last) = (slacks[0], slacks[49]);
            let longest = (whole / 5).min(Duration::from_secs(300));
            prop_assert!(first >= longest / 2 && last <= longest && last < whole);
            // Over at least a quarter of the longest; by pure chance, less would be seen once in 10^14 times.
            prop_assert!(last - first >= longest / 4);
        }

        #[test]
        fn a_pause_grows_to_a_minute(in_a_row in 1_u32..) {
            let error = Error::stale(&CLIENT_CREDENTIALS, None);
            let pause = pause(&error, in_a_row);
            let longest = if in_a_row > 6 { 60 } else { 1 << (in_a_row - 1) };
            prop_assert!(pause <= Duration::from_secs(longest) && pause >= Duration::from_secs(longest) / 2);
        }
    }
}
