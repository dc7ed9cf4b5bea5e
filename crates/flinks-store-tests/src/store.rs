//! Tests one store: its conformance, and servers that restart, are slow or do not respond.

use std::time::{Duration, SystemTime};

use flinks_consents::Consents;
use flinks_consents::store::{StoreError, TokenStore as _, conformance};

use crate::backend::Backend;
use crate::common::{Tests, load_until, open, record, run};
use crate::flinks::emulator;
use crate::proxy::Proxy;

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![
        ("o5_store_passes_the_conformance_tests", || run(conforms::<B>)),
        ("store_reconnects_after_a_restart", || run(reconnect::<B>)),
        ("slow_server_times_out_and_recovers", || run(slow_server::<B>)),
        ("silent_connection_is_replaced", || run(silent_connection::<B>)),
        ("unpolled_call_does_not_block_the_connection", || run(unpolled_call::<B>)),
    ]
}

async fn conforms<B: Backend>() {
    let server = B::start();
    let shared = open::<B>(&server.address());
    conformance::check(|| shared.clone()).await.unwrap();
    // Opens a new store for each check, as separate processes would.
    conformance::check(|| open::<B>(&server.address())).await.unwrap();
    assert!(server.is_empty());
}

async fn reconnect<B: Backend>() {
    let mut server = B::start_durable();
    let store = open::<B>(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    server.kill();
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Unavailable(_))));
    server.start_again();
    // The first call may fail because the old connection was closed.
    let found = load_until(&store, first.id(), Result::is_ok).await;
    assert_eq!(found.unwrap().unwrap().generation(), first.generation());
}

async fn slow_server<B: Backend>() {
    let server = B::start();
    let proxy = Proxy::<B>::to(&server);
    let store = B::store(proxy.address(), Duration::from_millis(500));
    let one = record("one", "r1", SystemTime::now()).await;
    let other = record("other", "r2", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    proxy.hold(true);
    assert!(matches!(store.compare_and_swap(None, &other).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Unavailable(_))));
    proxy.hold(false);
    // The record was stored even though the call timed out. Late responses are discarded.
    let found = load_until(&store, other.id(), Result::is_ok).await;
    assert_eq!(found.unwrap().unwrap().id(), other.id());
    assert_eq!(store.load(one.id()).await.unwrap().unwrap().id(), one.id());
}

/// Tests a server that stops responding on the first connection but responds on a new connection.
async fn silent_connection<B: Backend>() {
    let server = B::start();
    let proxy = Proxy::<B>::to(&server);
    let store = B::store(proxy.address(), Duration::from_millis(500));
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    proxy.silence_connections();
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Unavailable(_))));
    assert!(store.load(one.id()).await.unwrap().is_some());
    // Concurrent calls to a silent server time out together.
    proxy.hold(true);
    let start = std::time::Instant::now();
    let calls = (0..50).map(|_| store.compare_and_swap(None, &one));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_err));
    // Sequential calls would take 25 seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

async fn unpolled_call<B: Backend>() {
    let server = B::start();
    let store = open::<B>(&server.address());
    let flinks = emulator().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    // In the second round, the connection is open, and the unpolled call has sent its commands.
    for _ in 0..2 {
        let mut unpolled = Box::pin(consents.due_within(Duration::from_secs(60), 10));
        // The call is polled once. It is pending unless the server was faster than this thread.
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(unpolled.as_mut().poll(context))).await;
        assert!(store.load(&"user-7".parse().unwrap()).await.unwrap().is_none());
        drop(unpolled);
    }
}
