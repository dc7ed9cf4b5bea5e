//! The catalogue: what a server, a network and a configuration can do, what a caller must then see, and the most requests.
//!
//! A row is met by each operation that it concerns, through the facade, against the emulator. One helper, [`Case::call`],
//! counts the requests by the emulator's ledger, holds them against the table of tries, and looks for canaries in all that can
//! be read: the error in each of its forms, its sources, every request but for the one allowed place, and, when all is done,
//! every log line and span field of the process at TRACE.
//!
//! `cargo test -p flinks --test catalogue -- --show-rows` prints the rows.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // helpers of tests are tests too

mod case;
mod configuration;
mod elsewhere;
#[path = "../shared/log.rs"]
mod log;
mod replies;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::case::{Case, Log, Operation};

/// What one row did.
#[derive(Default)]
struct Tally {
    requests: u64,
    checks: u64,
}

type Tallies = Arc<Mutex<BTreeMap<String, Tally>>>;

fn main() {
    let mut arguments: Vec<String> = std::env::args().collect();
    let show_rows =
        arguments.iter().position(|argument| argument == "--show-rows").map(|at| arguments.remove(at)).is_some();
    let log = Log::capture();
    let tallies = Tallies::default();
    let mut trials = Vec::new();
    for row in replies::rows() {
        for operation in Operation::ALL {
            if !row.concerns(operation) {
                continue;
            }
            let (row, log, tallies) = (row.clone(), log.clone(), Arc::clone(&tallies));
            trials.push(Trial::test(format!("{} | {} | {operation:?}", row.section, row.given), move || {
                let mut case = Case::new(log);
                in_a_runtime(replies::check(&mut case, &row, operation))?;
                let mut tallies = tallies.lock().unwrap();
                let tally = tallies.entry(format!("{} | {}", row.section, row.given)).or_default();
                (tally.requests, tally.checks) = (tally.requests + case.requests, tally.checks + case.checks);
                Ok(())
            }));
        }
    }
    for (given, check) in configuration::rows() {
        let (log, tallies) = (log.clone(), Arc::clone(&tallies));
        trials.push(Trial::test(format!("Configuration | {given}"), move || {
            let mut case = Case::new(log);
            check(&mut case);
            tallies.lock().unwrap().entry(format!("Configuration | {given}")).or_default().checks += case.checks;
            Ok(())
        }));
    }
    trials.push(Trial::test("every operation of the documents has its rows", || {
        case::every_operation_is_here();
        Ok(())
    }));
    trials.push(Trial::test("rows with a test of their own have that test", || {
        elsewhere::every_test_is_there();
        Ok(())
    }));
    let conclusion = libtest_mimic::run(&Arguments::from_iter(arguments), trials);
    let tallies = tallies.lock().unwrap();
    if show_rows {
        for (row, Tally { requests, checks }) in tallies.iter() {
            println!("{requests:>6} requests {checks:>6} texts  {row}");
        }
        for (row, test) in elsewhere::ROWS {
            println!("{:>30}  {row}: {test}", "");
        }
    }
    let sum = |of: fn(&Tally) -> u64| tallies.values().map(of).sum::<u64>();
    println!(
        "{} rows, {} requests, {} texts without a canary; {} more rows with a test of their own",
        tallies.len(),
        sum(|tally| tally.requests),
        sum(|tally| tally.checks),
        elsewhere::ROWS.len()
    );
    log.has_no_canary();
    conclusion.exit();
}

fn in_a_runtime(test: impl Future<Output = ()>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(test);
    Ok(())
}
