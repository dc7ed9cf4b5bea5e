//! Tests call timeouts.

use std::time::Duration;

use flinks::connect::{Authorize, AuthorizeToken, Outcome};
use flinks::{Cause, Settings, SpendError};
use flinks_emulator::{Fault, Operation, When};
use tokio::task::JoinHandle;

use crate::outbound_client::credentials;
use crate::{Local, TIMEOUT, auto_advancing_clock, clients, local, local_with, login_id};

/// A timeout that is longer than any wait that the clock completes automatically, but shorter than
/// the default timeouts of the test clients.
const SHORT: Duration = Duration::from_secs(40);

/// Starts a live `/Authorize` call to which the emulator never responds.
async fn start_live_authorize_without_response(
    local: &Local,
) -> JoinHandle<Result<Outcome, SpendError<AuthorizeToken>>> {
    local.emulator.fail_always(Operation::ConnectAuthorize, Fault::Hold { when: When::Before });
    let token = local.authorize_token().await;
    let connect = local.connect.clone();
    let call = tokio::spawn(async move { connect.authorize(token, &Authorize::live(&login_id())).await });
    local.emulator.received(Operation::ConnectAuthorize, 1).await;
    call
}

#[tokio::test]
async fn call_timeout_does_not_shorten_a_live_authorize() {
    let local = local_with(|settings| settings.timeout(Duration::from_secs(40))).await;
    let call = start_live_authorize_without_response(&local).await;
    local.clock.advance(Duration::from_secs(239));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished(), "the call timed out too early");
    local.clock.advance(Duration::from_secs(1));
    assert!(call.await.unwrap().unwrap_err().error().cause() == Cause::Timeout);
}

#[tokio::test]
async fn live_authorize_has_its_own_timeout_setting() {
    let local = local_with(|settings| settings.bank_timeout(Duration::from_secs(60))).await;
    let call = start_live_authorize_without_response(&local).await;
    local.clock.advance(Duration::from_secs(60));
    assert!(call.await.unwrap().unwrap_err().error().cause() == Cause::Timeout);
    // The setting also applies to the HTTP transport, which uses the system clock.
    let clock = auto_advancing_clock();
    let settings = Settings::new().clock(clock).timeout(TIMEOUT).bank_timeout(Duration::ZERO);
    let base_url = local.emulator.base_url().parse().unwrap();
    let (_, connect) = clients(&base_url, &settings);
    let token = local.authorize_token().await;
    assert!(connect.authorize(token, &Authorize::live(&login_id())).await.is_err());
}

#[tokio::test]
async fn with_timeout_changes_the_timeout_of_calls() {
    let mut local = local().await;
    local.connect = local.connect.with_timeout(SHORT);
    let call = start_live_authorize_without_response(&local).await;
    local.clock.advance(SHORT - Duration::from_secs(1));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished(), "the call timed out too early");
    local.clock.advance(Duration::from_secs(1));
    assert!(call.await.unwrap().unwrap_err().error().cause() == Cause::Timeout);

    // `with_timeout` works the same way for Pay and Outbound.
    let hold = || Fault::Hold { when: When::Before };
    local.emulator.fail_next(Operation::PayAuthorize, hold());
    local.emulator.fail_next(Operation::OutboundToken, hold());
    let pay = local.pay.with_timeout(SHORT);
    let outbound = local.outbound(credentials()).with_timeout(SHORT);
    let calls = (
        tokio::spawn(async move { pay.authorize().await.map(drop) }),
        tokio::spawn(async move { outbound.client_credentials(None).await.map(drop) }),
    );
    local.emulator.received(Operation::PayAuthorize, 1).await;
    local.emulator.received(Operation::OutboundToken, 1).await;
    local.clock.advance(SHORT);
    for call in [calls.0, calls.1] {
        assert_eq!(call.await.unwrap().unwrap_err().cause(), Cause::Timeout);
    }
}
