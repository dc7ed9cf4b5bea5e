//! Tests the store with servers that send unexpected responses or no response.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{DueWindow, StoreError};
use flinks_redis::RedisStore;
use flinks_store_tests::{keys, record};

use crate::common::{Tests, run, store};
use crate::support::FakeServer;

/// Tests that do not need `redis-server`.
pub(crate) const ALWAYS: Tests = &[
    ("unexpected_responses_have_descriptive_errors", || run(unexpected_responses)),
    ("silent_server_times_out", || run(silent_server)),
    ("late_response_is_not_returned_to_another_call", || run(late_response)),
];

async fn unexpected_responses() {
    let record = record("one", "r1", SystemTime::now()).await;
    let unavailable = StoreError::unavailable;
    for (response, expected) in [
        ("-LOADING canary is loading", unavailable("is still loading its data")),
        ("-READONLY canary", unavailable("is a read-only replica, possibly after a failover")),
        ("-OOM canary", unavailable("is out of memory")),
        ("-MISCONF canary", unavailable("failed to write to disk")),
        ("-CLUSTERDOWN canary", unavailable("is busy, or is reconfiguring its cluster")),
        ("-MASTERDOWN canary", unavailable("is busy, or is reconfiguring its cluster")),
        ("-TRYAGAIN canary", unavailable("is busy, or is reconfiguring its cluster")),
        ("-BUSY canary", unavailable("is busy, or is reconfiguring its cluster")),
        ("-ERR canary", unavailable("returned an unexpected response")),
        (
            "-ERR Error running script: @user_script:2: WRONGTYPE canary",
            StoreError::damaged("contains a value that is not a record"),
        ),
        ("-NOAUTH canary", StoreError::misconfigured("rejected the credentials")),
        (
            "-NOPERM canary",
            StoreError::misconfigured(
                "denied a command: the Redis user needs permission for the commands listed in the flinks-redis documentation",
            ),
        ),
        ("-MOVED 7 127.0.0.1:7", StoreError::misconfigured("is a cluster, but was configured as a standalone server")),
        ("-CROSSSLOT canary", StoreError::misconfigured("is a cluster, but was configured as a standalone server")),
        ("*1\r\n+canary", unavailable("returned an unexpected response")),
        ("!canary", unavailable("returned an unexpected response")),
    ] {
        let fake = FakeServer::start(move |_| Some(format!("{response}\r\n").into_bytes()));
        let store = store(&fake.address());
        assert_eq!(store.compare_and_swap(None, &record).await, Err(expected), "{response}");
        let loaded = store.load(record.id()).await;
        assert!(matches!(&loaded, Err(error) if !error.to_string().contains("canary")), "{response}: {loaded:?}");
    }
    // This server closes each connection.
    let fake = FakeServer::start_closing_connections();
    assert_eq!(store(&fake.address()).load(record.id()).await.unwrap_err(), unavailable("cannot be reached"));
    let unreachable = store("redis://127.0.0.1:1").load(record.id()).await;
    assert!(matches!(unreachable, Err(StoreError::Unavailable(_))), "{unreachable:?}");
}

async fn silent_server() {
    let fake = FakeServer::start(|_| None);
    let store = RedisStore::builder(fake.address(), keys()).timeout(Duration::from_millis(50)).build().unwrap();
    let record = record("one", "r1", SystemTime::now()).await;
    let timed_out = StoreError::unavailable("did not respond in time");
    assert_eq!(store.load(record.id()).await.unwrap_err(), timed_out);
    assert_eq!(store.compare_and_swap(None, &record).await, Err(timed_out.clone()));
    assert_eq!(store.remove(record.id(), 1).await, Err(timed_out.clone()));
    assert_eq!(store.due(DueWindow::new(SystemTime::now(), Duration::ZERO), 1).await, Err(timed_out.clone()));
    assert_eq!(store.warnings().await, Err(timed_out.clone()));
}

/// Cancels the first of two calls before its response arrives, and checks that the second call
/// receives only its own response.
async fn late_response() {
    let first = record("one", "r1", SystemTime::now()).await;
    let second = record("two", "r2", SystemTime::now()).await;
    let value = Arc::new(Mutex::new(Vec::new()));
    // Captures the value that a store writes for the second call's record.
    let capturing = {
        let captured = Arc::clone(&value);
        FakeServer::start(move |words| {
            if words[0].eq_ignore_ascii_case(b"EVALSHA") {
                *captured.lock().unwrap() = words[7].clone();
            }
            Some(b":1\r\n".to_vec())
        })
    };
    store(&capturing.address()).compare_and_swap(None, &second).await.unwrap();
    let expected_value = value.lock().unwrap().clone();

    let arrived = Arc::new(tokio::sync::Notify::new());
    let calls = Arc::new(AtomicUsize::new(0));
    let fake = {
        let arrived = Arc::clone(&arrived);
        let calls = Arc::clone(&calls);
        let expected_value = expected_value.clone();
        FakeServer::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => {
                arrived.notify_one();
                Some(Vec::new())
            }
            // Sends both responses in the order of the calls. The first response means that there
            // is no record.
            _ => Some(
                [b"$-1\r\n", format!("${}\r\n", expected_value.len()).as_bytes(), &expected_value, b"\r\n"].concat(),
            ),
        })
    };
    let store = store(&fake.address());
    tokio::select! {
        _ = store.load(first.id()) => panic!("the call completed"),
        () = arrived.notified() => {}
    }
    let loaded = store.load(second.id()).await.unwrap().unwrap();
    assert_eq!(loaded.id(), second.id());
}
