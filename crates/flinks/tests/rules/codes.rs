//! Tests that an authorization code is sent only once. If an exchange is cancelled before it sends
//! anything, the code can still be used (O9).

use std::time::Duration;

use flinks::outbound::{AuthorizationCode, Client};
use flinks::{Advice, BaseUrl, Cause, Error, RedirectUrl, Settings, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{EndUser, Fault, Operation, When};

use crate::outbound_client::{REDIRECT_URI, TIMEOUT, auto_advancing_clock, code, credentials, parameter};
use crate::{Local, get, local};

const TOKEN: Operation = Operation::OutboundToken;

#[tokio::test]
async fn o9_code_is_sent_once_with_its_exact_redirect_uri() {
    let local = local().await;
    let client = local.outbound(credentials());
    let _ = client.exchange_code(code(&local.emulator, &client)).await.unwrap();
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
        let error = client.exchange_code(code(&local.emulator, &client)).await.unwrap_err();
        assert_eq!(matches!(error, SpendError::Spent(_)), is_spent, "{fault:?} {error}");
        assert_eq!(matches!(error, SpendError::Unknown(_)), !is_spent, "{fault:?} {error}");
        assert_eq!(local.emulator.count(TOKEN), before + 1, "{fault:?}");
        local.emulator.clear_faults();
    }
}

#[tokio::test]
async fn o9_code_received_twice_is_sent_once() {
    let local = local().await;
    local.emulator.configure(|config| config.outbound.end_user = EndUser::Agrees);
    let client = local.outbound(credentials());
    let redirect_uri: RedirectUrl = "https://app.example/back".parse().unwrap();
    let flinks::Started { url, pending, .. } =
        client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let (_, callback) = get(&local, url.expose_secret()).await;
    let stored = serde_json::to_string(&pending).unwrap();
    let callback = callback.unwrap();
    let [first, second, late] =
        [(); 3].map(|()| client.verify(serde_json::from_str(&stored).unwrap(), &callback).unwrap());
    let (first, second) = tokio::join!(client.exchange_code(first), client.exchange_code(second));
    assert!(first.is_ok());
    local.clock.advance(Duration::from_secs(600));
    for error in [second.unwrap_err(), client.clone().exchange_code(late).await.unwrap_err()] {
        assert!(matches!(error, SpendError::Unknown(_)), "{error}");
        assert!(error.error().cause() == Cause::InvalidCallback, "{error}");
    }
    assert_eq!(local.emulator.count(TOKEN), 1);
}

/// Verifies the same callback several times, as if the end user had reloaded the page. Returns the
/// code as a string, and the verified authorization codes.
pub(crate) fn verify_repeatedly<const N: usize>(local: &Local, client: &Client) -> (String, [AuthorizationCode; N]) {
    let redirect_uri: RedirectUrl = REDIRECT_URI.parse().unwrap();
    let flinks::Started { url, pending, .. } =
        client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let state = parameter(&url, "state");
    let code = local.emulator.issue_code(REDIRECT_URI);
    let stored = serde_json::to_string(&pending).unwrap();
    let callback = format!("/callback?a=1&code={code}&state={state}");
    (code, [(); N].map(|()| client.verify(serde_json::from_str(&stored).unwrap(), &callback).unwrap()))
}

/// Polls a call up to `polls` times and lets other tasks run between the polls. Cancels the call if
/// it has not completed after the last poll.
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
    let client = local.outbound(credentials());
    let (_, [first, second, third]) = verify_repeatedly(&local, &client);
    // After one poll, the call is connecting and has sent nothing.
    assert!(poll_and_cancel(client.exchange_code(first), 1).await.is_none());
    let _ = client.exchange_code(second).await.unwrap();
    assert!(client.exchange_code(third).await.unwrap_err().error().cause() == Cause::InvalidCallback);
    assert_eq!(local.emulator.count(TOKEN), 1);
}

#[tokio::test]
async fn o9_exchange_cancelled_in_a_handshake_keeps_the_code() {
    let local = local().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stalled_url: BaseUrl = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let settings =
        Settings::new().clock(auto_advancing_clock()).timeout(TIMEOUT).connect_timeout(Duration::from_millis(50));
    let client = Client::builder(stalled_url, credentials()).settings(&settings).build().unwrap();
    let (_, [first, second]) = verify_repeatedly(&local, &client);
    tokio::select! {
        biased;
        _ = client.exchange_code(first) => panic!("the call completed"),
        _ = silent.accept() => {}
    }
    let Err(SpendError::Unspent(_, error)) = client.exchange_code(second).await else { panic!() };
    assert!(!error.may_have_been_sent());
}

#[tokio::test]
async fn o9_code_of_an_exchange_cancelled_after_receipt_is_not_sent_again() {
    let local = local().await;
    let client = local.outbound(credentials());
    let (_, [first, second]) = verify_repeatedly(&local, &client);
    local.emulator.fail_next(TOKEN, Fault::Hold { when: When::Before });
    tokio::select! {
        biased;
        _ = client.exchange_code(first) => panic!("the call completed"),
        () = local.emulator.received(TOKEN, 1) => {}
    }
    local.emulator.release();
    let error = client.exchange_code(second).await.unwrap_err();
    assert!(matches!(error, SpendError::Unknown(_)), "{error}");
    assert!(error.error().cause() == Cause::InvalidCallback, "{error}");
    assert_eq!(local.emulator.count(TOKEN), 1);
}

#[tokio::test]
async fn o9_exchange_cancelled_at_any_moment_sends_the_code_once() {
    let local = local().await;
    let client = local.outbound(credentials());
    let mut exchanged = 0;
    let mut refused = 0;
    for is_pooled in [false, true] {
        for polls in 1..30 {
            let client = if is_pooled { client.clone() } else { local.outbound(credentials()) };
            let (code, [first, second]) = verify_repeatedly(&local, &client);
            if poll_and_cancel(client.exchange_code(first), polls).await.is_some() {
                continue;
            }
            match client.exchange_code(second).await {
                Ok(_) => {
                    assert_eq!(local.emulator.count_carrying(&code), 1, "after {polls} polls");
                    exchanged += 1;
                }
                Err(error) => {
                    assert!(error.error().cause() == Cause::InvalidCallback, "{error}");
                    assert!(local.emulator.count_carrying(&code) <= 1, "after {polls} polls");
                    refused += 1;
                }
            }
        }
    }
    assert!(exchanged > 0, "no exchange succeeded after a cancelled one");
    assert!(refused > 0, "no exchange was refused after a cancelled one");
}

#[tokio::test]
async fn o9_unsent_code_is_retried_and_returned() {
    let local = local().await;
    let code = code(&local.emulator, &local.outbound(credentials()));
    let settings = Settings::new().clock(auto_advancing_clock()).timeout(TIMEOUT);
    let closed_url: BaseUrl = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::builder(closed_url, credentials()).settings(&settings).build().unwrap();
    let Err(SpendError::Unspent(code, _)) = client.exchange_code(code).await else { panic!() };
    let Err(SpendError::Unspent(code, error)) = client.exchange_code(code).await else { panic!() };
    assert_eq!(error.attempts(), 3);

    // The host does not respond, so the timeout leaves no time for a third attempt. The call must
    // still report that the client sent nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stalled_url: BaseUrl = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let settings = Settings::new().timeout(Duration::from_millis(600)).connect_timeout(Duration::from_millis(200));
    let client = Client::builder(stalled_url, credentials()).settings(&settings).build().unwrap();
    let Err(SpendError::Unspent(code, error)) = client.exchange_code(code).await else { panic!() };
    assert!(!error.may_have_been_sent());
    let _ = local.outbound(credentials()).exchange_code(code).await.unwrap();
}

#[tokio::test]
async fn a5_advice_never_repeats_a_call_with_unknown_outcome() {
    let local = local().await;
    let client = local.outbound(credentials());
    for fault in [Fault::Drop { when: When::After }, Fault::status(503), Fault::reply(403, "<html>")] {
        local.emulator.fail_next(Operation::OutboundToken, fault.clone());
        let error = client.exchange_code(code(&local.emulator, &client)).await.unwrap_err();
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
    // An error with a known outcome keeps its usual advice.
    local.emulator.fail_next(Operation::OutboundToken, Fault::reply(401, r#"{"error":"invalid_client"}"#));
    let error = client.exchange_code(code(&local.emulator, &client)).await.unwrap_err();
    assert_eq!(error.advice(), Advice::FixConfiguration);
}
