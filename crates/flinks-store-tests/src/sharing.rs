//! Tests consents that several machines share (O4).

use std::sync::Arc;
use std::time::SystemTime;

use flinks_consents::{ConsentId, Consents};

use crate::backend::Backend;
use crate::common::{Tests, open, run};
use crate::flinks::emulator;
use crate::proxy::{Fault, Proxy};

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![
        ("o4_two_machines_make_one_refresh", || run(one_refresh::<B>)),
        ("o5_lost_response_of_the_server_loses_no_new_refresh_token", || run(lost_response::<B>)),
    ]
}

/// Tests two machines that each request the same consent's access token in 50 tasks while neither
/// machine has a cached token.
async fn one_refresh<B: Backend>() {
    let server = B::start();
    let flinks = emulator().await;
    let id: ConsentId = "user-7".parse().unwrap();
    let machines: Vec<Consents> =
        (0..2).map(|_| Consents::builder(flinks.client()).store(open::<B>(&server.address())).build()).collect();
    flinks.rotate_refresh_tokens();
    machines[0].import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let before = flinks.refreshes();
    let barrier = Arc::new(tokio::sync::Barrier::new(100));
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let consent = machines[number % 2].consent(&id);
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                consent.access_token().await.unwrap().expose_secret().to_owned()
            })
        })
        .collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.push(task.await.unwrap());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_eq!(flinks.refreshes() - before, 1);
}

/// Checks that the next refresh uses the new refresh token if the server stored the token but the
/// response to the write was lost.
async fn lost_response<B: Backend>() {
    let server = B::start();
    let flinks = emulator().await;
    flinks.rotate_refresh_tokens();
    let proxy = Proxy::<B>::to(&server);
    let consents = Consents::builder(flinks.client()).store(open::<B>(proxy.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let before = flinks.refreshes();
    // The first two requests load the record and acquire the lease. The third request writes the
    // result.
    proxy.inject(2, Fault::CutAfter);
    let token = consents.consent(&id).access_token().await;
    assert!(proxy.has_injected(), "the fault was not injected");
    if let Err(error) = token {
        assert!(error.is_store(), "{error}");
        consents.flush().await.unwrap();
    }
    // Another machine loads the new refresh token and uses it.
    let other = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    other.consent(&id).access_token().await.unwrap();
    assert_eq!(flinks.refreshes() - before, 1);
    other.consent(&id).refresh_now().await.unwrap();
    assert_eq!(flinks.refreshes() - before, 2);
}
