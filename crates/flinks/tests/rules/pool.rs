//! Tests the pool of single-use tokens against the emulator's ledger.

use std::time::{Duration, SystemTime};

use flinks::pool::{PoolSize, SingleUse, TokenPool};
use flinks_emulator::{Fault, Operation, When};

use crate::{Local, local, local_with, new_session};

const AUTHORIZE: Operation = Operation::PayAuthorize;
const LIFETIME: Duration = Duration::from_secs(299);

/// Waits until the pool has exactly `ready` tokens ready.
async fn wait_until_ready<C: SingleUse>(pool: &TokenPool<C>, ready: usize) {
    while !format!("{pool:?}").contains(&format!("ready: {ready},")) {
        tokio::task::yield_now().await;
    }
}

/// Returns the number of requests for a session token that the emulator has received.
fn requests(local: &Local) -> u64 {
    local.emulator.count(AUTHORIZE)
}

#[tokio::test]
async fn p5_pool_returns_each_token_once() {
    let local = local().await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(8).unwrap());
    for _ in 0..5 {
        let callers = (0..40).map(|_| {
            let pool = pool.clone();
            let pay = local.pay.clone();
            tokio::spawn(async move {
                let token = pool.token().await.unwrap();
                // The emulator accepts each token only once.
                pay.initiate_session(token, &new_session()).await.map(drop)
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap().unwrap();
        }
        wait_until_ready(&pool, 8).await;
    }
    // The pool requested 200 tokens for the callers and keeps 8 more ready.
    assert_eq!(requests(&local), 208);
    assert_eq!(local.emulator.count(Operation::PayInitiateSession), 200);
}

#[tokio::test]
async fn pool_replaces_each_token_that_is_taken() {
    let local = local().await;
    let pool = TokenPool::new(local.connect.clone(), PoolSize::new(4).unwrap());
    let requests = || local.emulator.count(Operation::ConnectGenerateAuthorizeToken);
    assert_eq!(requests(), 0, "the pool sent a request before the first call");
    pool.fill();
    pool.fill();
    wait_until_ready(&pool, 4).await;
    assert_eq!(requests(), 4);
    // The next call does not wait for the server.
    local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, Fault::Hold { when: When::Before });
    let token = pool.token().await.unwrap();
    assert!(!token.is_expired());
    local.emulator.received(Operation::ConnectGenerateAuthorizeToken, 5).await;
    local.emulator.release();
    wait_until_ready(&pool, 4).await;
    assert_eq!(requests(), 5);
}

#[tokio::test]
async fn p4_pool_returns_no_old_token() {
    let local = local().await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    pool.fill();
    wait_until_ready(&pool, 4).await;
    local.clock.advance(LIFETIME / 2 + Duration::from_secs(1));
    let now: SystemTime = flinks::Clock::wall(&local.clock);
    let token = pool.token().await.unwrap();
    assert!(token.expires_at().unwrap() >= now + LIFETIME / 2);
    // The pool requests one token for the caller and one in advance. Without further calls, the
    // pool does not replace the tokens that have become too old.
    wait_until_ready(&pool, 1).await;
    assert_eq!(requests(&local), 6);
    local.clock.advance(10 * LIFETIME);
    assert_eq!(requests(&local), 6);
}

#[tokio::test]
async fn p2_pool_does_not_keep_a_token_without_a_lifetime() {
    let local = local_with(flinks::Settings::accept_repeated_tokens).await;
    local.emulator.fail_always(AUTHORIZE, Fault::reply(200, r#"{"access_token":"emu_a","token_type":"Bearer"}"#));
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    assert!(pool.token().await.unwrap().expires_at().is_none());
    local.emulator.received(AUTHORIZE, 2).await;
    while !format!("{pool:?}").contains("ready: 0, under_way: 0, is_paused: true") {
        tokio::task::yield_now().await;
    }
    // The pool is paused, because it could not keep another token without a lifetime either.
    let _ = pool.token().await.unwrap();
    assert_eq!(requests(&local), 3);
}

#[tokio::test]
async fn pool_backs_off_while_the_server_fails() {
    let local = local_with(|settings| settings.max_attempts(1)).await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(32).unwrap());
    local.emulator.fail_always(AUTHORIZE, Fault::status(500));
    pool.fill();
    local.emulator.received(AUTHORIZE, 4).await;
    let mut calls = 0;
    // Each call sends its own request. After a failure, the pool sends no requests in advance.
    while calls < 10 || !format!("{pool:?}").contains("is_paused: true") {
        assert!(pool.token().await.is_err());
        calls += 1;
    }
    let before = requests(&local);
    assert!(before <= 4 + calls + 4, "the pool sent too many requests in advance");
    pool.fill();
    for _ in 0..100 {
        assert!(pool.token().await.is_err());
    }
    assert_eq!(requests(&local), before + 100);

    // After the back-off, the pool sends a single request.
    local.clock.advance(Duration::from_secs(61));
    pool.fill();
    local.emulator.received(AUTHORIZE, before + 101).await;
    while !format!("{pool:?}").contains("is_paused: true") {
        tokio::task::yield_now().await;
    }
    assert_eq!(requests(&local), before + 101);

    local.emulator.clear_faults();
    local.clock.advance(Duration::from_secs(61));
    pool.fill();
    wait_until_ready(&pool, 32).await;
    assert_eq!(requests(&local), before + 133);
}

#[test]
fn dropping_the_last_clone_of_a_pool_needs_no_runtime() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let local = outside.block_on(local());
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    pool.fill();
    local.emulator.fail_always(AUTHORIZE, Fault::Hold { when: When::Before });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        pool.clone().fill();
        local.emulator.received(AUTHORIZE, 4).await;
        drop(pool);
        // Dropping the last clone ends the pool's tasks and closes their connections.
        let tasks_end = async {
            while runtime.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), tasks_end).await.unwrap();
    });
}

#[tokio::test]
async fn retry_after_delays_a_pool() {
    let local = local_with(|settings| settings.max_attempts(1)).await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    let rate_limited = |seconds: &str| Fault::Reply {
        status: 429,
        headers: vec![("retry-after".to_owned(), seconds.to_owned())],
        body: String::new(),
    };
    local.emulator.fail_next(AUTHORIZE, rate_limited("200"));
    local.emulator.fail_always(AUTHORIZE, rate_limited("1"));
    pool.fill();
    while !format!("{pool:?}").contains("under_way: 0, is_paused: true") {
        tokio::task::yield_now().await;
    }
    let before = requests(&local);
    local.clock.advance(Duration::from_secs(199));
    pool.fill();
    assert!(format!("{pool:?}").contains("under_way: 0,"));
    local.clock.advance(Duration::from_secs(2));
    local.emulator.clear_faults();
    pool.fill();
    wait_until_ready(&pool, 4).await;
    assert_eq!(requests(&local), before + 4);
}

#[tokio::test]
async fn pool_works_after_a_runtime_has_shut_down() {
    let local = local().await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    local.emulator.fail_always(AUTHORIZE, Fault::Hold { when: When::Before });
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    other.spawn({
        let pool = pool.clone();
        async move { pool.fill() }
    });
    local.emulator.received(AUTHORIZE, 4).await;
    other.shutdown_background();
    local.emulator.clear_faults();
    local.emulator.release();
    // The requests were cancelled when their runtime shut down. The pool sends new requests on the
    // test's runtime.
    while !format!("{pool:?}").contains("under_way: 0") {
        tokio::task::yield_now().await;
    }
    pool.fill();
    wait_until_ready(&pool, 4).await;
}

#[tokio::test]
async fn pool_shutdown_waits_for_requests_and_stops_prefetching() {
    let local = local().await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(2).unwrap());
    local.emulator.fail_next(AUTHORIZE, Fault::Hold { when: When::After });
    local.emulator.fail_next(AUTHORIZE, Fault::Hold { when: When::After });
    pool.fill();
    local.emulator.received(AUTHORIZE, 2).await;
    // The emulator holds back the responses, so the shutdown times out and reports two open
    // requests.
    let shutdown = tokio::spawn({
        let pool = pool.clone();
        async move { pool.shutdown(Duration::from_secs(60)).await }
    });
    while !shutdown.is_finished() {
        local.clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    assert_eq!(shutdown.await.unwrap(), 2);
    local.emulator.release();
    assert_eq!(pool.shutdown(Duration::from_secs(500)).await, 0);
    pool.fill();
    assert!(!pool.token().await.unwrap().is_expired());
    assert_eq!(pool.shutdown(Duration::from_secs(500)).await, 0);
    assert_eq!(requests(&local), 3);
}

#[tokio::test]
async fn p5_pool_returns_no_token_of_a_repeated_response() {
    let local = local().await;
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    pool.fill();
    wait_until_ready(&pool, 4).await;
    for _ in 0..8 {
        local.emulator.fail_next(AUTHORIZE, Fault::DuplicateToken);
        let before = requests(&local);
        let token = pool.token().await.unwrap();
        // The emulator accepts each token only once.
        assert!(local.pay.initiate_session(token, &new_session()).await.is_ok());
        local.emulator.received(AUTHORIZE, before + 1).await;
        while !format!("{pool:?}").contains("under_way: 0, is_paused: true") {
            tokio::task::yield_now().await;
        }
        // After the back-off, the pool requests new tokens.
        local.emulator.clear_faults();
        local.clock.advance(Duration::from_secs(61));
        pool.fill();
        wait_until_ready(&pool, 4).await;
    }
}

#[test]
fn pool_on_a_stopped_runtime_does_not_hang() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let local = runtime.block_on(local());
    let pool = TokenPool::new(local.pay.clone(), PoolSize::new(4).unwrap());
    drop(runtime);
    let _inside = handle.enter();
    pool.fill();
    assert!(format!("{pool:?}").contains("under_way: 0"), "{pool:?}");
}
