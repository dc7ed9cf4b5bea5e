//! Tests refreshing an access token (O5 to O7).

use std::time::Duration;

use flinks::{OAuthError, Product};
use flinks_emulator::{Fault, Operation, When};

use crate::local;
use crate::outbound_client::{credentials, refresh_token};

const TOKEN: Operation = Operation::OutboundToken;

#[tokio::test]
async fn o3_o5_new_refresh_token_is_returned_with_an_expired_access_token() {
    let local = local().await;
    let client = local.outbound(credentials());
    let body = r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#;
    local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    let tokens = client.refresh(&refresh_token()).await.unwrap();
    assert!(tokens.access_token.is_expired());
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "emu_new");
}

#[tokio::test]
async fn o5_only_a_new_refresh_token_is_returned() {
    let local = local().await;
    let client = local.outbound(credentials());
    assert!(client.refresh(&refresh_token()).await.unwrap().refresh_token.is_none());
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let next = client.refresh(&refresh_token()).await.unwrap().refresh_token.unwrap();
    assert!(client.refresh(&refresh_token()).await.unwrap_err().needs_consent());
    let _ = client.refresh(&next).await.unwrap();
    // An empty refresh token is treated as absent. A refresh token with a control character is an
    // error.
    let respond_next = |refresh_token: &str| {
        let body = format!(r#"{{"access_token":"emu_a","expires_in":299,"refresh_token":"{refresh_token}"}}"#);
        local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    };
    for empty in ["", "  "] {
        respond_next(empty);
        assert!(client.refresh(&next).await.unwrap().refresh_token.is_none());
    }
    respond_next("new token é");
    assert_eq!(client.refresh(&next).await.unwrap().refresh_token.unwrap().expose_secret(), "new token é");
    respond_next("canary\\n");
    let error = client.refresh(&next).await.unwrap_err();
    assert_eq!(error.field(), Some("refresh_token"));
    assert!(!error.to_string().contains("canary"));

    // Some servers repeat the request's refresh token.
    let local = crate::local().await;
    let client = local.outbound(credentials());
    local.emulator.configure(|config| config.outbound.repeat_refresh_token = true);
    assert!(client.refresh(&refresh_token()).await.unwrap().refresh_token.is_none());
}

#[tokio::test]
async fn o5_a5_refresh_is_retried_after_a_lost_response_unless_tokens_rotate() {
    let local = local().await;
    let client = local.outbound(credentials());
    let fault = Fault::Drop { when: When::After };
    local.emulator.fail_next(TOKEN, fault.clone());
    let _ = client.refresh(&refresh_token()).await.unwrap();
    assert_eq!(local.emulator.count(TOKEN), 2);

    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let next = client.refresh(&refresh_token()).await.unwrap().refresh_token.unwrap();
    local.emulator.fail_next(TOKEN, fault);
    let error = client.refresh(&next).await.unwrap_err();
    assert!(error.may_have_been_sent(), "{error}");
    assert!(!error.needs_consent(), "{error}");
    assert_eq!(error.attempts(), 1, "{error}");
}

#[tokio::test]
async fn o5_o6_refresh_token_idle_for_30_days_needs_consent() {
    let local = local().await;
    let client = local.outbound(credentials());
    local.emulator.advance(Duration::from_secs(30 * 24 * 60 * 60));
    let error = client.refresh(&refresh_token()).await.unwrap_err();
    assert!(error.needs_consent());
    assert!(!error.is_transient());
    assert!(!error.is_credentials());
    assert_eq!(error.product(), Some(Product::Outbound));
    assert_eq!(error.operation(), Some("refresh"));
    assert_eq!(error.oauth_error(), Some(&OAuthError::INVALID_GRANT));
    assert_eq!(error.attempts(), 1);
    assert!(error.correlation_id().is_some());
    assert!(error.trace_id().is_some());
    let expected =
        "failed to refresh an access token (Flinks Outbound): the request was refused: invalid_grant (status 400)";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn o6_o7_refusals_are_distinguished_by_code() {
    let html_page = || {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Fault::Reply { status: 403, headers, body: "<html>canary</html>".to_owned() }
    };
    let oauth_error =
        |status, code: &str| Fault::reply(status, format!(r#"{{"error":"{code}","error_description":"canary"}}"#));
    for (fault, needs_consent, is_credentials, attempts) in [
        (oauth_error(400, "invalid_grant"), true, false, 1),
        (oauth_error(401, "invalid_grant"), true, false, 1),
        (oauth_error(403, "canary"), true, false, 1),
        (Fault::status(401), true, false, 1),
        (html_page(), false, false, 1),
        (oauth_error(400, "invalid_client"), false, true, 1),
        (oauth_error(401, "invalid_client"), false, true, 1),
        (oauth_error(400, "unauthorized_client"), false, true, 1),
        (oauth_error(400, "unsupported_grant_type"), false, false, 1),
        (oauth_error(400, "invalid_scope"), false, false, 1),
        (oauth_error(400, "invalid_request"), false, false, 1),
        (oauth_error(400, "unsupported_response_type"), false, false, 1),
        (oauth_error(400, "server_error"), false, false, 2),
        (oauth_error(400, "temporarily_unavailable"), false, false, 3),
        (oauth_error(401, "TOO_MANY_REQUESTS"), false, false, 3),
        (oauth_error(200, "invalid_grant"), false, false, 1),
        (oauth_error(500, "server_error"), false, false, 2),
        (oauth_error(503, "temporarily_unavailable"), false, false, 3),
        (Fault::status(429), false, false, 3),
        (Fault::status(502), false, false, 2),
        (Fault::Reset { when: When::After }, false, false, 2),
        (Fault::status(408), false, false, 2),
        (Fault::status(204), false, false, 1),
    ] {
        let local = local().await;
        let client = local.outbound(credentials());
        local.emulator.fail_always(TOKEN, fault.clone());
        let error = client.refresh(&refresh_token()).await.unwrap_err();
        assert_eq!(error.needs_consent(), needs_consent, "{fault:?} {error}");
        assert_eq!(error.is_credentials(), is_credentials, "{fault:?} {error}");
        assert_eq!(local.emulator.count(TOKEN), attempts, "{fault:?} {error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(error.message(), error.oauth_error().is_some().then_some("canary"));
    }
}
