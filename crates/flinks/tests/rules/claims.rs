//! Tests the claims in an access token (O8).

use std::time::Duration;

use flinks::Clock as _;
use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Operation};

use crate::local;
use crate::outbound_client::{code, credentials, refresh_token};

const TOKEN: Operation = Operation::OutboundToken;

#[tokio::test]
async fn o8_claims_are_read_without_a_check() {
    let local = local().await;
    let client = local.outbound(credentials());
    let tokens = client.exchange_code(code(&local.emulator, &client)).await.unwrap();
    let claims = tokens.access_token.unverified_claims().unwrap();
    assert_eq!(claims.client_id.as_deref(), Some(OUTBOUND_CLIENT_ID));
    assert!(claims.exp.is_some());
    assert!(claims.sub.is_some());
    assert!(!format!("{claims:?}").contains(claims.sub.as_deref().unwrap()));
    let refreshed = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_eq!(refreshed.access_token.unverified_claims().unwrap().sub, claims.sub);
    assert!(client.client_credentials(None).await.unwrap().unverified_claims().is_none());

    // Claims do not affect a token's lifetime, and unreadable claims are not an error.
    for token in ["a.b.c", "a..c", "eyJ9.e30.x", "a.bnVsbA.c", "a.eyJleHAiOi0xfQ.c"] {
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":299}}"#);
        local.emulator.fail_next(TOKEN, Fault::reply(200, body));
        let token = client.refresh(&refresh_token()).await.unwrap().access_token;
        assert!(!token.is_expired());
        assert!(token.unverified_claims().is_none_or(|claims| claims.exp.is_none()));
    }
    // An unreadable claim does not affect the other claims.
    let claims_of = |token: String| {
        let token = client.restore_access_token(token, local.clock.wall(), Duration::from_secs(1));
        token.unwrap().unverified_claims()
    };
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
            let claims = claims_of(token).unwrap_or_else(|| panic!("{payload}"));
            assert_eq!(claims.client_id, client_id, "{payload}");
            assert_eq!(claims.sub, sub, "{payload}");
            assert_eq!(claims.exp, exp, "{payload}");
        }
    }
    for payload in ["", "null", "7", r#"["c","s",1]"#, r#"{"sub":"s""#, r#"{"sub":"s"}x"#] {
        assert!(claims_of(format!("a.{}.c", base64_url(payload))).is_none(), "{payload}");
    }
    let body = r#"{"access_token":"a.eyJleHAiOjF9.c","token_type":"Bearer","expires_in":299}"#; // {"exp":1}
    local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    let token = client.refresh(&refresh_token()).await.unwrap().access_token;
    assert_eq!(token.unverified_claims().unwrap().exp, Some(1));
    assert!(!token.is_expired());
}

/// Encodes text as URL-safe Base64 without padding (RFC 4648, section 5).
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
