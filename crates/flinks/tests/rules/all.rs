//! Tests the parts of rules A1 to A6 that the facade enforces. `flinks-core` tests the other parts
//! of these rules.

use std::time::Duration;

use flinks::connect::Authorize;
use flinks::{Advice, Cause, SpendError};
use flinks_emulator::{Fault, Operation, When};

use crate::{ManualClock, TIMEOUT, local, local_at, local_with, login_id, new_session};

#[tokio::test]
async fn a4_token_expires_on_either_clock() {
    // On a suspended machine, only the wall clock advances.
    let local = local().await;
    let token = local.pay.authorize().await.unwrap();
    local.turn_wall_clock_ahead(Duration::from_secs(600));
    assert!(token.is_expired());

    // A wall clock that was set back does not reach the end of the token's lifetime.
    let token = local.pay.authorize().await.unwrap();
    local.turn_wall_clock_back(Duration::from_secs(3600));
    assert!(!token.is_expired());
    // Only the monotonic clock reaches the end of the lifetime.
    local.clock.advance(Duration::from_secs(299));
    local.turn_wall_clock_back(Duration::from_secs(299));
    assert!(token.is_expired());
}

#[tokio::test]
async fn a4_lifetime_counts_from_before_the_request() {
    let local = local().await;
    local.emulator.fail_next(Operation::PayAuthorize, Fault::Hold { when: When::After });
    let call = tokio::spawn({
        let pay = local.pay.clone();
        async move { pay.authorize().await }
    });
    local.emulator.received(Operation::PayAuthorize, 1).await;
    local.clock.advance(Duration::from_secs(20));
    local.emulator.release();
    let token = call.await.unwrap().unwrap();
    local.clock.advance(Duration::from_secs(278));
    assert!(!token.is_expired());
    local.clock.advance(Duration::from_secs(1));
    assert!(token.is_expired());
}

#[tokio::test]
async fn a5_token_requests_are_retried_within_one_deadline() {
    let local = local().await;
    local.emulator.fail_times(Operation::PayAuthorize, Fault::status(500), 2);
    let _ = local.pay.authorize().await.unwrap();
    assert_eq!(local.emulator.count(Operation::PayAuthorize), 3);
    let waits = local.waits();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits[0] <= Duration::from_millis(500), "{waits:?}");
    assert!(waits[1] <= Duration::from_secs(1), "{waits:?}");

    // The waits are random, so they differ between machines.
    let mut all = Vec::new();
    for _ in 0..20 {
        local.emulator.fail_times(Operation::PayAuthorize, Fault::status(500), 1);
        let _ = local.pay.authorize().await.unwrap();
        all.extend(local.waits());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 20);

    // The deadline applies to the whole call. If the next wait would exceed the deadline, the call
    // fails immediately.
    let unavailable = |retry_after: &str| {
        let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
        Fault::Reply { status: 503, headers, body: String::new() }
    };
    let short = local_with(|settings| settings.timeout(Duration::from_secs(90))).await;
    short.emulator.fail_always(Operation::PayAuthorize, unavailable("25"));
    let error = short.pay.authorize().await.unwrap_err();
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(25)));
    let clock = ManualClock::new();
    let shorter = local_at(clock, |settings| settings.timeout(Duration::from_secs(20))).await;
    shorter.emulator.fail_always(Operation::PayAuthorize, unavailable("25"));
    let error = shorter.pay.authorize().await.unwrap_err();
    assert_eq!(error.attempts(), 1);
}

#[tokio::test]
async fn a5_deadline_ends_a_call_without_a_response() {
    // The server sends either nothing or one byte an hour.
    for fault in [Fault::Hold { when: When::Before }, Fault::SlowBytes { milliseconds: 3_600_000 }] {
        let local = local().await;
        local.emulator.fail_always(Operation::PayAuthorize, fault);
        let call = tokio::spawn({
            let pay = local.pay.clone();
            async move { pay.authorize().await }
        });
        local.emulator.received(Operation::PayAuthorize, 1).await;
        local.clock.advance(TIMEOUT);
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.cause(), Cause::Timeout);
        assert!(error.is_transient());
        assert!(error.may_have_been_sent());
        assert_eq!(local.emulator.count(Operation::PayAuthorize), 1);
    }

    let local = local().await;
    local.emulator.fail_always(Operation::PayInitiateSession, Fault::Hold { when: When::Before });
    let token = local.pay.authorize().await.unwrap();
    let call = tokio::spawn({
        let pay = local.pay.clone();
        async move { pay.initiate_session(token, &new_session()).await }
    });
    local.emulator.received(Operation::PayInitiateSession, 1).await;
    local.clock.advance(TIMEOUT);
    assert!(matches!(call.await.unwrap(), Err(SpendError::Unknown(error)) if error.cause() == Cause::Timeout));
}

#[tokio::test]
async fn a5_max_attempts_limits_the_attempts() {
    for (attempts, expected) in [(0, 1), (1, 1), (2, 2), (3, 3), (100, 3)] {
        let local = local_with(|settings| settings.max_attempts(attempts)).await;
        local.emulator.fail_always(Operation::PayAuthorize, Fault::status(500));
        let error = local.pay.authorize().await.unwrap_err();
        assert_eq!(error.attempts(), expected);
        assert_eq!(local.emulator.count(Operation::PayAuthorize), u64::from(expected));
    }
}

#[test]
fn clients_errors_and_calls_can_be_sent_to_another_thread() {
    fn assert_shareable<T: Send + Sync + 'static>() {}
    fn assert_sendable<T: Send>(_: T) {}
    assert_shareable::<flinks::pay::Client>();
    assert_shareable::<flinks::connect::Client>();
    assert_shareable::<flinks::Error>();
    assert_shareable::<flinks::SpendError<flinks::connect::AuthorizeToken>>();
    assert_shareable::<flinks::connect::Challenge>();
    let _ = |pay: &'static flinks::pay::Client, token, session: &'static flinks::pay::NewSession| {
        assert_sendable(pay.authorize());
        assert_sendable(pay.initiate_session(token, session));
    };
    let _ = |connect: &'static flinks::connect::Client, token, request: &'static flinks::connect::Authorize| {
        assert_sendable(connect.generate_authorize_token());
        assert_sendable(connect.authorize(token, request));
    };
}

#[tokio::test]
async fn every_error_has_advice() {
    let local = local().await;
    let flinks_error = |status, code: &str| Fault::reply(status, format!(r#"{{"FlinksCode":"{code}"}}"#));
    for (fault, advice) in [
        (Fault::status(500), Advice::RetryLater),
        (Fault::status(404), Advice::FixConfiguration),
        (Fault::Redirect { status: 302, location: "/".to_owned() }, Advice::FixConfiguration),
        (Fault::reply(200, "{}"), Advice::Investigate),
        (Fault::Drop { when: When::Before }, Advice::RetryLater),
        (flinks_error(401, "ACCESS_DENIED"), Advice::NewToken),
        (flinks_error(401, "UNAUTHORIZED"), Advice::AskUser),
        (flinks_error(401, "INVALID_PASSWORD"), Advice::AskUser),
        (flinks_error(401, "INVALID_REQUEST"), Advice::FixConfiguration),
        (flinks_error(401, "SESSION_EXPIRED"), Advice::StartOver),
        (flinks_error(405, "DISABLED_INSTITUTION"), Advice::RetryLater),
        (flinks_error(401, "TOO_MANY_REQUESTS"), Advice::RetryLater),
    ] {
        local.emulator.fail_next(Operation::ConnectAuthorize, fault);
        let token = local.authorize_token().await;
        let error = local.connect.authorize(token, &Authorize::cached(&login_id())).await.unwrap_err();
        assert_eq!(error.error().advice(), advice, "{error}");
    }
    local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, flinks_error(401, "UNAUTHORIZED"));
    assert_eq!(local.connect.generate_authorize_token().await.unwrap_err().advice(), Advice::FixConfiguration);
    assert_eq!("x".parse::<flinks::RedirectUrl>().unwrap_err().advice(), Advice::FixConfiguration);
    let flinks::Started { pending, .. } =
        local.connect.custom_oauth(14, &"https://app.example/".parse().unwrap()).unwrap().start();
    assert_eq!(local.connect.verify_oauth(pending, "").unwrap_err().advice(), Advice::StartOver);
}
