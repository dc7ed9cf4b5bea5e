//! Tests worker leases, the order of due consents and the reporting of ended consents.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::keep_alive::{Lookup, WorkItem, WorkLeases as _};
use flinks_consents::store::{DueWindow, TokenStore as _};
use flinks_consents::{ConsentId, Consents, KeepAlive};

use crate::common::{Database, Tests, keys, record, run};
use crate::support::Flinks;

pub(crate) const WITH_SERVER: Tests = &[
    ("o5_lease_is_held_until_it_expires_or_is_released", || run(leases)),
    ("o5_due_consents_are_listed_in_order_past_unreadable_ones", || run(due)),
    ("o5_due_consents_are_refreshed_once", || run(refreshed)),
    ("o6_ended_consent_is_reported_once", || run(reported)),
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn leases() {
    let database = Database::migrated().await;
    let (one, other) = (database.store(), database.store());
    let minute = Duration::from_secs(60);
    assert_eq!(one.shards(), 256);
    assert!(one.acquire(7, "one", minute).await.unwrap());
    assert!(one.acquire(7, "one", minute).await.unwrap());
    assert!(!other.acquire(7, "other", minute).await.unwrap());
    assert!(other.acquire(8, "other", minute).await.unwrap());
    // Only the holder can release a lease.
    other.release(7, "other").await.unwrap();
    assert!(!other.acquire(7, "other", minute).await.unwrap());
    one.release(7, "one").await.unwrap();
    assert!(other.acquire(7, "other", minute).await.unwrap());
    // The server's clock decides when a lease expires.
    database.sql("UPDATE flinks.work_leases SET expires = expires - 60001");
    assert!(one.acquire(7, "one", Duration::MAX).await.unwrap());
    let day = i64::try_from(DAY.as_millis()).unwrap();
    let rest = database
        .sql("SELECT expires - CAST(extract(epoch FROM now()) * 1000 AS int8) FROM flinks.work_leases WHERE part = 7");
    assert!((day - 300_000..=day).contains(&rest.parse().unwrap()), "{rest}");
    // Only one of several workers acquires the lease.
    database.sql("DELETE FROM flinks.work_leases");
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = one.clone();
            tokio::spawn(async move { store.acquire(3, &number.to_string(), minute).await.unwrap() })
        })
        .collect();
    let mut acquired = 0;
    for task in tasks {
        acquired += usize::from(task.await.unwrap());
    }
    assert_eq!(acquired, 1);
}

/// Creates ids in the given part.
fn ids_in_part(part: u8) -> impl Iterator<Item = ConsentId> {
    let ids = (0..).map(|number| format!("user-{number}").parse::<ConsentId>().unwrap());
    ids.filter(move |id| keys().hidden_name(id).shard() == part)
}

async fn due() {
    let database = Database::migrated().await;
    let store = database.store();
    let now = SystemTime::now();
    let mut ids = Vec::new();
    for (age, id) in (20..28).rev().zip(ids_in_part(9)) {
        let record = record(id.as_str(), "r", now - DAY * age).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
        ids.push(id);
    }
    // This record looks as if it had been written by a machine whose clock was far ahead.
    let ahead = ids_in_part(9).nth(20).unwrap();
    let record = record(ahead.as_str(), "r", now + DAY * 300).await;
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    let expected = [&[ahead], &ids[..5]].concat();

    let window = DueWindow::new(now, DAY * 7 + DAY / 2);
    assert_eq!(store.due(window, 100).await.unwrap(), expected);
    assert_eq!(store.due(window, 3).await.unwrap(), expected[..3]);
    let items = store.due_in(9, window, 100).await.unwrap();
    let names: Vec<_> = expected.iter().map(|id| keys().hidden_name(id).to_string()).collect();
    assert_eq!(items.iter().map(|item| item.name.clone()).collect::<Vec<_>>(), names);
    assert_eq!(store.due_in(9, window, 3).await.unwrap(), items[..3]);
    assert!(store.due_in(8, window, 100).await.unwrap().is_empty());

    let found = store.look_up(&items[1]).await.unwrap();
    assert!(matches!(&found, Lookup::Record(record) if *record.id() == expected[1]), "{found:?}");
    for name in ["", "canary", &"0".repeat(32), &"g".repeat(32)] {
        let missing = WorkItem { shard: 9, name: name.to_owned(), stamp: 0 };
        assert!(matches!(store.look_up(&missing).await.unwrap(), Lookup::Missing), "{name}");
    }
    // Unreadable rows do not hide others, even if there are as many as the limit.
    for name in &names[..3] {
        database.sql(&format!("UPDATE flinks.consents SET value = 'x' WHERE name = '\\x{name}'"));
    }
    assert!(matches!(store.look_up(&items[1]).await.unwrap(), Lookup::Unreadable));
    assert_eq!(store.due(window, 2).await.unwrap(), expected[3..5]);
    assert_eq!(store.due(window, 100).await.unwrap(), expected[3..]);
}

async fn refreshed() {
    let database = Database::migrated().await;
    let flinks = Flinks::start().await;
    let store = database.store();
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let last_refreshed_at = SystemTime::now() - DAY * 28;
    for number in 0..40 {
        let id = format!("user-{number}").parse().unwrap();
        consents.import(&id, flinks.new_refresh_token().await, last_refreshed_at).await.unwrap();
    }
    let before = flinks.refreshes();
    let worker = || {
        let store = database.store();
        KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store).rate(10_000)
    };
    let runs = tokio::join!(
        async { worker().run_once().await.unwrap() },
        async { worker().run_once().await.unwrap() },
        async { worker().run_once().await.unwrap() },
    );
    assert_eq!(runs.0.refreshed + runs.1.refreshed + runs.2.refreshed, 40);
    assert_eq!(flinks.refreshes() - before, 40);
    assert!(store.due(DueWindow::new(SystemTime::now(), DAY * 7), 10).await.unwrap().is_empty());
    assert_eq!(database.sql("SELECT count(*) FROM flinks.work_leases"), "0");
}

async fn reported() {
    let database = Database::migrated().await;
    let flinks = Flinks::start().await;
    let consents = Consents::builder(flinks.client()).store(database.store()).build();
    let unknown_token = || RefreshToken::new("canary-unknown").unwrap();
    let id: ConsentId = "user-7".parse().unwrap();
    let end = async || {
        consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
        assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    };
    let reports = Arc::new(Mutex::new(Vec::new()));
    let report = async || {
        let reports = Arc::clone(&reports);
        let store = database.store();
        let consents = Consents::builder(flinks.client()).store(store.clone()).build();
        let worker = KeepAlive::new(consents, store).on_ended(move |id| reports.lock().unwrap().push(id.clone()));
        worker.run_once().await.unwrap().ended
    };
    end().await;
    // An ended consent that is written again stays unreported, and is reported once.
    let store = database.store();
    let record = store.load(&id).await.unwrap().unwrap();
    assert!(record.is_ended());
    assert!(store.compare_and_swap(Some(record.generation()), &record).await.unwrap());
    assert_eq!(report().await, 1);
    assert!(store.compare_and_swap(Some(record.generation()), &record).await.unwrap());
    assert_eq!(report().await, 0);
    assert_eq!(*reports.lock().unwrap(), std::slice::from_ref(&id));
    // A consent that was renewed and has ended again is reported again.
    let shard = u16::from(keys().hidden_name(&id).shard());
    end().await;
    let listed = store.ended_in(shard, 10).await.unwrap().unwrap();
    assert!(store.is_unreported(&listed[0]).await.unwrap());
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert!(!store.is_unreported(&listed[0]).await.unwrap());
    store.mark_reported(&listed[0]).await.unwrap();
    assert_eq!(report().await, 0);
    end().await;
    // Marking the replaced item does not mark the new end.
    let stale = WorkItem { stamp: listed[0].stamp - 1, ..listed[0].clone() };
    store.mark_reported(&stale).await.unwrap();
    assert_eq!(report().await, 1);
    end().await;
    consents.consent(&id).forget().await.unwrap();
    assert_eq!(report().await, 0);
    assert_eq!(database.sql("SELECT count(*) FROM flinks.consents"), "0");
}
