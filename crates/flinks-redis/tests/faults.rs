//! Injects faults of Redis and its network at each step of a refresh. Each row has the outcome of the
//! call and the number of requests that Flinks may receive. After each fault the next call succeeds,
//! and no refresh token is lost.

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
use support::{Fault, AutoAdvancingClock, Proxy, Server};

fn main() {
    let mut trials = Vec::new();
    for (row, fault) in FAULTS {
        for step in [Step::Load, Step::Lease, Step::Result] {
            for rotates in [false, true] {
                for policy in [OutagePolicy::FailClosed, OutagePolicy::RefreshWithoutStore] {
                    let rotation = if rotates { "rotating" } else { "lasting" };
                    let name = format!("o5_{row}_at_the_{step:?}_of_a_{rotation}_token_{policy:?}").to_lowercase();
                    let case = Case { fault: fault.clone(), step, rotates, policy };
                    trials.push((name, Box::new(move || run(case.check())) as Box<dyn FnOnce() + Send>));
                }
            }
        }
    }
    trials.push(("o5_a_worker_that_is_cut_off_at_each_step_loses_nothing".to_owned(), Box::new(|| run(worker()))));
    let trials = trials.into_iter().map(|(name, test)| support::trial_with_server(&name, test));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// Fails a test that takes too long.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test).await.unwrap() });
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Load,
    Lease,
    Result,
}

/// The faults of a command. `None` is a restart: Redis is killed and starts again with the data on
/// its disk.
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

impl Case {
    /// Returns whether the call with the fault succeeds, and how many requests Flinks receives.
    fn expected(&self) -> (bool, u64) {
        match (self.step, self.rotates, self.policy) {
            // No process may use a refresh token that another process may have used, if that could end
            // the consent.
            (Step::Load | Step::Lease, false, OutagePolicy::RefreshWithoutStore) => (true, 1),
            (Step::Load | Step::Lease, ..) => (false, 0),
            // A new refresh token is stored before the access token is returned. Otherwise it becomes a
            // pending write.
            (Step::Result, true, OutagePolicy::FailClosed) => (false, 1),
            (Step::Result, ..) => (true, 1),
        }
    }

    async fn check(self) {
        let flinks = support::emulator().await;
        let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        if self.rotates {
            flinks.rotate_refresh_tokens();
        }
        let proxy = Proxy::to(&server);
        let direct = server.address();
        let server = Arc::new(Mutex::new(server));
        // The pause of a second between two refreshes takes no time.
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
        let got = consent.access_token().await.map(drop);
        assert!(proxy.has_injected());
        // Waits until a restart is complete.
        drop(server.lock().unwrap());
        assert!(got.as_ref().err().is_none_or(|error| error.is_store() && error.is_transient()), "{got:?}");
        assert_eq!((got.is_ok(), flinks.refreshes() - before), self.expected(), "{got:?}");

        // The back-off after the failure has passed.
        clock.advance(Duration::from_secs(61));
        served(&consent.access_token().await);
        assert_eq!(flinks.refreshes() - before, 1, "the token of the first refresh is reused");
        // The result may still be a pending write. Without it, the other process would use the stored
        // token.
        consents.flush().await.unwrap();
        let other = machine(&direct).consent(&id);
        served(&other.refresh_now().await);
        served(&consent.refresh_now().await);
        assert_eq!(flinks.refreshes() - before, 3);
    }
}

fn served<T>(got: &Result<T, ConsentError>) {
    assert!(got.is_ok(), "{:?}", got.as_ref().err());
}

fn store(address: &str) -> RedisStore {
    let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
    RedisStore::builder(address, keys).timeout(Duration::from_millis(500)).build().unwrap()
}

/// Injects a fault into each command of a worker in turn. The next run refreshes the remaining
/// consents, so each consent is refreshed once.
async fn worker() {
    const CONSENTS: u64 = 3;
    for fault in [Fault::CutBefore, Fault::CutAfter, Fault::ErrorResponse("LOADING")] {
        for number in 0.. {
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
            proxy.inject(number, fault.clone());
            let _ = worker.run_once().await;
            let is_done = proxy.has_injected();
            clock.advance(Duration::from_secs(61));
            server.remove_leases();
            let summary = worker.run_once().await.unwrap();
            assert_eq!(summary.failed, 0, "{number}: {summary}");
            assert_eq!(summary.needing_consent, 0, "{number}: {summary}");
            assert_eq!(flinks.refreshes() - before, CONSENTS, "{number}");
            let in_a_week = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
            assert_eq!(self::store(&server.address()).due(in_a_week, 9).await.unwrap(), []);
            if !is_done {
                // For each consent: one read, and three commands of the refresh.
                assert!(number >= 12, "{number}");
                break;
            }
        }
    }
}
