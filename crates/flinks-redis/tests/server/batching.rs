//! Tests that concurrent calls send their commands together and do not affect each other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use flinks_consents::ConsentId;
use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{Record, StoreError};
use flinks_redis::RedisStore;
use flinks_store_tests::record;
use futures_util::future::join_all;
use futures_util::poll;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::common::{Tests, store};
use crate::support::{FakeServer, Server, record_key};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests =
    &[("error_of_one_call_does_not_affect_calls_sent_together_with_it", || runtime().block_on(separate_errors()))];

/// Tests that do not need `redis-server`.
pub(crate) const ALWAYS: Tests = &[
    ("concurrent_calls_are_sent_by_one_task", || runtime().block_on(one_task())),
    ("call_without_others_spawns_no_task", || runtime().block_on(no_task())),
    ("cancelled_call_sends_nothing", || runtime().block_on(cancelled_call())),
    ("calls_fail_if_the_runtime_that_sends_them_shuts_down", runtime_shutdown),
];

/// Creates a runtime with one thread, so that tasks run only while the test waits.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn id(number: usize) -> ConsentId {
    format!("user-{number}").parse().unwrap()
}

/// Starts a fake server without records, and connects a store to it. Returns the store and a
/// counter of the commands that the server has received.
async fn connected_store() -> (RedisStore, Arc<AtomicUsize>) {
    let commands = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&commands);
    let fake = FakeServer::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(b"$-1\r\n".to_vec())
    });
    let store = store(&fake.address());
    assert!(store.load(&id(0)).await.unwrap().is_none());
    commands.store(0, Ordering::SeqCst);
    (store, commands)
}

async fn one_task() {
    let (store, commands) = connected_store().await;
    tokio::task::yield_now().await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    let ids: Vec<_> = (0..65).map(id).collect();
    let mut calls = pin!(join_all(ids.iter().map(|id| store.load(id))));
    assert!(poll!(&mut calls).is_pending());
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks + 1);
    assert_eq!(commands.load(Ordering::SeqCst), 0);
    assert!(calls.await.into_iter().all(|loaded| loaded.unwrap().is_none()));
    assert_eq!(commands.load(Ordering::SeqCst), 65);
}

async fn cancelled_call() {
    let (store, commands) = connected_store().await;
    let (one, other) = (id(1), id(2));
    let mut alone = store.load(&one);
    let mut cancelled = store.load(&one);
    let mut call = store.load(&other);
    assert!(poll!(&mut alone).is_pending());
    assert!(poll!(&mut cancelled).is_pending());
    assert!(poll!(&mut call).is_pending());
    // The first cancelled call was alone, and the second started a batch.
    drop((alone, cancelled));
    assert!(call.await.unwrap().is_none());
    assert_eq!(commands.load(Ordering::SeqCst), 1);
    drop(store.load(&one));
    assert!(store.load(&other).await.unwrap().is_none());
    assert_eq!(commands.load(Ordering::SeqCst), 2);
}

/// Checks that a call spawns no task if no other call is in progress, even after a cancelled call.
async fn no_task() {
    let (store, _) = connected_store().await;
    tokio::task::yield_now().await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    for _ in 0..2 {
        let id = id(1);
        let mut call = store.load(&id);
        assert!(poll!(&mut call).is_pending());
        assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    }
}

async fn separate_errors() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let mut records: Vec<Record> = Vec::new();
    for name in ["one", "two", "three"] {
        let record = record(name, "canary", SystemTime::now()).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
        records.push(record);
    }
    let key = record_key(records[1].id());
    server.command(&["DEL", &key]);
    server.command(&["LPUSH", &key, "x"]);
    let unknown = id(0);
    let ids = records.iter().map(Record::id).chain([&unknown]);
    let loaded = join_all(ids.map(|id| store.load(id))).await;
    assert_eq!(loaded[0].as_ref().unwrap().as_ref().unwrap().id(), records[0].id());
    assert!(matches!(&loaded[1], Err(StoreError::Damaged(_))), "{:?}", loaded[1]);
    assert_eq!(loaded[2].as_ref().unwrap().as_ref().unwrap().id(), records[2].id());
    assert!(loaded[3].as_ref().unwrap().is_none());
}

fn runtime_shutdown() {
    let (first, second) = (runtime(), runtime());
    let (store, commands) = first.block_on(connected_store());
    let (one, other) = (id(1), id(2));
    // The task that sends the batch belongs to the first runtime and never runs.
    let (mut alone, mut cancelled) = (store.load(&one), store.load(&one));
    first.block_on(async {
        assert!(poll!(&mut alone).is_pending());
        assert!(poll!(&mut cancelled).is_pending());
    });
    let result = second.block_on(async {
        let mut call = pin!(store.load(&other));
        assert!(poll!(&mut call).is_pending());
        drop((alone, cancelled));
        first.shutdown_background();
        call.await
    });
    assert_eq!(result.map(drop), Err(StoreError::unavailable("cannot be reached")));
    assert_eq!(commands.load(Ordering::SeqCst), 0);
    assert!(second.block_on(store.load(&other)).unwrap().is_none());
}
