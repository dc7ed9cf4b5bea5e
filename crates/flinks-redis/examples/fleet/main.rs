//! Simulates a fleet of machines that share consents. The simulation runs in virtual time and
//! includes outages and a restart of all machines.
//!
//! `cargo run --release -p flinks-redis --example fleet -- 10000000 200` simulates ten million
//! consents on two hundred machines. Each consent needs about one kilobyte of memory and 30
//! microseconds of setup time. `redis-server` must be installed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // a terminal program

mod fleet;
mod gate;
mod meter;
mod server;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::Write as _;
use std::time::Duration;

use fleet::{Phase, Plan};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>().unwrap());
    let consents = arguments.next().unwrap_or(100_000);
    let machines = arguments.next().unwrap_or(200);
    // With 500,000 consents or more, there is about one call a day for every six consents. One in
    // ten thousand consents is used a thousand times as often as the others.
    let call_interval = Duration::from_secs(500_000) / consents.max(500_000);
    let outage = Duration::from_secs(6 * 60 * 60);
    println!("{consents} consents, {machines} machines, a call on behalf of an end user every {call_interval:?}\n");
    println!(
        "{:<22} {:>8} {:>9} {:>8} | {:>9} {:>8} {:>6} | {:>10} {:>8} {:>6} | {:>8} {:>7}",
        "", "hours", "calls", "failed", "Flinks", "per sec.", "peak", "Redis", "per sec.", "peak", "kept", "failed"
    );
    let plan = Plan { consents, machines, call_interval, outage, skew_seconds: 5 * 60 };
    let outcome = fleet::run(plan, |phase| {
        let Phase { name, duration, calls, failed_calls, requests, commands, kept_alive, failed_refreshes } = phase;
        let per_second = |total: u64| total as f64 / duration.as_secs_f64();
        println!(
            "{name:<22} {:>8.2} {calls:>9} {failed_calls:>8} | {:>9} {:>8.1} {:>6} | {:>10} {:>8.1} {:>6} | {kept_alive:>8} {failed_refreshes:>7}",
            duration.as_secs_f64() / 3600.0,
            requests.total,
            per_second(requests.total),
            requests.peak_per_second,
            commands.total,
            per_second(commands.total),
            commands.peak_per_second
        );
        let _ = std::io::stdout().flush();
    });
    let per_consent = |bytes: u64| bytes / u64::from(consents.max(1));
    println!("\nlost consents: {}", outcome.lost);
    println!("requests with an invalid refresh token: {}", outcome.invalid_requests);
    println!("consents that had been due for two hours but had not been refreshed: {}", outcome.overdue);
    println!(
        "Redis memory per consent: {} bytes at the start, {} bytes at the end",
        per_consent(outcome.redis_memory.start),
        per_consent(outcome.redis_memory.end)
    );
    let megabytes = |bytes: u64| bytes / 1_000_000;
    println!(
        "memory of this process (all machines and the simulated Flinks server): {} MB at the start, {} MB at the end",
        megabytes(outcome.resident_memory.start),
        megabytes(outcome.resident_memory.end)
    );
}
