//! Runs the simulation in `examples/fleet` with a small fleet and checks the results.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

#[path = "../examples/fleet/fleet.rs"]
#[allow(dead_code)] // only the example prints the costs
mod fleet;
#[path = "../examples/fleet/gate.rs"]
mod gate;
#[path = "../examples/fleet/meter.rs"]
mod meter;
#[path = "../examples/fleet/server.rs"]
mod server;
mod support;

use std::time::Duration;

use fleet::Plan;
use libtest_mimic::Arguments;

fn main() {
    let trial =
        support::trial_with_server("o5_fleet_survives_outages_and_restarts", fleet_survives_outages_and_restarts);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

/// Simulates a fleet of machines whose clocks differ by up to ten minutes. Each refresh returns a
/// new refresh token. Flinks and Redis are each unavailable for an hour.
fn fleet_survives_outages_and_restarts() {
    let outage = Duration::from_secs(60 * 60);
    let mut phases = Vec::new();
    let plan =
        Plan { consents: 5_000, machines: 5, call_interval: Duration::from_secs(4), outage, skew_seconds: 5 * 60 };
    let outcome = fleet::run(plan, |phase| phases.push(phase));
    assert_eq!(outcome.lost, 0);
    assert_eq!(outcome.invalid_requests, 0);
    assert_eq!(outcome.overdue, 0);
    let [normal, without_flinks, .., without_redis, after] = phases.as_slice() else { panic!() };
    assert!(normal.calls > 800, "{normal:?}");
    assert_eq!(normal.failed_calls, 0, "{normal:?}");
    assert!(normal.kept_alive > 0, "{normal:?}");
    // A call makes up to 3 attempts. A worker's run stops after 20 failed refreshes.
    let max_requests = 3 * (without_flinks.calls + 2 * 5 * 20);
    assert!(without_flinks.failed_calls > 0, "{without_flinks:?}");
    assert!(without_flinks.requests.total <= max_requests, "{without_flinks:?}");
    assert_eq!(without_redis.requests.total, 0);
    assert_eq!(without_redis.commands.total, 0);
    assert!(after.kept_alive > 0, "{after:?}");
    assert_eq!(after.failed_refreshes, 0, "{after:?}");
    assert!(after.failed_calls < 10, "{after:?}");
}
