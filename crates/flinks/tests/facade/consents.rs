//! Rules O3-O6 where a token is shared, and the rows "Time" and "Concurrency and cancellation": what many callers, a clock, a
//! server and a store do to a consent. Requests are counted by the emulator.

use std::collections::VecDeque;
use std::future::pending;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use flinks::outbound::store::{DueWindow, Record, StoreError, StoreFuture};
use flinks::outbound::{
    AccessToken, AppTokenSource, Client, Consent, ConsentId, Consents, ConsentsBuilder, Event, FileStore, MemoryStore,
    RefreshToken, Revoked, StoreOutage, TokenStore,
};
use flinks::{Error, ManualClock, SpendError};
use flinks_emulator::{Fault, Kind, Operation, When};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use crate::outbound::{client_at, code, credentials, refresh_token};
use crate::{Local, TIMEOUT, TestClock, local_at};

pub(crate) const TOKEN: Operation = Operation::OutboundToken;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Of the emulator's access tokens here.
pub(crate) const LIFETIME: Duration = Duration::from_secs(1800);

pub(crate) async fn start() -> Local {
    let local = crate::local().await;
    local.emulator.configure(|config| config.outbound.access_token_seconds = LIFETIME.as_secs());
    local
}

pub(crate) fn client(local: &Local) -> Client {
    client_at(local, credentials())
}

pub(crate) fn id(text: &str) -> ConsentId {
    text.parse().unwrap()
}

pub(crate) fn builder(local: &Local) -> ConsentsBuilder {
    // Far more than the waits of any call, so that only a store that hangs takes so long.
    Consents::builder(client(local)).store_timeout(TIMEOUT)
}

/// The consent of the emulator's first refresh token, in a store.
pub(crate) async fn consent_in(local: &Local, store: impl TokenStore) -> Consent {
    let consents = builder(local).store(store).build();
    consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap()
}

pub(crate) async fn consent(local: &Local) -> Consent {
    consent_in(local, MemoryStore::new()).await
}

/// As `consent`, and its events.
pub(crate) async fn consent_with_events(local: &Local) -> (Consent, UnboundedReceiver<Event>) {
    let (sender, events) = unbounded_channel();
    let consents = builder(local).on_event(move |_, event| sender.send(event.clone()).unwrap()).build();
    let exchanged_at = local.now();
    (consents.insert(&id("user-7"), refresh_token(), exchanged_at).await.unwrap(), events)
}

pub(crate) fn spawn(consent: &Consent) -> JoinHandle<Result<AccessToken, Error>> {
    let consent = consent.clone();
    tokio::spawn(async move { consent.access_token().await })
}

/// Polls it once.
pub(crate) async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}

pub(crate) fn text(token: &AccessToken) -> String {
    token.expose_secret().to_owned()
}

impl Local {
    pub(crate) fn now(&self) -> SystemTime {
        use flinks::Clock as _;
        self.clock.wall()
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.emulator.count(TOKEN)
    }

    /// Moves the clocks of both sides.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.emulator.advance(by);
    }
}

pub(crate) fn hold(when: When) -> Fault {
    Fault::Hold { when }
}

fn lives(expires_in: &str) -> Fault {
    Fault::reply(200, format!(r#"{{"access_token":"emu_a","token_type":"Bearer","expires_in":{expires_in}}}"#))
}

#[tokio::test]
async fn o4_a_thousand_callers_and_nothing_cached() {
    let local = start().await;
    let consent = consent(&local).await;
    let source = AppTokenSource::new(client(&local), None);
    let apps: Vec<_> = (0..1000)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { source.access_token().await })
        })
        .collect();
    let consents: Vec<_> = (0..1000).map(|_| spawn(&consent)).collect();
    for all in [apps, consents] {
        let mut tokens = Vec::new();
        for one in all {
            tokens.push(text(&one.await.unwrap().unwrap()));
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 1);
    }
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_a_thousand_callers_on_a_server_that_fails() {
    for (status, requests) in [(500, [3, 2]), (429, [3, 3])] {
        for (kind, requests) in requests.into_iter().enumerate() {
            let local = start().await;
            let consent = consent(&local).await;
            let source = AppTokenSource::new(client(&local), None);
            local.emulator.fail_always(TOKEN, Fault::status(status));
            let one = || {
                let (source, consent) = (source.clone(), consent.clone());
                tokio::spawn(async move {
                    if kind == 0 { source.access_token().await } else { consent.access_token().await }
                })
            };
            let all: Vec<_> = (0..1000).map(|_| one()).collect();
            for one in all {
                let error = one.await.unwrap().unwrap_err();
                assert_eq!((error.status(), error.attempts()), (Some(status), requests));
            }
            // Those who come a little later get the same.
            assert_eq!(one().await.unwrap().unwrap_err().status(), Some(status));
            assert_eq!(local.tokens(), u64::from(requests));
            // And after the pause, which is a second at most, there is another try.
            local.emulator.clear_faults();
            local.advance(SECOND);
            let _ = one().await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn o4_a_caller_who_goes_away_takes_nothing_with_them() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let began = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    let waits = spawn(&consent);
    began.abort();
    assert!(began.await.unwrap_err().is_cancelled());
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o4_all_go_away_and_the_result_is_kept() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let consent = consent(&local).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let all: Vec<_> = (0..10).map(|_| spawn(&consent)).collect();
    local.emulator.received(TOKEN, 1).await;
    for one in all {
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
    local.emulator.release();
    // Joins what is under way, or finds what came of it.
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o9_a_code_exchange_whose_caller_goes_away_is_kept() {
    let local = start().await;
    let consents = Arc::new(builder(&local).build());
    local.emulator.fail_next(TOKEN, hold(When::After));
    let code = code(&local, &client(&local)).await;
    let caller = tokio::spawn({
        let consents = Arc::clone(&consents);
        async move { consents.exchange_code(&id("new"), code).await }
    });
    local.emulator.received(TOKEN, 1).await;
    let consent = consents.consent(&id("new"));
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    local.emulator.release();
    while consent.access_token().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o4_a_waiter_with_a_timeout_of_its_own_fails_alone() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let waits = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    {
        let mut impatient = Box::pin(consent.access_token());
        assert!(is_pending(&mut impatient).await);
    }
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o4_a_caller_who_is_not_polled_delays_nobody_and_gets_a_token_that_is_good() {
    let local = start().await;
    let consent = consent(&local).await;
    let mut idle = Box::pin(consent.access_token());
    assert!(is_pending(&mut idle).await);
    let first = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
    local.advance(LIFETIME);
    let token = idle.await.unwrap();
    assert!(!token.is_expired() && first.is_expired());
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_fifty_who_report_one_refused_token_cause_one_exchange() {
    let local = start().await;
    let consent = consent(&local).await;
    let refused = consent.access_token().await.unwrap();
    local.advance(SECOND);
    let mut tokens = Vec::new();
    for _ in 0..50 {
        consent.reject(&refused);
        tokens.push(text(&consent.access_token().await.unwrap()));
    }
    tokens.dedup();
    assert!(tokens.len() == 1 && tokens[0] != text(&refused));
    assert_eq!(local.tokens(), 2);

    // It is not taken from the store again, by a new handle either. A token of another consent's changes nothing.
    let other = AppTokenSource::new(client(&local), None).access_token().await.unwrap();
    consent.reject(&other);
    assert!(text(&consent.access_token().await.unwrap()) == tokens[0]);
    assert_eq!(local.tokens(), 3);

    let store = MemoryStore::new();
    let handle = consent_in(&local, store.clone()).await;
    let refused = handle.access_token().await.unwrap();
    let fresh = builder(&local).store(store).build().consent(&id("user-7"));
    fresh.reject(&refused);
    assert!(text(&fresh.access_token().await.unwrap()) != text(&refused));
}

#[tokio::test]
async fn o4_the_same_token_twice_is_two() {
    let local = start().await;
    let consent = consent(&local).await;
    let first = consent.access_token().await.unwrap();
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, Fault::DuplicateToken);
    consent.reject(&first);
    let second = consent.access_token().await.unwrap();
    assert!(text(&first) == text(&second));
    consent.reject(&first);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_a_token_is_exchanged_early_while_it_serves() {
    let local = start().await;
    let (consent, mut events) = consent_with_events(&local).await;
    let first = consent.access_token().await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { expires_at: Some(_), .. })));
    // The slack is a tenth to a fifth, and 300 seconds at most: here 150 to 300.
    local.advance(LIFETIME - Duration::from_secs(301));
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    assert_eq!(local.tokens(), 1);
    local.advance(Duration::from_secs(151));
    // Within it, nobody waits.
    local.emulator.fail_next(TOKEN, hold(When::After));
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    local.emulator.received(TOKEN, 2).await;
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    local.emulator.release();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    assert!(text(&consent.access_token().await.unwrap()) != text(&first));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_an_early_exchange_that_fails_leaves_the_valid_token() {
    let local = start().await;
    let (consent, mut events) = consent_with_events(&local).await;
    let first = consent.access_token().await.unwrap();
    let _ = events.recv().await;
    local.emulator.fail_always(TOKEN, Fault::status(500));
    local.advance(LIFETIME - Duration::from_secs(60));
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    let Some(Event::RefreshFailed { error, valid_until, .. }) = events.recv().await else { panic!() };
    assert_eq!((error.status(), valid_until), (Some(500), first.expires_at()));
    assert_eq!(local.tokens(), 3);
    // In the pause there is no request.
    for _ in 0..100 {
        assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    }
    assert_eq!(local.tokens(), 3);
    // In the last moments, who asks waits for the exchange, and still gets what is valid.
    let left = first.expires_at().unwrap().duration_since(local.now()).unwrap();
    local.advance(left - Duration::from_secs(5));
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    assert_eq!(local.tokens(), 5);
    local.advance(Duration::from_secs(5));
    assert_eq!(consent.access_token().await.unwrap_err().status(), Some(500));
}

#[tokio::test]
async fn o4_an_outage_of_ten_minutes_and_then_recovery() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_always(TOKEN, Fault::status(502));
    for _ in 0..600 {
        assert_eq!(consent.access_token().await.unwrap_err().status(), Some(502));
        local.advance(SECOND);
    }
    // Pauses of 1, 2, 4, 8, 16 and 32 seconds, and then of a minute, each of them or half of it; two tries each.
    let requests = local.tokens();
    assert!((20..=60).contains(&requests), "{requests}");
    local.emulator.clear_faults();
    local.advance(Duration::from_secs(60));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), requests + 1);
    // It starts anew: the next pause is a second at most again.
    local.advance(LIFETIME);
    local.emulator.fail_times(TOKEN, Fault::status(502), 2);
    assert_eq!(consent.access_token().await.unwrap_err().status(), Some(502));
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o4_a_server_that_asks_for_patience_gets_it() {
    let local = start().await;
    let consent = consent(&local).await;
    let busy = |seconds: &str| {
        let headers = vec![("retry-after".to_owned(), seconds.to_owned())];
        local.emulator.fail_next(TOKEN, Fault::Reply { status: 429, headers, body: String::new() });
    };
    for (asked, waited) in [("120", 120), ("99999999999999999999", 300)] {
        busy(asked);
        let before = local.tokens();
        assert!(consent.access_token().await.unwrap_err().is_rate_limited());
        local.advance(Duration::from_secs(waited - 1));
        assert!(consent.access_token().await.unwrap_err().is_rate_limited());
        assert_eq!(local.tokens(), before + 1);
        local.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
        local.advance(LIFETIME);
    }
}

#[tokio::test]
async fn o4_a_slow_consent_delays_no_other() {
    let local = start().await;
    let consents = builder(&local).build();
    let slow = consents.insert(&id("slow"), refresh_token(), local.now()).await.unwrap();
    local.emulator.fail_next(TOKEN, hold(When::After));
    let waits = spawn(&slow);
    local.emulator.received(TOKEN, 1).await;
    let code = code(&local, &client(&local)).await;
    let fast = consents.exchange_code(&id("fast"), code).await.unwrap();
    let _ = fast.access_token().await.unwrap();
    let _ = fast.exchange_now().await.unwrap();
    assert!(!waits.is_finished());
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o5_of_ten_thousand_consents_none_is_evicted() {
    let local = start().await;
    let consents = builder(&local).build();
    let name = |number: i32| id(&format!("user-{number}"));
    for number in 0..10_000 {
        let token = RefreshToken::new(format!("emu_{number}")).unwrap();
        consents.insert(&name(number), token, local.now()).await.unwrap();
    }
    for number in 0..10_000 {
        assert!(consents.consent(&name(number)).idle_deadline().await.unwrap() > local.now());
    }
    assert_eq!(local.tokens(), 0);
}

#[tokio::test]
async fn o3_an_unknown_lifetime_serves_those_who_wait_and_makes_no_loop() {
    for expires_in in ["0", "null"] {
        let local = start().await;
        let consent = consent(&local).await;
        local.emulator.fail_always(TOKEN, lives(expires_in));
        let all: Vec<_> = (0..10).map(|_| spawn(&consent)).collect();
        for one in all {
            let _ = one.await.unwrap().unwrap();
        }
        assert_eq!(local.tokens(), 1);
        let _ = local.clock.waits();
        for _ in 0..3 {
            let token = consent.access_token().await.unwrap();
            assert!(token.expires_at().is_none());
        }
        // One exchange each, and the floor of a second before it.
        assert_eq!(local.tokens(), 4);
        let floors = local.clock.waits().into_iter().filter(|wait| *wait == SECOND).count();
        assert_eq!(floors, 3);
        // It is not kept for when the server fails, either.
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, Fault::status(404));
        assert_eq!(consent.access_token().await.unwrap_err().status(), Some(404));
    }
}

#[tokio::test]
async fn o3_a_token_that_had_expired_when_it_came_is_an_error() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_always(TOKEN, lives("-1"));
    assert!(consent.access_token().await.unwrap_err().is_expired());
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_every_lifetime_is_used_and_none_beyond_its_end() {
    for lifetime in [1, 2, 10, 299, 599, 3600, 86_400, u64::MAX] {
        let local = start().await;
        let consent = consent(&local).await;
        local.emulator.fail_always(TOKEN, lives(&lifetime.to_string()));
        let end = Duration::from_secs(lifetime.min(86_400));
        let first = consent.access_token().await.unwrap();
        local.advance(end.mul_f64(0.79));
        let again = consent.access_token().await.unwrap();
        assert!(first.expires_at() == again.expires_at() && local.tokens() == 1, "{lifetime}");
        local.advance(end.mul_f64(0.21));
        let next = consent.access_token().await.unwrap();
        assert!(first.is_expired() && !next.is_expired() && local.tokens() == 2, "{lifetime}");
    }
}

#[tokio::test]
async fn a4_a_suspended_machine_and_a_clock_that_was_set_back() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_always(TOKEN, lives("299"));
    let first = consent.access_token().await.unwrap();
    local.clock.advance_wall(Duration::from_secs(600));
    assert!(first.is_expired());
    let second = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
    local.clock.set_wall_back(Duration::from_secs(3600));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
    local.clock.advance_monotonic(Duration::from_secs(299));
    assert!(second.is_expired());
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn a4_the_clock_of_the_server_has_no_effect() {
    let local = start().await;
    local.emulator.advance(Duration::from_secs(600));
    let consent = consent(&local).await;
    let token = consent.access_token().await.unwrap();
    assert_eq!(token.expires_at().unwrap().duration_since(local.now()).unwrap(), LIFETIME);
    local.clock.advance(LIFETIME - Duration::from_secs(301));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn a4_a_reply_that_takes_twenty_seconds_counts_from_before() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    local.advance(Duration::from_secs(20));
    local.emulator.release();
    let token = call.await.unwrap().unwrap();
    let left = token.expires_at().unwrap().duration_since(local.now()).unwrap();
    assert_eq!(left, LIFETIME - Duration::from_secs(20));
}

#[tokio::test]
async fn o5_the_idle_deadline_is_known_warned_of_and_survives() {
    let local = start().await;
    let store = MemoryStore::new();
    let began = local.now();
    let first = consent_in(&local, store.clone()).await;
    drop(first);
    let (sender, mut events) = unbounded_channel();
    let restart = || {
        let sender = sender.clone();
        let consents = builder(&local).store(store.clone());
        consents.on_event(move |_, event| sender.send(event.clone()).unwrap()).build()
    };
    // In whole milliseconds.
    let near = |one: SystemTime, other: SystemTime| {
        one.duration_since(other).or(other.duration_since(one)).unwrap() < Duration::from_millis(2)
    };
    assert!(near(restart().consent(&id("user-7")).idle_deadline().await.unwrap(), began + 30 * DAY));

    // Just less than three days are left.
    local.advance(27 * DAY + SECOND);
    assert_eq!(restart().due(3 * DAY, 10).await.unwrap(), [id("user-7")]);
    assert_eq!(restart().due(2 * DAY, 10).await.unwrap(), []);
    let consent = restart().consent(&id("user-7"));
    let _ = consent.access_token().await.unwrap();
    let Some(Event::IdleDeadlineNear { idle_deadline, .. }) = events.recv().await else { panic!() };
    assert!(near(idle_deadline, began + 30 * DAY));
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    assert!(near(consent.idle_deadline().await.unwrap(), began + 57 * DAY + SECOND));
    assert_eq!(restart().due(29 * DAY, 10).await.unwrap(), []);

    // Too late: one try, and then none.
    local.advance(30 * DAY + SECOND);
    let consent = restart().consent(&id("user-7"));
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent() && error.oauth_error().is_some());
    assert!(matches!(events.recv().await, Some(Event::IdleDeadlineNear { .. })));
    let Some(Event::ConsentOver { error, .. }) = events.recv().await else { panic!() };
    assert!(error.needs_consent());
    assert_eq!(local.tokens(), 2);
    for consent in [consent, restart().consent(&id("user-7"))] {
        let error = consent.access_token().await.unwrap_err();
        assert!(error.needs_consent() && !error.may_have_been_sent() && !error.is_transient(), "{error}");
        assert!(consent.idle_deadline().await.unwrap_err().needs_consent());
    }
    assert_eq!(restart().due(90 * DAY, 10).await.unwrap(), []);
    assert_eq!(local.tokens(), 2);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn o5_an_exchange_now_keeps_a_consent_alive() {
    let local = start().await;
    let consent = consent(&local).await;
    let first = consent.access_token().await.unwrap();
    for _ in 0..3 {
        local.advance(29 * DAY);
        let _ = consent.exchange_now().await.unwrap();
    }
    assert_eq!(local.tokens(), 4);
    assert_eq!(
        consent.idle_deadline().await.unwrap().duration_since(local.now()).unwrap().as_secs() / 3600,
        30 * 24 - 1
    );
    // What it gave is shared, though the token before might still have been good.
    local.advance(SECOND);
    let now = consent.exchange_now().await.unwrap();
    assert!(text(&consent.access_token().await.unwrap()) == text(&now));
    assert!(text(&now) != text(&first) && local.tokens() == 5);
    // Many at once are one.
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, hold(When::After));
    let all: Vec<_> = (0..10)
        .map(|_| {
            let consent = consent.clone();
            tokio::spawn(async move { consent.exchange_now().await })
        })
        .collect();
    local.emulator.received(TOKEN, 6).await;
    tokio::task::yield_now().await;
    local.emulator.release();
    let mut tokens = Vec::new();
    for one in all {
        tokens.push(text(&one.await.unwrap().unwrap()));
    }
    tokens.dedup();
    assert_eq!((tokens.len(), local.tokens()), (1, 6));
}

#[tokio::test]
async fn o5_a_rotated_refresh_token_is_kept_and_used_next() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    for _ in 0..3 {
        let _ = consent.access_token().await.unwrap();
        local.advance(LIFETIME);
    }
    // A rotation is remembered in the record: a lost reply is not asked for again, in a new process either (A5).
    let consent = builder(&local).store(store).build().consent(&id("user-7"));
    local.emulator.fail_next(TOKEN, Fault::Drop { when: When::Before });
    let error = consent.access_token().await.unwrap_err();
    assert_eq!((error.attempts(), local.tokens()), (1, 4));
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 5);
}

#[tokio::test]
async fn o6_what_ends_a_consent_ends_it_for_good() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let first = consent.access_token().await.unwrap();
    assert!(kept_in(&store).await.contains(first.expose_secret()));
    client(&local).revoke(&first).await.unwrap();
    consent.reject(&first);
    local.advance(SECOND);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent() && error.status() == Some(400));
    assert!(!kept_in(&store).await.contains(first.expose_secret()), "what is dead is not kept");
    for _ in 0..10 {
        assert!(consent.access_token().await.unwrap_err().needs_consent());
        assert!(consent.exchange_now().await.unwrap_err().needs_consent());
        local.advance(Duration::from_secs(3600));
    }
    assert_eq!(local.tokens(), 2);

    // Until the end user consents again: the same handle goes on.
    let consents = builder(&local).build();
    let consent = consents.consent(&id("user-7"));
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    let code = code(&local, &client(&local)).await;
    let _ = consents.exchange_code(&id("user-7"), code).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o6_an_early_exchange_that_ends_the_consent_leaves_the_valid_token() {
    let local = start().await;
    let (consent, mut events) = consent_with_events(&local).await;
    let first = consent.access_token().await.unwrap();
    local.advance(LIFETIME - Duration::from_secs(60));
    local.emulator.fail_next(TOKEN, Fault::reply(400, r#"{"error":"invalid_grant"}"#));
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    let _ = events.recv().await;
    assert!(matches!(events.recv().await, Some(Event::ConsentOver { .. })));
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    local.advance(Duration::from_secs(60));
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o6_a_mistake_of_the_callers_own_ends_nothing() {
    let local = start().await;
    let consent = consent(&local).await;
    for (status, code) in [(401, "invalid_client"), (400, "invalid_scope"), (403, "")] {
        let body = if code.is_empty() { "<html>".to_owned() } else { format!(r#"{{"error":"{code}"}}"#) };
        local.emulator.fail_next(TOKEN, Fault::reply(status, body));
        let error = consent.access_token().await.unwrap_err();
        assert!(!error.needs_consent() && error.status() == Some(status));
        local.advance(Duration::from_secs(60));
    }
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o9_a_code_becomes_a_consent_once() {
    let local = start().await;
    let consents = builder(&local).build();
    let new = code(&local, &client(&local)).await;
    let consent = consents.exchange_code(&id("user-7"), new).await.unwrap();
    let token = consent.access_token().await.unwrap();
    assert!(token.unverified_claims().is_some());
    assert_eq!(local.tokens(), 1);
    // Another consent of the same id takes its place; those who held the first go on with the second.
    let new = code(&local, &client(&local)).await;
    let again = consents.exchange_code(&id("user-7"), new).await.unwrap();
    assert!(text(&consent.access_token().await.unwrap()) != text(&token));
    assert!(text(&consent.access_token().await.unwrap()) == text(&again.access_token().await.unwrap()));
    assert_eq!(local.tokens(), 2);

    local.emulator.fail_next(TOKEN, Fault::Drop { when: When::After });
    let new = code(&local, &client(&local)).await;
    assert!(matches!(consents.exchange_code(&id("x"), new).await, Err(SpendError::Unknown(_))));
    assert!(consents.consent(&id("x")).access_token().await.unwrap_err().needs_consent());
    // Without a refresh token there is nothing to keep.
    local.emulator.fail_next(TOKEN, lives("299"));
    let new = code(&local, &client(&local)).await;
    let Err(SpendError::Spent(error)) = consents.exchange_code(&id("x"), new).await else { panic!() };
    assert!(error.field() == Some("refresh_token") && error.is_malformed());
    assert_eq!(local.tokens(), 4);
}

#[tokio::test]
async fn o10_a_revoked_consent_is_forgotten() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_next(Operation::OutboundRevoke, Fault::status(500));
    assert_eq!(consent.revoke().await.unwrap_err().status(), Some(500));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent() && !error.may_have_been_sent());
    assert_eq!((local.tokens(), local.emulator.count(Operation::OutboundRevoke)), (1, 2));
    let text = "look after a consent (Flinks Outbound): there is no such consent";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_consent_that_is_forgotten_meanwhile_does_not_come_back() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    consent.forget().await.unwrap();
    local.emulator.release();
    assert!(call.await.unwrap().unwrap_err().needs_consent());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn a_consent_that_is_replaced_meanwhile_stays_replaced() {
    let local = start().await;
    let consents = builder(&local).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    local.emulator.fail_next(TOKEN, hold(When::After));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    let code = code(&local, &client(&local)).await;
    let new = consents.exchange_code(&id("user-7"), code).await.unwrap().access_token().await.unwrap();
    local.emulator.release();
    assert!(text(&call.await.unwrap().unwrap()) == text(&new));
    assert!(text(&consent.access_token().await.unwrap()) == text(&new));
    local.advance(LIFETIME);
    let next = consent.access_token().await.unwrap();
    assert_eq!(next.unverified_claims().unwrap().sub, new.unverified_claims().unwrap().sub);
}

#[tokio::test]
async fn what_a_consent_needs_survives_a_restart() {
    let local = start().await;
    let store = MemoryStore::new();
    let token = consent_in(&local, store.clone()).await.access_token().await.unwrap();
    // The same token, with what is left of its life.
    local.advance(Duration::from_secs(100));
    let consent = builder(&local).store(store.clone()).build().consent(&id("user-7"));
    let again = consent.access_token().await.unwrap();
    assert!(text(&again) == text(&token) && again.expires_at() == token.expires_at());
    assert_eq!(local.tokens(), 1);
    // With a clock that was turned back to before its issue, nothing can be said of it.
    local.clock.set_wall_back(Duration::from_secs(3600));
    let consent = builder(&local).store(store).build().consent(&id("user-7"));
    assert!(text(&consent.access_token().await.unwrap()) != text(&token));
    assert_eq!(local.tokens(), 2);
}

/// A store in memory that does what a test wants, once for each of its calls.
#[derive(Clone, Default)]
pub(crate) struct BadStore {
    pub(crate) good: MemoryStore,
    pub(crate) plans: Arc<Mutex<VecDeque<Plan>>>,
    then: Arc<Mutex<Plan>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Plan {
    #[default]
    Work,
    Fail,
    Hang,
    Panic,
    PanicAtOnce,
    /// Does it, and then fails.
    Lose,
    /// Does nothing, and says that it did; or gives the record of another consent.
    Lie,
    /// Says that something else was there.
    Conflict,
}

impl BadStore {
    pub(crate) fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.plans.lock().unwrap().extend(plans);
    }

    pub(crate) fn always(&self, plan: Plan) {
        self.plans.lock().unwrap().clear();
        *self.then.lock().unwrap() = plan;
    }

    fn act<'a, T: Send + 'a>(&'a self, good: StoreFuture<'a, T>, lie: T, conflict: Option<T>) -> StoreFuture<'a, T> {
        let plan = self.plans.lock().unwrap().pop_front().unwrap_or(*self.then.lock().unwrap());
        if plan == Plan::PanicAtOnce {
            panic_any("canary");
        }
        Box::pin(async move {
            match plan {
                Plan::Work | Plan::PanicAtOnce => good.await,
                Plan::Fail => Err(StoreError::unavailable("is unavailable")),
                Plan::Hang => pending().await,
                Plan::Panic => panic_any("canary"),
                Plan::Lose => good.await.and(Err(StoreError::unavailable("is unavailable"))),
                Plan::Lie => Ok(lie),
                Plan::Conflict => match conflict {
                    Some(conflict) => Ok(conflict),
                    None => good.await,
                },
            }
        })
    }
}

impl TokenStore for BadStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        self.act(self.good.load(id), None, None)
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        self.act(self.good.compare_and_swap(expected, record), true, Some(false))
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.act(self.good.remove(id, generation), true, Some(false))
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.act(self.good.due(window, limit), Vec::new(), None)
    }
}

#[tokio::test]
async fn a_store_that_fails_hangs_or_panics_is_a_typed_error_and_no_request() {
    // A panic is told by a hook, which a test should not fill the screen with.
    for plan in [Plan::Fail, Plan::Hang, Plan::Panic, Plan::PanicAtOnce] {
        let local = start().await;
        let store = BadStore::default();
        let consent = consent_in(&local, store.clone()).await;
        for working in 0..2 {
            // The load, and the claim.
            store.plan((0..working).map(|_| Plan::Work).chain([plan]));
            let call = spawn(&consent);
            if plan == Plan::Hang {
                while !call.is_finished() {
                    local.advance(TIMEOUT);
                    tokio::task::yield_now().await;
                }
            }
            let error = call.await.unwrap().unwrap_err();
            assert!(error.is_store() && error.is_transient() && !error.may_have_been_sent(), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
            assert_eq!(local.tokens(), 0);
            local.advance(Duration::from_secs(60));
        }
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 1);
        // With a token in hand, nobody asks the store.
        store.always(plan);
        let _ = consent.access_token().await.unwrap();
    }
}

#[tokio::test]
async fn o5_a_rotated_refresh_token_is_stored_before_the_access_token_is_handed_out() {
    for (plan, restarts) in [(Plan::Fail, false), (Plan::Lose, false), (Plan::Lose, true)] {
        let local = start().await;
        local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
        let store = BadStore::default();
        let (sender, mut events) = unbounded_channel();
        let consents = builder(&local).store(store.clone());
        let consents = consents.on_event(move |_, event| sender.send(event.clone()).unwrap()).build();
        let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
        // The load and the claim work; what is stored after the exchange does not.
        store.plan([Plan::Work, Plan::Work, plan]);
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store() && error.may_have_been_sent() && !error.needs_consent(), "{error}");
        assert!(matches!(events.recv().await, Some(Event::NotStored { .. })));
        assert!(consent.idle_deadline().await.unwrap() > local.now() + 29 * DAY);
        // Nobody holds the consent, and yet its refresh token is in memory until it is stored.
        drop(consent);
        local.advance(SECOND);
        let consents = if restarts { builder(&local).store(store.clone()).build() } else { consents };
        let consent = consents.consent(&id("user-7"));
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 1, "the token of the first exchange serves");
        local.advance(LIFETIME);
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 2);
        let newest = local.emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap();
        let kept = store.good.load(&id("user-7")).await.unwrap().unwrap();
        assert!(kept.encode().unwrap().expose_secret().contains(&newest.value));
    }
}

#[tokio::test]
async fn o5_without_a_rotation_a_store_that_fails_costs_nothing() {
    let local = start().await;
    let store = BadStore::default();
    let consent = consent_in(&local, store.clone()).await;
    store.plan([Plan::Work, Plan::Work, Plan::Fail]);
    let token = consent.access_token().await.unwrap();
    assert!(text(&consent.access_token().await.unwrap()) == text(&token));
    local.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

/// A consent with an access token that has expired, on a store that is away since.
async fn without_store(policy: StoreOutage) -> (Local, BadStore, Consents, Consent) {
    let (local, store) = (start().await, BadStore::default());
    let consents = builder(&local).store(store.clone()).store_outage(policy).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    store.always(Plan::Fail);
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    assert_eq!(local.tokens(), 1);
    (local, store, consents, consent)
}

#[tokio::test]
async fn o5_while_the_store_is_away_the_caller_decides() {
    let (local, _, _, consent) = without_store(StoreOutage::Refuse).await;
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 1);

    let (local, store, consents, consent) = without_store(StoreOutage::GoOn).await;
    // It is not forgotten among many of which nothing is known.
    drop(consent);
    for number in 0..3000 {
        drop(consents.consent(&id(&format!("other-{number}"))));
    }
    let consent = consents.consent(&id("user-7"));
    for exchanges in 2..5 {
        let all: Vec<_> = (0..50).map(|_| spawn(&consent)).collect();
        for one in all {
            let _ = one.await.unwrap().unwrap();
        }
        assert_eq!(local.tokens(), exchanges);
        local.advance(LIFETIME);
    }
    let _ = consent.exchange_now().await.unwrap();
    // What the store never told is not known, nor what was forgotten.
    assert!(consents.consent(&id("user-8")).access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 5);
    store.always(Plan::Work);
    consent.forget().await.unwrap();
    store.always(Plan::Fail);
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 5);
}

#[tokio::test]
async fn o5_without_the_store_a_token_that_rotates_is_not_exchanged_again() {
    let (local, store, consents, consent) = without_store(StoreOutage::GoOn).await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    // The first that rotates is in memory, whoever holds the consent; what came with it serves.
    let _ = consent.access_token().await.unwrap();
    drop(consent);
    let consent = consents.consent(&id("user-7"));
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    for _ in 0..3 {
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store() && !error.needs_consent(), "{error}");
        local.advance(Duration::from_secs(60));
    }
    assert_eq!(local.tokens(), 2);
    store.always(Plan::Work);
    consents.flush().await.unwrap();
    let kept = store.good.load(&id("user-7")).await.unwrap().unwrap();
    assert!(kept.encode().unwrap().expose_secret().contains(&newest_refresh_token(&local)));
    let _ = consent.access_token().await.unwrap();
    // Now another machine may have the next one.
    store.always(Plan::Fail);
    local.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o5_what_seemed_not_stored_may_be_with_another_and_is_not_exchanged_without_the_store() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).store_outage(StoreOutage::GoOn).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    // The load, the claim, and the result, whose reply is lost; then the store is away for this machine.
    store.plan([Plan::Work, Plan::Work, Plan::Lose]);
    *store.then.lock().unwrap() = Plan::Fail;
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().is_store());
    let other = builder(&local).store(store.good.clone()).build().consent(&id("user-7"));
    let _ = other.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
    store.always(Plan::Work);
    local.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o9_a_new_consent_that_seemed_not_stored_is_not_lost_when_it_rotates() {
    for (plan, had_one) in [(Plan::Lose, false), (Plan::Lose, true), (Plan::Fail, true)] {
        let local = start().await;
        let store = BadStore::default();
        let consents = builder(&local).store(store.clone()).store_outage(StoreOutage::GoOn).build();
        if had_one {
            consents.insert(&id("user-7"), token("emu_old"), local.now()).await.unwrap();
            local.advance(SECOND);
        }
        local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
        store.plan([plan]);
        *store.then.lock().unwrap() = Plan::Fail;
        assert!(consents.insert(&id("user-7"), refresh_token(), local.now()).await.is_err());
        let _ = consents.consent(&id("user-7")).access_token().await.unwrap();
        store.always(Plan::Work);
        consents.flush().await.unwrap();
        let kept = store.good.load(&id("user-7")).await.unwrap().unwrap();
        assert!(kept.encode().unwrap().expose_secret().contains(&newest_refresh_token(&local)));
    }
}

#[tokio::test]
async fn o6_without_the_store_a_refusal_says_nothing_of_the_consent() {
    let (local, store, _, consent) = without_store(StoreOutage::GoOn).await;
    let invalid_grant = || Fault::reply(400, r#"{"error":"invalid_grant"}"#);
    local.emulator.fail_next(TOKEN, invalid_grant());
    let error = consent.access_token().await.unwrap_err();
    assert!(error.is_store() && !error.needs_consent(), "{error}");
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 2, "it is not asked again");
    store.always(Plan::Work);
    local.advance(Duration::from_secs(60));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);

    // With the store, it says all, and nothing is asked when that is away.
    local.emulator.fail_next(TOKEN, invalid_grant());
    local.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    store.always(Plan::Fail);
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 4);
    // Also where that could not be stored.
    let consent = without_store_again(&local, &store).await;
    local.emulator.fail_next(TOKEN, invalid_grant());
    store.plan([Plan::Work, Plan::Work, Plan::Fail]);
    for _ in 0..2 {
        assert!(consent.access_token().await.unwrap_err().needs_consent());
        local.advance(SECOND);
    }
    assert_eq!(local.tokens(), 6);
}

/// A new consent, as in `without_store`.
async fn without_store_again(local: &Local, store: &BadStore) -> Consent {
    store.always(Plan::Work);
    let consents = builder(local).store(store.clone()).store_outage(StoreOutage::GoOn).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    store.always(Plan::Fail);
    consent
}

#[tokio::test]
async fn o5_without_the_store_the_newest_consent_is_exchanged() {
    let (local, store, consents, consent) = without_store(StoreOutage::GoOn).await;
    let code = code(&local, &client(&local)).await;
    assert!(consents.exchange_code(&id("user-7"), code).await.is_err());
    let newest = newest_refresh_token(&local);
    store.always(Plan::Work);
    consents.flush().await.unwrap();
    store.always(Plan::Fail);
    local.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert!(local.emulator.count_carrying(&newest) > 0);
}

#[tokio::test]
async fn o5_a_store_that_is_in_use_by_others_is_not_away() {
    let (local, store, _, consent) = without_store(StoreOutage::GoOn).await;
    store.always(Plan::Conflict);
    let call = spawn(&consent);
    while !call.is_finished() {
        local.advance(SECOND);
        tokio::task::yield_now().await;
    }
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_store() && error.to_string().contains("does not stop changing"), "{error}");
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o9_a_new_consent_serves_while_the_store_is_away_stored_or_not() {
    let local = start().await;
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).store_outage(StoreOutage::GoOn).build();
    let stored = consents.insert(&id("user-8"), refresh_token(), local.now()).await.unwrap();
    store.always(Plan::Fail);
    let _ = stored.access_token().await.unwrap();
    local.emulator.reset();
    let code = code(&local, &client(&local)).await;
    assert!(matches!(consents.exchange_code(&id("user-7"), code).await, Err(SpendError::Spent(_))));
    let consent = consents.consent(&id("user-7"));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1, "the token of the code");
    local.advance(SECOND);
    let _ = consent.exchange_now().await.unwrap();
    assert_eq!(local.tokens(), 2);
    local.advance(LIFETIME);
    for _ in 0..5 {
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 3);
        local.advance(SECOND);
    }
    // As with one that was taken over, without an access token.
    assert!(consents.insert(&id("user-9"), refresh_token(), local.now()).await.is_err());
    for _ in 0..5 {
        let _ = consents.consent(&id("user-9")).access_token().await.unwrap();
        assert_eq!(local.tokens(), 4);
        local.advance(SECOND);
    }
}

#[tokio::test]
async fn o5_a_rotation_that_is_read_of_one_consent_counts_for_the_next() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = BadStore::default();
    let machine = || builder(&local).store(store.clone()).store_outage(StoreOutage::GoOn).build();
    let first = machine().insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let _ = first.access_token().await.unwrap();
    // Another machine only reads that, and takes over a consent.
    let other = machine();
    let _ = other.consent(&id("user-7")).access_token().await.unwrap();
    let consent = other.insert(&id("user-8"), token("emu_other"), local.now()).await.unwrap();
    store.always(Plan::Fail);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o9_a_consent_that_could_not_be_stored_is_kept_in_memory() {
    let local = start().await;
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).build();
    store.plan([Plan::Fail]);
    let code = code(&local, &client(&local)).await;
    let Err(SpendError::Spent(error)) = consents.exchange_code(&id("user-7"), code).await else { panic!() };
    assert!(error.is_store());
    let consent = consents.consent(&id("user-7"));
    store.plan([Plan::Fail]);
    assert!(consent.access_token().await.unwrap_err().is_store());
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn a_store_that_lies_ends_nothing_and_hangs_nobody() {
    // It never stores anything: the emulator's rules hold, for the token is not rotated.
    let local = start().await;
    let store = BadStore::default();
    let consent = consent_in(&local, store.clone()).await;
    store.plan([Plan::Work, Plan::Lie, Plan::Lie]);
    let _ = consent.access_token().await.unwrap();
    // It always tells of a conflict, or of nothing.
    for (plan, is_store) in [(Plan::Conflict, true), (Plan::Lie, false)] {
        let local = start().await;
        let store = BadStore::default();
        let consent = consent_in(&local, store.clone()).await;
        store.always(plan);
        let error = consent.access_token().await.unwrap_err();
        assert_eq!((error.is_store(), error.needs_consent()), (is_store, !is_store), "{error}");
        assert_eq!(local.tokens(), 0);
        assert_eq!(consent.forget().await.is_err(), is_store);
        store.always(Plan::Work);
        local.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
    }
    // It gives the record of somebody else.
    struct Mixed(MemoryStore);
    impl TokenStore for Mixed {
        fn load<'a>(&'a self, _: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
            Box::pin(async { self.0.load(&id("user-7")).await })
        }
        fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
            self.0.compare_and_swap(expected, record)
        }
        fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
            self.0.remove(id, generation)
        }
        fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
            self.0.due(window, limit)
        }
    }
    let local = start().await;
    let store = MemoryStore::new();
    let _ = consent_in(&local, store.clone()).await;
    let error = builder(&local).store(Mixed(store)).build().consent(&id("other")).access_token().await.unwrap_err();
    assert!(error.is_store() && !error.is_transient() && local.tokens() == 0);
}

#[tokio::test]
async fn o5_two_who_share_a_store_make_one_exchange() {
    // Waits end when the test says so: after the exchange.
    let local = local_at(TestClock { short: Duration::ZERO, ..TestClock::new() }, |settings| settings).await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let one = consent_in(&local, Arc::clone(&store)).await;
    let other = builder(&local).store(Arc::clone(&store)).build().consent(&id("user-7"));
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, hold(When::After));
    let first = spawn(&one);
    local.emulator.received(TOKEN, 1).await;
    let second = spawn(&other);
    let now = tokio::spawn({
        let other = builder(&local).store(store).build().consent(&id("user-7"));
        async move { other.exchange_now().await }
    });
    // They wait for the one who has claimed it.
    let mut waits = 0;
    while waits < 2 {
        waits += local.clock.waits().len();
        tokio::task::yield_now().await;
    }
    local.emulator.release();
    let token = first.await.unwrap().unwrap();
    assert!(!second.is_finished() && !now.is_finished());
    while !second.is_finished() || !now.is_finished() {
        local.clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
    assert!(text(&second.await.unwrap().unwrap()) == text(&token));
    assert!(text(&now.await.unwrap().unwrap()) == text(&token));
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o5_the_claim_of_one_who_died_ends() {
    let local = start().await;
    let store = MemoryStore::new();
    let dead = consent_in(&local, store.clone()).await;
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    drop(runtime.spawn(async move { dead.access_token().await }));
    local.emulator.received(TOKEN, 1).await;
    runtime.shutdown_background();
    // A claim lasts as long as an exchange may: a call of 1000 seconds, twice the store, and 5.
    let began = flinks::Clock::monotonic(&local.clock);
    let consent = builder(&local).store(store.clone()).build().consent(&id("user-7"));
    let _ = consent.access_token().await.unwrap();
    let waited = flinks::Clock::monotonic(&local.clock) - began;
    assert!(waited >= Duration::from_secs(3000) && waited < Duration::from_secs(3010), "{waited:?}");
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn an_exchange_whose_runtime_ends_leaves_a_consent_that_works() {
    let local = start().await;
    let consent = consent(&local).await;
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let began = runtime.spawn({
        let consent = consent.clone();
        async move { consent.access_token().await }
    });
    local.emulator.received(TOKEN, 1).await;
    let waits = spawn(&consent);
    tokio::task::yield_now().await;
    runtime.shutdown_background();
    drop(began);
    // Who waits is told, or begins anew.
    if let Err(error) = waits.await.unwrap() {
        assert!(error.is_transient() && error.may_have_been_sent(), "{error}");
    }
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[test]
fn without_a_runtime_there_is_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (local, consent) = runtime.block_on(async {
        let local = start().await;
        let consent = consent(&local).await;
        (local, consent)
    });
    let mut call = Box::pin(consent.access_token());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else { panic!() };
    assert_eq!(
        error.to_string(),
        "look after a consent (Flinks Outbound): it needs a tokio runtime with its time and I/O drivers enabled"
    );
    let _ = runtime.block_on(consent.access_token()).unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn a_callback_that_panics_breaks_nothing() {
    let local = start().await;
    let consents = builder(&local).on_event(|_, _| panic_any("canary")).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now() - 29 * DAY).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    let source = AppTokenSource::with_events(client(&local), None, |_| panic_any("canary"));
    let _ = source.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn an_app_source_has_events_too() {
    let local = start().await;
    let (sender, mut events) = unbounded_channel();
    let on_event = move |event: &Event| sender.send(event.clone()).unwrap();
    let source = AppTokenSource::with_events(client(&local), Some("client:admin"), on_event);
    local.emulator.fail_times(TOKEN, Fault::status(500), 3);
    let _ = source.access_token().await.unwrap_err();
    assert!(matches!(events.recv().await, Some(Event::RefreshFailed { valid_until: None, .. })));
    local.advance(SECOND);
    let token = source.access_token().await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    source.reject(&token);
    assert!(text(&source.access_token().await.unwrap()) != text(&token));
    // Late reports change nothing.
    source.reject(&token);
    let _ = source.access_token().await.unwrap();
    assert_eq!(local.tokens(), 5);
}

#[test]
fn ids_are_the_callers_text() {
    for good in ["user-7", "é", " a ", "a/b", &"x".repeat(512)] {
        assert_eq!(id(good).as_str(), good);
    }
    for bad in ["", " ", "a\nb", "a\0", &"x".repeat(513)] {
        assert_eq!(bad.parse::<ConsentId>().unwrap_err().field(), Some("consent id"));
    }
}

#[tokio::test]
async fn the_memory_store_conforms() {
    let store = MemoryStore::new();
    flinks::outbound::store::conformance::check(|| store.clone()).await.unwrap();
    let boxed: Arc<dyn TokenStore> = Arc::new(store);
    flinks::outbound::store::conformance::check(|| Arc::clone(&boxed)).await.unwrap();
}

pub(crate) async fn kept_in(store: &MemoryStore) -> String {
    store.load(&id("user-7")).await.unwrap().unwrap().encode().unwrap().expose_secret().to_owned()
}

fn token(text: &str) -> RefreshToken {
    RefreshToken::new(text).unwrap()
}

#[tokio::test]
async fn a4_a_wall_clock_that_was_set_back_a_little_wakes_no_dead_token() {
    let local = start().await;
    let consent = consent(&local).await;
    let first = consent.access_token().await.unwrap();
    local.clock.advance(LIFETIME / 2);
    local.clock.set_wall_back(LIFETIME / 3);
    local.clock.advance(LIFETIME / 2);
    assert!(first.is_expired());
    // The store has it, too, and by the wall clock it would be good there.
    assert!(text(&consent.access_token().await.unwrap()) != text(&first));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o5_a_rotated_token_survives_a_record_that_is_damaged_meanwhile() {
    for moved_aside in [false, true] {
        let local = start().await;
        local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let consent = consent_in(&local, store.clone()).await;
        local.emulator.fail_next(TOKEN, hold(When::After));
        let call = spawn(&consent);
        local.emulator.received(TOKEN, 1).await;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() == "json" {
                std::fs::write(path, "garbage").unwrap();
            }
        }
        if moved_aside {
            // By another process, which has asked for it.
            assert!(matches!(store.load(&id("user-7")).await, Err(StoreError::Damaged(_))));
        }
        local.emulator.release();
        assert_eq!(call.await.unwrap().is_ok(), moved_aside);
        local.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 1);
        let newest = local.emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap();
        let record = store.load(&id("user-7")).await.unwrap().unwrap().encode().unwrap();
        assert!(record.expose_secret().contains(&newest.value));
    }
}

/// A store that can be stopped at its next load.
#[derive(Clone, Default)]
struct Gate {
    store: MemoryStore,
    is_closed: Arc<AtomicBool>,
    reached: Arc<Notify>,
    opens: Arc<Notify>,
}

impl TokenStore for Gate {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            if self.is_closed.swap(false, Ordering::SeqCst) {
                self.reached.notify_one();
                self.opens.notified().await;
            }
            self.store.load(id).await
        })
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        self.store.compare_and_swap(expected, record)
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.store.remove(id, generation)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.store.due(window, limit)
    }
}

#[tokio::test]
async fn a_consent_that_is_forgotten_while_an_exchange_ends_gives_no_token() {
    for rotates in [false, true] {
        let local = start().await;
        local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = rotates);
        let store = Gate::default();
        let consent = consent_in(&local, store.clone()).await;
        local.emulator.fail_next(TOKEN, hold(When::After));
        let call = spawn(&consent);
        local.emulator.received(TOKEN, 1).await;
        store.is_closed.store(true, Ordering::SeqCst);
        let forget = tokio::spawn({
            let consent = consent.clone();
            async move { consent.forget().await }
        });
        store.reached.notified().await;
        local.emulator.release();
        // The exchange has its result, and waits for who forgets.
        while local.emulator.issued().iter().filter(|issued| issued.kind == Kind::AccessToken).count() < 1 {
            tokio::task::yield_now().await;
        }
        store.opens.notify_one();
        forget.await.unwrap().unwrap();
        let _ = call.await.unwrap();
        assert!(store.store.load(&id("user-7")).await.unwrap().is_none());
        assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
        assert_eq!(local.tokens(), 1);
    }
}

#[tokio::test]
async fn o5_what_could_not_be_stored_replaces_nothing_newer() {
    let local = start().await;
    let store = BadStore::default();
    let one = builder(&local).store(store.clone()).build();
    let other = builder(&local).store(store.good.clone()).build();
    store.plan([Plan::Fail]);
    assert!(one.insert(&id("user-7"), token("older"), local.now()).await.unwrap_err().is_store());
    local.advance(DAY);
    let _ = other.insert(&id("user-7"), token("newer"), local.now()).await.unwrap();
    one.flush().await.unwrap();
    assert!(kept_in(&store.good).await.contains("newer"));

    // And it does replace what is older, although that was exchanged since.
    store.plan([Plan::Fail]);
    local.advance(SECOND);
    assert!(one.insert(&id("user-7"), token("newest"), local.now()).await.is_err());
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, lives("299"));
    let _ = other.consent(&id("user-7")).exchange_now().await.unwrap();
    one.flush().await.unwrap();
    assert!(kept_in(&store.good).await.contains("newest"));
}

#[tokio::test]
async fn o5_flush_stores_what_could_not_be_stored() {
    let local = start().await;
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).build();
    consents.flush().await.unwrap();
    store.plan([Plan::Fail]);
    assert!(consents.insert(&id("user-7"), token("kept"), local.now()).await.is_err());
    store.plan([Plan::Fail]);
    assert!(consents.flush().await.unwrap_err().is_store());
    consents.flush().await.unwrap();
    assert!(kept_in(&store.good).await.contains("kept"));
    assert_eq!(local.tokens(), 0);
}

#[tokio::test]
async fn o5_an_old_exchange_does_not_push_out_the_token_of_a_new_consent() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    local.emulator.fail_next(TOKEN, hold(When::After));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    store.always(Plan::Fail);
    let code = code(&local, &client(&local)).await;
    assert!(matches!(consents.exchange_code(&id("user-7"), code).await, Err(SpendError::Spent(_))));
    let newest = local.emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap();
    local.emulator.release();
    assert!(call.await.unwrap().is_err());
    store.always(Plan::Work);
    local.advance(Duration::from_secs(60));
    let token = consent.access_token().await.unwrap();
    assert!(kept_in(&store.good).await.contains(&newest.value));
    assert!(token.unverified_claims().unwrap().sub == newest.subject);
}

#[tokio::test]
async fn o5_a_consent_that_was_replaced_gives_no_old_token_though_it_is_not_stored() {
    let local = start().await;
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    store.plan([Plan::Fail]);
    assert!(consents.insert(&id("user-7"), token("newer"), local.now()).await.is_err());
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent(), "the emulator does not know it");
    assert!(kept_in(&store.good).await.contains("newer"));
}

#[tokio::test]
async fn o4_a_handle_for_each_call_is_as_good_as_one_for_all() {
    let local = start().await;
    let consents = builder(&local).build();
    drop(consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap());
    let get = || async { consents.consent(&id("user-7")).access_token().await };
    local.emulator.fail_always(TOKEN, Fault::status(500));
    for _ in 0..50 {
        assert!(get().await.is_err());
    }
    assert_eq!(local.tokens(), 2);
    local.emulator.clear_faults();
    local.advance(SECOND);
    let first = get().await.unwrap();
    consents.consent(&id("user-7")).reject(&first);
    let second = get().await.unwrap();
    assert!(text(&first) != text(&second));
    // A report that comes late changes nothing, before an exchange and after it.
    consents.consent(&id("user-7")).reject(&second);
    consents.consent(&id("user-7")).reject(&first);
    let third = get().await.unwrap();
    assert!(text(&third) != text(&second));
    assert_eq!(local.tokens(), 5);
}

#[tokio::test]
async fn o5_a_claim_lasts_as_long_as_its_owner_says() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = MemoryStore::new();
    let slow = consent_in(&local, store.clone()).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let call = spawn(&slow);
    local.emulator.received(TOKEN, 1).await;
    // Another process has other settings. Its waits are over as fast as the test can; it gives up, or adopts.
    let settings = flinks::Settings::new().clock(local.clock.clone()).timeout(Duration::from_secs(40));
    let base_url = local.emulator.base_url().parse().unwrap();
    let client = Client::with_settings(base_url, credentials(), &settings).unwrap();
    let hasty = Consents::builder(client).store_timeout(Duration::from_secs(40)).store(store).build();
    let hasty = spawn(&hasty.consent(&id("user-7")));
    let began = flinks::Clock::monotonic(&local.clock);
    while flinks::Clock::monotonic(&local.clock) - began < Duration::from_secs(600) {
        tokio::task::yield_now().await;
    }
    assert_eq!(local.tokens(), 1);
    local.emulator.release();
    let _ = call.await.unwrap().unwrap();
    let _ = hasty.await.unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn a_runtime_that_nobody_drives_does_not_hang_the_others() {
    let local = local_at(TestClock { short: Duration::ZERO, ..TestClock::new() }, |settings| settings).await;
    let consent = consent(&local).await;
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    {
        let _inside = asleep.enter();
        let mut began = Box::pin(consent.access_token());
        assert!(is_pending(&mut began).await);
    }
    let waits = spawn(&consent);
    tokio::task::yield_now().await;
    local.clock.advance(5 * 3005 * SECOND);
    let error = waits.await.unwrap().unwrap_err();
    assert!(error.is_timeout() && local.tokens() == 0);
    // Who comes now begins anew.
    let _ = consent.access_token().await.unwrap();
    asleep.shutdown_background();
}

#[tokio::test]
async fn o10_a_refused_access_token_does_not_stop_a_revocation() {
    let local = start().await;
    let consent = consent(&local).await;
    let _ = consent.access_token().await.unwrap();
    // The server's clock is ahead: there it has expired.
    local.emulator.advance(LIFETIME);
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert_eq!((local.tokens(), local.emulator.count(Operation::OutboundRevoke)), (2, 2));
}

#[tokio::test]
async fn o5_due_lists_what_idles_out_and_knows_no_overflow() {
    let local = start().await;
    let consents = builder(&local).build();
    for (name, days) in [("b", 20), ("a", 10), ("c", 29)] {
        consents.insert(&id(name), refresh_token(), local.now() - days * DAY).await.unwrap();
    }
    assert_eq!(consents.due(2 * DAY, 10).await.unwrap(), [id("c")]);
    assert_eq!(consents.due(Duration::MAX, 10).await.unwrap(), [id("c"), id("b"), id("a")]);
    assert_eq!(consents.due(Duration::MAX, 2).await.unwrap(), [id("c"), id("b")]);
}

#[tokio::test]
async fn events_of_a_code_and_of_the_clock_of_the_readme() {
    let clock = ManualClock::new();
    let emulator = flinks_emulator::Emulator::start().await.unwrap();
    let settings = flinks::Settings::new().clock(clock.clone()).max_attempts(1);
    let client = Client::with_settings(emulator.base_url().parse().unwrap(), credentials(), &settings).unwrap();
    let (sender, mut events) = unbounded_channel();
    let consents =
        Consents::builder(client).on_event(move |id, event| sender.send((id.clone(), event.clone())).unwrap());
    let consents = consents.build();
    let redirect_uri = "https://app.example/".parse().unwrap();
    let (url, pending) = consents.client().authorization("1000", &redirect_uri).unwrap().start();
    let (code, state) = (emulator.issue_code(redirect_uri.as_str()), crate::parameter(&url, "state"));
    let code = consents.client().verify(pending, &format!("?code={code}&state={state}")).unwrap();
    let consent = consents.exchange_code(&id("user-7"), code).await.unwrap();
    assert!(matches!(events.recv().await, Some((name, Event::Refreshed { .. })) if name == id("user-7")));
    let first = consent.access_token().await.unwrap();
    clock.advance(first.expires_at().unwrap().duration_since(SystemTime::now()).unwrap() + SECOND);
    let second = consent.access_token().await.unwrap();
    assert!(first.is_expired() && text(&first) != text(&second));
    // At least a second is between two exchanges: who asks before it waits until the clock is moved.
    consent.reject(&second);
    let waits = spawn(&consent);
    tokio::task::yield_now().await;
    assert!(!waits.is_finished() && emulator.count(TOKEN) == 2);
    clock.advance(SECOND);
    let third = waits.await.unwrap().unwrap();
    clock.set_wall(third.expires_at().unwrap());
    assert!(third.is_expired());
}

#[test]
fn a_store_error_is_an_error() {
    let error: Error = StoreError::refused("is closed").into();
    assert!(error.is_store() && !error.is_transient() && error.product() == Some(flinks::Product::Outbound));
    assert_eq!(error.to_string(), "look after a consent (Flinks Outbound): the token store is closed");
}

pub(crate) fn newest_refresh_token(local: &Local) -> String {
    let issued = local.emulator.issued();
    issued.into_iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap().value
}

#[tokio::test]
async fn o5_what_seemed_not_stored_does_not_replace_what_came_of_it() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = BadStore::default();
    let one = builder(&local).store(store.clone()).build();
    let other = builder(&local).store(store.good.clone()).build();
    store.plan([Plan::Lose]);
    assert!(one.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap_err().is_store());
    local.advance(SECOND);
    let _ = other.consent(&id("user-7")).exchange_now().await.unwrap();
    one.flush().await.unwrap();
    assert!(kept_in(&store.good).await.contains(&newest_refresh_token(&local)));
}

#[tokio::test]
async fn a_consent_that_is_forgotten_does_not_come_back_when_the_store_does() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = BadStore::default();
    let consents = builder(&local).store(store.clone()).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    local.emulator.fail_next(TOKEN, hold(When::After));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 1).await;
    consent.forget().await.unwrap();
    store.plan([Plan::Fail]);
    local.emulator.release();
    assert!(call.await.unwrap().unwrap_err().is_store());
    consents.flush().await.unwrap();
    assert!(store.good.load(&id("user-7")).await.unwrap().is_none());

    // What was parked before is forgotten with it.
    store.plan([Plan::Fail]);
    assert!(consents.insert(&id("user-7"), token("parked"), local.now()).await.is_err());
    consent.forget().await.unwrap();
    consents.flush().await.unwrap();
    assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o5_what_could_not_be_stored_is_stored_with_the_next_call_though_the_token_is_good() {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let store = BadStore::default();
    let (sender, mut events) = unbounded_channel();
    let consents = builder(&local).store(store.clone()).on_event(move |_, event| sender.send(event.clone()).unwrap());
    let consents = consents.build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let first = consent.access_token().await.unwrap();
    local.advance(SECOND);
    store.plan([Plan::Work, Plan::Work, Plan::Fail]);
    assert!(consent.exchange_now().await.unwrap_err().is_store());
    // In the pause, and after it, the token serves.
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    local.advance(SECOND);
    assert!(text(&consent.access_token().await.unwrap()) == text(&first));
    while !kept_in(&store.good).await.contains(&newest_refresh_token(&local)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(local.tokens(), 2);
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        told += u32::from(matches!(event, Event::NotStored { .. }));
    }
    assert_eq!(told, 1);
}

#[tokio::test]
async fn o5_an_exchange_now_is_not_content_with_what_another_found() {
    let local = start().await;
    let gate = Gate::default();
    let _ = consent_in(&local, gate.store.clone()).await.access_token().await.unwrap();
    // A new process finds the token in the store; meanwhile an exchange is asked for.
    let consent = builder(&local).store(gate.clone()).build().consent(&id("user-7"));
    gate.is_closed.store(true, Ordering::SeqCst);
    let finds = spawn(&consent);
    gate.reached.notified().await;
    let mut now = Box::pin(consent.exchange_now());
    assert!(is_pending(&mut now).await);
    gate.opens.notify_one();
    let found = finds.await.unwrap().unwrap();
    assert!(text(&now.await.unwrap()) != text(&found));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_a_refused_token_stays_refused_among_many_consents() {
    let local = start().await;
    let consents = builder(&local).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let refused = consent.access_token().await.unwrap();
    local.advance(2 * SECOND);
    consent.reject(&refused);
    drop(consent);
    for number in 0..3000 {
        drop(consents.consent(&id(&number.to_string())));
    }
    assert!(text(&consents.consent(&id("user-7")).access_token().await.unwrap()) != text(&refused));
}

#[test]
fn without_a_runtime_nothing_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (local, consents, consent) = runtime.block_on(async {
        let local = start().await;
        let consents = builder(&local).build();
        let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
        (local, consents, consent)
    });
    fn error<T>(future: impl Future<Output = Result<T, Error>>) -> Error {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match Box::pin(future).as_mut().poll(&mut context) {
            Poll::Ready(Err(error)) => error,
            _ => panic!("no error"),
        }
    }
    {
        let _inside = runtime.enter();
        let mut began = Box::pin(consent.access_token());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(began.as_mut().poll(&mut context).is_pending());
    }
    // Whether it would begin the work or join it.
    for error in [
        error(consent.access_token()),
        error(consent.exchange_now()),
        error(consents.due(DAY, 1)),
        error(consents.flush()),
        error(consent.forget()),
        error(consent.revoke()),
        error(consents.revive(&id("user-7"))),
        error(consent.idle_deadline()),
        error(consents.insert(&id("x"), refresh_token(), local.now())),
    ] {
        assert!(
            error.to_string().ends_with("it needs a tokio runtime with its time and I/O drivers enabled"),
            "{error}"
        );
    }
    let _ = runtime.block_on(consent.access_token()).unwrap();
}

#[test]
fn a_lock_in_a_runtime_that_nobody_drives_is_not_waited_for_for_ever() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = BadStore::default();
    let (local, consents) = runtime.block_on(async {
        let local = local_at(TestClock { short: Duration::ZERO, ..TestClock::new() }, |settings| settings).await;
        let consents = builder(&local).store(store.clone()).build();
        (local, consents)
    });
    store.plan([Plan::Hang]);
    // It gets as far as the store, and then nobody polls it.
    let (name, now) = (id("user-7"), local.now());
    let mut insertion = Box::pin(consents.insert(&name, RefreshToken::new("hangs").unwrap(), now));
    asleep.block_on(async {
        while !store.plans.lock().unwrap().is_empty() {
            assert!(is_pending(&mut insertion).await);
            tokio::task::yield_now().await;
        }
    });
    runtime.block_on(async {
        let forgets = tokio::spawn({
            let consent = consents.consent(&name);
            async move { consent.forget().await }
        });
        while !forgets.is_finished() {
            local.clock.advance(3005 * SECOND);
            tokio::task::yield_now().await;
        }
        assert!(forgets.await.unwrap().unwrap_err().is_store());
        let inserts = tokio::spawn({
            let (consents, name) = (consents.clone(), name.clone());
            async move { consents.insert(&name, refresh_token(), now).await }
        });
        while !inserts.is_finished() {
            local.clock.advance(3005 * SECOND);
            tokio::task::yield_now().await;
        }
        assert!(inserts.await.unwrap().unwrap_err().is_store());
    });
    // What was given meanwhile is not lost: it waits for its turn, before those who come now.
    drop(asleep);
    let _ = runtime.block_on(consents.consent(&name).access_token()).unwrap();
}

#[tokio::test]
async fn o6_a_refusal_of_a_token_that_was_replaced_meanwhile_ends_nothing() {
    let local = start().await;
    let consents = builder(&local).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let first = consent.access_token().await.unwrap();
    local.advance(SECOND);
    consent.reject(&first);
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 2).await;
    let code = code(&local, &client(&local)).await;
    let _ = consents.exchange_code(&id("user-7"), code).await.unwrap();
    client(&local).revoke(&first).await.unwrap();
    local.emulator.release();
    let token = call.await.unwrap().unwrap();
    assert!(text(&token) == text(&consent.access_token().await.unwrap()));
    assert_eq!(local.tokens(), 3);
}

/// One process that sleeps in the middle of an exchange, and another that takes its claim over. `fault` is what the other
/// meets.
async fn sleeper_and_other(
    fault: Option<Fault>,
) -> (Local, MemoryStore, JoinHandle<Result<AccessToken, Error>>, TestClock, Consent) {
    let local = start().await;
    let store = MemoryStore::new();
    let sleeper = consent_in(&local, store.clone()).await;
    let _ = sleeper.access_token().await.unwrap();
    local.advance(LIFETIME);
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let sleeps = spawn(&sleeper);
    local.emulator.received(TOKEN, 2).await;
    if let Some(fault) = fault {
        local.emulator.fail_next(TOKEN, fault);
    }
    // The clock of the other goes on: it waits for the claim to end.
    let clock = TestClock::new();
    clock.advance(LIFETIME);
    let settings = flinks::Settings::new().clock(clock.clone()).timeout(TIMEOUT);
    let other = Client::with_settings(local.emulator.base_url().parse().unwrap(), credentials(), &settings).unwrap();
    let other = Consents::builder(other).store_timeout(TIMEOUT).store(store.clone()).build().consent(&id("user-7"));
    (local, store, sleeps, clock, other)
}

#[tokio::test]
async fn o6_a_process_that_slept_does_not_end_what_another_has_exchanged() {
    for is_refused in [true, false] {
        let (local, store, sleeps, clock, other) = sleeper_and_other(None).await;
        let good = other.access_token().await.unwrap();
        assert_eq!(local.tokens(), 3);
        let deadline = other.idle_deadline().await.unwrap();
        if is_refused {
            // What is refused now was good a moment ago: that is not for this one to say.
            client(&local).revoke(&good).await.unwrap();
        }
        local.clock.advance_wall(flinks::Clock::wall(&clock).duration_since(local.now()).unwrap());
        local.emulator.release();
        assert!((text(&sleeps.await.unwrap().unwrap()) == text(&good)) == is_refused);
        let record = store.load(&id("user-7")).await.unwrap().unwrap();
        // Nor does its own result, which is older, take the place of the other's.
        assert!(!record.is_over() && record.idle_deadline() == deadline);
    }
}

#[tokio::test]
async fn o5_a_process_that_slept_stores_its_result_and_leaves_the_claim_of_another() {
    let never = Fault::SlowBytes { milliseconds: 3_600_000 };
    let (local, store, sleeps, clock, other) = sleeper_and_other(Some(never)).await;
    let waits = spawn(&other);
    local.emulator.received(TOKEN, 3).await;
    local.emulator.release();
    let token = sleeps.await.unwrap().unwrap();
    let record = kept_in(&store).await;
    assert!(record.contains("\"claim\":{") && record.contains(token.expose_secret()));
    clock.advance(TIMEOUT);
    assert!(waits.await.unwrap().unwrap_err().is_timeout());
}

#[tokio::test]
async fn o5_a_process_that_slept_stores_a_rotated_token_after_another_has_failed() {
    let (local, store, sleeps, _, other) = sleeper_and_other(Some(Fault::status(500))).await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    local.emulator.fail_next(TOKEN, Fault::status(500));
    assert!(other.access_token().await.is_err());
    local.emulator.release();
    let token = sleeps.await.unwrap().unwrap();
    let record = kept_in(&store).await;
    assert!(record.contains(token.expose_secret()) && !record.contains(refresh_token().expose_secret()));
}

#[tokio::test]
async fn o6_an_end_that_could_not_be_stored_is_known_all_the_same() {
    let local = start().await;
    let store = BadStore::default();
    let consent = consent_in(&local, store.clone()).await;
    let first = consent.access_token().await.unwrap();
    client(&local).revoke(&first).await.unwrap();
    consent.reject(&first);
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let call = spawn(&consent);
    local.emulator.received(TOKEN, 2).await;
    store.always(Plan::Fail);
    local.emulator.release();
    assert!(call.await.unwrap().unwrap_err().needs_consent());
    assert!(consent.idle_deadline().await.unwrap_err().needs_consent());
}

#[tokio::test]
async fn o5_a_claim_outlives_clocks_that_differ_by_ten_minutes() {
    let (local, store, sleeps, _, _) = sleeper_and_other(None).await;
    // By the other's clock the claim of 3005 seconds ended a while ago; it has not seen it that long.
    for (minutes, waits) in [(9, true), (11, false)] {
        let clock = TestClock { short: Duration::ZERO, ..TestClock::new() };
        clock.advance(LIFETIME + 3005 * SECOND + Duration::from_secs(minutes * 60));
        let settings = flinks::Settings::new().clock(clock.clone()).timeout(TIMEOUT);
        let client = Client::with_settings(local.emulator.base_url().parse().unwrap(), credentials(), &settings);
        let consents = Consents::builder(client.unwrap()).store_timeout(TIMEOUT).store(store.clone()).build();
        let call = spawn(&consents.consent(&id("user-7")));
        while clock.waits().is_empty() && !call.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(call.is_finished(), !waits);
        assert_eq!(local.tokens(), if waits { 2 } else { 3 });
        call.abort();
    }
    local.emulator.release();
    let _ = sleeps.await.unwrap().unwrap();
}
