//! Tests the events that consents and application tokens report to a callback.

use std::panic::panic_any;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::mpsc::unbounded_channel;

use crate::prelude::*;

#[tokio::test]
async fn panicking_callback_does_not_affect_a_call() {
    let setup = start().await;
    let consents = setup.builder().on_event(|_, _| panic_any("canary")).build();
    let consent = consents.import(&user(), refresh_token(), setup.now() - 29 * DAY).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    let source = AppTokenSource::with_events(setup.client(), None, |_| panic_any("canary"));
    let _ = source.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn app_token_source_reports_events() {
    let setup = start().await;
    let (sender, mut events) = unbounded_channel();
    let on_event = move |event: &Event| sender.send(event.clone()).unwrap();
    let source = AppTokenSource::with_events(setup.client(), Some("client:admin"), on_event);
    setup.emulator.fail_times(TOKEN, Fault::status(500), 3);
    let _ = source.access_token().await.unwrap_err();
    assert!(matches!(events.recv().await, Some(Event::RefreshFailed { valid_until: None, .. })));
    setup.advance(SECOND);
    let token = source.access_token().await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    source.invalidate(&token);
    assert_ne!(text(&source.access_token().await.unwrap()), text(&token));
    // Rejecting the token a second time has no effect.
    source.invalidate(&token);
    let _ = source.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 5);
}

#[tokio::test]
async fn consent_works_with_a_stopped_clock() {
    let clock = ManualClock::new();
    let emulator = Emulator::start().await.unwrap();
    let settings = Settings::new().clock(clock.clone()).max_attempts(1);
    let client =
        Client::builder(emulator.base_url().parse().unwrap(), credentials()).settings(&settings).build().unwrap();
    let (sender, mut events) = unbounded_channel();
    let consents =
        Consents::builder(client).on_event(move |id, event| sender.send((id.clone(), event.clone())).unwrap());
    let consents = consents.build();
    let redirect_uri = "https://app.example/".parse().unwrap();
    let flinks::Started { url, pending, .. } = consents.client().authorization("1000", &redirect_uri).unwrap().start();
    let code = emulator.issue_code(redirect_uri.as_str());
    let state = parameter(&url, "state");
    let code = consents.client().verify(pending, &format!("?code={code}&state={state}")).unwrap();
    let consent = consents.exchange_code(&user(), code).await.unwrap();
    assert!(matches!(events.recv().await, Some((name, Event::Refreshed { .. })) if name == user()));
    let first = consent.access_token().await.unwrap();
    clock.advance(first.expires_at().unwrap().duration_since(SystemTime::now()).unwrap() + SECOND);
    let second = consent.access_token().await.unwrap();
    assert!(first.is_expired());
    assert_ne!(text(&first), text(&second));
    // Refreshes are at least one second apart, so this call waits until the clock is advanced.
    consent.invalidate(&second);
    let call = spawn(&consent);
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    assert_eq!(emulator.count(TOKEN), 2);
    clock.advance(SECOND);
    let third = call.await.unwrap().unwrap();
    clock.set_wall(third.expires_at().unwrap());
    assert!(third.is_expired());
}

#[test]
fn callback_can_flush() {
    // The callback blocks its thread until the flush has completed, so the other tasks need more
    // threads.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let setup = start().await;
        setup.rotate_refresh_tokens();
        let store = FaultyStore::default();
        let shared: Arc<OnceLock<Consents>> = Arc::default();
        let flushed: Arc<Mutex<Vec<bool>>> = Arc::default();
        let in_callback = Arc::clone(&shared);
        let results = Arc::clone(&flushed);
        let consents = setup.builder().store(store.clone()).outage_policy(OutagePolicy::FailClosed);
        let consents = consents.on_event(move |_, event| {
            if let (Event::NotStored { .. }, Some(consents)) = (event, in_callback.get()) {
                let handle = tokio::runtime::Handle::current();
                let flushed = tokio::task::block_in_place(|| handle.block_on(consents.flush()));
                results.lock().unwrap().push(flushed.is_ok());
            }
        });
        let consents = consents.build();
        shared.set(consents.clone()).unwrap();
        let consent = setup.import(&consents).await;
        store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
        assert!(consent.access_token().await.unwrap_err().is_store());
        consents.shutdown(SECOND * 500).await.unwrap();
        assert_eq!(*flushed.lock().unwrap(), [true]);
        assert!(stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value));
    });
}
