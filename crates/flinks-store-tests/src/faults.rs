//! Injects server and network faults at each step of a refresh.
//!
//! Each test checks the call's outcome and the number of requests that Flinks receives. Each test
//! also checks that the next call after the fault succeeds and that no refresh token is lost.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::Settings;
use flinks_consents::store::{DueWindow, TokenStore as _};
use flinks_consents::{ConsentError, ConsentId, Consents, KeepAlive, OutagePolicy};
use libtest_mimic::Trial;

use crate::backend::Backend;
use crate::clock::AutoAdvancingClock;
use crate::common::{ids_in_first_shard, run, trial_with_server};
use crate::first_shard::FirstShard;
use crate::flinks::{client_of, emulator};
use crate::proxy::{Fault, Proxy};

/// Returns the tests: several for each fault at each step, and one that injects a fault into each
/// of a worker's requests.
pub fn tests<B: Backend>() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (fault_name, fault) in faults::<B>() {
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
                    let case = Case { fault_name, fault: fault.clone(), step, rotates, policy };
                    trials.push(trial_with_server::<B>(&name, move || run(|| case.check::<B>())));
                }
            }
        }
    }
    let worker = "o5_worker_with_a_fault_at_any_command_loses_nothing";
    trials.push(trial_with_server::<B>(worker, || run(check_worker::<B>)));
    trials
}

/// Returns the faults that the tests inject into a request. If the fault is `None`, the test kills
/// the server during the call, and then restarts it with the data on disk.
fn faults<B: Backend>() -> Vec<(&'static str, Option<Fault>)> {
    let mut faults = vec![
        ("cut_off_before", Some(Fault::CutBefore)),
        ("cut_off_after", Some(Fault::CutAfter)),
        ("silence", Some(Fault::Silence)),
        ("restart", None),
    ];
    faults.extend(B::ERROR_RESPONSES.iter().map(|(name, error)| (*name, Some(Fault::ErrorResponse(error)))));
    faults
}

/// A request that a refresh sends to the server. The discriminant of a variant is the position of
/// the request in the refresh.
#[derive(Clone, Copy)]
enum Step {
    Load,
    AcquireLease,
    StoreResult,
}

struct Case {
    fault_name: &'static str,
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
    fn expected<B: Backend>(&self) -> Expected {
        if B::SURVIVED_FAULTS.contains(&self.fault_name) {
            return Expected { call_succeeds: true, requests: 1 };
        }
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

    async fn check<B: Backend>(self) {
        let flinks = emulator().await;
        // Only a server that is restarted needs to keep its data.
        let server = if self.fault.is_some() { B::start() } else { B::start_durable() };
        if self.rotates {
            flinks.rotate_refresh_tokens();
        }
        let proxy = Proxy::<B>::to(&server);
        let direct_address = server.address();
        let server = Arc::new(Mutex::new(server));
        // With this clock, the one-second pause between two refreshes takes no real time.
        let clock = AutoAdvancingClock::new(Duration::from_secs(2));
        let machine = |address: &str| {
            let client = client_of(flinks.address(), &Settings::new().clock(clock.clone()));
            Consents::builder(client).store(open::<B>(address)).outage_policy(self.policy).build()
        };
        let id: ConsentId = "user-7".parse().unwrap();
        let consents = machine(proxy.address());
        let consent = consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
        let _ = consent.access_token().await.unwrap();
        clock.advance(Duration::from_secs(31 * 60));
        let before = flinks.refreshes();

        let kill = || {
            let server = Arc::clone(&server);
            Fault::Run(Arc::new(move || server.lock().unwrap().kill()))
        };
        proxy.inject(self.step as usize, self.fault.clone().unwrap_or_else(kill));
        let outcome = consent.access_token().await.map(drop);
        assert!(proxy.has_injected(), "the fault was not injected");
        if self.fault.is_none() {
            server.lock().unwrap().start_again();
        }
        if let Err(error) = &outcome {
            assert!(error.is_store(), "{error}");
            assert!(error.is_transient(), "{error}");
        }
        let expected = self.expected::<B>();
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

/// Creates a store with a shorter timeout, because a silent server must not delay the tests.
fn open<B: Backend>(address: &str) -> B::Store {
    B::store(address, Duration::from_secs(4))
}

/// Injects a fault into each of a worker's requests in turn. Checks that the worker's next run
/// refreshes the remaining consents, so that each consent is refreshed exactly once.
async fn check_worker<B: Backend>() {
    // Each import replaces the records of the previous round.
    let server = B::start();
    let ids = ids_in_first_shard(3);
    let consent_count = 3;
    let (_, outage) = B::ERROR_RESPONSES[0];
    for fault in [Fault::CutBefore, Fault::CutAfter, Fault::ErrorResponse(outage)] {
        for position in 0.. {
            let flinks = emulator().await;
            flinks.rotate_refresh_tokens();
            let proxy = Proxy::<B>::to(&server);
            let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
            let idle = SystemTime::now() - Duration::from_secs(28 * 24 * 60 * 60);
            for id in &ids {
                consents.import(id, flinks.new_refresh_token().await, idle).await.unwrap();
            }
            let before = flinks.refreshes();
            let clock = AutoAdvancingClock::new(Duration::from_secs(2));
            let client = client_of(flinks.address(), &Settings::new().clock(clock.clone()));
            let store = open::<B>(proxy.address());
            let consents = Consents::builder(client).store(store.clone()).build();
            // A fault must affect a single consent, so the refreshes do not overlap.
            let worker = KeepAlive::new(consents, FirstShard(store)).rate(10_000).max_concurrency(1);
            proxy.inject(position, fault.clone());
            let _ = worker.run_once().await;
            let has_injected = proxy.has_injected();
            clock.advance(Duration::from_secs(61));
            server.remove_leases();
            let summary = worker.run_once().await.unwrap();
            assert_eq!(summary.failed, 0, "request {position}: {summary}");
            assert_eq!(summary.ended, 0, "request {position}: {summary}");
            assert_eq!(flinks.refreshes() - before, consent_count, "request {position}");
            let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
            assert_eq!(open::<B>(&server.address()).due(in_a_week, 9).await.unwrap(), []);
            if !has_injected {
                // For each consent, a run sends one read and the three requests for a refresh.
                assert!(position >= 12, "only {position} requests were sent");
                break;
            }
        }
    }
}
