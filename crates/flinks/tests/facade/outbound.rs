//! Rules O1-O3, O5-O11: each call is one exchange.

use std::time::Duration;

use flinks::outbound::{
    AuthorizationCode, Client, ClientAuthentication, ClientCredentials, Consents, RefreshToken, Revoked,
};
use flinks::{Advice, BaseUrl, Error, OAuthError, Product, RedirectUrl, Settings, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{ClientAuthentication as Switch, EndUser, Fault, Operation, Request, When};

use crate::{Local, TIMEOUT, TestClock, get, local, parameter};

const TOKEN: Operation = Operation::OutboundToken;

pub(crate) fn client_at(local: &Local, authentication: impl Into<ClientAuthentication>) -> Client {
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    let settings = Settings::new().clock(local.clock.clone()).timeout(TIMEOUT);
    Client::with_settings(base_url, authentication, &settings).unwrap()
}

pub(crate) fn credentials() -> ClientCredentials {
    ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap()
}

pub(crate) fn refresh_token() -> RefreshToken {
    RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap()
}

const REDIRECT_URI: &str = "https://App.example:443/%7ecallback/?a=1";

/// A code, as an end user brings it back.
pub(crate) async fn code(local: &Local, client: &Client) -> AuthorizationCode {
    let redirect_uri: RedirectUrl = REDIRECT_URI.parse().unwrap();
    let (url, pending) = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let redirect_uri = parameter(&url, "redirect_uri");
    assert_eq!(redirect_uri, REDIRECT_URI, "byte for byte");
    let (state, code) = (parameter(&url, "state"), local.emulator.issue_code(&redirect_uri));
    client.verify(pending, &format!("/callback?a=1&code={code}&state={state}")).unwrap()
}

/// The fields of a request, sorted.
fn fields(request: &Request) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let mut names: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[tokio::test]
async fn o1_three_grants_with_exactly_their_fields() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let _ = client.client_credentials(None).await.unwrap();
    let _ = client.client_credentials(Some("client:admin")).await.unwrap();
    let _ = client.exchange_code(code(&local, &client).await).await.unwrap();
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
async fn o2_client_authentication_is_a_switch_and_never_tried_out() {
    let local = local().await;
    let none = || ClientAuthentication::None { client_id: OUTBOUND_CLIENT_ID.to_owned() };
    for (switch, right) in [
        (Switch::Fields, ClientAuthentication::Fields(credentials())),
        (Switch::Basic, ClientAuthentication::Basic(credentials())),
        (Switch::None, none()),
    ] {
        local.emulator.configure(|config| config.outbound.client_authentication = switch);
        let all = [ClientAuthentication::Fields(credentials()), ClientAuthentication::Basic(credentials()), none()];
        for authentication in all {
            let is_right = format!("{authentication:?}") == format!("{right:?}");
            let before = local.emulator.count(TOKEN);
            match client_at(&local, authentication).client_credentials(None).await {
                Ok(_) => assert!(is_right),
                Err(error) => {
                    assert!(!is_right && error.is_credentials() && error.advice() == Advice::FixConfiguration);
                    assert_eq!(error.oauth_error(), Some(&OAuthError::InvalidClient));
                }
            }
            assert_eq!(local.emulator.count(TOKEN), before + 1);
        }
    }
    for (id, secret, field) in [("", "x", "client id"), ("x", "canary\n", "client secret"), ("a b", "x", "client id")] {
        let error = ClientCredentials::new(id, secret).unwrap_err();
        assert!(error.field() == Some(field) && !error.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn what_is_shown_of_tokens() {
    let local = local().await;
    let tokens = client_at(&local, credentials()).refresh(&refresh_token()).await.unwrap();
    let token = "AccessToken { is_expired: false, .. }";
    assert_eq!(format!("{:?}", tokens.access_token), token);
    assert_eq!(format!("{tokens:?}"), format!("Tokens {{ access_token: {token}, refresh_token: None, .. }}"));
    let claims = tokens.access_token.unverified_claims().unwrap();
    assert_eq!(format!("{claims:?}"), format!("Claims {{ exp: {:?}, .. }}", claims.exp));
}

#[tokio::test]
async fn o3_lifetimes() {
    for (expires_in, life, tries) in
        [("599", Some(599), 1), ("0", None, 1), ("null", None, 1), ("\"299\"", Some(299), 1), ("-1", None, 2)]
    {
        let local = local().await;
        let client = client_at(&local, credentials());
        let body = format!(r#"{{"access_token":"emu_a","token_type":"Bearer","expires_in":{expires_in}}}"#);
        local.emulator.fail_always(TOKEN, Fault::reply(200, body));
        match client.client_credentials(None).await {
            Ok(token) => {
                assert_eq!(token.expires_at().is_some(), life.is_some());
                local.clock.advance(Duration::from_secs(life.unwrap_or(1_000_000)));
                assert_eq!(token.is_expired(), life.is_some(), "{expires_in}");
            }
            Err(error) => assert!(error.is_expired() && expires_in == "-1"),
        }
        assert_eq!(local.emulator.count(TOKEN), tries);
        let outcome = client.refresh(&refresh_token()).await;
        assert_eq!((outcome.is_ok(), local.emulator.count(TOKEN)), (expires_in != "-1", 2 * tries));
    }
}

#[tokio::test]
async fn o3_token_types() {
    for (token_type, is_accepted) in [("bearer", true), ("BEARER", true), ("DPoP", false), ("canary", false)] {
        let local = local().await;
        let body = format!(r#"{{"access_token":"emu_a","token_type":"{token_type}","expires_in":299}}"#);
        local.emulator.fail_next(TOKEN, Fault::reply(200, body));
        match client_at(&local, credentials()).client_credentials(None).await {
            Ok(_) => assert!(is_accepted),
            Err(error) => assert!(!is_accepted && error.field() == Some("token_type")),
        }
        assert_eq!(local.emulator.count(TOKEN), 1);
    }
}

#[tokio::test]
async fn o3_o5_a_new_refresh_token_is_not_lost_with_an_access_token_that_has_expired() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let body = r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#;
    local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    let tokens = client.refresh(&refresh_token()).await.unwrap();
    assert!(tokens.access_token.is_expired());
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "emu_new");
}

#[tokio::test]
async fn o3_client_credentials_ignore_a_refresh_token() {
    for (body, is_stale) in [
        (r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#, true),
        (r#"{"access_token":"emu_a","expires_in":-1}"#, true),
        (r#"{"access_token":"emu_a","expires_in":299,"refresh_token":"emu_new"}"#, false),
        (r#"{"access_token":"emu_a","expires_in":299,"refresh_token":"canary\n"}"#, false),
    ] {
        let local = local().await;
        let client = client_at(&local, credentials());
        local.emulator.fail_always(TOKEN, Fault::reply(200, body));
        match client.client_credentials(None).await {
            Ok(token) => {
                assert!(!is_stale, "{body}");
                assert!(!token.is_expired());
            }
            Err(error) => {
                assert!(is_stale, "{error}");
                assert!(error.is_expired(), "{error}");
                assert_eq!(local.emulator.count(TOKEN), 2);
            }
        }
        // It does not count as a rotation: the refresh after a lost reply is repeated.
        local.emulator.clear_faults();
        local.emulator.fail_next(TOKEN, Fault::Drop { when: When::After });
        let _ = client.refresh(&refresh_token()).await.unwrap();
    }
}

#[tokio::test]
async fn o3_an_expired_application_token_with_a_refresh_token_is_not_fetched_in_a_loop() {
    let local = local().await;
    let source = flinks::outbound::AppTokenSource::new(client_at(&local, credentials()), None);
    let body = r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#;
    local.emulator.fail_always(TOKEN, Fault::reply(200, body));
    for _ in 0..10 {
        assert!(source.access_token().await.unwrap_err().is_expired());
    }
    assert_eq!(local.emulator.count(TOKEN), 2, "the others wait out the pause");
}

#[tokio::test]
async fn c4_a_secret_of_the_request_that_comes_back_as_a_token_is_malformed() {
    let reply = |access_token: &str, refresh_token: &str| {
        let body = format!(r#"{{"access_token":"{access_token}","expires_in":299,"refresh_token":"{refresh_token}"}}"#);
        Fault::reply(200, body)
    };
    for authentication in [ClientAuthentication::Fields(credentials()), ClientAuthentication::Basic(credentials())] {
        let local = local().await;
        let client = client_at(&local, authentication.clone());
        let is_echo = |error: &Error, field| error.is_malformed() && error.field() == Some(field);
        local.emulator.fail_next(TOKEN, reply(OUTBOUND_CLIENT_SECRET, ""));
        assert!(is_echo(&client.client_credentials(None).await.unwrap_err(), "access_token"));
        for (access_token, new, field) in [
            (OUTBOUND_CLIENT_SECRET, "", "access_token"),
            (OUTBOUND_REFRESH_TOKEN, "", "access_token"),
            ("emu_a", OUTBOUND_CLIENT_SECRET, "refresh_token"),
        ] {
            local.emulator.fail_next(TOKEN, reply(access_token, new));
            let error = client.refresh(&refresh_token()).await.unwrap_err();
            assert!(is_echo(&error, field), "{error}");
            assert!(!error.to_string().contains("emu_"), "{error}");
        }
        // An unchanged refresh token is normal (O5).
        local.emulator.fail_next(TOKEN, reply("emu_a", OUTBOUND_REFRESH_TOKEN));
        assert!(client.refresh(&refresh_token()).await.unwrap().refresh_token.is_none());
        for (access_token, new, field) in [
            ("CODE", "emu_r", "access_token"),
            (OUTBOUND_CLIENT_SECRET, "emu_r", "access_token"),
            ("emu_a", "CODE", "refresh_token"),
            ("emu_a", OUTBOUND_CLIENT_SECRET, "refresh_token"),
        ] {
            let (code, [first]) = loads_of_one_return(&local, &client);
            local.emulator.fail_next(TOKEN, reply(&access_token.replace("CODE", &code), &new.replace("CODE", &code)));
            let error = client.exchange_code(first).await.unwrap_err();
            assert!(matches!(&error, SpendError::Unknown(error) if is_echo(error, field)), "{error}");
        }
    }
}

#[tokio::test]
async fn o5_a_new_refresh_token_is_handed_out_and_an_old_one_is_not() {
    let local = local().await;
    let client = client_at(&local, credentials());
    assert!(client.refresh(&refresh_token()).await.unwrap().refresh_token.is_none());
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let next = client.refresh(&refresh_token()).await.unwrap().refresh_token.unwrap();
    assert!(client.refresh(&refresh_token()).await.unwrap_err().needs_consent());
    let _ = client.refresh(&next).await.unwrap();
    // An empty one is none, and one that cannot be used is not taken for that.
    let reply = |refresh_token: &str| {
        let body = format!(r#"{{"access_token":"emu_a","expires_in":299,"refresh_token":"{refresh_token}"}}"#);
        local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    };
    for empty in ["", "  "] {
        reply(empty);
        assert!(client.refresh(&next).await.unwrap().refresh_token.is_none());
    }
    reply("new token é");
    assert_eq!(client.refresh(&next).await.unwrap().refresh_token.unwrap().expose_secret(), "new token é");
    reply("canary\\n");
    let error = client.refresh(&next).await.unwrap_err();
    assert!(error.field() == Some("refresh_token") && !error.to_string().contains("canary"));

    // Some servers repeat the same one.
    let local = crate::local().await;
    let client = client_at(&local, credentials());
    local.emulator.configure(|config| config.outbound.repeat_refresh_token = true);
    assert!(client.refresh(&refresh_token()).await.unwrap().refresh_token.is_none());
}

#[tokio::test]
async fn o5_a5_a_lost_reply_is_asked_for_again_only_while_no_rotation_was_seen() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let fault = Fault::Drop { when: When::After };
    local.emulator.fail_next(TOKEN, fault.clone());
    let _ = client.refresh(&refresh_token()).await.unwrap();
    assert_eq!(local.emulator.count(TOKEN), 2);

    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let next = client.refresh(&refresh_token()).await.unwrap().refresh_token.unwrap();
    local.emulator.fail_next(TOKEN, fault);
    let error = client.refresh(&next).await.unwrap_err();
    assert!(error.may_have_been_sent() && !error.needs_consent() && error.attempts() == 1, "{error}");
}

#[tokio::test]
async fn o5_o6_a_refresh_token_that_was_idle_for_30_days_needs_consent() {
    let local = local().await;
    let client = client_at(&local, credentials());
    local.emulator.advance(Duration::from_secs(30 * 24 * 60 * 60));
    let error = client.refresh(&refresh_token()).await.unwrap_err();
    assert!(error.needs_consent() && !error.is_transient() && !error.is_credentials());
    assert_eq!((error.product(), error.operation()), (Some(Product::Outbound), Some("refresh")));
    assert_eq!((error.oauth_error(), error.attempts()), (Some(&OAuthError::InvalidGrant), 1));
    assert!(error.correlation_id().is_some() && error.trace_id().is_some());
    let text = "exchange a refresh token (Flinks Outbound): the request was refused, invalid_grant (status 400)";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn o6_o7_what_ends_a_consent_and_what_does_not() {
    let html = || {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Fault::Reply { status: 403, headers, body: "<html>canary</html>".to_owned() }
    };
    let code =
        |status, code: &str| Fault::reply(status, format!(r#"{{"error":"{code}","error_description":"canary"}}"#));
    for (fault, needs_consent, is_credentials, tries) in [
        (code(400, "invalid_grant"), true, false, 1),
        (code(401, "invalid_grant"), true, false, 1),
        (code(403, "canary"), true, false, 1),
        (Fault::status(401), true, false, 1),
        (html(), false, false, 1),
        (code(400, "invalid_client"), false, true, 1),
        (code(401, "invalid_client"), false, true, 1),
        (code(400, "unauthorized_client"), false, true, 1),
        (code(400, "unsupported_grant_type"), false, false, 1),
        (code(400, "invalid_scope"), false, false, 1),
        (code(400, "invalid_request"), false, false, 1),
        (code(400, "unsupported_response_type"), false, false, 1),
        (code(400, "server_error"), false, false, 2),
        (code(400, "temporarily_unavailable"), false, false, 3),
        (code(401, "TOO_MANY_REQUESTS"), false, false, 3),
        (code(200, "invalid_grant"), false, false, 1),
        (code(500, "server_error"), false, false, 2),
        (code(503, "temporarily_unavailable"), false, false, 3),
        (Fault::status(429), false, false, 3),
        (Fault::status(502), false, false, 2),
        (Fault::Reset { when: When::After }, false, false, 2),
        (Fault::status(408), false, false, 2),
        (Fault::status(204), false, false, 1),
    ] {
        let local = local().await;
        let client = client_at(&local, credentials());
        local.emulator.fail_always(TOKEN, fault.clone());
        let error = client.refresh(&refresh_token()).await.unwrap_err();
        let found = (error.needs_consent(), error.is_credentials(), local.emulator.count(TOKEN));
        assert_eq!(found, (needs_consent, is_credentials, tries), "{fault:?} {error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(error.message(), error.oauth_error().is_some().then_some("canary"));
    }
}

#[tokio::test]
async fn o8_claims_are_read_without_a_check() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let tokens = client.exchange_code(code(&local, &client).await).await.unwrap();
    let claims = tokens.access_token.unverified_claims().unwrap();
    assert_eq!(claims.client_id.as_deref(), Some(OUTBOUND_CLIENT_ID));
    assert!(claims.exp.is_some() && claims.sub.is_some());
    assert!(!format!("{claims:?}").contains(claims.sub.as_deref().unwrap()));
    let again = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_eq!(again.access_token.unverified_claims().unwrap().sub, claims.sub);
    assert!(client.client_credentials(None).await.unwrap().unverified_claims().is_none());

    // They decide no lifetime, and nothing breaks on them.
    for token in ["a.b.c", "a..c", "eyJ9.e30.x", "a.bnVsbA.c", "a.eyJleHAiOi0xfQ.c"] {
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":299}}"#);
        local.emulator.fail_next(TOKEN, Fault::reply(200, body));
        let token = client.refresh(&refresh_token()).await.unwrap().access_token;
        assert!(!token.is_expired() && token.unverified_claims().is_none_or(|claims| claims.exp.is_none()));
    }
    // Each claim is read by itself.
    let text = |text: &str| Some(text.to_owned());
    for (payload, client_id, sub, exp) in [
        (r#"{"client_id":"c","sub":"s","exp":1700000000.75}"#, text("c"), text("s"), Some(1_700_000_000)),
        (r#"{"client_id":"c","sub":"s","exp":1.7e9}"#, text("c"), text("s"), Some(1_700_000_000)),
        (r#"{"client_id":"c","sub":"s","exp":"1700000000"}"#, text("c"), text("s"), None),
        (r#"{"client_id":"c","sub":"s","exp":1e400}"#, text("c"), text("s"), None),
        (r#"{"client_id":"c","sub":"s","exp":1e300}"#, text("c"), text("s"), None),
        (r#"{"client_id":"c","sub":"s","exp":-1.5}"#, text("c"), text("s"), None),
        (r#"{"client_id":"c","sub":"s","exp":[1]}"#, text("c"), text("s"), None),
        (r#"{"client_id":"c","sub":"s","exp":null}"#, text("c"), text("s"), None),
        (r#"{"client_id":7,"sub":"s","exp":1}"#, None, text("s"), Some(1)),
        (r#"{"client_id":["c"],"sub":{"id":"s"},"exp":1}"#, None, None, Some(1)),
        (r#"{"client_id":"c","sub":"s","sub":"t","exp":18446744073709551615}"#, text("c"), None, Some(u64::MAX)),
    ] {
        let encoded = base64_url(payload);
        for token in [format!("a.{encoded}.c"), format!("a.{encoded}==.c")] {
            let claims = flinks::outbound::claims(&token).unwrap_or_else(|| panic!("{payload}"));
            assert_eq!(claims.client_id, client_id, "{payload}");
            assert_eq!(claims.sub, sub, "{payload}");
            assert_eq!(claims.exp, exp, "{payload}");
        }
    }
    for payload in ["", "null", "7", r#"["c","s",1]"#, r#"{"sub":"s""#, r#"{"sub":"s"}x"#] {
        assert!(flinks::outbound::claims(&format!("a.{}.c", base64_url(payload))).is_none(), "{payload}");
    }
    let body = r#"{"access_token":"a.eyJleHAiOjF9.c","token_type":"Bearer","expires_in":299}"#; // {"exp":1}
    local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    let token = client.refresh(&refresh_token()).await.unwrap().access_token;
    assert!(token.unverified_claims().unwrap().exp == Some(1) && !token.is_expired());
}

/// Base64 for URLs, without padding (RFC 4648 section 5).
fn base64_url(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for sextet in 0..=chunk.len() {
            encoded.push(char::from(ALPHABET[(bits >> (18 - 6 * sextet) & 63) as usize]));
        }
    }
    encoded
}

#[tokio::test]
async fn a5_no_advice_is_to_repeat_a_call_whose_outcome_is_unknown() {
    let local = local().await;
    let client = client_at(&local, credentials());
    for fault in [Fault::Drop { when: When::After }, Fault::status(503), Fault::reply(403, "<html>")] {
        local.emulator.fail_next(Operation::OutboundToken, fault.clone());
        let error = client.exchange_code(code(&local, &client).await).await.unwrap_err();
        assert_eq!(error.advice(), Advice::StartOver, "{fault:?}");
        let error: Error = error.into();
        assert_eq!(error.advice(), Advice::StartOver, "{fault:?}");
        assert!(error.to_string().ends_with("it is unknown whether the call took effect"), "{error}");

        local.emulator.fail_next(Operation::PayInitiateSession, fault.clone());
        let token = local.pay.authorize().await.unwrap();
        let error = local.pay.initiate_session(token, &crate::new_session()).await.unwrap_err();
        assert_eq!(error.advice(), Advice::Investigate, "{fault:?}");
        assert_eq!(Error::from(error).advice(), Advice::Investigate, "{fault:?}");
    }
    // What is known keeps its advice.
    local.emulator.fail_next(Operation::OutboundToken, Fault::reply(401, r#"{"error":"invalid_client"}"#));
    let error = client.exchange_code(code(&local, &client).await).await.unwrap_err();
    assert_eq!(error.advice(), Advice::FixConfiguration);
}

#[tokio::test]
async fn o9_a_code_goes_out_once_with_its_exact_redirect_uri() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let _ = client.exchange_code(code(&local, &client).await).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&local.emulator.requests_of(TOKEN)[0].body).unwrap();
    assert_eq!(body["redirect_uri"], REDIRECT_URI);

    for (fault, is_spent) in [
        (Fault::Reset { when: When::Before }, false),
        (Fault::Drop { when: When::After }, false),
        (Fault::HalfBody, false),
        (Fault::status(429), true),
        (Fault::status(503), false),
        (Fault::reply(500, r#"{"error":"server_error"}"#), false),
        (Fault::status(204), false),
        (Fault::reply(400, r#"{"error":"invalid_grant"}"#), true),
    ] {
        let before = local.emulator.count(TOKEN);
        local.emulator.fail_always(TOKEN, fault.clone());
        let error = client.exchange_code(code(&local, &client).await).await.unwrap_err();
        assert_eq!(matches!(error, SpendError::Spent(_)), is_spent, "{fault:?} {error}");
        assert!(is_spent || matches!(error, SpendError::Unknown(_)));
        assert_eq!(local.emulator.count(TOKEN), before + 1, "{fault:?}");
        local.emulator.clear_faults();
    }
}

#[tokio::test]
async fn o9_a_code_that_comes_twice_goes_out_once() {
    let local = local().await;
    local.emulator.configure(|config| config.outbound.end_user = EndUser::Agrees);
    let client = client_at(&local, credentials());
    let redirect_uri: RedirectUrl = "https://app.example/back".parse().unwrap();
    let (url, pending) = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let (_, returned) = get(&local, url.expose_secret()).await;
    let (stored, returned) = (serde_json::to_string(&pending).unwrap(), returned.unwrap());
    let [first, second, late] =
        [(); 3].map(|()| client.verify(serde_json::from_str(&stored).unwrap(), &returned).unwrap());
    let (one, other) = tokio::join!(client.exchange_code(first), client.exchange_code(second));
    assert!(one.is_ok());
    local.clock.advance(Duration::from_secs(600));
    for error in [other.unwrap_err(), client.clone().exchange_code(late).await.unwrap_err()] {
        assert!(matches!(error, SpendError::Unknown(_)) && error.error().is_invalid_callback(), "{error}");
    }
    assert_eq!(local.emulator.count(TOKEN), 1);
}

/// Verifies the same return of an end user as often as they load its page. Returns the code, too.
fn loads_of_one_return<const N: usize>(local: &Local, client: &Client) -> (String, [AuthorizationCode; N]) {
    let redirect_uri: RedirectUrl = REDIRECT_URI.parse().unwrap();
    let (url, pending) = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let (state, code) = (parameter(&url, "state"), local.emulator.issue_code(REDIRECT_URI));
    let stored = serde_json::to_string(&pending).unwrap();
    let returned = format!("/callback?a=1&code={code}&state={state}");
    (code, [(); N].map(|()| client.verify(serde_json::from_str(&stored).unwrap(), &returned).unwrap()))
}

/// Polls a call so many times at most, and lets others work in between. Then it is cancelled.
async fn poll_and_cancel<T>(call: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut call = std::pin::pin!(call);
    for _ in 0..polls {
        let outcome = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context))).await;
        if let std::task::Poll::Ready(outcome) = outcome {
            return Some(outcome);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn o9_cancelled_exchange_that_sent_nothing_keeps_the_code() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let (_, [first, second, third]) = loads_of_one_return(&local, &client);
    // It has begun to connect.
    assert!(poll_and_cancel(client.exchange_code(first), 1).await.is_none());
    let _ = client.exchange_code(second).await.unwrap();
    assert!(client.exchange_code(third).await.unwrap_err().error().is_invalid_callback());
    assert_eq!(local.emulator.count(TOKEN), 1);
}

#[tokio::test]
async fn o9_exchange_cancelled_in_a_handshake_keeps_the_code() {
    let local = local().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stalls: BaseUrl = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let settings = Settings::new().clock(TestClock::new()).timeout(TIMEOUT).connect_timeout(Duration::from_millis(50));
    let client = Client::with_settings(stalls, credentials(), &settings).unwrap();
    let (_, [first, second]) = loads_of_one_return(&local, &client);
    tokio::select! {
        biased;
        _ = client.exchange_code(first) => panic!("nobody answers"),
        _ = silent.accept() => {}
    }
    let Err(SpendError::Unspent(_, error)) = client.exchange_code(second).await else { panic!() };
    assert!(!error.may_have_been_sent());
}

#[tokio::test]
async fn o9_exchange_cancelled_after_it_was_received_refuses_the_code() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let (_, [first, second]) = loads_of_one_return(&local, &client);
    local.emulator.fail_next(TOKEN, Fault::Hold { when: When::Before });
    tokio::select! {
        biased;
        _ = client.exchange_code(first) => panic!("nobody answers"),
        _ = local.emulator.received(TOKEN, 1) => {}
    }
    local.emulator.release();
    let error = client.exchange_code(second).await.unwrap_err();
    assert!(matches!(error, SpendError::Unknown(_)), "{error}");
    assert!(error.error().is_invalid_callback(), "{error}");
    assert_eq!(local.emulator.count(TOKEN), 1);
}

#[tokio::test]
async fn o9_exchange_cancelled_at_any_moment_sends_the_code_once() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let (mut kept, mut refused) = (0, 0);
    for is_pooled in [false, true] {
        for polls in 1..30 {
            let client = if is_pooled { client.clone() } else { client_at(&local, credentials()) };
            let (code, [first, second]) = loads_of_one_return(&local, &client);
            if poll_and_cancel(client.exchange_code(first), polls).await.is_some() {
                continue;
            }
            match client.exchange_code(second).await {
                Ok(_) => {
                    assert_eq!(local.emulator.count_carrying(&code), 1, "after {polls} polls");
                    kept += 1;
                }
                Err(error) => {
                    assert!(error.error().is_invalid_callback(), "{error}");
                    assert!(local.emulator.count_carrying(&code) <= 1, "after {polls} polls");
                    refused += 1;
                }
            }
        }
    }
    assert!(kept > 0, "{kept} {refused}");
    assert!(refused > 0, "{kept} {refused}");
}

#[tokio::test]
async fn o9_a_code_that_was_not_sent_is_tried_again_and_comes_back() {
    let local = local().await;
    let code = code(&local, &client_at(&local, credentials())).await;
    let settings = Settings::new().clock(TestClock::new()).timeout(TIMEOUT);
    let closed: BaseUrl = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::with_settings(closed, credentials(), &settings).unwrap();
    let Err(SpendError::Unspent(code, _)) = client.exchange_code(code).await else { panic!() };
    let Err(SpendError::Unspent(code, error)) = client.exchange_code(code).await else { panic!() };
    assert_eq!(error.attempts(), 3);

    // A host that stalls leaves no time for a third try, which would hide that nothing was sent.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stalls: BaseUrl = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let settings = Settings::new().timeout(Duration::from_millis(600)).connect_timeout(Duration::from_millis(200));
    let client = Client::with_settings(stalls, credentials(), &settings).unwrap();
    let Err(SpendError::Unspent(code, error)) = client.exchange_code(code).await else { panic!() };
    assert!(!error.may_have_been_sent());
    let _ = client_at(&local, credentials()).exchange_code(code).await.unwrap();
}

#[tokio::test]
async fn o10_an_end_user_consents_and_comes_back() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let redirect_uri: RedirectUrl = "https://app.example/back".parse().unwrap();
    for (end_user, is_agreed) in [(EndUser::Agrees, true), (EndUser::Refuses, false)] {
        local.emulator.configure(|config| config.outbound.end_user = end_user);
        let request = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap();
        let (url, pending) = request.scope(&["ACCOUNT_BASIC", "TRANSACTIONS"]).language("fr").start();
        assert_eq!(parameter(&url, "language"), "fr");
        assert_eq!(pending.provider_id(), OUTBOUND_PROVIDER_ID);
        let (status, back) = get(&local, url.expose_secret()).await;
        assert_eq!(status, 302);

        // As it was kept in the end user's session.
        let pending = serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
        match client.verify(pending, &back.unwrap()) {
            Ok(code) => {
                let _ = client.exchange_code(code).await.unwrap();
                assert!(is_agreed);
            }
            Err(error) => {
                assert!(!is_agreed && error.needs_user() && error.advice() == Advice::AskUser);
                assert_eq!(error.oauth_error(), Some(&OAuthError::AccessDenied));
            }
        }
    }
    let verify = |query: &str| {
        let (_, pending) = client.authorization("1000", &redirect_uri).unwrap().start();
        client.verify(pending, query).unwrap_err()
    };
    for query in ["", "code=a", "code=a&state=x", "error=access_denied&state="] {
        let error: Error = verify(query);
        assert!(error.is_invalid_callback() && error.oauth_error().is_none());
    }
    for rest in ["", "code=", "code=a%0ab", "code=a%20b", "code=a&code=a", "code=a&error=b"] {
        let (url, pending) = client.authorization("1000", &redirect_uri).unwrap().start();
        let state = parameter(&url, "state");
        let error = client.verify(pending, &format!("{rest}&state={state}")).unwrap_err();
        assert!(error.is_invalid_callback(), "{rest}");
    }
    // Every scope holds the least.
    for (asked, sent) in [
        (&["TRANSACTIONS"][..], "ACCOUNT_BASIC TRANSACTIONS"),
        (&[], "ACCOUNT_BASIC"),
        (&["ACCOUNT_BASIC"], "ACCOUNT_BASIC"),
    ] {
        let (url, _) = client.authorization("1000", &redirect_uri).unwrap().scope(asked).start();
        assert_eq!(parameter(&url, "scope"), sent);
    }
    let nobody = ClientAuthentication::None { client_id: "a b".to_owned() };
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    assert_eq!(Client::new(base_url, nobody).unwrap_err().field(), Some("client id"));
    assert_eq!(client.authorization(" ", &redirect_uri).unwrap_err().field(), Some("provider id"));
    let broken = "https://app.example/?code=1".parse().unwrap();
    assert_eq!(client.authorization("1000", &broken).unwrap_err().field(), Some("redirect URL"));
}

#[tokio::test]
async fn o10_revocation_ends_the_connection() {
    let local = local().await;
    let client = client_at(&local, credentials());
    let tokens = client.refresh(&refresh_token()).await.unwrap();
    client.revoke(&tokens.access_token).await.unwrap();
    assert!(client.refresh(&refresh_token()).await.unwrap_err().needs_consent());
    let error = client.revoke(&tokens.access_token).await.unwrap_err();
    assert_eq!((error.status(), error.attempts(), local.emulator.count(Operation::OutboundRevoke)), (Some(401), 1, 2));
    assert_eq!((error.is_token_refused(), error.advice()), (true, Advice::NewToken));

    local.emulator.reset();
    let tokens = client.refresh(&refresh_token()).await.unwrap();
    local.emulator.fail_always(Operation::OutboundRevoke, Fault::Reset { when: When::After });
    let error = client.revoke(&tokens.access_token).await.unwrap_err();
    assert!(error.may_have_been_sent() && local.emulator.count(Operation::OutboundRevoke) == 1);
}

#[tokio::test]
async fn o10_a_revocation_that_is_not_confirmed_keeps_the_consent() {
    let local = local().await;
    let consents = Consents::builder(client_at(&local, credentials())).build();
    let id = "end-user".parse().unwrap();
    let consent = consents.insert(&id, refresh_token(), flinks::Clock::wall(&local.clock)).await.unwrap();
    let html = vec![("content-type".to_owned(), "text/html".to_owned())];
    for fault in [
        Fault::Reply { status: 200, headers: html, body: "<html>canary</html>".to_owned() },
        Fault::reply(200, r#"{"error":"server_error"}"#),
        Fault::status(202),
        Fault::status(203),
    ] {
        local.emulator.fail_next(Operation::OutboundRevoke, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        let _ = consent.exchange_now().await.unwrap();
    }
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
}

#[tokio::test]
async fn o11_the_host_is_always_the_callers() {
    let (one, other) = (local().await, local().await);
    let _ = client_at(&one, credentials()).client_credentials(None).await.unwrap();
    assert_eq!((one.emulator.count(TOKEN), other.emulator.count(TOKEN)), (1, 0));
    let _ = client_at(&other, credentials()).refresh(&refresh_token()).await.unwrap();
    assert_eq!((one.emulator.count(TOKEN), other.emulator.count(TOKEN)), (1, 1));
    // A prefix of a gateway's is part of it, also where end users go.
    let client = Client::new("https://bank.example/flinks/".parse().unwrap(), credentials()).unwrap();
    let redirect_uri: RedirectUrl = "https://app.example/back".parse().unwrap();
    let (url, _) = client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    assert!(url.expose_secret().starts_with("https://bank.example/flinks/api/v1/authorize?client_id="));
}
