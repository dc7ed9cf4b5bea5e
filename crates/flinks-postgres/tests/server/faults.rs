//! Tests server, connection and statement failures.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_consents::store::{StoreError, TokenStore as _};

use crate::common::{Database, Tests, builder, record, run, store};
use crate::support::Server;

pub(crate) const WITH_SERVER: Tests = &[
    ("write_whose_connection_is_terminated_takes_effect_once", || run(terminated_write)),
    ("closed_connections_are_replaced", || run(closed_connections)),
    ("read_only_server_is_unavailable", || run(read_only)),
    ("standby_is_unavailable_until_it_is_promoted", || run(standby)),
    ("server_that_restarts_is_unavailable_meanwhile", || run(restart)),
    ("statement_and_lock_timeouts_are_unavailable", || run(timeouts)),
    ("exhausted_pool_is_an_error", || run(pool_exhausted)),
    ("cancelled_call_does_not_block_later_calls", || run(cancelled)),
];

/// Terminates the connection of a write that waits for a lock, and checks that the store sends the
/// write again and that it takes effect once.
async fn terminated_write() {
    let database = Database::migrated().await;
    let store = database.store();
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    let lock = database.lock_rows().await;
    let write = tokio::spawn({
        let (store, record) = (store.clone(), first.clone());
        async move { store.compare_and_swap(Some(record.generation()), &record).await }
    });
    let processes = database.wait_for_blocked().await;
    database.sql(&format!("SELECT pg_terminate_backend({processes}, 10000)"));
    // The store reads the row, which is not locked for readers, and sends the write again.
    let retried = database.wait_for_blocked().await;
    assert_ne!(retried, processes);
    drop(lock);
    assert_eq!(write.await.unwrap(), Ok(true));

    // A removal is retried in the same way.
    let lock = database.lock_rows().await;
    let removal = tokio::spawn({
        let (store, record) = (store.clone(), first.clone());
        async move { store.remove(record.id(), record.generation()).await }
    });
    let processes = database.wait_for_blocked().await;
    database.sql(&format!("SELECT pg_terminate_backend({processes}, 10000)"));
    database.wait_for_blocked().await;
    drop(lock);
    assert_eq!(removal.await.unwrap(), Ok(true));
    assert_eq!(database.sql("SELECT count(*) FROM flinks.consents"), "0");
}

async fn closed_connections() {
    let database = Database::migrated().await;
    let store = builder(&database.url()).max_connections(4).build().unwrap();
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    for _ in 0..10 {
        let loads: Vec<_> = (0..4)
            .map(|_| {
                let (store, id) = (store.clone(), record.id().clone());
                tokio::spawn(async move { store.load(&id).await })
            })
            .collect();
        for load in loads {
            assert!(load.await.unwrap().unwrap().is_some());
        }
        database.terminate_connections();
        assert_eq!(store.compare_and_swap(Some(record.generation()), &record).await, Ok(true));
        database.terminate_connections();
        assert!(store.load(record.id()).await.unwrap().is_some());
    }
}

async fn read_only() {
    let database = Database::migrated().await;
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(database.store().compare_and_swap(None, &record).await.unwrap());
    let set = |value: &str| {
        let sql = format!("ALTER DATABASE {} SET default_transaction_read_only = {value}", database.name);
        database.server.sql("postgres", &sql);
    };
    set("on");
    let store = database.store();
    assert!(store.load(record.id()).await.unwrap().is_some());
    let read_only = StoreError::unavailable("is read-only, possibly a standby after a failover");
    assert_eq!(store.compare_and_swap(Some(record.generation()), &record).await, Err(read_only.clone()));
    assert_eq!(store.remove(record.id(), record.generation()).await, Err(read_only));
    // The store opens new connections, which may lead to the new primary.
    set("off");
    assert_eq!(store.compare_and_swap(Some(record.generation()), &record).await, Ok(true));
}

async fn standby() {
    let primary = Arc::new(Server::start(&[]));
    let database = Database::on(Arc::clone(&primary));
    database.store().migrate().await.unwrap();
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(database.store().compare_and_swap(None, &record).await.unwrap());
    let standby = primary.start_standby(&[]);
    let store = store(&standby.url(&database.name));
    assert!(store.load(record.id()).await.unwrap().is_some());
    assert_eq!(
        store.compare_and_swap(Some(record.generation()), &record).await,
        Err(StoreError::unavailable("is read-only, possibly a standby after a failover"))
    );
    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}?target_session_attrs=read-write",
        standby.port(),
        primary.port(),
        database.name
    );
    let of_both = crate::common::store(&both);
    assert_eq!(of_both.compare_and_swap(Some(record.generation()), &record).await, Ok(true));
    let only_standby = format!("{}?target_session_attrs=read-write", standby.url(&database.name));
    assert_eq!(
        crate::common::store(&only_standby).load(record.id()).await.unwrap_err(),
        StoreError::unavailable("has no server with the required target_session_attrs")
    );
    standby.promote();
    assert_eq!(store.compare_and_swap(Some(record.generation()), &record).await, Ok(true));
}

async fn restart() {
    let mut server = Server::start(&[]);
    let name = server.create_database();
    let store = store(&server.url(&name));
    store.migrate().await.unwrap();
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    for mode in ["fast", "immediate"] {
        server.stop(mode);
        for outcome in [
            store.load(record.id()).await.map(drop),
            store.compare_and_swap(Some(record.generation()), &record).await.map(drop),
            store.remove(record.id(), record.generation()).await.map(drop),
        ] {
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{mode}: {outcome:?}");
        }
        server.start_again();
        assert!(store.load(record.id()).await.unwrap().is_some(), "{mode}");
        assert_eq!(store.compare_and_swap(Some(record.generation()), &record).await, Ok(true), "{mode}");
    }
}

async fn timeouts() {
    let database = Database::migrated().await;
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(database.store().compare_and_swap(None, &record).await.unwrap());
    let lock = database.lock_rows().await;
    for (setting, reason) in [
        ("statement_timeout", "cancelled a statement, for example because of its statement_timeout"),
        ("lock_timeout", "did not grant a lock in time"),
    ] {
        database.sql(&format!("ALTER DATABASE {} SET {setting} = '50ms'", database.name));
        let store = database.store();
        let outcome = store.compare_and_swap(Some(record.generation()), &record).await;
        assert_eq!(outcome, Err(StoreError::unavailable(reason)));
        // The connection can be used again.
        assert!(store.load(record.id()).await.unwrap().is_some());
        database.sql(&format!("ALTER DATABASE {} RESET {setting}", database.name));
    }
    let impatient = builder(&database.url()).timeout(Duration::from_millis(500)).build().unwrap();
    assert!(impatient.load(record.id()).await.unwrap().is_some());
    let outcome = impatient.compare_and_swap(Some(record.generation()), &record).await;
    assert_eq!(outcome, Err(StoreError::unavailable("did not respond in time")));
    assert!(impatient.load(record.id()).await.unwrap().is_some());
    drop(lock);
}

async fn pool_exhausted() {
    let database = Database::migrated().await;
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(database.store().compare_and_swap(None, &record).await.unwrap());
    let store = builder(&database.url()).timeout(Duration::from_secs(4)).max_connections(1).build().unwrap();
    assert!(store.load(record.id()).await.unwrap().is_some());
    let lock = database.lock_rows().await;
    let blocked = store.compare_and_swap(Some(record.generation()), &record);
    let (blocked, waiting) = tokio::join!(blocked, store.load(record.id()));
    assert_eq!(blocked, Err(StoreError::unavailable("did not respond in time")));
    assert_eq!(
        waiting.unwrap_err(),
        StoreError::unavailable("has no free connection: all connections in the pool are in use")
    );
    drop(lock);
    assert!(store.load(record.id()).await.unwrap().is_some());
}

async fn cancelled() {
    let database = Database::migrated().await;
    let record = record("one", "r1", SystemTime::now()).await;
    assert!(database.store().compare_and_swap(None, &record).await.unwrap());
    let store = builder(&database.url()).max_connections(1).build().unwrap();
    let lock = database.lock_rows().await;
    let write = tokio::spawn({
        let (store, record) = (store.clone(), record.clone());
        async move { store.compare_and_swap(Some(record.generation()), &record).await }
    });
    database.wait_for_blocked().await;
    write.abort();
    assert!(write.await.unwrap_err().is_cancelled());
    // The only connection in the pool was in use. The next call opens another one.
    assert!(store.load(record.id()).await.unwrap().is_some());
    drop(lock);
    assert!(store.load(record.id()).await.unwrap().is_some());
}
