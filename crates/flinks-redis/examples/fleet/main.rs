//! A fleet of machines that share consents, through outages and a restart, in virtual time.
//!
//! `cargo run --release -p flinks-redis --example fleet -- 10000000 200`: how many consents, and machines. Each consent takes about
//! a kilobyte of memory, and some 30 microseconds to begin with. It needs `redis-server`.

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
    // One in six consents is used each day, and one in ten thousand a thousand times as often.
    let every = Duration::from_secs(500_000) / consents.max(500_000);
    let outage = Duration::from_secs(6 * 60 * 60);
    println!("{consents} consents, {machines} machines, a call of an end user every {every:?}\n");
    println!(
        "{:<22} {:>8} {:>9} {:>8} | {:>9} {:>8} {:>6} | {:>10} {:>8} {:>6} | {:>8} {:>7}",
        "", "hours", "calls", "refused", "Flinks", "a second", "most", "Redis", "a second", "most", "kept", "failed"
    );
    let plan = Plan { consents, machines, every, outage, skew: 5 * 60 };
    let outcome = fleet::run(plan, |phase| {
        let Phase { name, lasted, calls, refused, requests, commands, kept, failed } = phase;
        let each = |all: u64| all as f64 / lasted.as_secs_f64();
        println!(
            "{name:<22} {:>8.2} {calls:>9} {refused:>8} | {:>9} {:>8.1} {:>6} | {:>10} {:>8.1} {:>6} | {kept:>8} {failed:>7}",
            lasted.as_secs_f64() / 3600.0,
            requests.0,
            each(requests.0),
            requests.1,
            commands.0,
            each(commands.0),
            commands.1
        );
        let _ = std::io::stdout().flush();
    });
    let of_each = |bytes: u64| bytes / u64::from(consents.max(1));
    println!("\nlost: {}; requests with a refresh token that was not good: {}", outcome.lost, outcome.refused);
    println!("due and not kept alive within two hours: {}", outcome.due);
    println!("Redis: {} bytes for each consent, {} at the end", of_each(outcome.redis.0), of_each(outcome.redis.1));
    let megabytes = |bytes: u64| bytes / 1_000_000;
    println!(
        "this process, with all machines and Flinks: {} MB when all is in Redis, {} MB at the end",
        megabytes(outcome.resident.0),
        megabytes(outcome.resident.1)
    );
}
