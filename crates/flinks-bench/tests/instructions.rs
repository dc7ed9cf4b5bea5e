//! Checks the instructions and allocations of the hot paths relative to handwritten code in the same
//! run. The counts are almost the same in every run, and the ratios change little between compilers.
//!
//! If a ratio rises above its limit, find the cause or raise the limit and explain why. If it falls,
//! lower the limit.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use flinks_bench::callgrind;
use flinks_bench::claims::names;
use libtest_mimic::{Arguments, Failed, Trial};

/// The highest accepted ratios to handwritten code.
struct Limit {
    contender: &'static str,
    instructions: f64,
    allocations: f64,
}

const PAY: [Limit; 2] = [
    Limit { contender: "flinks-pay", instructions: 0.875, allocations: 0.815 },
    Limit { contender: names::FACADE, instructions: 0.9, allocations: 0.815 },
];
const CONNECT: [Limit; 2] = [
    Limit { contender: "flinks-connect", instructions: 0.875, allocations: 0.8 },
    Limit { contender: names::FACADE, instructions: 0.895, allocations: 0.8 },
];
const OUTBOUND: [Limit; 2] = [
    Limit { contender: "flinks-outbound", instructions: 0.893, allocations: 0.855 },
    Limit { contender: names::FACADE, instructions: 0.928, allocations: 0.87 },
];

/// The highest accepted ratios to a read of a shared pointer and one clock. The crates read two
/// clocks.
const READS: [(&str, f64); 3] = [(names::WITH_TOKEN, 2.07), (names::CONSENT, 2.58), (names::HEADER, 3.03)];

fn main() {
    let is_installed = callgrind::is_installed();
    let trials = [
        Trial::test("fresh_pay_token_costs_less_than_by_hand", || check_fresh("pay", &PAY)),
        Trial::test("fresh_connect_token_costs_less_than_by_hand", || check_fresh("connect", &CONNECT)),
        Trial::test("fresh_outbound_token_costs_less_than_by_hand", || check_fresh("outbound", &OUTBOUND)),
        Trial::test("cached_read_costs_little_more_than_a_shared_pointer", check_reads),
    ];
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(!is_installed)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn check_fresh(operation: &str, limits: &[Limit]) -> Result<(), Failed> {
    let server = Server::start()?;
    let cost = |contender| callgrind::cost(program(), operation, contender, &server.url, 100);
    let by_hand = cost(names::BY_HAND)?;
    for Limit { contender, instructions, allocations } in limits {
        let ours = cost(contender)?;
        check(contender, "instructions", ours.instructions / by_hand.instructions, *instructions)?;
        check(contender, "allocations", ours.allocations / by_hand.allocations, *allocations)?;
    }
    Ok(())
}

fn check_reads() -> Result<(), Failed> {
    // The program starts its own server for these contenders.
    let cost = |contender| callgrind::cost(program(), "read", contender, "", 10_000);
    let by_hand = cost(names::BORROWED)?;
    for (contender, limit) in READS {
        let ours = cost(contender)?;
        check(contender, "instructions", ours.instructions / by_hand.instructions, limit)?;
        check(contender, "allocations", ours.allocations, 0.0)?;
    }
    Ok(())
}

fn check(contender: &str, what: &str, ratio: f64, limit: f64) -> Result<(), Failed> {
    println!("{contender}, {what}: {ratio:.3} of handwritten code, limit {limit:.3}");
    if ratio > limit {
        let text = format!("{contender}: the ratio of {what} to handwritten code is {ratio:.3}, more than {limit:.3}");
        return Err(text.into());
    }
    Ok(())
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_flinks-bench"))
}

/// A process with the benchmark server.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Result<Self, Failed> {
        let mut process = Command::new(program()).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        Ok(Self { process, url: url.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
