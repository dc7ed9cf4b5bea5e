//! Tests that the stores conform to the `TokenStore` contract. Also tests how consents behave if a
//! store fails, hangs, panics or returns wrong results.

use flinks_consents::flinks::Cause;
use std::panic::panic_any;
use std::sync::{Arc, Mutex};

use flinks::outbound::ClientCredentials;

use crate::prelude::*;
use flinks_consents::{OwnerId, Page};

#[tokio::test]
async fn memory_store_conforms() {
    let store = MemoryStore::new();
    conformance::check(|| store.clone()).await.unwrap();
    let boxed: Arc<dyn TokenStore> = Arc::new(store);
    conformance::check(|| Arc::clone(&boxed)).await.unwrap();
}

#[tokio::test]
async fn faulty_store_without_a_fault_conforms() {
    let store = FaultyStore::default();
    conformance::check(|| store.clone()).await.unwrap();
}

#[test]
fn store_error_converts_to_an_error() {
    let error: ConsentError = StoreError::misconfigured("is closed").into();
    assert!(error.is_store());
    assert!(!error.is_transient());
    assert_eq!(error.store_error(), Some(&StoreError::misconfigured("is closed")));
    assert_eq!(error.to_string(), "the token store is closed");
}

#[test]
fn consent_id_is_text_of_up_to_512_bytes() {
    for good in ["user-7", "é", " a ", "a/b", &"x".repeat(512)] {
        assert_eq!(id(good).as_str(), good);
    }
    for bad in ["", " ", "a\nb", "a\0", &"x".repeat(513)] {
        let error = ConsentError::from(bad.parse::<ConsentId>().unwrap_err());
        assert_eq!(error.field(), Some("consent id"));
        assert_eq!(error.advice(), Advice::FixInput);
        assert_eq!(error.cause(), Some(Cause::Input));
    }
}

/// Checks the error returned by a call that failed before sending a request.
fn assert_nothing_sent(setup: &Setup, error: &ConsentError) {
    assert!(error.is_store(), "{error}");
    assert!(error.is_transient(), "{error}");
    assert!(!error.may_have_been_sent(), "{error}");
    assert_eq!(setup.token_requests(), 0);
}

#[tokio::test]
async fn failing_or_hanging_store_is_an_error_and_nothing_is_sent() {
    for fault in [StoreFault::unavailable(), StoreFault::Hold] {
        let setup = start().await;
        let store = FaultyStore::default();
        let consent = consent_in(&setup, store.clone()).await;
        for operation in [Load, CompareAndSwap] {
            store.fail_next(operation, fault.clone());
            let before = store.count(operation);
            let call = spawn(&consent);
            if let StoreFault::Hold = fault {
                store.received(operation, before + 1).await;
                setup.advance(TIMEOUT);
            }
            assert_nothing_sent(&setup, &call.await.unwrap().unwrap_err());
            setup.advance(MINUTE);
        }
        let _ = consent.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 1);
        // A cached token is returned without using the store.
        store.fail_always(fault);
        let _ = consent.access_token().await.unwrap();
    }
}

/// A `MemoryStore` wrapper that can be set to panic once.
#[derive(Clone, Default)]
struct PanickingStore {
    inner: MemoryStore,
    next: Arc<Mutex<Option<(StoreOperation, Panic)>>>,
}

#[derive(Clone, Copy)]
enum Panic {
    InTheCall,
    InTheFuture,
}

impl PanickingStore {
    fn panic_next(&self, operation: StoreOperation, panic: Panic) {
        *self.next.lock().unwrap() = Some((operation, panic));
    }

    fn call<'a, T: Send + 'a>(&self, operation: StoreOperation, call: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        let panic = self.next.lock().unwrap().take_if(|(next, _)| *next == operation);
        match panic {
            None => call,
            Some((_, Panic::InTheCall)) => panic_any("canary"),
            Some((_, Panic::InTheFuture)) => Box::pin(async { panic_any("canary") }),
        }
    }
}

impl TokenStore for PanickingStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        self.call(Load, self.inner.load(id))
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        self.call(CompareAndSwap, self.inner.compare_and_swap(expected, record))
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.inner.remove(id, generation)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        self.inner.list(owner, page)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.inner.due(window, limit)
    }
}

#[tokio::test]
async fn panicking_store_is_an_error_and_nothing_is_sent() {
    for panic in [Panic::InTheCall, Panic::InTheFuture] {
        let setup = start().await;
        let store = PanickingStore::default();
        let consent = consent_in(&setup, store.clone()).await;
        for operation in [Load, CompareAndSwap] {
            store.panic_next(operation, panic);
            let error = consent.access_token().await.unwrap_err();
            assert_nothing_sent(&setup, &error);
            assert!(!format!("{error} {error:?}").contains("canary"));
            setup.advance(MINUTE);
        }
        let _ = consent.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 1);
    }
}

#[tokio::test]
async fn incorrect_store_neither_ends_a_consent_nor_blocks_a_call() {
    // The store reports success for two writes that it ignores. The refresh token is not rotated,
    // so nothing is lost.
    let setup = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&setup, store.clone()).await;
    store.fail_nth(CompareAndSwap, 1, StoreFault::Ignore);
    store.fail_nth(CompareAndSwap, 2, StoreFault::Ignore);
    let _ = consent.access_token().await.unwrap();
    // The store always reports either a conflict or a missing record.
    for (fault, is_store) in [(StoreFault::Conflict, true), (StoreFault::Ignore, false)] {
        let setup = start().await;
        let store = FaultyStore::default();
        let consent = consent_in(&setup, store.clone()).await;
        store.fail_always(fault);
        let error = consent.access_token().await.unwrap_err();
        assert_eq!(error.is_store(), is_store, "{error}");
        assert_eq!(error.needs_consent(), !is_store, "{error}");
        assert_eq!(setup.token_requests(), 0);
        assert_eq!(consent.forget().await.is_err(), is_store);
        store.clear_faults();
        setup.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
    }
}

#[tokio::test]
async fn record_of_another_consent_is_refused() {
    let setup = start().await;
    let store = FaultyStore::default();
    let _ = consent_in(&setup, store.clone()).await;
    let record = store.load(&user()).await.unwrap().unwrap();
    store.fail_next(Load, StoreFault::Substitute(Box::new(record)));
    let error = setup.consents(store).consent(&id("other")).access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(!error.is_transient(), "{error}");
    assert_eq!(setup.token_requests(), 0);
}

#[tokio::test]
async fn import_into_a_failing_store_sends_nothing() {
    let setup = start().await;
    let panicking = PanickingStore::default();
    panicking.panic_next(CompareAndSwap, Panic::InTheFuture);
    let consents = setup.consents(panicking);
    let error = consents.import(&user(), refresh_token(), setup.now()).await.unwrap_err();
    assert_nothing_sent(&setup, &error);

    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    let error = consents.import(&user(), refresh_token(), setup.now()).await.unwrap_err();
    assert_nothing_sent(&setup, &error);
    // The code was exchanged before the store failed.
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    let error = consents.exchange_code(&id("user-8"), setup.code()).await.unwrap_err();
    assert!(error.error().may_have_been_sent());
}

#[tokio::test]
async fn debug_output_shows_the_type_and_no_secret() {
    let setup = start().await;
    let client = client_at(&setup.emulator, &setup.clock, ClientCredentials::new("canary", "canary").unwrap());
    let consents = Consents::new(client.clone());
    for (text, name) in [
        (format!("{:?}", Consents::builder(client.clone())), "ConsentsBuilder {"),
        (format!("{consents:?}"), "Consents {"),
        (format!("{:?}", consents.consent(&user())), "Consent {"),
        (format!("{:?}", AppTokenSource::new(client, None)), "AppTokenSource {"),
        (format!("{:?}", MemoryStore::new()), "MemoryStore { records: 0 }"),
        (format!("{:?}", FaultyStore::default()), "FaultyStore { inner: MemoryStore {"),
    ] {
        assert!(text.starts_with(name), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
