//! Tests Outbound's grants (O1 to O3 and O11).

use std::time::Duration;

use flinks::outbound::{Client, ClientAuthentication, ClientCredentials};
use flinks::{Advice, Cause, Clock as _, OAuthError, RedirectUrl};
use flinks_emulator::credentials::*;
use flinks_emulator::{ClientAuthentication as Accepted, Fault, Operation, Request, When};

use crate::local;
use crate::outbound_client::{code, credentials, refresh_token};

const TOKEN: Operation = Operation::OutboundToken;

/// Returns the field names of a request in sorted order.
fn fields(request: &Request) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let mut names: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[tokio::test]
async fn o1_each_grant_sends_exactly_its_fields() {
    let local = local().await;
    let client = local.outbound(credentials());
    let _ = client.client_credentials(None).await.unwrap();
    let _ = client.client_credentials(Some("client:admin")).await.unwrap();
    let _ = client.exchange_code(code(&local.emulator, &client)).await.unwrap();
    let _ = client.refresh(&refresh_token()).await.unwrap();
    let sent: Vec<Vec<String>> = local.emulator.requests_of(TOKEN).iter().map(fields).collect();
    let expected: [&[&str]; 4] = [
        &["client_id", "client_secret", "grant_type"],
        &["client_id", "client_secret", "grant_type", "scope"],
        &["client_id", "client_secret", "code", "grant_type", "redirect_uri"],
        &["client_id", "client_secret", "grant_type", "refresh_token"],
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn o2_only_the_configured_client_authentication_is_tried() {
    let local = local().await;
    let none = || ClientAuthentication::None { client_id: OUTBOUND_CLIENT_ID.to_owned() };
    for (accepted, correct) in [
        (Accepted::Fields, ClientAuthentication::Fields(credentials())),
        (Accepted::Basic, ClientAuthentication::Basic(credentials())),
        (Accepted::None, none()),
    ] {
        local.emulator.configure(|config| config.outbound.client_authentication = accepted);
        let all = [ClientAuthentication::Fields(credentials()), ClientAuthentication::Basic(credentials()), none()];
        for authentication in all {
            let is_correct = format!("{authentication:?}") == format!("{correct:?}");
            let before = local.emulator.count(TOKEN);
            match local.outbound(authentication).client_credentials(None).await {
                Ok(_) => assert!(is_correct),
                Err(error) => {
                    assert!(!is_correct);
                    assert!(error.is_credentials());
                    assert_eq!(error.advice(), Advice::FixConfiguration);
                    assert_eq!(error.oauth_error(), Some(&OAuthError::INVALID_CLIENT));
                }
            }
            assert_eq!(local.emulator.count(TOKEN), before + 1);
        }
    }
    for (id, secret, field) in [("", "x", "client id"), ("x", "canary\n", "client secret"), ("a b", "x", "client id")] {
        let error = ClientCredentials::new(id, secret).unwrap_err();
        assert_eq!(error.field(), Some(field));
        assert!(!error.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn debug_of_tokens_shows_no_secret() {
    let local = local().await;
    let tokens = local.outbound(credentials()).refresh(&refresh_token()).await.unwrap();
    let token = "AccessToken { is_expired: false, .. }";
    assert_eq!(format!("{:?}", tokens.access_token), token);
    assert_eq!(format!("{tokens:?}"), format!("Tokens {{ access_token: {token}, refresh_token: None, .. }}"));
    let claims = tokens.access_token.unverified_claims().unwrap();
    assert_eq!(format!("{claims:?}"), format!("Claims {{ exp: {:?}, .. }}", claims.exp));
}

#[tokio::test]
async fn o3_lifetime_is_read_from_expires_in() {
    for (expires_in, lifetime, attempts) in
        [("599", Some(599), 1), ("0", None, 1), ("null", None, 1), ("\"299\"", Some(299), 1), ("-1", None, 2)]
    {
        let local = local().await;
        let client = local.outbound(credentials());
        let body = format!(r#"{{"access_token":"emu_a","token_type":"Bearer","expires_in":{expires_in}}}"#);
        local.emulator.fail_always(TOKEN, Fault::reply(200, body));
        match client.client_credentials(None).await {
            Ok(token) => {
                assert_eq!(token.expires_at().is_some(), lifetime.is_some());
                local.clock.advance(Duration::from_secs(lifetime.unwrap_or(1_000_000)));
                assert_eq!(token.is_expired(), lifetime.is_some(), "{expires_in}");
            }
            Err(error) => {
                assert!(error.cause() == Cause::Expired);
                assert_eq!(expires_in, "-1");
            }
        }
        assert_eq!(local.emulator.count(TOKEN), attempts);
        let outcome = client.refresh(&refresh_token()).await;
        assert_eq!(outcome.is_ok(), expires_in != "-1");
        assert_eq!(local.emulator.count(TOKEN), 2 * attempts);
    }
}

#[tokio::test]
async fn o3_a4_restored_token_expires_on_either_clock_and_within_a_day() {
    let local = local().await;
    let client = local.outbound(credentials());
    let second = Duration::from_secs(1);
    let now = local.clock.wall();
    let restore = |age, lifetime| client.restore_access_token("emu_a", now - age, lifetime);

    assert!(restore(300 * second, 300 * second).is_none(), "an expired token was restored");
    assert!(
        client.restore_access_token("emu_a", now + second, 300 * second).is_none(),
        "a token from the future was restored"
    );
    let unlimited = restore(Duration::ZERO, Duration::MAX).unwrap();
    assert_eq!(unlimited.lifetime(), Some(86_400 * second));

    let token = restore(100 * second, 300 * second).unwrap();
    assert_eq!(token.issued_at(), Some(now - 100 * second));
    assert_eq!(token.lifetime(), Some(300 * second));
    assert_eq!(token.remaining(), Some(200 * second));
    assert_eq!(token.expires_at(), Some(now + 200 * second));
    local.clock.set_wall(now + 199 * second);
    assert!(!token.is_expired());
    local.clock.set_wall(now + 200 * second);
    assert!(token.is_expired(), "the wall clock does not expire the token");
    local.clock.set_wall(now);
    assert!(!token.is_expired());
    local.clock.advance(200 * second);
    local.clock.set_wall(now);
    assert!(token.is_expired(), "the monotonic clock does not expire the token");
}

#[tokio::test]
async fn o3_only_bearer_tokens_are_accepted() {
    for (token_type, is_accepted) in [("bearer", true), ("BEARER", true), ("DPoP", false), ("canary", false)] {
        let local = local().await;
        let body = format!(r#"{{"access_token":"emu_a","token_type":"{token_type}","expires_in":299}}"#);
        local.emulator.fail_next(TOKEN, Fault::reply(200, body));
        match local.outbound(credentials()).client_credentials(None).await {
            Ok(_) => assert!(is_accepted),
            Err(error) => {
                assert!(!is_accepted);
                assert_eq!(error.field(), Some("token_type"));
            }
        }
        assert_eq!(local.emulator.count(TOKEN), 1);
    }
}

#[tokio::test]
async fn o3_client_credentials_ignore_a_refresh_token() {
    for (body, has_expired) in [
        (r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#, true),
        (r#"{"access_token":"emu_a","expires_in":-1}"#, true),
        (r#"{"access_token":"emu_a","expires_in":299,"refresh_token":"emu_new"}"#, false),
        (r#"{"access_token":"emu_a","expires_in":299,"refresh_token":"canary\n"}"#, false),
    ] {
        let local = local().await;
        let client = local.outbound(credentials());
        local.emulator.fail_always(TOKEN, Fault::reply(200, body));
        match client.client_credentials(None).await {
            Ok(token) => {
                assert!(!has_expired, "{body}");
                assert!(!token.is_expired());
            }
            Err(error) => {
                assert!(has_expired, "{error}");
                assert!(error.cause() == Cause::Expired, "{error}");
                assert_eq!(local.emulator.count(TOKEN), 2);
            }
        }
        // A refresh token in a response to `client_credentials` is not treated as a rotation, so
        // the client still retries a refresh after a lost response.
        local.emulator.clear_faults();
        local.emulator.fail_next(TOKEN, Fault::Drop { when: When::After });
        let _ = client.refresh(&refresh_token()).await.unwrap();
    }
}

#[tokio::test]
async fn o11_host_is_always_set_by_the_caller() {
    let one = local().await;
    let other = local().await;
    let _ = one.outbound(credentials()).client_credentials(None).await.unwrap();
    assert_eq!(one.emulator.count(TOKEN), 1);
    assert_eq!(other.emulator.count(TOKEN), 0);
    let _ = other.outbound(credentials()).refresh(&refresh_token()).await.unwrap();
    assert_eq!(one.emulator.count(TOKEN), 1);
    assert_eq!(other.emulator.count(TOKEN), 1);
    // The base URL may contain a gateway's path prefix. The consent page's URL also contains this
    // prefix.
    let client = Client::builder("https://bank.example/flinks/".parse().unwrap(), credentials()).build().unwrap();
    let redirect_uri: RedirectUrl = "https://app.example/back".parse().unwrap();
    let flinks::Started { url, .. } = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    assert!(url.expose_secret().starts_with("https://bank.example/flinks/api/v1/authorize?client_id="));
}
