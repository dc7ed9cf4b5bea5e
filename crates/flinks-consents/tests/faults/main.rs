//! A catalogue of faults in servers, networks and configurations. For each fault, the catalogue
//! states the expected error and the expected number of requests.
//!
//! Each row runs with every operation to which it applies. The test calls the facade's operations
//! against the emulator. The test compares the number of requests with the table of attempts and
//! searches for canaries in:
//!
//! - every text representation of the error,
//! - every request, except in the one place where the secret belongs,
//! - every log line and span field that the process emits at the TRACE level,
//! - the output of the process, including panic messages, and the files that the process leaves
//!   behind.
//!
//! `cargo test -p flinks-consents --test faults -- --show-rows` prints the rows.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)] // test helpers are tests too

mod case;
mod configuration;
mod elsewhere;
mod fields;
#[path = "../../../flinks/tests/shared/log.rs"]
mod log;
mod replies;
mod statuses;
mod successes;

/// Imports that all files share.
mod prelude {
    pub(crate) use flinks_consents::{AppTokenSource, Consent, ConsentError, ConsentId, Consents};
}

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::case::{Case, Log, Operation};

/// The number of requests and the number of searches for canaries in one row.
#[derive(Default)]
struct Tally {
    requests: u64,
    checks: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, case: Case) {
        self.requests += case.requests;
        for (surface, checks) in case.checks {
            *self.checks.entry(surface).or_default() += checks;
        }
    }
}

type Tallies = Arc<Mutex<BTreeMap<String, Tally>>>;

/// The environment variable that names the file to which the inner process writes its canaries.
const PLANTED: &str = "FAULTS_PLANTED";

fn main() {
    match std::env::var_os(PLANTED) {
        Some(planted) => run(Path::new(&planted)),
        None => run_and_search_output(),
    }
}

/// Runs this program again with a separate home directory. Checks that the output of the inner
/// process contains no canary, and that the process leaves no files behind.
fn run_and_search_output() {
    let home = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let planted = outside.path().join("planted");
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(std::env::args_os().skip(1)).current_dir(&home).env(PLANTED, &planted);
    for folder in ["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
        program.env(folder, home.path());
    }
    let output = program.output().unwrap();
    let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    for canary in std::fs::read_to_string(&planted).unwrap_or_default().lines() {
        assert!(texts.iter().all(|text| !text.contains(canary)), "a secret was printed");
    }
    let [stdout, stderr] = texts;
    print!("{stdout}");
    eprint!("{stderr}");
    let left: Vec<_> = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "the tests left files: {left:?}");
    drop((home, outside));
    std::process::exit(output.status.code().unwrap_or(1));
}

fn run(planted: &Path) {
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
            let row = row.clone();
            let log = log.clone();
            let tallies = Arc::clone(&tallies);
            trials.push(Trial::test(format!("{} | {} | {operation:?}", row.section, row.given), move || {
                let mut case = Case::new(log);
                in_a_runtime(replies::check(&mut case, &row, operation))?;
                let name = format!("{} | {}", row.section, row.given);
                tallies.lock().unwrap().entry(name).or_default().add(case);
                Ok(())
            }));
        }
    }
    for (given, check) in configuration::rows() {
        let log = log.clone();
        let tallies = Arc::clone(&tallies);
        trials.push(Trial::test(format!("Configuration | {given}"), move || {
            let mut case = Case::new(log);
            check(&mut case);
            tallies.lock().unwrap().entry(format!("Configuration | {given}")).or_default().add(case);
            Ok(())
        }));
    }
    trials.push(Trial::test("every operation of the documents has rows", || {
        case::every_operation_has_rows();
        Ok(())
    }));
    trials.push(Trial::test("every separate test exists", || {
        elsewhere::every_named_test_exists();
        Ok(())
    }));
    let conclusion = libtest_mimic::run(&Arguments::from_iter(arguments), trials);
    let tallies = tallies.lock().unwrap();
    if show_rows {
        for (row, Tally { requests, checks }) in tallies.iter() {
            println!("{requests:>6} requests {:>6} texts  {row}", checks.values().sum::<u64>());
        }
        for (row, test) in elsewhere::ROWS {
            println!("{:>30}  {row}: {test}", "");
        }
    }
    let mut total = Tally::default();
    for tally in tallies.values() {
        total.requests += tally.requests;
        for (surface, checks) in &tally.checks {
            *total.checks.entry(surface).or_default() += checks;
        }
    }
    let text = log.text();
    *total.checks.entry("log line").or_default() += u64::try_from(text.lines().count()).unwrap();
    for canary in log.planted() {
        assert!(!text.contains(&canary), "the log contains a secret");
    }
    std::fs::write(planted, log.planted().join("\n")).unwrap();
    let elsewhere = elsewhere::ROWS.len();
    eprintln!("{} rows, {} requests; {elsewhere} more rows with a separate test", tallies.len(), total.requests);
    eprintln!("texts without a canary: {:?}", total.checks);
    conclusion.exit();
}

fn in_a_runtime(test: impl Future<Output = ()>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(test);
    Ok(())
}
