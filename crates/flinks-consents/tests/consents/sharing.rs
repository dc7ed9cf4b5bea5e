//! Rule O4: however many callers request a token, there is one refresh, and all of them get its
//! result.

use crate::prelude::*;

type Call = JoinHandle<Result<AccessToken, ConsentError>>;

fn spawn_app(source: &AppTokenSource) -> Call {
    let source = source.clone();
    tokio::spawn(async move { source.access_token().await })
}

#[tokio::test]
async fn o4_thousand_callers_share_one_refresh() {
    let local = start().await;
    let consent = local.consent().await;
    let source = AppTokenSource::new(local.client(), None);
    let apps = (0..1000).map(|_| spawn_app(&source)).collect();
    let consents = spawn_many(&consent, 1000);
    for calls in [apps, consents] {
        assert_eq!(tokens_of(calls).await.len(), 1);
    }
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_thousand_callers_share_one_failure() {
    for (status, attempts_of_app, attempts_of_consent) in [(500, 3, 2), (429, 3, 3)] {
        let local = start().await;
        let source = AppTokenSource::new(local.client(), None);
        assert_one_failure(&local, status, attempts_of_app, || spawn_app(&source)).await;
        let local = start().await;
        let consent = local.consent().await;
        assert_one_failure(&local, status, attempts_of_consent, || spawn(&consent)).await;
    }
}

async fn assert_one_failure(local: &Local, status: u16, attempts: u32, call: impl Fn() -> Call) {
    local.emulator.fail_always(TOKEN, Fault::status(status));
    let calls: Vec<_> = (0..1000).map(|_| call()).collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.attempts(), attempts);
    }
    // A caller that comes a little later gets the same error.
    assert_eq!(call().await.unwrap().unwrap_err().status(), Some(status));
    assert_eq!(local.tokens(), u64::from(attempts));
    // After the pause, which is at most a second, there is another attempt.
    local.emulator.clear_faults();
    local.advance(SECOND);
    let _ = call().await.unwrap().unwrap();
}

#[tokio::test]
async fn o4_cancelled_caller_does_not_cancel_the_refresh() {
    let local = start().await;
    let consent = local.consent().await;
    let began = local.held_call(&consent, When::After).await;
    let waits = spawn(&consent);
    began.abort();
    assert!(began.await.unwrap_err().is_cancelled());
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o4_refresh_completes_when_all_callers_are_cancelled() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let consent = local.consent().await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let all = spawn_many(&consent, 10);
    local.emulator.received(TOKEN, 1).await;
    for one in all {
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
    local.emulator.release();
    // A new caller waits for the refresh in flight, or finds its result.
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o4_waiter_that_times_out_does_not_affect_the_others() {
    let local = start().await;
    let consent = local.consent().await;
    let waits = local.held_call(&consent, When::After).await;
    {
        let mut impatient = Box::pin(consent.access_token());
        assert!(is_pending(&mut impatient).await);
    }
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o4_caller_that_is_not_polled_delays_nobody_and_gets_a_valid_token() {
    let local = start().await;
    let consent = local.consent().await;
    let mut idle = Box::pin(consent.access_token());
    assert!(is_pending(&mut idle).await);
    let first = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
    local.advance(LIFETIME);
    let token = idle.await.unwrap();
    assert!(!token.is_expired());
    assert!(first.is_expired());
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_slow_refresh_does_not_delay_other_consents() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let slow = consents.import(&id("slow"), refresh_token(), local.now()).await.unwrap();
    let waits = local.held_call(&slow, When::After).await;
    let fast = consents.exchange_code(&id("fast"), local.code()).await.unwrap();
    let _ = fast.access_token().await.unwrap();
    let _ = fast.refresh_now().await.unwrap();
    assert!(!waits.is_finished());
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o4_handles_of_one_consent_share_their_state() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    drop(local.import(&consents).await);
    let get = || async { consents.consent(&user()).access_token().await };
    local.emulator.fail_always(TOKEN, Fault::status(500));
    for _ in 0..50 {
        assert!(get().await.is_err());
    }
    assert_eq!(local.tokens(), 2);
    local.emulator.clear_faults();
    local.advance(SECOND);
    let first = get().await.unwrap();
    consents.consent(&user()).invalidate(&first);
    let second = get().await.unwrap();
    assert_ne!(text(&first), text(&second));
    // Rejecting an older token again changes nothing, before a refresh and after it.
    consents.consent(&user()).invalidate(&second);
    consents.consent(&user()).invalidate(&first);
    let third = get().await.unwrap();
    assert_ne!(text(&third), text(&second));
    assert_eq!(local.tokens(), 5);
}
