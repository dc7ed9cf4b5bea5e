//! Checks that the store's statements use the indexes on a table with many rows.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flinks_consents::Page;
use flinks_consents::keep_alive::{WorkItem, WorkLeases as _};
use flinks_consents::store::{DueWindow, ScanRecords as _, TokenStore as _};

use crate::common::{Database, Tests, record, run};
use crate::support::Server;

pub(crate) const WITH_SERVER: Tests = &[("statements_use_the_indexes", || run(plans))];

/// Calls the store on a server that logs the plan of each statement.
async fn plans() {
    let settings = ["session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0"];
    let server = Arc::new(Server::start(&settings));
    let database = Database::on(Arc::clone(&server));
    let store = database.store();
    store.migrate().await.unwrap();
    // Inserts 50 000 consents of 10 000 owners. Of the consents, 5 are due and 50 have ended.
    database.sql(
        "INSERT INTO flinks.consents (name, part, generation, value, deadline, ended, owner) \
         SELECT h, get_byte(h, 0), n, sha256(h), CASE WHEN n % 1000 = 0 THEN NULL ELSE n * 1000 END, \
         CASE WHEN n % 1000 = 0 THEN n END, substring(sha256(CAST(CAST(n % 10000 AS text) AS bytea)) FROM 1 FOR 16) \
         FROM (SELECT n, substring(sha256(CAST(CAST(n AS text) AS bytea)) FROM 17 FOR 16) AS h \
         FROM generate_series(1, 50000) AS s (n)) AS t",
    );
    database.sql("ANALYZE flinks.consents");
    let record = record("user-7", "r", SystemTime::now()).await;
    let item = WorkItem { shard: 7, name: "07".repeat(16), stamp: 1 };
    let window = DueWindow::new(UNIX_EPOCH + Duration::from_secs(6), Duration::ZERO);
    let (owner, page) = ("owner".parse().unwrap(), Page::first(10));
    let before = std::cell::Cell::new(server.log().len());
    let check = |call: &str, index: &str| {
        let log = server.log();
        let plans = log.get(before.replace(log.len())..).unwrap();
        assert!(plans.contains("Query Text:"), "{call}: {plans}");
        assert!(plans.contains(index), "{call}: {plans}");
        assert!(!plans.contains("Seq Scan on consents"), "{call}: {plans}");
    };
    assert!(store.load(record.id()).await.unwrap().is_none());
    check("load", "consents_pkey");
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    check("insert", "Conflict Arbiter Indexes: consents_pkey");
    assert!(store.compare_and_swap(Some(record.generation()), &record).await.unwrap());
    check("update", "consents_pkey");
    assert!(store.remove(record.id(), record.generation()).await.unwrap());
    check("remove", "consents_pkey");
    assert!(store.list(&owner, &page).await.unwrap().is_empty());
    check("list", "consents_owner");
    assert!(store.scan(None, 10).await.unwrap().records.is_empty());
    check("scan", "consents_pkey");
    assert!(store.due(window, 10).await.unwrap().is_empty());
    check("due", "consents_deadline");
    assert!(store.due_in(7, window, 10).await.unwrap().len() < 10);
    check("due_in", "consents_deadline");
    assert!(store.ended_in(7, 10).await.unwrap().unwrap().len() < 10);
    check("ended_in", "consents_ended");
    assert!(!store.is_unreported(&item).await.unwrap());
    check("is_unreported", "consents_pkey");
    store.mark_reported(&item).await.unwrap();
    check("mark_reported", "consents_pkey");
    assert!(store.acquire(7, "holder", Duration::from_secs(60)).await.unwrap());
    check("acquire", "work_leases_pkey");
}
