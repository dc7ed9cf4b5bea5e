//! Tests that drive this workspace's clients through each built-in scenario.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Test helpers may panic too.

mod connect;
mod outbound;

use std::collections::BTreeSet;
use std::time::Duration;

use flinks::{BaseUrl, ManualClock, Settings};
use flinks_emulator::{Config, Emulator, Scenario};

/// An emulator with a frozen clock and a loaded scenario, and the clock that its clients use.
struct Setup {
    emulator: Emulator,
    clock: ManualClock,
}

/// A timeout that is longer than all the waits in a call together.
const TIMEOUT: Duration = Duration::from_secs(1000);
/// The longest wait between two attempts by a client.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Setup {
    async fn with(scenario: &str) -> Self {
        // The other tests in this crate need reqwest without a provider. This call returns an error
        // if another test has already installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::default();
        config.frozen_clock = true;
        let emulator = Emulator::start_with(config).await.unwrap();
        emulator.load_scenario(&Scenario::built_in(scenario).unwrap()).unwrap();
        Self { emulator, clock: ManualClock::auto_advancing(LONGEST_WAIT) }
    }

    fn settings(&self) -> Settings {
        Settings::new().clock(self.clock.clone()).timeout(TIMEOUT)
    }

    fn base_url(&self) -> BaseUrl {
        self.emulator.base_url().parse().unwrap()
    }

    /// Advances the clocks of both the clients and the emulator.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.emulator.advance(by);
    }
}

/// For each built-in scenario, this folder contains a test whose name starts with the scenario's
/// name.
#[test]
fn each_built_in_scenario_has_a_test() {
    let source = concat!(include_str!("connect.rs"), include_str!("outbound.rs"));
    let tested: BTreeSet<&str> =
        source.split("Setup::with(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(tested, Scenario::built_in_names().collect());
    for name in Scenario::built_in_names() {
        assert!(source.contains(&format!("async fn {}", name.replace('-', "_"))), "{name}");
        let scenario = Scenario::built_in(name).unwrap();
        assert_eq!(scenario.name(), Some(name));
        assert!(!scenario.description().is_empty(), "{name}");
    }
}
