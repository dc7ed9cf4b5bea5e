//! Tests calls without a Tokio runtime and on runtimes that lack a driver. Each call must return
//! the same error and must not panic.

use flinks::connect::{Authorize, LoginId};
use flinks::outbound::RefreshToken;
use flinks::{BaseUrl, Settings};
use tokio::runtime::Builder;

use crate::outbound_client::{code, credentials};
use crate::without_drivers::{check, full, in_each};
use crate::{clients, local, login_id, new_session};

#[test]
fn calls_without_a_suitable_runtime_return_the_same_error() {
    let runtime = full();
    let local = runtime.block_on(local());
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    // The clients use the system clock, because the tests' manual clock does not need a timer.
    let (pay, connect) = clients(&base_url, &Settings::new());
    let outbound_url = base_url.clone();
    let outbound = flinks::outbound::Client::builder(base_url, credentials()).build().unwrap();
    let token = RefreshToken::new("emu_r").unwrap();
    in_each(async || pay.authorize().await, check, "pay authorize");
    in_each(async || connect.generate_authorize_token().await, check, "generate authorize token");
    in_each(async || outbound.client_credentials(None).await, check, "client credentials");
    in_each(async || outbound.refresh(&token).await, check, "refresh");
    // The failed calls return single-use tokens and codes to the caller.
    let bare = Builder::new_current_thread().build().unwrap();
    let session_token = runtime.block_on(pay.authorize()).unwrap();
    let Err(flinks::SpendError::Unspent(session_token, error)) =
        bare.block_on(pay.initiate_session(session_token, &new_session()))
    else {
        panic!()
    };
    check(&error, "initiate session");
    assert!(runtime.block_on(pay.initiate_session(session_token, &new_session())).is_ok());
    let authorize_token = runtime.block_on(connect.generate_authorize_token()).unwrap();
    let login: LoginId = login_id();
    let Err(flinks::SpendError::Unspent(_, error)) =
        bare.block_on(connect.authorize(authorize_token, &Authorize::cached(&login)))
    else {
        panic!()
    };
    check(&error, "authorize");
    let new_code = code(&local.emulator, &local.outbound(credentials()));
    let Err(flinks::SpendError::Unspent(new_code, error)) = bare.block_on(outbound.exchange_code(new_code)) else {
        panic!()
    };
    check(&error, "exchange code");
    let tokens = runtime.block_on(outbound.exchange_code(new_code)).unwrap();
    // A new client is needed, because the connections of the first client belong to another
    // runtime.
    let outbound = flinks::outbound::Client::builder(outbound_url, credentials()).build().unwrap();
    in_each(async || outbound.revoke(&tokens.access_token).await, check, "revoke");
    // Shutting down an idle pool needs no runtime, because the shutdown does not wait.
    let pool = flinks::pool::TokenPool::new(pay, flinks::pool::PoolSize::new(2).unwrap());
    assert_eq!(bare.block_on(pool.shutdown(std::time::Duration::from_secs(60))), 0);
}
