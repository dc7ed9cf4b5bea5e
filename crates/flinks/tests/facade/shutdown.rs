//! The end of a process, and work that others must not wait for.

use std::future::Future as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};

use flinks::outbound::store::{DueWindow, Record, StoreError, StoreFuture};
use flinks::outbound::{ConsentId, Consents, Event, MemoryStore, StoreOutage, TokenStore};
use flinks_emulator::When;

use crate::consents::{
    BadStore, LIFETIME, Plan, SECOND, TOKEN, builder, hold, id, newest_refresh_token, spawn, start, text,
};
use crate::outbound::refresh_token;
use crate::{Local, TestClock, local_at};

/// A consent whose refresh token rotates.
async fn rotating(store: &BadStore) -> (Local, Consents) {
    let local = start().await;
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let consents = builder(&local).store(store.clone()).build();
    let _ = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    (local, consents)
}

async fn stored(store: &BadStore) -> String {
    let record = store.good.load(&id("user-7")).await.unwrap().unwrap();
    record.encode().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn o5_a_shutdown_waits_for_a_refresh_that_nobody_waits_for() {
    let store = BadStore::default();
    let (local, consents) = rotating(&store).await;
    let token = consents.consent(&id("user-7")).access_token().await.unwrap();
    // An early refresh: callers have their token, and the refresh goes on by itself.
    local.advance(LIFETIME - SECOND * 100);
    local.emulator.fail_next(TOKEN, hold(When::After));
    assert_eq!(text(&consents.consent(&id("user-7")).access_token().await.unwrap()), text(&token));
    local.emulator.received(TOKEN, 2).await;
    let shutdown = tokio::spawn({
        let consents = consents.clone();
        async move { consents.shutdown(SECOND * 500).await }
    });
    while !shutdown.is_finished() {
        local.emulator.release();
        tokio::task::yield_now().await;
    }
    shutdown.await.unwrap().unwrap();
    assert!(stored(&store).await.contains(&newest_refresh_token(&local)));
}

#[tokio::test]
async fn o5_a_shutdown_ends_at_its_limit_and_counts_what_is_under_way() {
    let store = BadStore::default();
    let (local, consents) = rotating(&store).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let waits = spawn(&consents.consent(&id("user-7")));
    local.emulator.received(TOKEN, 1).await;
    let shutdown = tokio::spawn({
        let consents = consents.clone();
        async move { consents.shutdown(SECOND * 45).await }
    });
    while !shutdown.is_finished() {
        local.clock.advance(SECOND * 5);
        tokio::task::yield_now().await;
    }
    let unfinished = shutdown.await.unwrap().unwrap_err();
    assert_eq!(unfinished.in_flight(), 1);
    assert!(unfinished.error().is_none());
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    consents.shutdown(SECOND * 45).await.unwrap();
}

#[tokio::test]
async fn o5_a_shutdown_stores_what_waits_and_names_what_it_cannot_store() {
    let store = BadStore::default();
    let (local, consents) = rotating(&store).await;
    store.plan([Plan::Work, Plan::Work, Plan::Fail]);
    assert!(consents.consent(&id("user-7")).access_token().await.unwrap_err().is_store());
    store.always(Plan::Fail);
    let unfinished = consents.shutdown(SECOND * 500).await.unwrap_err();
    assert_eq!(unfinished.unstored(), [id("user-7")]);
    assert!(unfinished.error().unwrap().is_store());
    assert_eq!(unfinished.in_flight(), 0);
    assert!(!unfinished.to_string().contains("user-7"));
    store.always(Plan::Work);
    consents.shutdown(SECOND * 500).await.unwrap();
    assert!(stored(&store).await.contains(&newest_refresh_token(&local)));
}

#[tokio::test]
async fn a_call_that_is_kept_and_not_polled_holds_no_lock() {
    let store = BadStore::default();
    let (local, consents) = rotating(&store).await;
    let consent = consents.consent(&id("user-7"));
    let mut context = Context::from_waker(Waker::noop());
    // Each stops in the store, and is then kept.
    let mut forget = Box::pin(consent.forget());
    let mut flush = Box::pin(consents.flush());
    let mut deadline = Box::pin(consent.idle_deadline());
    let mut revoke = Box::pin(consent.revoke());
    store.plan([Plan::Fail]);
    for kept in [
        forget.as_mut().poll(&mut context).is_pending(),
        flush.as_mut().poll(&mut context).is_pending(),
        deadline.as_mut().poll(&mut context).is_pending(),
        revoke.as_mut().poll(&mut context).is_pending(),
    ] {
        assert!(kept);
    }
    consents.shutdown(SECOND * 500).await.unwrap();
    // Nothing waits for them: the clock stands still.
    let before = flinks::Clock::monotonic(&local.clock);
    let _ = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    assert!(flinks::Clock::monotonic(&local.clock) - before < SECOND);
    drop((forget, flush, deadline, revoke));
}

#[test]
fn a_callback_may_flush() {
    // The callback blocks its thread until the flush has ended, so the other tasks need more threads.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let local = local_at(TestClock::new(), |settings| settings).await;
        local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
        let store = BadStore::default();
        let shared: Arc<OnceLock<Consents>> = Arc::default();
        let flushed: Arc<Mutex<Vec<bool>>> = Arc::default();
        let (in_callback, results) = (Arc::clone(&shared), Arc::clone(&flushed));
        let consents = builder(&local).store(store.clone()).store_outage(StoreOutage::Refuse);
        let consents = consents.on_event(move |_, event| {
            if let (Event::NotStored { .. }, Some(consents)) = (event, in_callback.get()) {
                let handle = tokio::runtime::Handle::current();
                let flushed = tokio::task::block_in_place(|| handle.block_on(consents.flush()));
                results.lock().unwrap().push(flushed.is_ok());
            }
        });
        let consents = consents.build();
        shared.set(consents.clone()).unwrap();
        let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
        store.plan([Plan::Work, Plan::Work, Plan::Fail]);
        assert!(consent.access_token().await.unwrap_err().is_store());
        consents.shutdown(SECOND * 500).await.unwrap();
        assert_eq!(*flushed.lock().unwrap(), [true]);
        assert!(stored(&store).await.contains(&newest_refresh_token(&local)));
    });
}

#[tokio::test]
async fn inserting_into_a_store_that_fails_sends_nothing() {
    let (local, store) = (start().await, BadStore::default());
    let consents = builder(&local).store(store.clone()).build();
    for plan in [Plan::Fail, Plan::Panic] {
        store.plan([plan]);
        let error = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap_err();
        assert!(error.is_store(), "{error}");
        assert!(!error.may_have_been_sent(), "{error}");
    }
    // The exchange of a code has sent something before the store fails.
    let code = crate::outbound::code(&local, consents.client()).await;
    store.plan([Plan::Fail]);
    let error = consents.exchange_code(&id("user-8"), code).await.unwrap_err();
    assert!(error.error().may_have_been_sent());
}

/// A store in which one record is in use by others.
#[derive(Clone, Default)]
struct OneBusy(MemoryStore, Arc<Mutex<Vec<ConsentId>>>);

impl TokenStore for OneBusy {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        self.0.load(id)
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        if self.1.lock().unwrap().contains(record.id()) {
            return Box::pin(async { Err(StoreError::busy("is in use")) });
        }
        self.0.compare_and_swap(expected, record)
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.0.remove(id, generation)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.0.due(window, limit)
    }
}

#[tokio::test]
async fn o5_a_record_in_use_does_not_keep_a_shutdown_from_storing_the_others() {
    let local = start().await;
    let store = OneBusy::default();
    let consents = builder(&local).store(store.clone()).build();
    let names: Vec<ConsentId> = (0..20).map(|number| id(&format!("user-{number}"))).collect();
    store.1.lock().unwrap().clone_from(&names);
    for name in &names {
        assert!(consents.insert(name, refresh_token(), local.now()).await.is_err());
    }
    *store.1.lock().unwrap() = vec![names[0].clone()];
    let unfinished = consents.shutdown(SECOND * 500).await.unwrap_err();
    assert_eq!(unfinished.unstored(), [names[0].clone()]);
}
