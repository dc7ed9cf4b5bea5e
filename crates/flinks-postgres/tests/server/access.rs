//! Tests the configuration, credentials and privileges.

use std::time::SystemTime;

use flinks_consents::keep_alive::WorkLeases as _;
use flinks_consents::store::{StoreError, TokenStore as _, conformance};
use flinks_postgres::{PostgresStoreBuilder, Warning};

use crate::common::{Database, Tests, builder, record, run, store};

pub(crate) const WITH_SERVER: Tests = &[
    ("rejected_credentials_are_an_error", || run(credentials)),
    ("privileges_listed_in_the_readme_are_sufficient", || run(privileges)),
    ("too_many_connections_are_an_error", || run(too_many_connections)),
    ("warnings_name_settings_that_can_lose_tokens", || run(warnings)),
];

/// Tests that do not need a server.
pub(crate) const ALWAYS: Tests = &[
    ("configuration_error_names_the_field_and_no_value", || run(configuration)),
    ("unreachable_server_is_unavailable", || run(unreachable_server)),
];

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

async fn configuration() {
    let build_with = |key: &str, value: serde_json::Value| {
        let mut json = serde_json::json!({
            "url": "postgres://app@127.0.0.1:7/app", "name_key": KEY, "keys": format!("2:{KEY},1:{KEY}"), "schema": "app",
        });
        json[key] = value;
        match serde_json::from_value::<PostgresStoreBuilder>(json) {
            Ok(builder) => builder.build().map(drop).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(build_with("timeout_seconds", 2.into()), Ok(()));
    assert_eq!(build_with("max_connections", 2.into()), Ok(()));
    const NOT_KEYS: &str = "keys must be a list of ids and 32-byte keys such as `2:BASE64,1:BASE64`";
    for (key, value, expected) in [
        ("url", "", "url must not be empty"),
        ("name_key", "canary", "name_key must be 32 bytes in base64"),
        ("keys", "1:canary", NOT_KEYS),
        ("keys", &format!("1:{KEY},1:{KEY}"), "keys contains the same key id twice"),
        (
            "schema",
            "can\"ary",
            "schema must consist of at most 63 lower-case letters, digits and underscores, and must not start with a digit or pg_",
        ),
        ("timeout_seconds", "0", "timeout_seconds must be a whole number of seconds, at least 1"),
        ("max_connections", "0", "max_connections must be a whole number, at least 1"),
        ("max_connections", "canary", "max_connections must be a whole number, at least 1"),
        (
            "url",
            "postgres://app:canary@db.internal/app?sslmode=prefer",
            "PostgreSQL address must use `sslmode=verify-full`, unless its host is a loopback address or a Unix socket",
        ),
    ] {
        assert_eq!(build_with(key, value.into()), Err(format!("invalid configuration: {expected}")));
    }
    for url in ["canary", "postgres://app:canary@127.0.0.1:canary"] {
        let error = build_with("url", url.into()).unwrap_err();
        assert!(error.starts_with("invalid configuration: PostgreSQL address must be a URL such as"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let unknown = build_with("canary 7", "canary".into()).unwrap_err();
    assert!(unknown.starts_with("unknown field, expected one of `url`, `name_key`"), "{unknown}");
}

async fn unreachable_server() {
    let port = crate::support::server::free_port();
    let error = store(&format!("postgres://app:canary@127.0.0.1:{port}/app")).load(&"a".parse().unwrap()).await;
    assert_eq!(error.unwrap_err(), StoreError::unavailable("cannot be reached"));
    let error = store("postgres://app:canary@%2Fnonexistent/app").load(&"a".parse().unwrap()).await;
    assert_eq!(error.unwrap_err(), StoreError::unavailable("cannot be reached"));
}

async fn credentials() {
    let server = std::sync::Arc::new(crate::support::Server::start(&[]));
    let database = Database::on(server);
    database.store().migrate().await.unwrap();
    database.sql("CREATE ROLE app LOGIN PASSWORD 'canary-password'; GRANT pg_read_all_data TO app");
    database.sql("GRANT ALL ON ALL TABLES IN SCHEMA flinks TO app; GRANT USAGE ON SCHEMA flinks TO app");
    database.server.set_access_rules("host all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n");
    let id = "a".parse().unwrap();
    assert!(store(&database.url_as("app:canary-password")).load(&id).await.unwrap().is_none());
    for (user, name) in
        [("app:canary-wrong", "a wrong password"), ("app", "no password"), ("nobody:canary", "another user")]
    {
        let error = store(&database.url_as(user)).load(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{name}: {error}");
        assert!(!error.to_string().contains("canary"), "{name}: {error}");
    }
    let other_database = database.server.url("canary_missing");
    let error = store(&other_database).load(&id).await.unwrap_err();
    assert_eq!(error, StoreError::misconfigured("has no database with the configured name"));
}

/// Runs the migrations and every operation with the privileges that the README lists.
async fn privileges() {
    let readme = include_str!("../../README.md");
    let database = Database::new();
    // The roles belong to the whole server, so they have other names here.
    let rename = |line: &str| {
        line.replace("flinks_app", "least_app")
            .replace("flinks_owner", "least_owner")
            .replace("DATABASE app", &format!("DATABASE {}", database.name))
    };
    let lines: Vec<String> = readme.lines().filter(|line| line.starts_with("GRANT ")).map(rename).collect();
    let (before, after): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains("ON DATABASE"));
    assert_eq!((before.len(), after.len()), (1, 3));
    database.sql("CREATE ROLE least_app LOGIN; CREATE ROLE least_owner LOGIN");
    let app = || store(&database.url_as("least_app"));
    let owner = store(&database.url_as("least_owner"));
    assert!(matches!(owner.migrate().await, Err(StoreError::Misconfigured(_))));
    database.sql(&before.join("\n"));
    owner.migrate().await.unwrap();
    // If the schema exists, the privilege to create schemas is not needed.
    database.sql("CREATE SCHEMA other AUTHORIZATION least_owner");
    database.sql(&before.join("\n").replace("GRANT", "REVOKE").replace(" TO ", " FROM "));
    builder(&database.url_as("least_owner")).schema("other").build().unwrap().migrate().await.unwrap();

    let denied = StoreError::misconfigured(
        "denied a statement: the database user needs the privileges listed in the flinks-postgres documentation",
    );
    let id = "a".parse().unwrap();
    assert_eq!(app().load(&id).await.unwrap_err(), denied);
    database.sql(&after.join("\n"));
    conformance::check(app).await.unwrap();
    assert_eq!(app().migrate().await, Ok(()));
    assert!(app().acquire(7, "holder", std::time::Duration::from_secs(60)).await.unwrap());
    app().release(7, "holder").await.unwrap();
    assert_eq!(app().ended_in(7, 10).await.unwrap(), Some(Vec::new()));
    assert!(app().warnings().await.is_ok());
    assert_eq!(database.sql("SELECT has_schema_privilege('least_app', 'flinks', 'CREATE')"), "f");
    database.sql("REVOKE UPDATE ON flinks.consents FROM least_app");
    let record = record("a", "r", SystemTime::now()).await;
    assert!(app().compare_and_swap(None, &record).await.unwrap());
    assert_eq!(app().compare_and_swap(Some(record.generation()), &record).await, Err(denied));
    assert!(app().load(&id).await.unwrap().is_some());
}

async fn too_many_connections() {
    let database = Database::migrated().await;
    database.sql("CREATE ROLE one_connection SUPERUSER LOGIN CONNECTION LIMIT 1");
    // The limit does not apply to superusers.
    database.sql("ALTER ROLE one_connection NOSUPERUSER; GRANT pg_read_all_data, pg_write_all_data TO one_connection");
    let open = || builder(&database.url_as("one_connection")).max_connections(1).build().unwrap();
    let (first, second) = (open(), open());
    let id = "a".parse().unwrap();
    assert!(first.load(&id).await.unwrap().is_none());
    assert_eq!(second.load(&id).await.unwrap_err(), StoreError::unavailable("has too many connections"));
    drop(first);
    // The server takes a short time to notice that the first connection is closed.
    while second.load(&id).await.is_err() {
        tokio::task::yield_now().await;
    }
}

async fn warnings() {
    let database = Database::migrated().await;
    let unsafe_server = [Warning::FsyncOff, Warning::FullPageWritesOff];
    assert_eq!(database.store().warnings().await.unwrap(), unsafe_server);
    database.sql("ALTER TABLE flinks.consents SET UNLOGGED");
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name));
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    assert_eq!(
        database.store().warnings().await.unwrap(),
        [&unsafe_server[..], &[Warning::AsynchronousCommit, Warning::Unlogged, Warning::ReadOnly]].concat()
    );
    // The warnings also check the tables and the name key.
    let missing = builder(&database.url()).schema("missing").build().unwrap();
    assert!(matches!(missing.warnings().await, Err(StoreError::Misconfigured(_))));
}
