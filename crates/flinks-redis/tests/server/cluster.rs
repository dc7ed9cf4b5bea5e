//! Tests the store on a cluster.

use std::time::{Duration, SystemTime};

use flinks_consents::Consents;
use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{StoreError, conformance};
use flinks_redis::{KeepAlive, RedisStore, Warning};

use crate::common::{NO_OTHER_NODES, Tests, keys, run, store};
use crate::support::{self, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o5_store_conforms_on_a_cluster", || run(conforms_on_a_cluster)),
    ("o5_consents_are_spread_over_all_nodes_of_a_cluster", || run(on_a_cluster_of_three)),
    ("a1_plain_cluster_redirect_to_another_host_is_not_followed", || run(cluster_elsewhere)),
];

async fn conforms_on_a_cluster() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let refused = store(&server.address()).load(&"a".parse().unwrap()).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Misconfigured(_))),
        "no slots yet: {refused:?}"
    );
    server.own_all_slots();
    let store = RedisStore::builder(server.address(), keys()).cluster(NO_OTHER_NODES).build().unwrap();
    conformance::check(|| store.clone()).await.unwrap();
    assert_eq!(store.warnings().await.unwrap(), [Warning::DoesNotPersist]);
}

/// Runs every operation on a cluster, given the address of one of its nodes.
async fn on_a_cluster_of_three() {
    let servers: Vec<Server> = (0..3).map(|_| Server::start(&["--cluster-enabled", "yes"])).collect();
    support::join(&servers);
    let store = RedisStore::builder(servers[1].address(), keys()).cluster(NO_OTHER_NODES).build().unwrap();
    conformance::check(|| store.clone()).await.unwrap();
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let idle = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
    for number in 0..30 {
        consents
            .import(&format!("user-{number}").parse().unwrap(), flinks.new_refresh_token().await, idle)
            .await
            .unwrap();
    }
    let keys = |server: &Server| server.keys().into_iter().filter(|key| key.ends_with(":due")).collect::<Vec<_>>();
    for server in &servers {
        assert!(!keys(server).is_empty(), "a node stores no record");
        for key in keys(server) {
            server.command(&["DEL", &key]);
        }
    }
    assert_eq!(store.restore_indexes().await, Ok(30));
    let worker = KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000);
    assert_eq!(worker.run_once().await.unwrap().refreshed, 30);
    for number in 0..30 {
        let consent = consents.consent(&format!("user-{number}").parse().unwrap());
        let _ = consent.access_token().await.unwrap();
        consent.forget().await.unwrap();
    }
    let is_empty = |server: &Server| server.keys().iter().all(|key| key.contains(":owner:"));
    assert!(servers.iter().all(is_empty));
}

/// The server announces another address, as a node does when it joins.
async fn cluster_elsewhere() {
    // If this machine has an address in its network, a connection to it would succeed.
    let outside = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = outside.connect("192.0.2.1:9").and_then(|()| outside.local_addr()).map(|own| own.ip().to_string());
    let own = own.unwrap_or_else(|_| "127.0.0.1".to_owned());
    let address = if own == "127.0.0.1" { "192.0.2.1" } else { own.as_str() };
    let bound = ["--protected-mode", "no", "--bind", "127.0.0.1", &own];
    let server = Server::start(&[&bound[..], &["--cluster-enabled", "yes", "--cluster-announce-ip", address]].concat());
    server.own_all_slots();
    let store = RedisStore::builder(server.address(), keys()).cluster(NO_OTHER_NODES).build().unwrap();
    let loaded = store.load(&"a".parse().unwrap()).await;
    assert!(loaded.is_err(), "{loaded:?}");
}
