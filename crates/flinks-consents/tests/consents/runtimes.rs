//! Tests that a call returns an error instead of panicking if there is no Tokio runtime or if the
//! runtime lacks a driver.

use std::task::Poll;

use crate::prelude::*;
use crate::without_drivers::{MESSAGE, full, in_each};

fn check_error(error: &ConsentError, given: &str) {
    assert!(error.to_string().ends_with(MESSAGE), "{given}: {error}");
    assert!(!error.may_have_been_sent(), "{given}");
    assert!(!error.is_transient(), "{given}");
    assert_eq!(error.advice(), Advice::FixConfiguration, "{given}");
}

#[test]
fn call_without_a_runtime_returns_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (setup, consent) = runtime.block_on(async {
        let setup = start().await;
        let consent = setup.consent().await;
        (setup, consent)
    });
    let mut call = Box::pin(consent.access_token());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else { panic!("expected an error") };
    check_error(&error, "no runtime");
    let _ = runtime.block_on(consent.access_token()).unwrap();
    assert_eq!(setup.token_requests(), 1);
}

#[test]
fn no_method_panics_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (setup, consents, consent) = runtime.block_on(async {
        let setup = start().await;
        let consents = setup.consents(MemoryStore::new());
        let consent = setup.import(&consents).await;
        (setup, consents, consent)
    });
    fn error<T>(future: impl Future<Output = Result<T, ConsentError>>) -> ConsentError {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match Box::pin(future).as_mut().poll(&mut context) {
            Poll::Ready(Err(error)) => error,
            _ => panic!("expected an error"),
        }
    }
    {
        let _inside = runtime.enter();
        let mut leader = Box::pin(consent.access_token());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(leader.as_mut().poll(&mut context).is_pending());
    }
    // Each of these calls would start a task or wait for the refresh in flight.
    for error in [
        error(consent.access_token()),
        error(consent.refresh_now()),
        error(consents.due_within(DAY, 1)),
        error(consents.flush()),
        error(consent.forget()),
        error(consent.revoke()),
        error(consents.reactivate(&user())),
        error(consent.idle_deadline()),
        error(consents.import(&id("x"), refresh_token(), setup.now())),
    ] {
        check_error(&error, "no runtime");
    }
    let _ = runtime.block_on(consent.access_token()).unwrap();
}

#[test]
fn call_on_a_runtime_without_drivers_returns_the_same_error() {
    let runtime = full();
    let setup = runtime.block_on(start());
    // The client uses the system clock, because a manual clock needs no timer.
    let client = Client::builder(setup.emulator.base_url().parse().unwrap(), credentials()).build().unwrap();
    let consents = Consents::new(client.clone());
    let consent = runtime.block_on(consents.import(&user(), refresh_token(), SystemTime::now())).unwrap();
    in_each(async || consent.access_token().await, check_error, "access token");
    let source = AppTokenSource::new(client, None);
    in_each(async || source.access_token().await, check_error, "app token");
}
