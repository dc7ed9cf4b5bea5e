//! The store against `redis-server` and against servers that answer as a broken one does.
//!
//! Each test that needs `redis-server` starts its own, on a free port. Where it is not installed, these are listed as ignored.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

#[path = "support/gateway.rs"]
mod gateway;
mod support;

#[path = "../../flinks/tests/shared/log.rs"]
mod log;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks::Settings;
use flinks::outbound::store::{DueWindow, Record, StoreError, TokenStore, conformance};
use flinks::outbound::{Client, ClientAuthentication, ConsentId, Consents, RefreshToken};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore, Warning};
use libtest_mimic::{Arguments, Trial};
use support::{Fake, Fault, Proxy, Server};

fn main() {
    // Of all tests: what they keep from sight begins with `canary`.
    let log = log::Log::capture();
    let _ = flinks_redis::install_default_crypto_provider();
    let has_server = Server::is_installed();
    let with_server: [(&str, fn()); 43] = [
        ("o5_the_store_does_what_every_store_must", || run(conforms)),
        ("o5_the_store_does_so_on_a_cluster_too", || run(conforms_on_a_cluster)),
        ("o5_consents_live_on_all_nodes_of_a_cluster", || run(on_a_cluster_of_three)),
        ("a3_redis_sees_neither_ids_nor_tokens", || run(sees_nothing)),
        ("what_was_moved_or_changed_is_damaged_and_stays", || run(damage)),
        ("garbage_another_type_and_a_newer_version_stay", || run(garbage)),
        ("keys_change_while_it_runs", || run(rotation)),
        ("o5_the_due_are_listed_in_order_and_past_damage", || run(due)),
        ("o5_deadlines_that_are_gone_are_restored", || run(restored)),
        ("o5_deadlines_on_a_cluster_are_restored_too", || run(restored_on_a_cluster)),
        ("who_may_not_enter_is_told_so", || run(credentials)),
        ("a1_tls_takes_a_certificate_of_the_authorities_that_were_given", || run(tls)),
        ("a1_a_cluster_in_clear_text_is_not_followed_elsewhere", || run(cluster_elsewhere)),
        ("a_server_that_may_not_write_loses_nothing", || run(cannot_write)),
        ("a_server_that_restarts_is_found_again", || run(restart)),
        ("what_the_server_should_be_is_told", || run(warnings)),
        ("o4_two_machines_make_one_exchange", || run(one_exchange)),
        ("o5_workers_share_the_work_and_do_it_once", || run(workers)),
        ("o6_a_consent_that_needs_its_user_is_told_once", || run(needs_consent)),
        ("o6_a_consent_that_is_over_is_told_whoever_finds_out_and_dies", || run(told_after_death)),
        ("o6_a_consent_that_is_good_again_is_not_told", || run(good_again)),
        ("o6_a_worker_that_lost_its_part_tells_no_more", || run(part_lost)),
        ("o5_progress_reaches_its_end_past_what_is_damaged_or_gone", || run(progress)),
        ("o5_one_damaged_record_does_not_stop_the_worker_for_the_others", || run(unstored)),
        ("a_user_with_the_rights_of_the_readme_does_all", || run(rights)),
        ("o5_a_lease_that_cannot_be_renewed_ends_the_pass_and_loses_nothing", || run(lease_lost)),
        ("o5_a_failing_server_is_left_alone_and_nothing_is_lost", || run(failing)),
        ("o5_a_worker_that_goes_away_is_followed", || run(resumed)),
        ("o5_a_refresh_elsewhere_since_the_listing_is_not_repeated", || run(refreshed_elsewhere)),
        ("o6_a_pass_behind_a_gateway_stops_and_ends_no_consent", || run(gateway::ends_no_consent)),
        ("o6_suspected_consents_are_tried_after_the_others", || run(gateway::suspected_ones_wait)),
        ("o5_a_consent_from_the_future_is_refreshed_by_a_pass", || run(gateway::from_the_future)),
        ("o6_a_revival_that_fails_reports_no_end_user_again", || run(gateway::reported_once)),
        ("a_call_that_is_kept_and_not_polled_holds_no_connection", || run(unpolled)),
        ("a_server_that_is_slow_is_given_up_and_found_again", || run(slow)),
        ("a_connection_that_the_network_forgot_is_replaced", || run(forgotten)),
        ("a_refusal_is_not_remembered", || run(refused_for_a_while)),
        ("a_deadline_that_cannot_be_stored_changes_nothing", || run(no_deadline)),
        ("o5_a_lost_reply_loses_no_token_that_rotated", || run(lost_reply)),
        ("o5_a_failover_that_lost_a_write_asks_for_the_user", || run(lost_write)),
        ("a_primary_that_became_a_replica_is_left", || run(demoted)),
        ("a_key_for_names_that_cannot_be_looked_at_is_looked_at_later", || run(names_later)),
        ("o5_an_evicted_consent_is_none_and_costs_no_request", || run(evicted)),
    ];
    let always: [(&str, fn()); 4] = [
        ("answers_of_a_broken_server_are_told_as_what_they_are", || run(answers)),
        ("a_server_that_is_silent_is_given_up", || run(silence)),
        ("a_reply_that_nobody_waits_for_is_nobody_elses", || run(late_reply)),
        ("an_address_that_is_not_safe_is_refused", || run(addresses)),
    ];
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let with_server = with_server.map(|(name, test)| match has_server {
        true => trial(name, test),
        false => trial(&format!("{name} (redis-server is not installed)"), test).with_ignored_flag(true),
    });
    let trials = with_server.into_iter().chain(always.map(|(name, test)| trial(name, test)));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    let text = log.text();
    // And the tokens that the emulator gives out: refresh tokens with `emu_`, access tokens as JWTs.
    let secret = text.lines().find(|line| ["canary", "emu_", "eyJ"].iter().any(|secret| line.contains(secret)));
    assert_eq!(secret, None, "a3_no_secret_is_in_the_logs");
    // Its caller logs them, once.
    let warning = text.lines().find(|line| line.contains(&Warning::Evicts.to_string()));
    assert_eq!(warning, None, "warnings_are_returned_and_not_logged");
    conclusion.exit();
}

/// A test may not hang, whatever is broken.
fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test()).await.unwrap() });
}

/// Nodes of a cluster, beside the one whose address is known.
const NO_MORE: [&str; 0] = [];

fn keys() -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]))
}

fn store(address: &str) -> RedisStore {
    RedisStore::builder(address, keys()).build().unwrap()
}

/// A record, which only the facade can make: through a store that keeps what it is given.
async fn record(id: &str, token: &str, exchanged_at: SystemTime) -> Record {
    let store = flinks::outbound::store::MemoryStore::new();
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::new(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).unwrap();
    let consents = Consents::builder(client).store(store.clone()).build();
    let id: ConsentId = id.parse().unwrap();
    consents.insert(&id, RefreshToken::new(token).unwrap(), exchanged_at).await.unwrap();
    store.load(&id).await.unwrap().unwrap()
}

async fn conforms() {
    let server = Server::start(&[]);
    let shared = store(&server.address());
    conformance::check(|| shared.clone()).await.unwrap();
    // As other processes would open it.
    conformance::check(|| store(&server.address())).await.unwrap();
    assert_eq!(server.keys(), Vec::<String>::new());
}

async fn conforms_on_a_cluster() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let refused = store(&server.address()).load(&"a".parse().unwrap()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Refused(_))), "no slots yet: {refused:?}");
    server.own_all_slots();
    let store = RedisStore::builder(server.address(), keys()).cluster(NO_MORE).build().unwrap();
    conformance::check(|| store.clone()).await.unwrap();
    assert_eq!(store.warnings().await.unwrap(), [Warning::DoesNotPersist]);
}

/// All that is done with consents, on a cluster whose address is that of one of its nodes.
async fn on_a_cluster_of_three() {
    let servers: Vec<Server> = (0..3).map(|_| Server::start(&["--cluster-enabled", "yes"])).collect();
    support::join(&servers);
    let store = RedisStore::builder(servers[1].address(), keys()).cluster(NO_MORE).build().unwrap();
    conformance::check(|| store.clone()).await.unwrap();
    let flinks = support::emulator().await;
    flinks.rotates();
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let idle = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
    for number in 0..30 {
        consents
            .insert(&format!("user-{number}").parse().unwrap(), flinks.new_refresh_token().await, idle)
            .await
            .unwrap();
    }
    let keys = |server: &Server| server.keys().into_iter().filter(|key| key.ends_with(":due")).collect::<Vec<_>>();
    for server in &servers {
        assert!(!keys(server).is_empty(), "each node has some");
        keys(server).iter().for_each(|key| server.command(&["DEL", key]));
    }
    assert_eq!(store.restore_deadlines().await, Ok(30));
    let worker = KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000);
    assert_eq!(worker.run_once().await.unwrap().refreshed, 30);
    for number in 0..30 {
        let consent = consents.consent(&format!("user-{number}").parse().unwrap());
        let _ = consent.access_token().await.unwrap();
        consent.forget().await.unwrap();
    }
    assert!(servers.iter().all(|server| server.keys().is_empty()));
}

async fn sees_nothing() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let record = record("canary-user", "canary-token", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    let second = RedisStore::builder(server.address(), keys()).namespace("other").build().unwrap();
    assert!(second.load(record.id()).await.unwrap().is_none(), "another namespace");
    assert!(second.compare_and_swap(None, &record).await.unwrap());
    let all = server.everything();
    assert_eq!(all.len(), 4, "{all:?}");
    for (key, bytes) in &all {
        let text = format!("{key} {}", String::from_utf8_lossy(bytes));
        assert!(!text.contains("canary") && (text.contains("flinks") || text.contains("other")), "{text}");
    }
    // The same record twice is two other values.
    let values: Vec<&Vec<u8>> = all.iter().filter(|(key, _)| !key.ends_with(":due")).map(|(_, bytes)| bytes).collect();
    assert_ne!(values[0], values[1]);
    assert!(
        !format!("{store:?} {:?} {:?}", keys(), RedisStore::builder("redis://:canary@127.0.0.1", keys()))
            .contains("canary")
    );
}

async fn damage() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let (one, other) = (record("one", "r1", SystemTime::now()).await, record("other", "r2", SystemTime::now()).await);
    for record in [&one, &other] {
        assert!(store.compare_and_swap(None, record).await.unwrap());
    }
    let value_keys: Vec<String> = server.keys().into_iter().filter(|key| !key.ends_with(":due")).collect();
    let [first, second] = value_keys.as_slice() else { panic!("{value_keys:?}") };
    let (value, moved) = (server.get(first), server.get(second));
    let generation =
        format!(":{}:", if value_of(&one).await == *first { one.generation() } else { other.generation() });
    let mut changes: Vec<Vec<u8>> = vec![moved, value[..value.len() - 1].to_vec(), value[..30].to_vec()];
    let text = generation.clone().into_bytes();
    let at = value.windows(text.len()).position(|window| window == text).unwrap();
    let mut later = value.clone();
    later.splice(at..at + text.len(), format!(":{}:", 77).into_bytes());
    changes.push(later);
    for index in [0, value.len() / 2, value.len() - 1] {
        let mut flipped = value.clone();
        flipped[index] ^= 1;
        changes.push(flipped);
    }
    let victim = if value_of(&one).await == *first { &one } else { &other };
    for changed in changes {
        server.set(first, &changed);
        let loaded = store.load(victim.id()).await;
        assert!(matches!(loaded, Err(StoreError::Damaged(_) | StoreError::Refused(_))), "{loaded:?}");
        assert_eq!(server.get(first), changed);
    }
    server.set(first, &value);
    assert!(store.load(victim.id()).await.unwrap().is_some());
}

/// The key under which a record lies: the one that changes with it.
async fn value_of(record: &Record) -> String {
    let lone = Server::start(&[]);
    store(&lone.address()).compare_and_swap(None, record).await.unwrap();
    lone.keys().into_iter().find(|key| !key.ends_with(":due")).unwrap()
}

async fn garbage() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let record = record("one", "r1", SystemTime::now()).await;
    let key = value_of(&record).await;
    for (bytes, refused) in
        [(&b""[..], false), (b"x", false), (b"flinks1:", false), (b"flinks1:a:b:c", false), (b"flinks2:7:1:x", true)]
    {
        server.set(&key, bytes);
        let loaded = store.load(record.id()).await.unwrap_err();
        assert_eq!(matches!(loaded, StoreError::Refused(_)), refused, "{loaded}");
        for expected in [None, Some(7), Some(record.generation())] {
            let swapped = store.compare_and_swap(expected, &record).await;
            assert!(!matches!(swapped, Ok(true)), "{swapped:?}");
        }
        assert!(!matches!(store.remove(record.id(), 7).await, Ok(true)));
        assert_eq!(server.get(&key), bytes);
    }
    server.command(&["DEL", &key]);
    server.command(&["HSET", &key, "a", "b"]);
    assert!(matches!(store.load(record.id()).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.compare_and_swap(None, &record).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.remove(record.id(), 7).await, Err(StoreError::Damaged(_))));
    server.command(&["HGET", &key, "a"]);
}

async fn rotation() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    let newer = || EncryptionKeys::new(Key::new([9; 32]), 2, Key::new([2; 32]));
    // A key for names cannot change; without the older key nothing is readable, and nothing is lost.
    store.set_keys(newer());
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Refused(_))));
    store.set_keys(newer().with_decryption_key(1, Key::new([1; 32])).unwrap());
    let loaded = store.load(first.id()).await.unwrap().unwrap();
    assert!(store.compare_and_swap(Some(first.generation()), &loaded).await.unwrap());
    // Written anew, it needs the newer one only.
    store.set_keys(newer());
    assert!(store.load(first.id()).await.unwrap().is_some());
    // The same id with other bytes is no key of it.
    store.set_keys(EncryptionKeys::new(Key::new([7; 32]), 2, Key::new([3; 32])));
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Damaged(_))));
}

async fn due() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let now = SystemTime::now();
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    for number in 0..300_u64 {
        let record = record(&format!("user-{number}"), "r", now - days(29) + Duration::from_secs(number)).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
    }
    let listed = store.due(DueWindow::new(now, days(2)), 40).await.unwrap();
    let expected: Vec<ConsentId> = (0..40).map(|number| format!("user-{number}").parse().unwrap()).collect();
    assert_eq!(listed, expected);
    assert_eq!(store.due(DueWindow::new(now, days(2)), 1000).await.unwrap().len(), 300);
    assert_eq!(store.due(DueWindow::new(now, Duration::ZERO), 1000).await.unwrap(), []);
    // One that is gone behind the store's back, and one that is damaged, do not stand before the others.
    let keys: Vec<String> = server.keys().into_iter().filter(|key| !key.ends_with(":due")).collect();
    server.command(&["DEL", &keys[0]]);
    server.set(&keys[1], b"garbage");
    assert_eq!(store.due(DueWindow::new(now, days(2)), 1000).await.unwrap().len(), 298);
    assert_eq!(server.deadlines(), 299, "what is gone is forgotten, and what is damaged is not");
    assert_eq!(store.due(DueWindow::new(now, days(2)), usize::MAX).await.unwrap().len(), 298);
    // However many they are.
    for key in &keys[2..] {
        server.set(key, b"garbage");
    }
    let last = record("user-last", "r", now - days(28)).await;
    assert!(store.compare_and_swap(None, &last).await.unwrap());
    assert_eq!(store.due(DueWindow::new(now, days(3)), 1).await.unwrap(), [last.id().clone()]);
}

async fn restored() {
    let server = Server::start(&[]);
    restored_in(&server, store(&server.address())).await;
}

async fn restored_on_a_cluster() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    server.own_all_slots();
    restored_in(&server, RedisStore::builder(server.address(), keys()).cluster(NO_MORE).build().unwrap()).await;
}

async fn restored_in(server: &Server, store: RedisStore) {
    let flinks = support::emulator().await;
    let in_two_months = DueWindow::new(SystemTime::now(), Duration::from_secs(5_000_000));
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    for number in 0..300 {
        let record = record(&format!("user-{number}"), "r", SystemTime::now() - Duration::from_secs(number)).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
    }
    let over: ConsentId = "user-7".parse().unwrap();
    assert!(consents.consent(&over).access_token().await.unwrap_err().needs_consent());
    let before = store.due(in_two_months, 1000).await.unwrap();
    assert_eq!((before.len(), store.restore_deadlines().await), (299, Ok(0)));
    let sets: Vec<String> = server.keys().into_iter().filter(|key| key.ends_with(":due")).collect();
    sets.iter().for_each(|set| server.command(&["DEL", set]));
    assert_eq!(store.due(in_two_months, 1000).await.unwrap(), []);
    // What is not ours, or not readable, is left alone.
    server.set("else", b"garbage");
    let longer = RedisStore::builder(server.address(), keys()).namespace("flinks:eu");
    let longer = if server.is_cluster() { longer.cluster(NO_MORE) } else { longer };
    let theirs = record("user-7", "r", SystemTime::now()).await;
    assert!(longer.build().unwrap().compare_and_swap(None, &theirs).await.unwrap());
    let damaged = server.keys().into_iter().find(|key| !key.contains(":eu") && key.len() > 40).unwrap();
    let value = server.get(&damaged);
    server.set_bytes(b"\xff\xfe", b"garbage");
    server.set(&damaged, b"garbage");
    assert_eq!(store.restore_deadlines().await, Ok(298));
    server.set(&damaged, &value);
    assert_eq!((store.restore_deadlines().await, store.restore_deadlines().await), (Ok(1), Ok(0)));
    assert_eq!(store.due(in_two_months, 1000).await.unwrap(), before);
    let other = EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let other = RedisStore::builder(server.address(), other);
    let other = if server.is_cluster() { other.cluster(NO_MORE) } else { other };
    let other = other.build().unwrap();
    assert!(matches!(other.restore_deadlines().await, Err(StoreError::Refused(_))));
    server.command(&["DEL", "{flinks:000}:names"]);
    assert_eq!(other.restore_deadlines().await, Ok(0));
}

/// An authority of its own, and a server that asks for a certificate of its client's, too.
async fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (authority, other) = (authority(), authority());
    std::fs::write(path("authority"), authority.pem()).unwrap();
    let (certificate, key) = certificate(&authority);
    std::fs::write(path("certificate"), &certificate).unwrap();
    std::fs::write(path("key"), &key).unwrap();
    let paths = [path("certificate"), path("key"), path("authority")];
    let files = ["--tls-cert-file", &paths[0], "--tls-key-file", &paths[1], "--tls-ca-cert-file", &paths[2]];
    let server = Server::start_with_tls(&files);
    let (address, id) = (server.tls_address(), "a".parse().unwrap());
    let to = |address: &str| RedisStore::builder(address, keys());
    let good = || to(&address).root_certificates(authority.pem()).client_certificate(certificate.clone(), key.clone());
    let record = record("a", "r", SystemTime::now()).await;
    let store = good().build().unwrap();
    assert_eq!(store.load(&id).await.unwrap().map(drop), None);
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    let refused = [
        ("authorities of the platform", to(&address).client_certificate(certificate.clone(), key.clone())),
        ("another authority", good().root_certificates(other.pem())),
        ("nobody", to(&address).root_certificates(authority.pem())),
        ("another name", to(&address.replace("127.0.0.1", "localhost")).root_certificates(authority.pem())),
    ];
    for (name, builder) in refused {
        let loaded = builder.build().unwrap().load(&id).await;
        assert!(matches!(loaded, Err(StoreError::Refused(_))), "{name}: {loaded:?}");
    }
    let in_clear_text = to(&address.replace("rediss://", "redis://")).build().unwrap().load(&id).await;
    assert!(in_clear_text.is_err());
    for builder in [
        good().root_certificates("canary"),
        good().client_certificate(certificate.clone(), "canary"),
        to("redis://127.0.0.1").root_certificates(authority.pem()),
    ] {
        assert!(!format!("{builder:?}").contains("canary"));
        assert_eq!(
            builder.build().unwrap_err().to_string(),
            "invalid certificates: must be PEM, and need an address with rediss://"
        );
    }
    // A cluster has the same.
    drop(server);
    let cluster = Server::start_with_tls(&[&files[..], &["--cluster-enabled", "yes", "--tls-cluster", "yes"]].concat());
    cluster.own_all_slots();
    let store = RedisStore::builder(cluster.tls_address(), keys()).cluster(NO_MORE);
    let store = store.root_certificates(authority.pem()).client_certificate(certificate, key).build().unwrap();
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    assert!(store.load(&id).await.unwrap().is_some());
}

fn authority() -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().unwrap()).unwrap()
}

/// Of 127.0.0.1, with its key, in PEM.
fn certificate(authority: &rcgen::Issuer<'_, rcgen::KeyPair>) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// Its server tells that it is at another address, as a node that joins does.
async fn cluster_elsewhere() {
    // Where this machine has an address by which others reach it, that would work.
    let outside = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = outside.connect("192.0.2.1:9").and_then(|()| outside.local_addr()).map(|own| own.ip().to_string());
    let own = own.unwrap_or_else(|_| "127.0.0.1".to_owned());
    let address = if own == "127.0.0.1" { "192.0.2.1" } else { own.as_str() };
    let bound = ["--protected-mode", "no", "--bind", "127.0.0.1", &own];
    let server = Server::start(&[&bound[..], &["--cluster-enabled", "yes", "--cluster-announce-ip", address]].concat());
    server.own_all_slots();
    let store = RedisStore::builder(server.address(), keys()).cluster(NO_MORE).build().unwrap();
    let loaded = store.load(&"a".parse().unwrap()).await;
    assert!(loaded.is_err(), "{loaded:?}");
}

async fn credentials() {
    let server = Server::start(&["--requirepass", "canary-password"]);
    let id: ConsentId = "a".parse().unwrap();
    let address = |credentials: &str| server.address().replace("redis://", &format!("redis://{credentials}@"));
    for address in [server.address(), address(":wrong"), address("nobody:canary-password")] {
        assert!(matches!(store(&address).warnings().await, Err(StoreError::Refused(_))));
        let error = store(&address).load(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)) && !error.to_string().contains("canary"), "{error}");
    }
    let good = store(&address(":canary-password"));
    let no_cluster = RedisStore::builder(address(":canary-password"), keys()).cluster(NO_MORE).build().unwrap();
    for store in [no_cluster, store(&format!("{}/99", address(":canary-password")))] {
        let error = store.load(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
    }
    assert!(good.load(&id).await.unwrap().is_none());
    server.command_as("canary-password", &["ACL", "SETUSER", "reader", "on", ">canary", "~*", "+get", "+info"]);
    let reader = store(&address("reader:canary"));
    assert!(reader.load(&id).await.unwrap().is_none());
    let record = record("a", "r", SystemTime::now()).await;
    assert_eq!(reader.compare_and_swap(None, &record).await, Err(StoreError::refused("does not permit the command")));
    server.command_as("canary-password", &["ACL", "SETUSER", "reader", "-info"]);
    assert_eq!(reader.warnings().await.unwrap(), [Warning::Unknown]);
}

async fn cannot_write() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    let before = server.everything();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(
        store.compare_and_swap(Some(first.generation()), &first).await,
        Err(StoreError::unavailable("is out of memory"))
    );
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let swapped = store.compare_and_swap(Some(first.generation()), &first).await;
    assert_eq!(swapped, Err(StoreError::unavailable("is read-only, as after a failover")));
    assert!(store.load(first.id()).await.unwrap().is_some());
    server.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(server.everything(), before);
    assert!(store.remove(first.id(), first.generation()).await.unwrap());
}

async fn restart() {
    let mut server = Server::start(&["--appendonly", "yes"]);
    let store = store(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    server.kill();
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Unavailable(_))));
    server.start_again();
    // The first call may find out that the connection is gone.
    let found = load_until(&store, first.id(), Result::is_ok).await;
    assert_eq!(found.unwrap().unwrap().generation(), first.generation());
}

/// What a load finds, of 21 the first that is what is waited for, or the last.
async fn load_until(
    store: &RedisStore,
    id: &ConsentId,
    is_it: impl Fn(&Result<Option<Record>, StoreError>) -> bool,
) -> Result<Option<Record>, StoreError> {
    for _ in 0..20 {
        let loaded = store.load(id).await;
        if is_it(&loaded) {
            return loaded;
        }
    }
    store.load(id).await
}

async fn warnings() {
    let server = Server::start(&["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "noeviction"]);
    let store = store(&server.address());
    assert_eq!(store.warnings().await.unwrap(), []);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(store.warnings().await.unwrap(), [Warning::Evicts]);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    assert_eq!(store.warnings().await.unwrap(), []);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.warnings().await.unwrap(), [Warning::DoesNotPersist]);
}

/// 2 machines, 50 tasks each, one expired consent.
async fn one_exchange() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let id: ConsentId = "user-7".parse().unwrap();
    let machines: Vec<Consents> =
        (0..2).map(|_| Consents::builder(flinks.client()).store(store(&server.address())).build()).collect();
    flinks.rotates();
    machines[0].insert(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let before = flinks.refreshes();
    let barrier = Arc::new(tokio::sync::Barrier::new(100));
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let (consent, barrier) = (machines[number % 2].consent(&id), Arc::clone(&barrier));
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
    assert_eq!((tokens.len(), flinks.refreshes() - before), (1, 1));
}

/// Consents that idle out in two days, on Redis, and their Flinks.
async fn idle(count: usize) -> (Server, support::Flinks, Vec<ConsentId>) {
    let (server, flinks) = (Server::start(&[]), support::emulator().await);
    let ids: Vec<ConsentId> = (0..count).map(|number| format!("user-{number}").parse().unwrap()).collect();
    make_idle(&server, &flinks, &ids).await;
    (server, flinks, ids)
}

async fn make_idle(server: &Server, flinks: &support::Flinks, ids: &[ConsentId]) {
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    for id in ids {
        let exchanged_at = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
        consents.insert(id, flinks.new_refresh_token().await, exchanged_at).await.unwrap();
    }
}

fn worker(server: &Server, flinks: &support::Flinks) -> KeepAlive {
    let store = store(&server.address());
    KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000)
}

async fn is_nothing_due(server: &Server) -> bool {
    let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
    store(&server.address()).due(in_a_week, 1000).await.unwrap().is_empty()
}

async fn workers() {
    let (server, flinks, ids) = idle(100).await;
    let before = flinks.refreshes();
    let passes: Vec<_> = (0..3)
        .map(|_| {
            let worker = worker(&server, &flinks);
            tokio::spawn(async move { worker.run_once().await.unwrap() })
        })
        .collect();
    let mut kept = 0;
    for pass in passes {
        let summary = pass.await.unwrap();
        assert_eq!((summary.needing_consent, summary.failed), (0, 0), "{summary}");
        kept += summary.refreshed;
    }
    // What was another's while somebody came by is left to the next pass.
    kept += worker(&server, &flinks).run_once().await.unwrap().refreshed;
    assert_eq!((kept, flinks.refreshes() - before), (100, 100));
    assert!(is_nothing_due(&server).await);
    assert!(!server.keys().iter().any(|key| key.ends_with(":worker")), "leases are given back");
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!(summary.to_string(), "0 refreshed, 0 refreshed elsewhere, 0 need their end user, 0 failed");
    drop(ids);
}

async fn needs_consent() {
    let (server, flinks, ids) = idle(10).await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    misconfigured(&server, &flinks).await;
    let dead = RefreshToken::new("canary-dead").unwrap();
    consents.insert(&ids[3], dead, SystemTime::now() - Duration::from_secs(29 * 24 * 60 * 60)).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    for expected in [
        "9 refreshed, 0 refreshed elsewhere, 1 need their end user, 0 failed",
        "0 refreshed, 0 refreshed elsewhere, 0 need their end user, 0 failed",
    ] {
        let kept = Arc::clone(&told);
        let worker = worker(&server, &flinks).on_needs_consent(move |id| {
            kept.lock().unwrap().push(id.clone());
            // As a panic, but nothing is printed.
            std::panic::resume_unwind(Box::new("a callback"));
        });
        assert_eq!(worker.run_once().await.unwrap().to_string(), expected);
        assert_eq!(*told.lock().unwrap(), [ids[3].clone()]);
    }
}

/// An application finds out, and a worker is cut off between its callback and its note of that.
async fn told_after_death() {
    let (server, flinks) =
        (Server::start(&["--appendonly", "yes", "--appendfsync", "always"]), support::emulator().await);
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    let dead = || RefreshToken::new("canary-dead").unwrap();
    consents.insert(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    let told = Arc::new(AtomicUsize::new(0));
    let worker = |dies: bool, server: Arc<Mutex<Server>>| {
        let told = Arc::clone(&told);
        self::worker(&server.clone().lock().unwrap(), &flinks).on_needs_consent(move |_| {
            told.fetch_add(1, Ordering::SeqCst);
            if dies {
                server.lock().unwrap().kill();
            }
        })
    };
    let server = Arc::new(Mutex::new(server));
    assert!(matches!(worker(true, server.clone()).run_once().await, Err(StoreError::Unavailable(_))));
    server.lock().unwrap().start_again();
    server.lock().unwrap().end_leases();
    for (number, expected) in [(1, 2), (0, 2)] {
        let summary = worker(false, server.clone()).run_once().await.unwrap();
        assert_eq!((summary.needing_consent, told.load(Ordering::SeqCst)), (number, expected), "{summary}");
    }
    // One that consented again meanwhile is not told, and is when that is over, too.
    let consents = Consents::builder(flinks.client()).store(store(&server.lock().unwrap().address())).build();
    consents.insert(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.insert(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().needing_consent, 0);
    consents.insert(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().needing_consent, 1);
    // One that is forgotten leaves nothing, told or not.
    consents.insert(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.consent(&id).forget().await.unwrap();
    assert_eq!(server.lock().unwrap().keys(), Vec::<String>::new());
}

/// Consents of the first part that are over.
async fn over(server: &Server, flinks: &support::Flinks, count: usize) -> Vec<ConsentId> {
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_part(name));
    let ids: Vec<ConsentId> = names.take(count).map(|name| name.parse().unwrap()).collect();
    for id in &ids {
        consents.insert(id, RefreshToken::new("canary-dead").unwrap(), SystemTime::now()).await.unwrap();
        assert!(consents.consent(id).access_token().await.unwrap_err().needs_consent());
    }
    ids
}

/// What a callback does in the midst of a pass, to its end.
fn at_once<F: Future<Output = ()> + Send>(work: F) {
    let work = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

/// While the first is told, the end user of the other consents again.
async fn good_again() {
    let (server, flinks) = (Server::start(&[]), support::emulator().await);
    let ids = over(&server, &flinks, 2).await;
    let (fresh, told) = (Mutex::new(Some(flinks.new_refresh_token().await)), Arc::new(AtomicUsize::new(0)));
    let (count, address, client) = (Arc::clone(&told), server.address(), flinks.client());
    let worker = worker(&server, &flinks).on_needs_consent(move |id| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(fresh) = fresh.lock().unwrap().take() {
            let other = ids.iter().find(|other| *other != id).unwrap();
            at_once(async {
                let consents = Consents::builder(client.clone()).store(store(&address)).build();
                consents.insert(other, fresh, SystemTime::now()).await.unwrap();
            });
        }
    });
    assert_eq!(worker.run_once().await.unwrap().needing_consent, 1);
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

/// The first callback outlasts the lease, and another worker comes.
async fn part_lost() {
    part_lost_to_one_who(true).await;
    part_lost_to_one_who(false).await;
}

async fn part_lost_to_one_who(others_are_told: bool) {
    let (server, flinks) = (Arc::new(Server::start(&[])), support::emulator().await);
    over(&server, &flinks, 5).await;
    let told = Arc::new(AtomicUsize::new(0));
    let tells = |worker: KeepAlive| {
        let told = Arc::clone(&told);
        worker.on_needs_consent(move |_| {
            told.fetch_add(1, Ordering::SeqCst);
        })
    };
    let second = Mutex::new(Some(tells(worker(&server, &flinks))));
    let clock = support::Hurried::new(Duration::from_secs(2));
    let client = support::client_of(flinks.address(), &Settings::new().clock(clock.clone()));
    let (store, count, redis) = (store(&server.address()), Arc::clone(&told), Arc::clone(&server));
    let consents = Consents::builder(client).store(store.clone()).build();
    let first = KeepAlive::new(consents, store).on_needs_consent(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(second) = second.lock().unwrap().take() {
            clock.advance(Duration::from_secs(121));
            redis.end_leases();
            if others_are_told {
                at_once(async { assert_eq!(second.run_once().await.unwrap().needing_consent, 5) });
            } else {
                redis.set("{flinks:000}:worker", b"second");
            }
        }
    });
    assert_eq!(first.run_once().await.unwrap().needing_consent, 1);
    // The one that the first worker was at is told again, and no other.
    assert_eq!(told.load(Ordering::SeqCst), if others_are_told { 6 } else { 1 });
}

async fn progress() {
    let (server, flinks, _) = idle(4).await;
    let keys: Vec<String> = server.keys().into_iter().filter(|key| key.len() > 40).collect();
    server.set(&keys[0], b"garbage");
    server.command(&["DEL", &keys[1]]);
    let last = Arc::new(Mutex::new((0, 0)));
    let shown = Arc::clone(&last);
    let worker = worker(&server, &flinks)
        .on_progress(move |progress| *shown.lock().unwrap() = (progress.due, progress.examined));
    let summary = worker.run_once().await.unwrap();
    assert_eq!((summary.refreshed, summary.refreshed_elsewhere, summary.unreadable), (2, 1, 1), "{summary}");
    assert_eq!(*last.lock().unwrap(), (4, 4));
}

/// A token that rotated could not be stored, and then its record is damaged.
async fn unstored() {
    let (server, flinks, ids) = idle(3).await;
    flinks.rotates();
    let proxy = Proxy::to(&server);
    let store = store(&proxy.address());
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    proxy.at(2, Fault::Answer("LOADING"));
    assert!(consents.consent(&ids[0]).exchange_now().await.unwrap_err().is_store());
    let key = value_of(&record(ids[0].as_str(), "r", SystemTime::now()).await).await;
    server.set(&key, b"garbage");
    let summary = KeepAlive::new(consents, store).rate(10_000).run_once().await.unwrap();
    assert_eq!((summary.refreshed, summary.unreadable), (2, 1), "{summary}");
    assert!(summary.unstored.is_some() && summary.to_string().contains("in this process only"), "{summary}");
}

/// All that is done to Redis, as the user whose rights the README names.
async fn rights() {
    let readme = include_str!("../README.md");
    let named = readme.split_once("A user of Redis needs ").unwrap().1.split_once("on a cluster").unwrap().0;
    let commands: Vec<String> = named.split('`').skip(1).step_by(2).map(|name| format!("+{name}")).collect();
    let (server, flinks) = (Server::start(&[]), support::emulator().await);
    let mut words = vec!["ACL", "SETUSER", "app", "on", ">canary", "~{flinks:*"];
    words.extend(commands.iter().map(String::as_str));
    server.command(&words);
    let store = store(&server.address().replace("redis://", "redis://app:canary@"));
    conformance::check(|| store.clone()).await.unwrap();
    over(&server, &flinks, 1).await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let worker = KeepAlive::new(consents, store.clone()).rate(10_000);
    assert_eq!(worker.run_once().await.unwrap().needing_consent, 1);
    assert_eq!(store.restore_deadlines().await, Ok(0));
    assert_eq!(store.warnings().await, Ok(vec![Warning::DoesNotPersist]));
    // What only a script needs is told as what it is, too.
    server.command(&["ACL", "SETUSER", "app", "-zadd"]);
    let swapped = store.compare_and_swap(None, &record("b", "r", SystemTime::now()).await).await;
    assert_eq!(swapped, Err(StoreError::refused("does not permit the command")));
}

/// Somebody puts something else where the lease is, and the clock goes on: the renewal fails while exchanges are under way. The
/// process ends with its pass.
async fn lease_lost() {
    let (server, flinks) = (Server::start(&[]), support::emulator().await);
    flinks.rotates();
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_part(name));
    let ids: Vec<ConsentId> = names.take(40).map(|name| name.parse().unwrap()).collect();
    make_idle(&server, &flinks, &ids).await;
    let before = flinks.refreshes();
    flinks.holds_next(15);
    let clock = support::Hurried::new(Duration::from_secs(2));
    let client = support::client_of(flinks.address(), &Settings::new().clock(clock.clone()));
    let (address, server, is_lost) = (server.address(), Arc::new(server), AtomicUsize::new(0));
    let spoil = {
        let server = Arc::clone(&server);
        move |progress: &flinks_redis::Progress| {
            if progress.summary.refreshed > 0 && is_lost.fetch_add(1, Ordering::SeqCst) == 0 {
                server.command(&["DEL", "{flinks:000}:worker"]);
                server.command(&["HSET", "{flinks:000}:worker", "a", "b"]);
                clock.advance(Duration::from_secs(21));
            }
        }
    };
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = store(&address);
        let consents = Consents::builder(client).store(store.clone()).build();
        runtime.block_on(KeepAlive::new(consents, store).rate(10_000).max_concurrency(16).on_progress(spoil).run_once())
    });
    // One reply goes on, and the others do when the renewal has failed.
    while !server.info().contains("errorstat_WRONGTYPE") {
        tokio::task::yield_now().await;
    }
    flinks.releases();
    let failed = tokio::task::spawn_blocking(|| process.join().unwrap()).await.unwrap();
    assert!(matches!(failed, Err(StoreError::Damaged(_))), "{failed:?}");
    let done = flinks.refreshes() - before;
    assert!((1..40).contains(&done), "{done}");
    server.end_leases();
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!((summary.refreshed, summary.failed, summary.needing_consent), (40 - done, 0, 0), "{summary}");
}

/// By its name, as the store makes it.
fn is_in_first_part(id: &str) -> bool {
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(id.as_bytes());
    mac.finalize().into_bytes().first() == Some(&0)
}

/// What a worker cannot read it says, and does not go round in circles.
async fn misconfigured(server: &Server, flinks: &support::Flinks) {
    let with = |keys: EncryptionKeys| {
        let store = RedisStore::builder(server.address(), keys).build().unwrap();
        KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store)
    };
    let unreadable = with(EncryptionKeys::new(Key::new([7; 32]), 2, Key::new([2; 32]))).run_once().await.unwrap();
    assert_eq!((unreadable.unreadable, unreadable.refreshed), (10, 0), "{unreadable}");
    let other = || EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let other_names = StoreError::refused("was written with another name key");
    assert_eq!(with(other()).run_once().await.unwrap_err(), other_names);
    // The same if the fingerprint is lost.
    server.command(&["DEL", "{flinks:000}:names"]);
    let pass = with(other()).run_once().await.unwrap();
    assert_eq!((pass.unreadable, pass.refreshed), (10, 0), "{pass}");
    let right = store(&server.address());
    assert_eq!(right.load(&"user-7".parse().unwrap()).await.unwrap_err(), other_names);
    server.command(&["DEL", "{flinks:000}:names"]);
    assert!(right.load(&"user-7".parse().unwrap()).await.unwrap().is_some());
    // Consents whose records are in another store.
    let elsewhere = Consents::builder(flinks.client()).build();
    let pass = KeepAlive::new(elsewhere, store(&server.address())).run_once().await.unwrap();
    assert_eq!((pass.refreshed, pass.refreshed_elsewhere), (0, 10), "{pass}");
}

/// After the first refresh, an application refreshes the others that were listed with it.
async fn refreshed_elsewhere() {
    let (server, flinks) = (Server::start(&[]), support::emulator().await);
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_part(name));
    let ids: Vec<ConsentId> = names.take(10).map(|name| name.parse().unwrap()).collect();
    make_idle(&server, &flinks, &ids).await;
    let before = flinks.refreshes();
    let (address, client, done) = (server.address(), flinks.client(), AtomicUsize::new(0));
    let worker = worker(&server, &flinks).max_concurrency(1).on_progress(move |progress| {
        if progress.summary.refreshed == 1 && done.fetch_add(1, Ordering::SeqCst) == 0 {
            at_once(async {
                let consents = Consents::builder(client.clone()).store(store(&address)).build();
                for id in consents.due(Duration::from_secs(7 * 24 * 60 * 60), 100).await.unwrap() {
                    consents.consent(&id).exchange_now().await.unwrap();
                }
            });
        }
    });
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.refreshed, 1, "{summary}");
    assert_eq!(summary.refreshed_elsewhere, 9, "{summary}");
    assert_eq!(flinks.refreshes() - before, 10);
}

async fn failing() {
    let (server, flinks, _) = idle(100).await;
    let before = flinks.refreshes();
    flinks.fails(true);
    // The waits between tries, of up to 30 seconds, are over at once; the deadlines are longer.
    let long = Duration::from_secs(1000);
    let settings = Settings::new().clock(support::Hurried::new(Duration::from_secs(31))).timeout(long);
    let store = store(&server.address());
    let consents =
        Consents::builder(support::client_of(flinks.address(), &settings)).store(store.clone()).store_timeout(long);
    let hurried = KeepAlive::new(consents.build(), store).rate(10_000).max_concurrency(1);
    let summary = hurried.run_once().await.unwrap();
    assert!(summary.refreshed == 0 && summary.failed == 20 && summary.stopped.is_some(), "{summary}");
    assert!(summary.to_string().contains("20 times in a row"), "{summary}");
    // A try and two more of each: not a hundred times that.
    assert_eq!(flinks.refreshes() - before, 60);
    flinks.fails(false);
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!((summary.refreshed, summary.failed), (100, 0), "{summary}");
    assert!(is_nothing_due(&server).await);
}

async fn resumed() {
    let (server, flinks, _) = idle(60).await;
    let before = flinks.refreshes();
    let (begun, tell) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let first = {
        let (begun, tell) = (Arc::clone(&begun), Arc::clone(&tell));
        worker(&server, &flinks).on_progress(move |progress| {
            if progress.summary.refreshed == 10 && tell.fetch_add(1, Ordering::SeqCst) == 0 {
                begun.notify_one();
            }
        })
    };
    tokio::select! {
        _ = first.run_once() => panic!("it was to be stopped"),
        () = begun.notified() => {}
    }
    // A lease may still be there: the part is its own until that ends, and all others are done.
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert!(summary.shards_leased_elsewhere <= 1 && summary.failed == 0, "{summary}");
    server.end_leases();
    worker(&server, &flinks).run_once().await.unwrap();
    assert!(is_nothing_due(&server).await);
    assert_eq!(flinks.refreshes() - before, 60, "none twice");
}

async fn slow() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(&server);
    let store = RedisStore::builder(proxy.address(), keys()).timeout(Duration::from_millis(500)).build().unwrap();
    let (one, other) = (record("one", "r1", SystemTime::now()).await, record("other", "r2", SystemTime::now()).await);
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    proxy.hold(true);
    assert!(matches!(store.compare_and_swap(None, &other).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Unavailable(_))));
    proxy.hold(false);
    // It was stored after all, and nobody gets the replies that came too late.
    let found = load_until(&store, other.id(), Result::is_ok).await;
    assert_eq!(found.unwrap().unwrap().id(), other.id());
    assert_eq!(store.load(one.id()).await.unwrap().unwrap().id(), one.id());
}

/// Its first connection goes silent for ever, and a second one would work.
async fn forgotten() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(&server);
    let store = RedisStore::builder(proxy.address(), keys()).timeout(Duration::from_millis(500)).build().unwrap();
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    proxy.forget_connections();
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Unavailable(_))));
    assert!(store.load(one.id()).await.unwrap().is_some());
    // Many who wait for a server that is silent wait no longer than one.
    proxy.hold(true);
    let start = std::time::Instant::now();
    let calls = (0..50).map(|_| store.compare_and_swap(None, &one));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_err));
    // One after the other, they would take 25 seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// The password is another one for a moment, in which the connection ends.
async fn refused_for_a_while() {
    let server = Server::start(&["--requirepass", "one"]);
    let store = store(&server.address().replace("redis://", "redis://:one@"));
    let id: ConsentId = "a".parse().unwrap();
    assert!(store.load(&id).await.unwrap().is_none());
    server.command_as("one", &["CONFIG", "SET", "requirepass", "two"]);
    server.command_as("two", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let refused = load_until(&store, &id, |loaded| matches!(loaded, Err(StoreError::Refused(_)))).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    server.command_as("two", &["CONFIG", "SET", "requirepass", "one"]);
    assert!(store.load(&id).await.unwrap().is_none());
}

async fn no_deadline() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    let [key, due] = server.keys().try_into().unwrap();
    let before = server.get(&key);
    server.command(&["DEL", &due]);
    server.set(&due, b"something else");
    assert!(matches!(store.compare_and_swap(Some(one.generation()), &one).await, Err(StoreError::Refused(_))));
    assert!(matches!(store.remove(one.id(), one.generation()).await, Err(StoreError::Refused(_))));
    assert_eq!((server.get(&key), server.get(&due)), (before, b"something else".to_vec()));
}

/// The reply to the write that stores a rotated token is lost: the token is there, and is exchanged again without another's.
async fn lost_reply() {
    let (server, flinks) = (Server::start(&[]), support::emulator().await);
    flinks.rotates();
    let proxy = Proxy::to(&server);
    let consents = Consents::builder(flinks.client()).store(store(&proxy.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    consents.insert(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let before = flinks.refreshes();
    // After the load and the claim.
    proxy.at(2, Fault::CutAfter);
    let token = consents.consent(&id).access_token().await;
    assert!(proxy.is_done(), "the reply was lost");
    if let Err(error) = token {
        assert!(error.is_store(), "{error}");
        consents.flush().await.unwrap();
    }
    // Another machine has the token, and goes on from the refresh token that rotated.
    let other = Consents::builder(flinks.client()).store(store(&server.address())).build();
    other.consent(&id).access_token().await.unwrap();
    assert_eq!(flinks.refreshes() - before, 1);
    other.consent(&id).exchange_now().await.unwrap();
    assert_eq!(flinks.refreshes() - before, 2);
}

/// A replica that has not got the last write takes over: the token that rotated in it is gone, which is told after one request.
async fn lost_write() {
    let (mut server, flinks) = (Server::start(&[]), support::emulator().await);
    flinks.rotates();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let proxy = Proxy::to(&server);
    let machine = || Consents::builder(flinks.client()).store(store(&proxy.address())).build();
    let (first, id): (_, ConsentId) = (machine(), "user-7".parse().unwrap());
    first.insert(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    while replica.keys() != server.keys() {
        tokio::task::yield_now().await;
    }
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let _ = first.consent(&id).access_token().await.unwrap();
    server.kill();
    proxy.switch_to(&replica);
    let before = flinks.refreshes();
    let _ = first.consent(&id).access_token().await.unwrap();
    assert_eq!(flinks.refreshes(), before, "what is in memory serves");
    let other = machine();
    for _ in 0..3 {
        let error = other.consent(&id).access_token().await.unwrap_err();
        assert!(error.needs_consent(), "{error}");
    }
    assert_eq!(flinks.refreshes() - before, 1);
    assert!(is_nothing_due(&replica).await, "it is over");
    // And the end user consents again.
    other.insert(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert!(machine().consent(&id).access_token().await.is_ok());
}

/// The primary goes on as a replica, and what leads to it leads to the new one.
async fn demoted() {
    let (server, other) = (Server::start(&[]), Server::start(&[]));
    let proxy = Proxy::to(&server);
    let store = store(&proxy.address());
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    server.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    proxy.switch_to(&other);
    let two = record("two", "r2", SystemTime::now()).await;
    assert!(matches!(store.compare_and_swap(None, &two).await, Err(StoreError::Unavailable(_))));
    assert!(store.compare_and_swap(None, &two).await.unwrap());
    assert_eq!(other.keys().len(), 2);
}

/// One that connects while Redis can say nothing of its key for names is not taken for right.
async fn names_later() {
    let server = Server::start(&[]);
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store(&server.address()).compare_and_swap(None, &one).await.unwrap());
    let keys = EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let wrong = RedisStore::builder(server.address(), keys).build().unwrap();
    server.command(&["RENAME", "{flinks:000}:names", "{flinks:000}:aside"]);
    server.command(&["HSET", "{flinks:000}:names", "a", "b"]);
    assert!(wrong.load(one.id()).await.unwrap().is_none());
    server.command(&["RENAME", "{flinks:000}:aside", "{flinks:000}:names"]);
    let refused = StoreError::refused("was written with another name key");
    assert_eq!(wrong.load(one.id()).await.unwrap_err(), refused);
    assert_eq!(wrong.compare_and_swap(None, &one).await, Err(refused));
}

/// Redis is full, and evicts whatever it likes.
async fn evicted() {
    let (server, flinks) = (Server::start(&["--maxmemory-policy", "allkeys-random"]), support::emulator().await);
    let store = store(&server.address());
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let id: ConsentId = "user-7".parse().unwrap();
    consents.insert(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let key = server.keys().into_iter().find(|key| !key.ends_with(":due")).unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", &(server.used_memory() + 1_000_000).to_string()]);
    assert!(store.warnings().await.unwrap().contains(&Warning::Evicts));
    for number in 0..100_000 {
        server.set(&format!("else-{number}"), &[0; 10_000]);
        if !server.keys().contains(&key) {
            break;
        }
    }
    let before = flinks.refreshes();
    let error = consents.consent(&id).access_token().await.unwrap_err();
    assert!(error.needs_consent() && !error.may_have_been_sent(), "{error}");
    assert_eq!(flinks.refreshes(), before);
    let worker = worker(&server, &flinks).within(Duration::from_secs(29 * 24 * 60 * 60));
    let summary = worker.run_once().await.unwrap();
    assert_eq!((summary.refreshed, summary.failed), (0, 0), "{summary}");
}

async fn answers() {
    let record = record("one", "r1", SystemTime::now()).await;
    let unavailable = StoreError::unavailable;
    for (answer, expected) in [
        ("-LOADING canary is loading", unavailable("is starting")),
        ("-READONLY canary", unavailable("is read-only, as after a failover")),
        ("-OOM canary", unavailable("is out of memory")),
        ("-MISCONF canary", unavailable("cannot write to its disk")),
        ("-CLUSTERDOWN canary", unavailable("is changing its cluster, or is busy")),
        ("-MASTERDOWN canary", unavailable("is changing its cluster, or is busy")),
        ("-TRYAGAIN canary", unavailable("is changing its cluster, or is busy")),
        ("-BUSY canary", unavailable("is changing its cluster, or is busy")),
        ("-ERR canary", unavailable("returned an unexpected reply")),
        (
            "-ERR Error running script: @user_script:2: WRONGTYPE canary",
            StoreError::damaged("holds a value that is not a record"),
        ),
        ("-NOAUTH canary", StoreError::refused("refuses the credentials")),
        ("-NOPERM canary", StoreError::refused("does not permit the command")),
        ("-MOVED 7 127.0.0.1:7", StoreError::refused("is a cluster, but was not configured as one")),
        ("-CROSSSLOT canary", StoreError::refused("is a cluster, but was not configured as one")),
        ("*1\r\n+canary", unavailable("returned an unexpected reply")),
        ("!canary", unavailable("returned an unexpected reply")),
    ] {
        let fake = Fake::start(move |_| Some(format!("{answer}\r\n").into_bytes()));
        let store = store(&fake.address());
        assert_eq!(store.compare_and_swap(None, &record).await, Err(expected), "{answer}");
        let loaded = store.load(record.id()).await;
        assert!(matches!(&loaded, Err(error) if !error.to_string().contains("canary")), "{answer}: {loaded:?}");
    }
    // A server that hangs up.
    let fake = Fake::hanging_up();
    assert_eq!(store(&fake.address()).load(record.id()).await.unwrap_err(), unavailable("cannot be reached"));
    let nobody = store("redis://127.0.0.1:1").load(record.id()).await;
    assert!(matches!(nobody, Err(StoreError::Unavailable(_))), "{nobody:?}");
}

async fn silence() {
    let fake = Fake::start(|_| None);
    let store = RedisStore::builder(fake.address(), keys()).timeout(Duration::from_millis(50)).build().unwrap();
    let record = record("one", "r1", SystemTime::now()).await;
    let late = StoreError::unavailable("did not answer in time");
    assert_eq!(store.load(record.id()).await.unwrap_err(), late);
    assert_eq!(store.compare_and_swap(None, &record).await, Err(late.clone()));
    assert_eq!(store.remove(record.id(), 1).await, Err(late.clone()));
    assert_eq!(store.due(DueWindow::new(SystemTime::now(), Duration::ZERO), 1).await, Err(late.clone()));
    assert_eq!(store.warnings().await, Err(late.clone()));
}

/// The first call goes away while its reply is on the way; the second one gets its own.
async fn late_reply() {
    let (first, second) = (record("one", "r1", SystemTime::now()).await, record("two", "r2", SystemTime::now()).await);
    let value = Arc::new(Mutex::new(Vec::new()));
    // What the second one should get, as this store writes it.
    let lone = {
        let kept = Arc::clone(&value);
        Fake::start(move |words| {
            if words[0].eq_ignore_ascii_case(b"EVALSHA") {
                *kept.lock().unwrap() = words[7].clone();
            }
            Some(b":1\r\n".to_vec())
        })
    };
    store(&lone.address()).compare_and_swap(None, &second).await.unwrap();
    let wanted = value.lock().unwrap().clone();

    let (arrived, calls) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let fake = {
        let (arrived, calls, wanted) = (Arc::clone(&arrived), Arc::clone(&calls), wanted.clone());
        Fake::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => {
                arrived.notify_one();
                Some(Vec::new())
            }
            // Both replies, in the order of the calls: the first is of a consent that does not exist.
            _ => Some([b"$-1\r\n", format!("${}\r\n", wanted.len()).as_bytes(), &wanted, b"\r\n"].concat()),
        })
    };
    let store = store(&fake.address());
    tokio::select! {
        _ = store.load(first.id()) => panic!("answered"),
        () = arrived.notified() => {}
    }
    let loaded = store.load(second.id()).await.unwrap().unwrap();
    assert_eq!(loaded.id(), second.id());
}

async fn unpolled() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let mut kept = Box::pin(consents.due(Duration::from_secs(60), 10));
    let is_pending = std::future::poll_fn(|context| std::task::Poll::Ready(kept.as_mut().poll(context).is_pending()));
    assert!(is_pending.await);
    assert!(store.load(&"user-7".parse().unwrap()).await.unwrap().is_none());
    drop(kept);
}

async fn addresses() {
    let problem = |address: &str| RedisStore::builder(address, keys()).build().unwrap_err().to_string();
    for address in [
        "redis://redis.internal",
        "redis://10.0.0.1:6379",
        "redis://user:canary@example.com",
        "redis://127.0.0.1.example.com",
    ] {
        assert_eq!(problem(address), "invalid Redis address: expected rediss://, or a server on this machine");
    }
    for address in ["", "http://127.0.0.1", "canary", "redis://"] {
        let problem = problem(address);
        assert!(problem.contains("Redis address") && !problem.contains("canary"), "{address}: {problem}");
    }
    assert!(problem("rediss://redis.internal/#insecure").contains("expected rediss://"));
    for address in [
        "redis://127.0.0.1",
        "redis://localhost:7000/3",
        "redis://[::1]:7",
        "rediss://redis.internal:6380",
        "unix:///tmp/redis.sock",
    ] {
        assert!(RedisStore::builder(address, keys()).build().is_ok(), "{address}");
    }
    for namespace in ["", "a{b", "a b", "a\n"] {
        assert!(
            RedisStore::builder("redis://127.0.0.1", keys()).namespace(namespace).build().is_err(),
            "{namespace:?}"
        );
    }
    let key = |text: &str| Key::from_base64(text).map(drop).map_err(|error| error.to_string());
    assert_eq!(key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), Ok(()));
    for text in ["", "canary", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(key(text), Err("invalid key: expected 32 bytes in base64".to_owned()));
    }
}
