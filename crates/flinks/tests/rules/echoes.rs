//! Tests that the client treats a response as malformed if its token equals one of the request's
//! secrets (C4) or a token from an earlier response (P5, C3).

use flinks::connect::Authorize;
use flinks::outbound::ClientAuthentication;
use flinks::{Cause, Error, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Operation};

use crate::codes::verify_repeatedly;
use crate::outbound_client::{credentials, refresh_token};
use crate::replies::check_text;
use crate::{local, login_id, new_session};

const GENERATE: Operation = Operation::ConnectGenerateAuthorizeToken;
const TOKEN: Operation = Operation::OutboundToken;

/// Returns a successful response that is valid for every operation. Every token in the response has
/// the value `token`.
fn success_with(token: &str) -> Fault {
    let token = serde_json::to_string(token).unwrap();
    Fault::reply(
        200,
        format!(
            r#"{{"access_token":{token},"Token":{token},"sessionId":{token},"RequestId":"q","Login":{{"Id":"l"}}}}"#
        ),
    )
}

/// Returns whether the error reports an echo in the given field.
fn is_echo(error: &Error, field: &str) -> bool {
    check_text(error);
    error.cause() == Cause::Malformed && error.field() == Some(field) && error.may_have_been_sent()
}

#[tokio::test]
async fn c4_response_with_the_secret_key_or_password_as_token_is_malformed() {
    let local = local().await;
    local.emulator.fail_next(Operation::PayAuthorize, success_with(PAY_PASSWORD));
    assert!(is_echo(&local.pay.authorize().await.unwrap_err(), "access_token"));
    local.emulator.fail_next(GENERATE, success_with(CONNECT_SECRET_KEY));
    assert!(is_echo(&local.connect.generate_authorize_token().await.unwrap_err(), "Token"));
    // Part of a secret is not treated as an echo.
    local.emulator.fail_next(GENERATE, success_with(&CONNECT_SECRET_KEY[1..]));
    assert!(local.connect.generate_authorize_token().await.is_ok());
    assert!(local.pay.authorize().await.is_ok());
}

#[tokio::test]
async fn c4_response_with_the_session_token_as_session_id_is_malformed() {
    let local = local().await;
    local.emulator.fail_next(Operation::PayAuthorize, success_with("emu_token"));
    let token = local.pay.authorize().await.unwrap();
    local.emulator.fail_next(Operation::PayInitiateSession, success_with("emu_token"));
    let error = local.pay.initiate_session(token, &new_session()).await.unwrap_err();
    assert!(matches!(&error, SpendError::Unknown(error) if is_echo(error, "sessionId")), "{error}");
}

#[tokio::test]
async fn c4_response_with_the_bank_password_as_an_id_is_malformed() {
    for (body, field) in [
        (r#"{"RequestId":"emu_password","Login":{"Id":"l"}}"#, "RequestId"),
        (r#"{"RequestId":"q","Login":{"Id":"emu_password"}}"#, "Login.Id"),
    ] {
        let local = local().await;
        local.emulator.fail_next(GENERATE, success_with("emu_token"));
        let token = local.authorize_token().await;
        local.emulator.fail_next(Operation::ConnectAuthorize, Fault::reply(200, body));
        let request = Authorize::with_bank_credentials("bank", "user", "emu_password");
        let error = local.connect.authorize(token, &request).await.unwrap_err();
        assert!(matches!(&error, SpendError::Unknown(error) if is_echo(error, field)), "{error}");
    }
    // A response may contain the request's login id.
    let local = local().await;
    let body = format!(r#"{{"RequestId":"q","Login":{{"Id":"{CONNECT_LOGIN_ID}"}}}}"#);
    local.emulator.fail_next(Operation::ConnectAuthorize, Fault::reply(200, body));
    let token = local.authorize_token().await;
    assert!(local.connect.authorize(token, &Authorize::cached(&login_id())).await.is_ok());

    // A response may also contain the authorize token, which is already spent. A page of the Flinks
    // documentation calls that token "the RequestId".
    let local = crate::local().await;
    local.emulator.fail_next(GENERATE, success_with("emu_token"));
    let token = local.authorize_token().await;
    local.emulator.fail_next(Operation::ConnectAuthorize, Fault::reply(200, r#"{"RequestId":"emu_token"}"#));
    assert!(local.connect.authorize(token, &Authorize::live(&login_id())).await.is_ok());
}

#[tokio::test]
async fn c4_response_with_a_secret_of_the_request_as_token_is_malformed() {
    let reply = |access_token: &str, refresh_token: &str| {
        let body = format!(r#"{{"access_token":"{access_token}","expires_in":299,"refresh_token":"{refresh_token}"}}"#);
        Fault::reply(200, body)
    };
    for authentication in [ClientAuthentication::Fields(credentials()), ClientAuthentication::Basic(credentials())] {
        let local = local().await;
        let client = local.outbound(authentication.clone());
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
        // A response may repeat the request's refresh token (O5).
        local.emulator.fail_next(TOKEN, reply("emu_a", OUTBOUND_REFRESH_TOKEN));
        assert!(client.refresh(&refresh_token()).await.unwrap().refresh_token.is_none());
        for (access_token, new, field) in [
            ("CODE", "emu_r", "access_token"),
            (OUTBOUND_CLIENT_SECRET, "emu_r", "access_token"),
            ("emu_a", "CODE", "refresh_token"),
            ("emu_a", OUTBOUND_CLIENT_SECRET, "refresh_token"),
        ] {
            let (code, [first]) = verify_repeatedly(&local, &client);
            local.emulator.fail_next(TOKEN, reply(&access_token.replace("CODE", &code), &new.replace("CODE", &code)));
            let error = client.exchange_code(first).await.unwrap_err();
            assert!(matches!(&error, SpendError::Unknown(error) if is_echo(error, field)), "{error}");
        }
    }
}

#[tokio::test]
async fn p5_c3_token_of_two_responses_is_returned_once() {
    let local = local().await;
    let pay = local.pay.authorize().await.unwrap();
    let connect = local.authorize_token().await;
    for _ in 0..2 {
        // A cache between the client and the server would repeat a response in this way.
        local.emulator.fail_next(Operation::PayAuthorize, Fault::DuplicateToken);
        local.emulator.fail_next(GENERATE, Fault::DuplicateToken);
        let error = local.pay.clone().authorize().await.unwrap_err();
        assert!(is_echo(&error, "access_token"), "{error}");
        assert!(error.to_string().contains("was handed out before"), "{error}");
        let error = local.connect.clone().generate_authorize_token().await.unwrap_err();
        assert!(is_echo(&error, "Token"), "{error}");
        assert!(error.to_string().contains("was handed out before"), "{error}");
    }
    assert_eq!(local.emulator.count(Operation::PayAuthorize), 3, "the call was retried");
    // The first tokens are still valid, and the client still works.
    assert!(local.pay.initiate_session(pay, &new_session()).await.is_ok());
    assert!(local.connect.authorize(connect, &Authorize::cached(&login_id())).await.is_ok());
    assert!(local.pay.authorize().await.is_ok());
    local.authorize_token().await.expires_at().unwrap();
}

#[tokio::test]
async fn p5_setting_accepts_repeated_tokens() {
    let local = crate::local_with(flinks::Settings::accept_repeated_tokens).await;
    for _ in 0..2 {
        local.emulator.fail_next(Operation::PayAuthorize, success_with("emu_token"));
        let token = local.pay.authorize().await.unwrap();
        assert_eq!(token.into_authorization().unwrap().expose_value(), "Bearer emu_token");
        local.emulator.fail_next(GENERATE, success_with("emu_token"));
        assert!(!local.authorize_token().await.is_expired());
    }
}

#[tokio::test]
async fn p5_token_of_one_hundred_equal_responses_is_returned_once() {
    let local = local().await;
    local.emulator.fail_always(Operation::PayAuthorize, success_with("emu_token"));
    let calls = (0..100).map(|_| {
        let pay = local.pay.clone();
        tokio::spawn(async move { pay.authorize().await.is_ok() })
    });
    let mut successes = 0;
    for call in Vec::from_iter(calls) {
        successes += u32::from(call.await.unwrap());
    }
    assert_eq!(successes, 1);
}
