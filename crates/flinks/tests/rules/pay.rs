//! Tests rules P1 to P8.

use std::time::Duration;

use flinks::pay::{BearerToken, PRODUCTION, SANDBOX};
use flinks::{BaseUrl, Cause, Product, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Operation};

use crate::{local, new_session};

#[tokio::test]
async fn p1_request_has_exactly_three_form_fields() {
    let local = local().await;
    let _ = local.pay.authorize().await.unwrap();
    let request = &local.emulator.requests()[0];
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    fields.sort();
    let expected = [("Password", PAY_PASSWORD), ("Username", PAY_USERNAME), ("grant_type", "client_credentials")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(request.header("content-type").collect::<Vec<_>>(), ["application/x-www-form-urlencoded"]);
}

#[tokio::test]
async fn p2_p4_expired_token_is_refused_locally() {
    for lifetime in [1, 299, 599] {
        let local = local().await;
        local.emulator.configure(|config| config.pay.token_seconds = lifetime);
        let token = local.pay.authorize().await.unwrap();
        local.clock.advance(Duration::from_secs(lifetime) - Duration::from_nanos(1));
        assert!(!token.is_expired());
        local.clock.advance(Duration::from_nanos(1));
        assert!(token.is_expired());

        let Err(SpendError::Unspent(token, error)) = local.pay.initiate_session(token, &new_session()).await else {
            panic!("an expired token was sent");
        };
        assert!(error.cause() == Cause::Expired);
        assert!(!error.may_have_been_sent());
        assert!(token.into_authorization().unwrap_err().cause() == Cause::Expired);
        assert_eq!(local.emulator.count(Operation::PayInitiateSession), 0);
    }
}

#[tokio::test]
async fn p2_response_without_a_lifetime_gives_a_token_without_a_deadline() {
    let local = local().await;
    for (token, rest) in [("emu_a", ""), ("emu_b", r#","token_type":"Bearer","expires_in":0"#)] {
        let body = format!(r#"{{"access_token":"{token}"{rest}}}"#);
        local.emulator.fail_next(Operation::PayAuthorize, Fault::reply(200, body));
        let session_token = local.pay.authorize().await.unwrap();
        local.clock.advance(Duration::from_secs(1_000_000));
        assert!(session_token.expires_at().is_none());
        assert!(!session_token.is_expired());
        assert_eq!(session_token.into_authorization().unwrap().expose_value(), format!("Bearer {token}"));
    }
}

#[tokio::test]
async fn p3_p8_token_starts_one_session() {
    let local = local().await;
    let token = local.pay.authorize().await.unwrap();
    let session = local.pay.initiate_session(token, &new_session()).await.unwrap();
    assert_eq!(session.reference_id(), Some("r-1"));
    assert!(local.pay.app_url(&session).expose_secret().ends_with(&format!("/app/?sessionId={}", session.expose_id())));
    let sent = &local.emulator.requests()[1];
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["amount"], 10.5);
    let issued = local.emulator.issued().into_iter().find(|issued| issued.issued_by == Some(1)).unwrap();
    assert_eq!(issued.spent.unwrap().by, 2);
    assert_eq!(sent.header("authorization").collect::<Vec<_>>(), [format!("Bearer {}", issued.value)]);

    // `into_authorization` returns the token as a header value for a custom request.
    let token = local.pay.authorize().await.unwrap();
    let value = token.into_authorization().unwrap();
    assert!(local.emulator.find(value.expose_value().strip_prefix("Bearer ").unwrap()).is_some());
    assert_eq!(BearerToken::HEADER, "authorization");
    assert_eq!(format!("{value:?}"), "BearerToken([redacted])".to_owned());
}

#[tokio::test]
async fn p5_one_hundred_callers_get_one_hundred_tokens() {
    let local = local().await;
    let calls = (0..100).map(|_| {
        let pay = local.pay.clone();
        tokio::spawn(async move { pay.authorize().await.unwrap().into_authorization().unwrap() })
    });
    let mut tokens = Vec::new();
    for call in Vec::from_iter(calls) {
        tokens.push(call.await.unwrap().expose_value().to_owned());
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 100);
    assert_eq!(local.emulator.count(Operation::PayAuthorize), 100);
}

#[tokio::test]
async fn p6_400_without_a_body_is_a_credentials_error() {
    let local = local().await;
    local.emulator.configure(|config| config.pay.password = "another".to_owned());
    let error = local.pay.authorize().await.unwrap_err();
    assert!(error.is_credentials());
    assert!(!error.is_transient());
    assert_eq!(error.status(), Some(400));
    assert_eq!(error.product(), Some(Product::Pay));
    assert_eq!(error.operation(), Some("authorize"));
    assert_eq!(error.attempts(), 1);
    assert_eq!(local.emulator.count(Operation::PayAuthorize), 1);
    let expected = "failed to request a session token (Flinks Pay): the credentials were refused (status 400)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn p7_documented_base_urls_are_constants_and_not_defaults() {
    for url in [SANDBOX, PRODUCTION] {
        assert!(url.parse::<BaseUrl>().unwrap().is_https());
    }
}

#[tokio::test]
async fn p8_refused_token_is_reported() {
    let local = local().await;
    let token = local.pay.authorize().await.unwrap();
    local.emulator.reset();
    let Err(SpendError::Spent(error)) = local.pay.initiate_session(token, &new_session()).await else { panic!() };
    assert!(error.is_token_refused());
    assert!(error.message().is_some());
    assert!(!error.to_string().contains(error.message().unwrap()), "the error text contains a message of the server");
}
