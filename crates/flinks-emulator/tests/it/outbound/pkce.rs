//! Tests for PKCE (RFC 7636), which Flinks does not document.

use flinks_emulator::credentials::*;
use flinks_emulator::{EndUser, Pkce};
use serde_json::json;

use crate::{Local, ParsedResponse, local_with, send};

/// The example from RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT_URI: &str = "https://app.example/back";

async fn agreeing(pkce: Pkce) -> Local {
    local_with(|config| {
        config.outbound.end_user = EndUser::Agrees;
        config.outbound.pkce = pkce;
    })
    .await
}

async fn authorize(local: &Local, extra: &[(&str, &str)]) -> ParsedResponse {
    let query = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ];
    send(local.get("/api/v1/authorize").query(&query).query(extra)).await
}

async fn exchange(local: &Local, code: &str, verifier: Option<&str>) -> ParsedResponse {
    let mut body = json!({"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI});
    if let Some(verifier) = verifier {
        body["code_verifier"] = json!(verifier);
    }
    send(local.token(body)).await
}

const S256: [(&str, &str); 2] = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];

#[tokio::test]
async fn a_code_with_a_challenge_needs_the_matching_verifier() {
    let local = agreeing(Pkce::Checked).await;
    let plain = [("code_challenge", VERIFIER)];
    for challenge in [&S256[..], &plain] {
        let code = authorize(&local, challenge).await.parameter("code").unwrap();
        for wrong in [None, Some(CHALLENGE), Some("short"), Some("x".repeat(129).as_str())] {
            let refused = exchange(&local, &code, wrong).await;
            assert_eq!(refused.error(), (400, "invalid_grant"), "{wrong:?}");
            assert!(!refused.body.to_string().contains(CHALLENGE), "{}", refused.body);
        }
        assert_eq!(exchange(&local, &code, Some(VERIFIER)).await.status, 200);
        assert_eq!(
            exchange(&local, &code, Some(VERIFIER)).await.error(),
            (400, "invalid_grant"),
            "a code is used once"
        );
    }
}

#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let local = agreeing(Pkce::Checked).await;
    let code = authorize(&local, &[]).await.parameter("code").unwrap();
    assert_eq!(exchange(&local, &code, Some(VERIFIER)).await.error(), (400, "invalid_grant"));
    assert_eq!(exchange(&local, &code, None).await.status, 200);
    let refresh = json!({
        "grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN, "code_verifier": VERIFIER,
    });
    assert_eq!(send(local.token(refresh)).await.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn a_wrong_verifier_spends_the_code_only_if_configured() {
    let local = agreeing(Pkce::Checked).await;
    local.emulator.configure(|config| config.outbound.failed_exchange_spends_code = true);
    let code = authorize(&local, &S256).await.parameter("code").unwrap();
    assert_eq!(exchange(&local, &code, None).await.error(), (400, "invalid_grant"));
    assert_eq!(exchange(&local, &code, Some(VERIFIER)).await.error(), (400, "invalid_grant"));
}

#[tokio::test]
async fn an_invalid_challenge_is_returned_as_an_error() {
    let local = agreeing(Pkce::Checked).await;
    for extra in [
        &[("code_challenge", "short")][..],
        &[("code_challenge", CHALLENGE), ("code_challenge_method", "s256")],
        &[("code_challenge_method", "S256")],
        &[("code_challenge", "x".repeat(44).as_str()), ("code_challenge_method", "S256")],
    ] {
        let refused = authorize(&local, extra).await;
        assert_eq!(refused.parameter("error").as_deref(), Some("invalid_request"), "{extra:?}");
        assert_eq!(refused.parameter("code"), None);
    }
}

#[tokio::test]
async fn pkce_can_be_required_or_ignored() {
    let local = agreeing(Pkce::Required).await;
    assert_eq!(authorize(&local, &[]).await.parameter("error").as_deref(), Some("invalid_request"));
    let code = authorize(&local, &S256).await.parameter("code").unwrap();
    assert_eq!(exchange(&local, &code, Some(VERIFIER)).await.status, 200);

    let local = agreeing(Pkce::Ignored).await;
    let code = authorize(&local, &[("code_challenge", "short")]).await.parameter("code").unwrap();
    assert_eq!(exchange(&local, &code, Some("anything")).await.status, 200);
}
