//! The simulation of `examples/fleet`, with a small fleet: what must hold holds.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

#[path = "../examples/fleet/fleet.rs"]
#[allow(dead_code)] // what it costs is for who runs it at length
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
    let trial = support::trial_with_server("o5_a_fleet_lives_through_outages_and_restarts", outages_and_restarts);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

/// Each exchange gives another refresh token, the clocks of the machines differ by up to ten minutes, and Flinks and Redis are
/// away for an hour each.
fn outages_and_restarts() {
    let outage = Duration::from_secs(60 * 60);
    let mut phases = Vec::new();
    let plan =
        Plan { consents: 5_000, machines: 5, call_interval: Duration::from_secs(4), outage, skew_seconds: 5 * 60 };
    let outcome = fleet::run(plan, |phase| phases.push(phase));
    assert_eq!((outcome.lost, outcome.invalid_requests, outcome.overdue), (0, 0, 0));
    let [usual, without_flinks, .., without_redis, after] = phases.as_slice() else { panic!() };
    assert!(usual.calls > 800 && usual.failed_calls == 0 && usual.kept_alive > 0, "{usual:?}");
    // A call takes three attempts at most, and a run of a worker twenty times as many.
    let most = 3 * (without_flinks.calls + 2 * 5 * 20);
    assert!(without_flinks.failed_calls > 0 && without_flinks.requests.total <= most, "{without_flinks:?}");
    assert_eq!((without_redis.requests.total, without_redis.commands.total), (0, 0));
    assert!(after.kept_alive > 0 && after.failed_refreshes == 0 && after.failed_calls < 10, "{after:?}");
}
