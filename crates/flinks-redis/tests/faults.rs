//! Injects Redis and network faults at each step of a refresh.
//!
//! Each test checks the call's outcome and the number of requests that Flinks receives. Each test
//! also checks that the next call after the fault succeeds and that no refresh token is lost.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::ConsentError;
use flinks_consents::flinks::Settings;
use flinks_consents::store::{DueWindow, TokenStore as _};
use flinks_consents::{ConsentId, Consents, OutagePolicy};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};
use libtest_mimic::Arguments;
use support::{AutoAdvancingClock, Fault, Proxy, Server};

fn main() {
    let mut trials = Vec::new();
    for (fault_name, fault) in FAULTS {
        for (step_name, step) in
            [("load", Step::Load), ("lease", Step::AcquireLease), ("store_result", Step::StoreResult)]
        {
            for rotates in [false, true] {
                for (policy_name, policy) in [
                    ("fail_closed", OutagePolicy::FailClosed),
                    ("refresh_without_store", OutagePolicy::RefreshWithoutStore),
                ] {
                    let rotation = if rotates { "rotating" } else { "fixed" };
                    let name = format!("o5_{fault_name}_at_{step_name}_of_{rotation}_token_{policy_name}");
                    let case = Case { fault: fault.clone(), step, rotates, policy };
                    trials.push((name, Box::new(move || run(case.check())) as Box<dyn FnOnce() + Send>));
                }
            }
        }
    }
    trials.push(("o5_worker_with_a_fault_at_any_command_loses_nothing".to_owned(), Box::new(|| run(check_worker()))));
    let trials = trials.into_iter().map(|(name, test)| support::trial_with_server(&name, test));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// Runs a test. Panics if the test takes longer than 300 seconds.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test).await.unwrap() });
}

/// A command that a refresh sends to Redis. The discriminant of a variant is the position of the
/// command in the refresh.
#[derive(Clone, Copy)]
enum Step {
    Load,
    AcquireLease,
    StoreResult,
}

/// The faults that the tests inject into a command. If the fault is `None`, the test kills Redis
/// and restarts Redis with the data on disk.
const FAULTS: [(&str, Option<Fault>); 10] = [
    ("cut_off_before", Some(Fault::CutBefore)),
    ("cut_off_after", Some(Fault::CutAfter)),
    ("silence", Some(Fault::Silence)),
    ("loading", Some(Fault::ErrorResponse("LOADING Redis is loading the dataset in memory"))),
    ("readonly", Some(Fault::ErrorResponse("READONLY You can't write against a read only replica."))),
    ("out_of_memory", Some(Fault::ErrorResponse("OOM command not allowed when used memory > 'maxmemory'."))),
    ("disk_full", Some(Fault::ErrorResponse("MISCONF Errors writing to the AOF file: No space left on device"))),
    ("cluster_down", Some(Fault::ErrorResponse("CLUSTERDOWN The cluster is down"))),
    ("master_down", Some(Fault::ErrorResponse("MASTERDOWN Link with MASTER is down"))),
    ("restart", None),
];

struct Case {
    fault: Option<Fault>,
    step: Step,
    rotates: bool,
    policy: OutagePolicy,
}

/// The expected outcome of the call that the fault affects.
struct Expected {
    call_succeeds: bool,
    /// The number of requests that Flinks receives.
    requests: u64,
}

impl Case {
    fn expected(&self) -> Expected {
        let (call_succeeds, requests) = match (self.step, self.rotates, self.policy) {
            // Without the store, a process cannot know whether another process has used the refresh
            // token. If refresh tokens rotate, using one twice could end the consent.
            (Step::Load | Step::AcquireLease, false, OutagePolicy::RefreshWithoutStore) => (true, 1),
            (Step::Load | Step::AcquireLease, ..) => (false, 0),
            // A new refresh token is stored before the access token is returned. If the new token
            // cannot be stored, it becomes a pending write, and the policy decides the call's
            // outcome.
            (Step::StoreResult, true, OutagePolicy::FailClosed) => (false, 1),
            (Step::StoreResult, ..) => (true, 1),
        };
        Expected { call_succeeds, requests }
    }

    async fn check(self) {
        let flinks = support::emulator().await;
        let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        if self.rotates {
            flinks.rotate_refresh_tokens();
        }
        let proxy = Proxy::to(&server);
        let direct_address = server.address();
        let server = Arc::new(Mutex::new(server));
        // On this clock, the one-second pause between two refreshes takes no real time.
        let clock = AutoAdvancingClock::new(Duration::from_secs(2));
        let machine = |address: &str| {
            let client = support::client_of(flinks.address(), &Settings::new().clock(clock.clone()));
            Consents::builder(client).store(store(address)).outage_policy(self.policy).build()
        };
        let id: ConsentId = "user-7".parse().unwrap();
        let consents = machine(&proxy.address());
        let consent = consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
        let _ = consent.access_token().await.unwrap();
        clock.advance(Duration::from_secs(31 * 60));
        let before = flinks.refreshes();

        let restart = || {
            let server = Arc::clone(&server);
            Fault::Run(Arc::new(move || {
                let mut server = server.lock().unwrap();
                server.kill();
                server.start_again();
            }))
        };
        proxy.inject(self.step as usize, self.fault.clone().unwrap_or_else(restart));
        let outcome = consent.access_token().await.map(drop);
        assert!(proxy.has_injected(), "the fault was not injected");
        // Waits until a restart is complete.
        drop(server.lock().unwrap());
        if let Err(error) = &outcome {
            assert!(error.is_store(), "{error}");
            assert!(error.is_transient(), "{error}");
        }
        let expected = self.expected();
        assert_eq!(outcome.is_ok(), expected.call_succeeds, "{outcome:?}");
        assert_eq!(flinks.refreshes() - before, expected.requests, "{outcome:?}");

        // Advances the clock past the back-off after the failure.
        clock.advance(Duration::from_secs(61));
        assert_ok(&consent.access_token().await);
        assert_eq!(flinks.refreshes() - before, 1, "the token of the first refresh was not reused");
        // The result may still be a pending write. Without this flush, the other process could use
        // the old refresh token.
        consents.flush().await.unwrap();
        let other = machine(&direct_address).consent(&id);
        assert_ok(&other.refresh_now().await);
        assert_ok(&consent.refresh_now().await);
        assert_eq!(flinks.refreshes() - before, 3);
    }
}

fn assert_ok<T>(outcome: &Result<T, ConsentError>) {
    assert!(outcome.is_ok(), "{:?}", outcome.as_ref().err());
}

fn store(address: &str) -> RedisStore {
    let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
    RedisStore::builder(address, keys).timeout(Duration::from_millis(500)).build().unwrap()
}

/// Injects a fault into each of a worker's commands in turn. Checks that the worker's next run
/// refreshes the remaining consents, so that each consent is refreshed exactly once.
async fn check_worker() {
    const CONSENTS: u64 = 3;
    for fault in [Fault::CutBefore, Fault::CutAfter, Fault::ErrorResponse("LOADING")] {
        for position in 0.. {
            let server = Server::start(&[]);
            let flinks = support::emulator().await;
            flinks.rotate_refresh_tokens();
            let proxy = Proxy::to(&server);
            let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
            let idle = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
            for consent in 0..CONSENTS {
                let id: ConsentId = format!("user-{consent}").parse().unwrap();
                consents.import(&id, flinks.new_refresh_token().await, idle).await.unwrap();
            }
            let before = flinks.refreshes();
            let clock = AutoAdvancingClock::new(Duration::from_secs(2));
            let client = support::client_of(flinks.address(), &Settings::new().clock(clock.clone()));
            let store = store(&proxy.address());
            let worker = KeepAlive::new(Consents::builder(client).store(store.clone()).build(), store).rate(10_000);
            proxy.inject(position, fault.clone());
            let _ = worker.run_once().await;
            let has_injected = proxy.has_injected();
            clock.advance(Duration::from_secs(61));
            server.remove_leases();
            let summary = worker.run_once().await.unwrap();
            assert_eq!(summary.failed, 0, "command {position}: {summary}");
            assert_eq!(summary.ended, 0, "command {position}: {summary}");
            assert_eq!(flinks.refreshes() - before, CONSENTS, "command {position}");
            let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
            assert_eq!(self::store(&server.address()).due(in_a_week, 9).await.unwrap(), []);
            if !has_injected {
                // For each consent, a run sends one read and the three commands of a refresh.
                assert!(position >= 12, "only {position} commands were sent");
                break;
            }
        }
    }
}
