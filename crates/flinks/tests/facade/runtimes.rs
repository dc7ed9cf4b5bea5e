//! Calls without a tokio runtime, and in runtimes that lack a driver: one typed error, and no panic.

use flinks::connect::{Authorize, LoginId};
use flinks::outbound::{Consents, RefreshToken};
use flinks::{BaseUrl, Error, Settings};
use tokio::runtime::{Builder, Runtime};

use crate::outbound::{client_at, code, credentials};
use crate::{clients, local, login_id, new_session};

const MESSAGE: &str = "it needs a tokio runtime with its time and I/O drivers enabled";

fn full() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn check(error: &Error, given: &str) {
    assert!(error.to_string().ends_with(MESSAGE), "{given}: {error}");
    assert!(!error.may_have_been_sent(), "{given}");
    assert!(!error.is_transient(), "{given}");
    assert_eq!(error.advice(), flinks::Advice::FixConfiguration, "{given}");
}

/// Runs a call in each kind of runtime that does not do.
fn in_each<T>(call: impl AsyncFn() -> Result<T, Error>, given: &str) {
    let without_timer = Builder::new_current_thread().enable_io().build().unwrap();
    let without_io = Builder::new_current_thread().enable_time().build().unwrap();
    let bare = Builder::new_current_thread().build().unwrap();
    for (runtime, which) in [(&without_timer, "no timer"), (&without_io, "no I/O"), (&bare, "neither")] {
        let Err(error) = runtime.block_on(call()) else { panic!("{given}, {which}: a success") };
        check(&error, &format!("{given}, {which}"));
    }
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = std::pin::pin!(call()).poll(&mut context) else { panic!("{given}") };
    check(&error, &format!("{given}, no runtime"));
}

#[test]
fn without_a_suitable_runtime_each_call_is_the_same_typed_error() {
    let runtime = full();
    let local = runtime.block_on(local());
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    // The clock of the machine: that of a test needs no timer.
    let (pay, connect) = clients(&base_url, &Settings::new());
    let outbound_url = base_url.clone();
    let outbound = flinks::outbound::Client::new(base_url, credentials()).unwrap();
    let token = RefreshToken::new("emu_r").unwrap();
    in_each(async || pay.authorize().await, "pay authorize");
    in_each(async || connect.generate_authorize_token().await, "generate authorize token");
    in_each(async || outbound.client_credentials(None).await, "client credentials");
    in_each(async || outbound.refresh(&token).await, "refresh");
    let consents = Consents::new(outbound.clone());
    let id = "user-7".parse().unwrap();
    let _ = runtime.block_on(consents.insert(&id, token, std::time::SystemTime::now())).unwrap();
    in_each(async || consents.consent(&id).access_token().await, "access token");
    let source = flinks::outbound::AppTokenSource::new(outbound.clone(), None);
    in_each(async || source.access_token().await, "app token");
    // A single-use token or a code comes back.
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
    let new = runtime.block_on(code(&local, &client_at(&local, credentials())));
    let Err(flinks::SpendError::Unspent(new, error)) = bare.block_on(outbound.exchange_code(new)) else { panic!() };
    check(&error, "exchange code");
    let tokens = runtime.block_on(outbound.exchange_code(new)).unwrap();
    // A new client: the other one has connections, which another runtime drives.
    let outbound = flinks::outbound::Client::new(outbound_url, credentials()).unwrap();
    in_each(async || outbound.revoke(&tokens.access_token).await, "revoke");
    // A pool has nothing to wait for.
    let pool = flinks::pool::TokenPool::new(pay, 2);
    assert_eq!(bare.block_on(pool.shutdown(std::time::Duration::from_secs(60))), 0);
}
