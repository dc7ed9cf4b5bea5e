//! Tests that concurrent callers share one refresh and its result. (O4)

use crate::prelude::*;

type Call = JoinHandle<Result<AccessToken, ConsentError>>;

fn spawn_app(source: &AppTokenSource) -> Call {
    let source = source.clone();
    tokio::spawn(async move { source.access_token().await })
}

#[tokio::test]
async fn o4_thousand_callers_share_one_refresh() {
    let setup = start().await;
    let consent = setup.consent().await;
    let source = AppTokenSource::new(setup.client(), None);
    let apps = (0..1000).map(|_| spawn_app(&source)).collect();
    let consents = spawn_many(&consent, 1000);
    for calls in [apps, consents] {
        assert_eq!(distinct_tokens(calls).await.len(), 1);
    }
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o4_token_header_and_closure_are_for_the_same_token() {
    let setup = start().await;
    let consent = setup.consent().await;
    let source = AppTokenSource::new(setup.client(), None);
    // The first reads fetch the tokens, and the others find them in the cache.
    for _ in 0..2 {
        let header = consent.header().await.unwrap();
        assert!(header.is_sensitive());
        assert_eq!(header, consent.with_token(AccessToken::authorization).await.unwrap());
        assert_eq!(header, consent.access_token().await.unwrap().authorization());
        let header = source.header().await.unwrap();
        assert!(header.is_sensitive());
        assert_eq!(header, source.with_token(AccessToken::authorization).await.unwrap());
        assert_eq!(header, source.access_token().await.unwrap().authorization());
    }
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn a4_closure_receives_a_new_token_after_the_old_one_has_expired_on_either_clock() {
    let setup = start().await;
    let consent = setup.consent().await;
    let first = consent.with_token(AccessToken::clone).await.unwrap();
    setup.clock.set_wall(setup.now() + LIFETIME);
    let second = consent.with_token(AccessToken::clone).await.unwrap();
    assert_ne!(text(&second), text(&first));
    setup.advance(LIFETIME);
    let third = consent.with_token(AccessToken::clone).await.unwrap();
    assert_ne!(text(&third), text(&second));
    assert!(!third.is_expired());
}

#[tokio::test]
async fn o4_closure_is_not_called_if_no_token_is_available() {
    let setup = start().await;
    let consent = setup.consents(MemoryStore::new()).consent(&user());
    let result = consent.with_token(|_| panic!("there is no token")).await;
    assert!(result.unwrap_err().needs_consent());
    assert!(consent.header().await.unwrap_err().needs_consent());
}

#[tokio::test]
async fn o4_thousand_callers_share_one_failure() {
    for (status, app_attempts, consent_attempts) in [(500, 3, 2), (429, 3, 3)] {
        let setup = start().await;
        let source = AppTokenSource::new(setup.client(), None);
        assert_one_failure(&setup, status, app_attempts, || spawn_app(&source)).await;
        let setup = start().await;
        let consent = setup.consent().await;
        assert_one_failure(&setup, status, consent_attempts, || spawn(&consent)).await;
    }
}

async fn assert_one_failure(setup: &Setup, status: u16, attempts: u32, call: impl Fn() -> Call) {
    setup.emulator.fail_always(TOKEN, Fault::status(status));
    let calls: Vec<_> = (0..1000).map(|_| call()).collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.attempts(), attempts);
    }
    // A later caller receives the same error during the back-off.
    assert_eq!(call().await.unwrap().unwrap_err().status(), Some(status));
    assert_eq!(setup.token_requests(), u64::from(attempts));
    // The back-off lasts at most one second. The next call then refreshes the token.
    setup.emulator.clear_faults();
    setup.advance(SECOND);
    let _ = call().await.unwrap().unwrap();
}

#[tokio::test]
async fn o4_cancelled_caller_does_not_cancel_the_refresh() {
    let setup = start().await;
    let consent = setup.consent().await;
    let leader = setup.held_call(&consent, When::After).await;
    let waiter = spawn(&consent);
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    setup.emulator.release();
    let _ = waiter.await.unwrap().unwrap();
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o4_refresh_completes_when_all_callers_are_cancelled() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let consent = setup.consent().await;
    setup.emulator.fail_next(TOKEN, hold(When::After));
    let calls = spawn_many(&consent, 10);
    setup.emulator.received(TOKEN, 1).await;
    for call in calls {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    setup.emulator.release();
    // A new caller waits for the refresh in flight or finds its result.
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o4_waiter_that_times_out_does_not_affect_the_others() {
    let setup = start().await;
    let consent = setup.consent().await;
    let waiter = setup.held_call(&consent, When::After).await;
    {
        let mut cancelled = Box::pin(consent.access_token());
        assert!(is_pending(&mut cancelled).await);
    }
    setup.emulator.release();
    let _ = waiter.await.unwrap().unwrap();
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o4_unpolled_caller_delays_no_other_caller_and_gets_a_valid_token() {
    let setup = start().await;
    let consent = setup.consent().await;
    let mut idle = Box::pin(consent.access_token());
    assert!(is_pending(&mut idle).await);
    let first = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 1);
    setup.advance(LIFETIME);
    let token = idle.await.unwrap();
    assert!(!token.is_expired());
    assert!(first.is_expired());
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o4_slow_refresh_does_not_delay_other_consents() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let slow = consents.import(&id("slow"), refresh_token(), setup.now()).await.unwrap();
    let waiter = setup.held_call(&slow, When::After).await;
    let fast = consents.exchange_code(&id("fast"), setup.code()).await.unwrap();
    let _ = fast.access_token().await.unwrap();
    let _ = fast.refresh_now().await.unwrap();
    assert!(!waiter.is_finished());
    setup.emulator.release();
    let _ = waiter.await.unwrap().unwrap();
    assert_eq!(setup.token_requests(), 3);
}

#[tokio::test]
async fn o4_handles_of_one_consent_share_their_state() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    drop(setup.import(&consents).await);
    let get = || async { consents.consent(&user()).access_token().await };
    setup.emulator.fail_always(TOKEN, Fault::status(500));
    for _ in 0..50 {
        assert!(get().await.is_err());
    }
    assert_eq!(setup.token_requests(), 2);
    setup.emulator.clear_faults();
    setup.advance(SECOND);
    let first = get().await.unwrap();
    consents.consent(&user()).invalidate(&first);
    let second = get().await.unwrap();
    assert_ne!(text(&first), text(&second));
    // Rejecting an older token again has no effect, whether before or after a refresh.
    consents.consent(&user()).invalidate(&second);
    consents.consent(&user()).invalidate(&first);
    let third = get().await.unwrap();
    assert_ne!(text(&third), text(&second));
    assert_eq!(setup.token_requests(), 5);
}
