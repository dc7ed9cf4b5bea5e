//! Tests a failover that loses a write.

use std::time::SystemTime;

use flinks_consents::{ConsentId, Consents};
use flinks_store_tests::nothing_is_due;

use crate::common::{Tests, run, store};
use crate::support::{self, Proxy, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[("o5_failover_that_lost_a_write_needs_consent", || run(lost_write))];

/// Tests a failover to a replica that missed the last write, so that the new refresh token in that
/// write is lost. A single request to Flinks then reveals that the consent has ended.
async fn lost_write() {
    let mut server = Server::start(&[]);
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let proxy = Proxy::to(&server);
    let machine = || Consents::builder(flinks.client()).store(store(proxy.address())).build();
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
