//! Tests the store on a cluster.

use std::time::{Duration, SystemTime};

use flinks_consents::Consents;
use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{StoreError, conformance};
use flinks_redis::{KeepAlive, RedisStore, Warning};
use flinks_store_tests::keys;

use crate::common::{NO_OTHER_NODES, Tests, run, store};
use crate::support::{self, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o5_store_conforms_on_a_cluster", || run(conforms_on_a_cluster)),
    ("o5_consents_are_spread_over_all_nodes_of_a_cluster", || run(spread_over_three_nodes)),
    ("a1_plain_cluster_redirect_to_another_host_is_not_followed", || run(redirect_to_another_host)),
];

async fn conforms_on_a_cluster() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let loaded = store(&server.address()).load(&"a".parse().unwrap()).await;
    assert!(
        matches!(loaded, Err(StoreError::Unavailable(_) | StoreError::Misconfigured(_))),
        "the cluster has no slots yet: {loaded:?}"
    );
    server.own_all_slots();
    let store = RedisStore::builder(server.address(), keys()).cluster(NO_OTHER_NODES).build().unwrap();
    conformance::check(|| store.clone()).await.unwrap();
    assert_eq!(store.warnings().await.unwrap(), [Warning::DoesNotPersist]);
}

/// Runs every operation on a cluster of three nodes. The store is configured with the address of
/// only one node.
async fn spread_over_three_nodes() {
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
    let due_keys = |server: &Server| server.keys().into_iter().filter(|key| key.ends_with(":due")).collect::<Vec<_>>();
    for server in &servers {
        assert!(!due_keys(server).is_empty(), "a node does not store any records");
        for key in due_keys(server) {
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
    let has_no_records = |server: &Server| server.keys().iter().all(|key| key.contains(":owner:"));
    assert!(servers.iter().all(has_no_records));
}

/// Checks that the store does not connect to another host if the only node in a cluster announces
/// that host's address.
async fn redirect_to_another_host() {
    // If this machine has an address other than the loopback address, the server announces that
    // address. A connection to the announced address would then succeed.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own_address =
        socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|address| address.ip().to_string());
    let own_address = own_address.unwrap_or_else(|_| "127.0.0.1".to_owned());
    let address = if own_address == "127.0.0.1" { "192.0.2.1" } else { own_address.as_str() };
    let bind_arguments = ["--protected-mode", "no", "--bind", "127.0.0.1", &own_address];
    let server =
        Server::start(&[&bind_arguments[..], &["--cluster-enabled", "yes", "--cluster-announce-ip", address]].concat());
    server.own_all_slots();
    let store = RedisStore::builder(server.address(), keys()).cluster(NO_OTHER_NODES).build().unwrap();
    let loaded = store.load(&"a".parse().unwrap()).await;
    assert!(loaded.is_err(), "{loaded:?}");
}
