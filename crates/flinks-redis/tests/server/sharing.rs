//! Tests consents that several machines share (O4).

use std::sync::Arc;
use std::time::SystemTime;

use flinks_consents::{ConsentId, Consents};

use crate::common::{Tests, nothing_is_due, run, store};
use crate::support::{self, Fault, Proxy, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o4_two_machines_make_one_refresh", || run(one_refresh)),
    ("o5_lost_response_of_redis_loses_no_new_refresh_token", || run(lost_response)),
    ("o5_failover_that_lost_a_write_needs_consent", || run(lost_write)),
];

/// Tests two machines that request the access token of the same consent in 50 tasks each, while
/// neither machine has a cached token.
async fn one_refresh() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let id: ConsentId = "user-7".parse().unwrap();
    let machines: Vec<Consents> =
        (0..2).map(|_| Consents::builder(flinks.client()).store(store(&server.address())).build()).collect();
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

/// Checks that the next refresh uses the new refresh token if Redis stored the token but the
/// response to the write was lost.
async fn lost_response() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let proxy = Proxy::to(&server);
    let consents = Consents::builder(flinks.client()).store(store(&proxy.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let before = flinks.refreshes();
    // The first two commands load the record and acquire the lease. The third command writes the
    // result.
    proxy.inject(2, Fault::CutAfter);
    let token = consents.consent(&id).access_token().await;
    assert!(proxy.has_injected(), "the fault was not injected");
    if let Err(error) = token {
        assert!(error.is_store(), "{error}");
        consents.flush().await.unwrap();
    }
    // Another machine loads the new refresh token and uses it.
    let other = Consents::builder(flinks.client()).store(store(&server.address())).build();
    other.consent(&id).access_token().await.unwrap();
    assert_eq!(flinks.refreshes() - before, 1);
    other.consent(&id).refresh_now().await.unwrap();
    assert_eq!(flinks.refreshes() - before, 2);
}

/// Tests a failover to a replica that missed the last write, so that the new refresh token in that
/// write is lost. A single request to Flinks then reveals that the consent has ended.
async fn lost_write() {
    let mut server = Server::start(&[]);
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let proxy = Proxy::to(&server);
    let machine = || Consents::builder(flinks.client()).store(store(&proxy.address())).build();
    let first = machine();
    let id: ConsentId = "user-7".parse().unwrap();
    first.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    while replica.keys() != server.keys() {
        tokio::task::yield_now().await;
    }
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let _ = first.consent(&id).access_token().await.unwrap();
    server.kill();
    proxy.redirect_to(&replica);
    let before = flinks.refreshes();
    let _ = first.consent(&id).access_token().await.unwrap();
    assert_eq!(flinks.refreshes(), before, "the cached token was not returned");
    let other = machine();
    for _ in 0..3 {
        let error = other.consent(&id).access_token().await.unwrap_err();
        assert!(error.needs_consent(), "{error}");
    }
    assert_eq!(flinks.refreshes() - before, 1);
    assert!(nothing_is_due(&replica).await, "the ended consent is still listed");
    // The end user consents again.
    other.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert!(machine().consent(&id).access_token().await.is_ok());
}
