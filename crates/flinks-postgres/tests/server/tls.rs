//! Tests TLS connections.

use std::sync::Arc;
use std::time::SystemTime;

use flinks_consents::store::{StoreError, TokenStore as _};
use flinks_postgres::PostgresStoreBuilder;

use crate::common::{Database, Tests, builder, record, run};
use crate::support::Server;

pub(crate) const WITH_SERVER: Tests = &[
    ("a1_tls_trusts_only_the_configured_authorities", || run(authorities)),
    ("a1_tls_is_required_for_each_mode", || run(no_tls)),
];

/// Tests a server that requires a client certificate and whose own certificate was issued by a
/// private authority.
async fn authorities() {
    let (authority, other) = (create_authority(), create_authority());
    let (certificate, key) = issue(&authority, "127.0.0.1");
    let (client_certificate, client_key) = issue(&authority, "app");
    let server = Server::start(&[]);
    let write = |name: &str, content: &str| server.write_file(name, content.as_bytes()).display().to_string();
    let configuration = format!(
        "ALTER SYSTEM SET ssl_cert_file = '{}'; ALTER SYSTEM SET ssl_key_file = '{}'; \
         ALTER SYSTEM SET ssl_ca_file = '{}'; ALTER SYSTEM SET ssl = on",
        write("certificate", &certificate),
        write("key", &key),
        write("authority", &authority.pem()),
    );
    // Each `ALTER SYSTEM` statement must be sent separately.
    for statement in configuration.split("; ") {
        server.sql("postgres", statement);
    }
    let server = Arc::new(server);
    let database = Database::on(server);
    database.store().migrate().await.unwrap();
    database.sql(
        "CREATE ROLE app LOGIN PASSWORD 'canary-password'; GRANT USAGE ON SCHEMA flinks TO app; \
         GRANT ALL ON ALL TABLES IN SCHEMA flinks TO app",
    );
    // The last rule is only for the test's own statements.
    database.server.set_access_rules(
        "hostssl all app 127.0.0.1/32 scram-sha-256 clientcert=verify-full\nhost all postgres 127.0.0.1/32 trust\n",
    );
    let url = |mode: &str| format!("{}?sslmode={mode}", database.url_as("app:canary-password"));
    let with_client =
        |builder: PostgresStoreBuilder| builder.client_certificate(client_certificate.clone(), client_key.clone());
    let trusting = |url: &str| with_client(builder(url)).root_certificates(authority.pem());
    let record = record("a", "r", SystemTime::now()).await;
    let mut stored = false;
    for mode in ["require", "verify-ca", "verify-full", "verify-full&channel_binding=require"] {
        let store = trusting(&url(mode)).build().unwrap();
        assert_eq!(store.load(record.id()).await.unwrap().is_some(), stored, "{mode}");
        stored |= store.compare_and_swap(None, &record).await.unwrap();
    }
    assert!(stored);
    for mode in ["require", "verify-full"] {
        let url = url(mode);
        let rejected = [
            ("only the authorities of the platform are trusted", with_client(builder(&url))),
            ("only another authority is trusted", trusting(&url).root_certificates(other.pem())),
            ("the client has no certificate", builder(&url).root_certificates(authority.pem())),
            ("the client's certificate is for another user", {
                let (certificate, key) = issue(&authority, "other");
                trusting(&url).client_certificate(certificate, key)
            }),
            ("the client's certificate was issued by another authority", {
                let (certificate, key) = issue(&other, "app");
                trusting(&url).client_certificate(certificate, key)
            }),
            ("the certificate is for another name", trusting(&url.replace("127.0.0.1", "localhost"))),
        ];
        for (name, builder) in rejected {
            let loaded = builder.build().unwrap().load(record.id()).await;
            assert!(matches!(loaded, Err(StoreError::Misconfigured(_))), "{mode}, {name}: {loaded:?}");
        }
    }
    // The server rejects connections without TLS.
    let plain = builder(&database.url_as("app:canary-password")).build().unwrap().load(record.id()).await;
    assert!(matches!(plain, Err(StoreError::Misconfigured(_))), "{plain:?}");
    let url = url("require");
    for builder in [
        trusting(&url).root_certificates("canary"),
        trusting(&url).client_certificate(client_certificate.clone(), "canary"),
        trusting(&url).client_certificate("canary", client_key.clone()),
        trusting(&database.url()),
    ] {
        assert!(!format!("{builder:?}").contains("canary"));
        let error = builder.build().unwrap_err();
        assert!(error.field().contains("certificate"), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

/// Tests a server that does not support TLS.
async fn no_tls() {
    let database = Database::migrated().await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let store = builder(&format!("{}?sslmode={mode}", database.url())).build().unwrap();
        let loaded = store.load(&"a".parse().unwrap()).await;
        assert!(matches!(loaded, Err(StoreError::Misconfigured(_))), "{mode}: {loaded:?}");
    }
}

fn create_authority() -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().unwrap()).unwrap()
}

/// Issues a certificate for a host or a user. Returns the certificate and its private key in PEM
/// format.
fn issue(authority: &rcgen::Issuer<'_, rcgen::KeyPair>, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}
