//! Tests how the store checks addresses, credentials, permissions and certificates.

use std::time::SystemTime;

use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{StoreError, conformance};
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{KeepAlive, Key, RedisStore, RedisStoreBuilder, Warning};
use flinks_store_tests::{create_ended_consents, keys, record};

use crate::common::{NO_OTHER_NODES, Tests, run, store};
use crate::support::{self, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("rejected_credentials_are_an_error", || run(credentials)),
    ("permissions_listed_in_the_readme_are_sufficient", || run(permissions)),
    ("a1_tls_trusts_only_the_configured_authorities", || run(tls)),
];

/// Tests that do not need `redis-server`.
pub(crate) const ALWAYS: Tests = &[
    ("unsafe_address_is_refused", || run(addresses)),
    ("configuration_error_names_the_field_and_no_value", || run(configuration)),
    ("a1_plain_connection_is_allowed_to_one_host_only", || run(plain_connections)),
];

async fn addresses() {
    let error = |address: &str| RedisStore::builder(address, keys()).build().unwrap_err().to_string();
    for address in [
        "redis://redis.internal",
        "redis://10.0.0.1:6379",
        "redis://user:canary@example.com",
        "redis://127.0.0.1.example.com",
    ] {
        assert_eq!(
            error(address),
            "invalid configuration: Redis address must start with rediss:// and verify certificates, unless it is a loopback address"
        );
    }
    for address in ["", "http://127.0.0.1", "canary", "redis://"] {
        let error = error(address);
        assert!(error.contains("Redis address"), "{address}: {error}");
        assert!(!error.contains("canary"), "{address}: {error}");
    }
    assert!(error("rediss://redis.internal/#insecure").contains("must start with rediss://"));
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
    let parse_key = |text: &str| Key::from_base64(text).map(drop).map_err(|error| error.to_string());
    assert_eq!(parse_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), Ok(()));
    for text in ["", "canary", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(parse_key(text), Err("invalid key: expected 32 bytes in base64".to_owned()));
    }
}

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

async fn configuration() {
    let build = |json: serde_json::Value| match serde_json::from_value::<RedisStoreBuilder>(json) {
        Ok(builder) => builder.build().map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let build_with = |key: &str, value: serde_json::Value| {
        let mut json = serde_json::json!({
            "url": "redis://127.0.0.1:7", "name_key": KEY, "keys": format!("2:{KEY},1:{KEY}"), "namespace": "app",
        });
        json[key] = value;
        build(json)
    };
    assert_eq!(build_with("timeout_seconds", 2.into()), Ok(()));
    assert_eq!(build_with("cluster_nodes", "redis://127.0.0.1:8, redis://127.0.0.1:9".into()), Ok(()));
    let outcome = build(serde_json::json!({"url": "redis://127.0.0.1:7", "name_key": KEY}));
    assert_eq!(outcome.unwrap_err(), "invalid configuration: keys is not set");
    const NOT_KEYS: &str = "keys must be a list of ids and 32-byte keys such as `2:BASE64,1:BASE64`";
    for (key, value, expected) in [
        ("url", "", "url must not be empty"),
        ("url", "canary", "Redis address must be a URL such as rediss://redis.internal:6380"),
        (
            "url",
            "redis://redis",
            "Redis address must start with rediss:// and verify certificates, unless it is a loopback address",
        ),
        ("name_key", "canary", "name_key must be 32 bytes in base64"),
        ("keys", "canary", NOT_KEYS),
        ("keys", "1:canary", NOT_KEYS),
        ("keys", &format!("canary:{KEY}"), NOT_KEYS),
        ("keys", &format!("1:{KEY},1:{KEY}"), "keys contains the same key id twice"),
        ("namespace", "can{ary", "namespace must not be empty or contain a brace, white space or a control character"),
        ("timeout_seconds", "0", "timeout_seconds must be a whole number of seconds, at least 1"),
        ("root_certificates", "/canary", "root_certificates names a file that does not exist"),
        ("client_key", "/canary", "client_key names a file that does not exist"),
    ] {
        assert_eq!(build_with(key, value.into()), Err(format!("invalid configuration: {expected}")));
    }
    let unknown = build_with("canary 7", "canary".into()).unwrap_err();
    assert!(unknown.starts_with("unknown field, expected one of `url`, `name_key`"), "{unknown}");
}

async fn plain_connections() {
    let build = |address: &str, host: &str| {
        RedisStore::builder(address, keys()).dangerous_plain_redis_host(host).build().map(drop)
    };
    assert!(build("redis://redis:6379", "redis").is_ok());
    for (address, host) in
        [("redis://other", "redis"), ("redis://api.flinks.io", "api.flinks.io"), ("redis://8.8.8.8", "8.8.8.8")]
    {
        let error = build(address, host).unwrap_err();
        assert_eq!(error.field(), "Redis address", "{error}");
    }
}

async fn credentials() {
    let server = Server::start(&["--requirepass", "canary-password"]);
    let id: ConsentId = "a".parse().unwrap();
    let address = |credentials: &str| server.address().replace("redis://", &format!("redis://{credentials}@"));
    for address in [server.address(), address(":wrong"), address("nobody:canary-password")] {
        assert!(matches!(store(&address).warnings().await, Err(StoreError::Misconfigured(_))));
        let error = store(&address).load(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let accepted = store(&address(":canary-password"));
    let cluster_store =
        RedisStore::builder(address(":canary-password"), keys()).cluster(NO_OTHER_NODES).build().unwrap();
    for store in [cluster_store, store(&format!("{}/99", address(":canary-password")))] {
        let error = store.load(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error}");
    }
    assert!(accepted.load(&id).await.unwrap().is_none());
    server.command_as("canary-password", &["ACL", "SETUSER", "reader", "on", ">canary", "~*", "+get", "+info"]);
    let reader = store(&address("reader:canary"));
    assert!(reader.load(&id).await.unwrap().is_none());
    let record = record("a", "r", SystemTime::now()).await;
    assert_eq!(
        reader.compare_and_swap(None, &record).await,
        Err(StoreError::misconfigured(
            "denied a command: the Redis user needs permission for the commands listed in the flinks-redis documentation"
        ))
    );
    server.command_as("canary-password", &["ACL", "SETUSER", "reader", "-info"]);
    assert_eq!(reader.warnings().await.unwrap(), [Warning::Unknown]);
}

/// Runs every operation as a Redis user that has only the permissions listed in the README.
async fn permissions() {
    let readme = include_str!("../../README.md");
    let list = readme.split_once("permission for these commands: ").unwrap().1.split_once("on a cluster").unwrap().0;
    let commands: Vec<String> = list.split('`').skip(1).step_by(2).map(|name| format!("+{name}")).collect();
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let mut words = vec!["ACL", "SETUSER", "app", "on", ">canary", "~{flinks:*"];
    words.extend(commands.iter().map(String::as_str));
    server.command(&words);
    let store = store(&server.address().replace("redis://", "redis://app:canary@"));
    conformance::check(|| store.clone()).await.unwrap();
    create_ended_consents(&server, &flinks, 1).await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let worker = KeepAlive::new(consents, store.clone()).rate(10_000);
    assert_eq!(worker.run_once().await.unwrap().ended, 1);
    assert_eq!(store.restore_indexes().await, Ok(0));
    assert_eq!(store.warnings().await, Ok(vec![Warning::DoesNotPersist]));
    // The error is the same if only a script calls the command.
    server.command(&["ACL", "SETUSER", "app", "-zadd"]);
    let swapped = store.compare_and_swap(None, &record("b", "r", SystemTime::now()).await).await;
    assert_eq!(
        swapped,
        Err(StoreError::misconfigured(
            "denied a command: the Redis user needs permission for the commands listed in the flinks-redis documentation"
        ))
    );
}

/// Tests TLS with a server that requires a client certificate and whose own certificate was issued
/// by a private authority.
async fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let other = authority();
    let authority = authority();
    std::fs::write(path("authority"), authority.pem()).unwrap();
    let (certificate, key) = certificate(&authority);
    std::fs::write(path("certificate"), &certificate).unwrap();
    std::fs::write(path("key"), &key).unwrap();
    let paths = [path("certificate"), path("key"), path("authority")];
    let files = ["--tls-cert-file", &paths[0], "--tls-key-file", &paths[1], "--tls-ca-cert-file", &paths[2]];
    let server = Server::start_with_tls(&files);
    let address = server.tls_address();
    let id = "a".parse().unwrap();
    let builder_for = |address: &str| RedisStore::builder(address, keys());
    let trusting = || {
        builder_for(&address).root_certificates(authority.pem()).client_certificate(certificate.clone(), key.clone())
    };
    let record = record("a", "r", SystemTime::now()).await;
    let store = trusting().build().unwrap();
    assert_eq!(store.load(&id).await.unwrap().map(drop), None);
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    let rejected = [
        (
            "only the authorities of the platform are trusted",
            builder_for(&address).client_certificate(certificate.clone(), key.clone()),
        ),
        ("only another authority is trusted", trusting().root_certificates(other.pem())),
        ("the client has no certificate", builder_for(&address).root_certificates(authority.pem())),
        (
            "the certificate is for another name",
            builder_for(&address.replace("127.0.0.1", "localhost")).root_certificates(authority.pem()),
        ),
    ];
    for (name, builder) in rejected {
        let loaded = builder.build().unwrap().load(&id).await;
        assert!(matches!(loaded, Err(StoreError::Misconfigured(_))), "{name}: {loaded:?}");
    }
    let plain = builder_for(&address.replace("rediss://", "redis://")).build().unwrap().load(&id).await;
    assert!(plain.is_err());
    for builder in [
        trusting().root_certificates("canary"),
        trusting().client_certificate(certificate.clone(), "canary"),
        builder_for("redis://127.0.0.1").root_certificates(authority.pem()),
    ] {
        assert!(!format!("{builder:?}").contains("canary"));
        assert_eq!(
            builder.build().unwrap_err().to_string(),
            "invalid configuration: certificates must be in PEM format, and can be set only for rediss:// addresses"
        );
    }
    // TLS works the same way with a cluster.
    drop(server);
    let cluster = Server::start_with_tls(&[&files[..], &["--cluster-enabled", "yes", "--tls-cluster", "yes"]].concat());
    cluster.own_all_slots();
    let store = RedisStore::builder(cluster.tls_address(), keys()).cluster(NO_OTHER_NODES);
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

/// Creates a certificate for 127.0.0.1. Returns the certificate and its private key in PEM format.
fn certificate(authority: &rcgen::Issuer<'_, rcgen::KeyPair>) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}
