//! Tests how Pay and Connect calls handle unexpected responses: which error they return and how
//! many requests they send.

use std::time::Duration;

use flinks::connect::Authorize;
use flinks::{Cause, Clock as _, Error, FlinksCode, SpendError};
use flinks_emulator::{Fault, Operation};

use crate::{Local, local, login_id, new_session};

const GENERATE: Operation = Operation::ConnectGenerateAuthorizeToken;

fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Reply { status, headers, body: body.to_owned() }
}

fn html(status: u16) -> Fault {
    with_headers(status, &[("content-type", "text/html")], "<html>canary</html>")
}

/// Injects a fault into the Pay call and the Connect call that request a token. Returns each call's
/// error, if any, and the number of requests that the call sent.
async fn request_tokens(fault: &Fault) -> [(Option<Error>, u64); 2] {
    let local = local().await;
    local.emulator.fail_always(Operation::PayAuthorize, fault.clone());
    local.emulator.fail_always(GENERATE, fault.clone());
    let pay = local.pay.authorize().await.err();
    let connect = local.connect.generate_authorize_token().await.err();
    let count = |operation| local.emulator.count(operation);
    for error in [&pay, &connect].into_iter().flatten() {
        check_text(error);
    }
    // Without the fault, both calls succeed.
    local.emulator.clear_faults();
    let outcome = [(pay, count(Operation::PayAuthorize)), (connect, count(GENERATE))];
    assert!(local.pay.authorize().await.is_ok());
    assert!(local.connect.generate_authorize_token().await.is_ok());
    outcome
}

/// Injects a fault into the Pay call and the Connect call that spend a token. Asserts that each
/// call sends exactly one request. Returns the outcomes.
async fn spend_tokens(fault: &Fault) -> [Result<(), SpendError<()>>; 2] {
    let local = local().await;
    let (session_token, authorize_token) = tokens(&local).await;
    local.emulator.fail_always(Operation::PayInitiateSession, fault.clone());
    local.emulator.fail_always(Operation::ConnectAuthorize, fault.clone());
    let pay = local.pay.initiate_session(session_token, &new_session()).await.map(drop).map_err(without_token);
    let request = Authorize::live(&login_id());
    let connect = local.connect.authorize(authorize_token, &request).await.map(drop).map_err(without_token);
    assert_eq!(local.emulator.count(Operation::PayInitiateSession), 1);
    assert_eq!(local.emulator.count(Operation::ConnectAuthorize), 1);
    for error in [&pay, &connect].into_iter().filter_map(|outcome| outcome.as_ref().err()) {
        check_text(error.error());
    }
    [pay, connect]
}

async fn tokens(local: &Local) -> (flinks::pay::SessionToken, flinks::connect::AuthorizeToken) {
    (local.pay.authorize().await.unwrap(), local.authorize_token().await)
}

fn without_token<T>(error: SpendError<T>) -> SpendError<()> {
    match error {
        SpendError::Unspent(_, error) => SpendError::Unspent((), error),
        SpendError::Spent(error) => SpendError::Spent(error),
        SpendError::Unknown(error) => SpendError::Unknown(error),
    }
}

/// Asserts that an error's text contains no secret and that its message follows the conventions for
/// error messages.
pub(crate) fn check_text(error: &Error) {
    let text = format!("{error} {error:?} {error:#?}");
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");
    assert!(!text.contains("emu_"), "{text}");
    assert!(text.starts_with(|first: char| first.is_lowercase()), "{text}");
    assert!(std::error::Error::source(error).is_none());
}

#[tokio::test]
async fn a2_redirects_are_errors_and_their_target_is_not_contacted() {
    let target = local().await;
    for status in [301, 302, 303, 307, 308] {
        let fault = Fault::Redirect { status, location: target.emulator.base_url().to_owned() };
        for (error, requests) in request_tokens(&fault).await {
            let error = error.unwrap();
            assert!(error.cause() == Cause::Redirect);
            assert!(!error.is_transient());
            assert_eq!(error.status(), Some(status));
            assert_eq!(requests, 1);
        }
        for outcome in spend_tokens(&fault).await {
            assert!(matches!(outcome, Err(SpendError::Unknown(error)) if error.cause() == Cause::Redirect));
        }
    }
    assert!(target.emulator.requests().is_empty());
}

#[tokio::test]
async fn a6_unreadable_successes_are_malformed_and_not_retried() {
    let nested = "[".repeat(50_000);
    let bodies = [
        "",
        "<html>canary</html>",
        "null",
        "7",
        "[]",
        "{}",
        r#"{"token":"canary"}"#,
        r#"{"access_token":"canary","Token":"canary""#,
        r#"{"access_token":"canary","Token":"canary"} canary"#,
        r#"{"access_token":"canary","Token":"canary","x":NaN}"#,
        r#"{"access_token":null,"Token":null}"#,
        r#"{"access_token":"","Token":""}"#,
        r#"{"access_token":"  ","Token":"  "}"#,
        r#"{"access_token":"canary\r\nx: y","Token":"canary\r\nx: y"}"#,
        r#"{"access_token":"can\u0000ary","Token":"can\u0000ary"}"#,
        r#"{"access_token":"can ary","Token":"can ary"}"#,
        r#"{"access_token":7,"Token":7}"#,
        &nested,
    ];
    let faults = bodies.iter().map(|body| with_headers(200, &[], body)).chain([Fault::status(204), html(200)]);
    for fault in faults {
        for (error, requests) in request_tokens(&fault).await {
            let error = error.unwrap();
            assert!(error.cause() == Cause::Malformed, "{error}");
            assert!(!error.is_transient(), "{error}");
            assert_eq!(requests, 1, "{error}");
        }
        for outcome in spend_tokens(&fault).await {
            assert!(
                matches!(&outcome, Err(SpendError::Unknown(error)) if error.cause() == Cause::Malformed),
                "{outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn c2_200_whose_body_contains_401_is_an_error() {
    let body = r#"{"HttpStatusCode":401,"Message":"canary","FlinksCode":"UNAUTHORIZED"}"#;
    let [_, (error, requests)] = request_tokens(&Fault::reply(200, body)).await;
    let error = error.unwrap();
    assert!(error.is_credentials());
    assert_eq!(requests, 1);
    assert_eq!(error.flinks_code(), Some(&FlinksCode::UNAUTHORIZED));
    assert_eq!(error.message(), Some("canary"));

    let [_, (error, requests)] = request_tokens(&Fault::reply(200, r#"{"HttpStatusCode":401,"Token":"canary"}"#)).await;
    let error = error.unwrap();
    assert!(error.cause() == Cause::Malformed);
    assert_eq!(error.field(), Some("HttpStatusCode"));
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn content_type_and_unknown_members_are_ignored() {
    let many_members: String = (0..4000).map(|index| format!("\"x{index}\":{index},")).collect();
    for (label, extra) in [
        ("text/plain", ""),
        ("application/json; charset=utf-8", ""),
        ("", ""),
        ("application/json", many_members.as_str()),
    ] {
        let body = format!(r#"{{{extra}"access_token":"emu_a","Token":"emu_a"}}"#);
        for (error, requests) in request_tokens(&with_headers(200, &[("content-type", label)], &body)).await {
            assert_eq!(error.map(|error| error.to_string()), None);
            assert_eq!(requests, 1);
        }
    }
}

#[tokio::test]
async fn endless_bodies_are_too_large() {
    let announced = with_headers(200, &[("content-length", "10000000000")], "{");
    for fault in [Fault::EndlessBody, announced] {
        for (error, requests) in request_tokens(&fault).await {
            let error = error.unwrap();
            assert!(!error.is_transient(), "{error}");
            assert!(error.to_string().contains("larger than its limit"), "{error}");
            assert_eq!(requests, 1, "{error}");
        }
        for outcome in spend_tokens(&fault).await {
            assert!(matches!(outcome, Err(SpendError::Unknown(_))));
        }
    }
}

#[tokio::test]
async fn malformed_http_is_retried_unless_it_spends_a_token() {
    let garbage = |bytes: &str| Fault::Garbage { bytes: bytes.as_bytes().to_vec() };
    let many_headers: Vec<(String, String)> =
        (0..200).map(|index| (format!("x-{index}"), "canary".to_owned())).collect();
    for fault in [
        Fault::Reply { status: 200, headers: many_headers, body: "{}".to_owned() },
        with_headers(200, &[("x", &"canary".repeat(200_000))], "{}"),
        garbage("HTTP/1.1 canary\r\n\r\n"),
        garbage("SSH-2.0-canary\r\n"),
        with_headers(200, &[("content-length", "2"), ("content-length", "3")], "{}"),
    ] {
        for (error, requests) in request_tokens(&fault).await {
            let error = error.unwrap();
            assert!(error.is_transient(), "{error}: {requests}");
            assert!(error.may_have_been_sent(), "{error}: {requests}");
            assert_eq!(requests, 3, "{error}: {requests}");
        }
        for outcome in spend_tokens(&fault).await {
            assert!(matches!(outcome, Err(SpendError::Unknown(_))));
        }
    }
}

#[tokio::test]
async fn status_without_the_documented_body_is_reported() {
    for (status, attempts) in [(401, 1), (403, 1), (404, 1), (408, 3), (413, 1), (500, 3), (502, 3), (504, 3)] {
        for fault in [html(status), Fault::status(status)] {
            for (error, requests) in request_tokens(&fault).await {
                let error = error.unwrap();
                assert_eq!(error.status(), Some(status));
                assert_eq!(requests, attempts);
                assert_eq!(error.attempts(), u32::try_from(attempts).unwrap());
                assert!(error.flinks_code().is_none());
                if status != 401 {
                    assert!(!error.is_credentials(), "{error}");
                }
                assert_eq!(error.is_transient(), attempts == 3);
            }
        }
        for outcome in spend_tokens(&html(status)).await {
            assert!(matches!(outcome, Err(SpendError::Unknown(_))), "status {status}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn error_with_a_large_body_is_reported_by_its_status() {
    let page = "canary".repeat(20_000);
    for (status, attempts) in [(503, 3), (502, 3), (404, 1)] {
        let fault = with_headers(status, &[("content-type", "text/html")], &page);
        for (error, requests) in request_tokens(&fault).await {
            let error = error.unwrap();
            assert_eq!(error.status(), Some(status));
            assert_eq!(requests, attempts);
            assert_eq!(error.is_transient(), attempts == 3);
        }
    }
}

#[tokio::test]
async fn rate_limits_are_retried() {
    for fault in [
        Fault::status(429),
        Fault::status(503),
        Fault::reply(401, r#"{"HttpStatusCode":401,"FlinksCode":"TOO_MANY_REQUESTS"}"#),
        Fault::reply(403, r#"{"FlinksCode":"TOO_MANY_REQUESTS"}"#),
    ] {
        let [_, (error, requests)] = request_tokens(&fault).await;
        let error = error.unwrap();
        assert!(error.is_transient(), "{error}");
        assert!(!error.is_credentials(), "{error}");
        assert_eq!(requests, 3, "{error}");
        assert_eq!(error.is_rate_limited(), error.status() != Some(503));
    }
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_cap_and_reported() {
    let second = Duration::from_secs(1);
    for (text, requests, least_wait, reported) in [
        ("5", 3, 5 * second, Some(5 * second)),
        ("30", 3, 30 * second, Some(30 * second)),
        ("31", 1, Duration::ZERO, Some(31 * second)),
        ("99999999999999999999", 1, Duration::ZERO, Some(Duration::from_secs(u64::MAX))),
        ("0", 3, Duration::ZERO, Some(Duration::ZERO)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 3, Duration::ZERO, Some(Duration::ZERO)),
        ("-1", 3, Duration::ZERO, None),
        ("1.5", 3, Duration::ZERO, None),
        ("canary", 3, Duration::ZERO, None),
    ] {
        let local = local().await;
        local.emulator.fail_always(GENERATE, with_headers(429, &[("retry-after", text)], ""));
        let error = local.connect.generate_authorize_token().await.unwrap_err();
        assert_eq!(local.emulator.count(GENERATE), requests, "{text}");
        assert_eq!(error.retry_after(), reported, "{text}");
        let waits = local.waits();
        assert_eq!(u64::try_from(waits.len()).unwrap(), requests - 1, "{text}: {waits:?}");
        assert!(waits.iter().all(|wait| *wait >= least_wait), "{text}: {waits:?}");
        check_text(&error);
    }
    // The client compares a date with its wall clock.
    let local = local().await;
    let date = httpdate::fmt_http_date(local.clock.wall() + Duration::from_secs(20));
    local.emulator.fail_next(GENERATE, with_headers(429, &[("retry-after", &date)], ""));
    let _ = local.authorize_token().await;
    let waits = local.waits();
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert!(waits[0] > Duration::from_secs(18), "{waits:?}");
    assert!(waits[0] <= Duration::from_secs(20), "{waits:?}");
}

#[tokio::test]
async fn p2_only_bearer_tokens_are_accepted() {
    for (token_type, is_accepted) in [
        (r#""bearer""#, true),
        (r#""BEARER""#, true),
        ("null", true),
        (r#""DPoP""#, false),
        (r#""canary""#, false),
        ("7", false),
    ] {
        let local = local().await;
        let body = format!(r#"{{"access_token":"emu_a","token_type":{token_type}}}"#);
        local.emulator.fail_next(Operation::PayAuthorize, Fault::reply(200, body));
        match local.pay.authorize().await {
            Ok(_) => assert!(is_accepted, "{token_type}"),
            Err(error) => {
                check_text(&error);
                assert!(!is_accepted);
                assert!(error.cause() == Cause::Malformed);
                assert_eq!(error.field(), Some("token_type"));
            }
        }
        assert_eq!(local.emulator.count(Operation::PayAuthorize), 1);
    }
}

#[tokio::test]
async fn p2_lifetime_is_read_from_expires_in() {
    let day = 24 * 60 * 60;
    for (expires_in, lifetime, requests) in [
        ("299", Some(299), 1),
        ("299.0", Some(299), 1),
        (r#""299""#, Some(299), 1),
        ("1", Some(1), 1),
        ("18446744073709551615", Some(day), 1),
        ("1e20", Some(day), 1),
        ("0", None, 1),
        ("null", None, 1),
        ("-1", None, 2),
    ] {
        let local = local().await;
        let body = format!(r#"{{"access_token":"emu_a","token_type":"bearer","expires_in":{expires_in}}}"#);
        local.emulator.fail_always(Operation::PayAuthorize, Fault::reply(200, body));
        let outcome = local.pay.authorize().await;
        assert_eq!(local.emulator.count(Operation::PayAuthorize), requests, "{expires_in}");
        match outcome {
            Ok(token) => {
                let now = local.clock.wall();
                let left = token.expires_at().map(|expires_at| expires_at.duration_since(now).unwrap().as_secs());
                assert_eq!(left, lifetime, "{expires_in}");
            }
            Err(error) => {
                assert_eq!(expires_in, "-1");
                assert!(error.cause() == Cause::Expired);
                assert_eq!(error.attempts(), 2);
            }
        }
    }
}

#[tokio::test]
async fn readable_refusal_spends_the_token() {
    for (status, body) in [
        (400, r#"{"error":"x","message":"canary","HttpStatusCode":400,"FlinksCode":"canary"}"#),
        (401, r#"{"message":"canary","FlinksCode":"INVALID_LOGIN"}"#),
    ] {
        for outcome in spend_tokens(&Fault::reply(status, body)).await {
            let Err(SpendError::Spent(error)) = outcome else { panic!("{outcome:?}") };
            assert_eq!(error.status(), Some(status));
        }
    }
    // A 5xx response with a Flinks error code means that the token is spent. A 5xx response without
    // a code may come from a gateway, so the outcome is unknown.
    for (body, is_spent) in [(r#"{"error":"x","FlinksCode":"AGGREGATION_ERROR"}"#, true), (r#"{"message":"x"}"#, false)]
    {
        let [pay, connect] = spend_tokens(&Fault::reply(504, body)).await;
        assert!(matches!(pay, Err(SpendError::Unknown(_))));
        assert_eq!(matches!(connect, Err(SpendError::Spent(_))), is_spent);
    }
    // Pay's refusals have no body.
    for (status, is_spent) in [(400, true), (401, true), (403, true), (404, false), (500, false)] {
        let [pay, _] = spend_tokens(&Fault::status(status)).await;
        assert_eq!(matches!(&pay, Err(SpendError::Spent(_))), is_spent, "{status}");
        assert_eq!(pay.unwrap_err().error().is_token_refused(), status == 401);
    }
    let [_, outcome] = spend_tokens(&Fault::reply(401, r#"{"FlinksCode":"canary"}"#)).await;
    assert_eq!(outcome.unwrap_err().error().flinks_code().unwrap().as_str(), "canary");
}
