//! Tests the rules A1 to A6 as far as the facade enforces them. The other tests are in `flinks-core`.

use std::time::Duration;

use flinks::connect::Authorize;
use flinks::{Advice, Cause, SpendError};
use flinks_emulator::{Fault, Operation, When};

use crate::{ManualClock, TIMEOUT, local, local_at, local_with, login_id, new_session};

#[tokio::test]
async fn a4_token_expires_on_either_clock() {
    // The machine was suspended: the monotonic clock stood still.
    let local = local().await;
    let token = local.pay.authorize().await.unwrap();
    local.turn_wall_clock_ahead(Duration::from_secs(600));
    assert!(token.is_expired());

    // The wall clock was set back, so it never reaches the end of the lifetime.
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

    // Full jitter: the waits differ between machines.
    let mut all = Vec::new();
    for _ in 0..20 {
        local.emulator.fail_times(Operation::PayAuthorize, Fault::status(500), 1);
        let _ = local.pay.authorize().await.unwrap();
        all.extend(local.waits());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 20);

    // The deadline applies to the whole call. If the next wait would pass it, the call fails
    // immediately.
    let reply = |retry_after: &str| {
        let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
        Fault::Reply { status: 503, headers, body: String::new() }
    };
    let short = local_with(|settings| settings.timeout(Duration::from_secs(90))).await;
    short.emulator.fail_always(Operation::PayAuthorize, reply("25"));
    let error = short.pay.authorize().await.unwrap_err();
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(25)));
    let clock = ManualClock::new();
    let shorter = local_at(clock, |settings| settings.timeout(Duration::from_secs(20))).await;
    shorter.emulator.fail_always(Operation::PayAuthorize, reply("25"));
    let error = shorter.pay.authorize().await.unwrap_err();
    assert_eq!(error.attempts(), 1);
}

#[tokio::test]
async fn a5_deadline_ends_a_call_without_a_response() {
    // The server sends nothing, or one byte an hour.
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
        assert!(error.cause() == Cause::Timeout);
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
    fn can_be_shared<T: Send + Sync + 'static>() {}
    fn can_be_sent<T: Send>(_: T) {}
    can_be_shared::<flinks::pay::Client>();
    can_be_shared::<flinks::connect::Client>();
    can_be_shared::<flinks::Error>();
    can_be_shared::<flinks::SpendError<flinks::connect::AuthorizeToken>>();
    can_be_shared::<flinks::connect::Challenge>();
    let _ = |pay: &'static flinks::pay::Client, token, session: &'static flinks::pay::NewSession| {
        can_be_sent(pay.authorize());
        can_be_sent(pay.initiate_session(token, session));
    };
    let _ = |connect: &'static flinks::connect::Client, token, request: &'static flinks::connect::Authorize| {
        can_be_sent(connect.generate_authorize_token());
        can_be_sent(connect.authorize(token, request));
    };
}

#[tokio::test]
async fn every_error_has_advice() {
    let local = local().await;
    let code = |status, code: &str| Fault::reply(status, format!(r#"{{"FlinksCode":"{code}"}}"#));
    for (fault, advice) in [
        (Fault::status(500), Advice::RetryLater),
        (Fault::status(404), Advice::FixConfiguration),
        (Fault::Redirect { status: 302, location: "/".to_owned() }, Advice::FixConfiguration),
        (Fault::reply(200, "{}"), Advice::Investigate),
        (Fault::Drop { when: When::Before }, Advice::RetryLater),
        (code(401, "ACCESS_DENIED"), Advice::NewToken),
        (code(401, "UNAUTHORIZED"), Advice::AskUser),
        (code(401, "INVALID_PASSWORD"), Advice::AskUser),
        (code(401, "INVALID_REQUEST"), Advice::FixConfiguration),
        (code(401, "SESSION_EXPIRED"), Advice::StartOver),
        (code(405, "DISABLED_INSTITUTION"), Advice::RetryLater),
        (code(401, "TOO_MANY_REQUESTS"), Advice::RetryLater),
    ] {
        local.emulator.fail_next(Operation::ConnectAuthorize, fault);
        let token = local.authorize_token().await;
        let error = local.connect.authorize(token, &Authorize::cached(&login_id())).await.unwrap_err();
        assert_eq!(error.error().advice(), advice, "{error}");
    }
    local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, code(401, "UNAUTHORIZED"));
    assert_eq!(local.connect.generate_authorize_token().await.unwrap_err().advice(), Advice::FixConfiguration);
    assert_eq!("x".parse::<flinks::RedirectUrl>().unwrap_err().advice(), Advice::FixConfiguration);
    let flinks::Started { pending, .. } =
        local.connect.custom_oauth(14, &"https://app.example/".parse().unwrap()).unwrap().start();
    assert_eq!(local.connect.verify_oauth(pending, "").unwrap_err().advice(), Advice::StartOver);
}
