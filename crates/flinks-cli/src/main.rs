//! The `flinks` program: requests tokens, manages consents, and finds out what is wrong.
//!
//! | module | content |
//! | --- | --- |
//! | `cli` | the arguments of the program |
//! | `commands` | one module for each command |
//! | `profile` | the configuration file and the secrets |
//! | `context` | clients and stores of the selected profile |
//! | `doctor` | the checks of `flinks doctor` |
//! | `explain` | the codes and messages that `flinks explain` knows |
//! | `loopback` | the web server that receives a callback |
//! | `failure` | the errors and exit codes |
//! | `output` | text, tables and JSON |

// The future of the program contains the futures of all commands and clients.
#![recursion_limit = "256"]
#![allow(clippy::print_stdout, clippy::print_stderr)] // This is a command-line program.
#![warn(clippy::arithmetic_side_effects)]

mod cli;
mod commands;
mod context;
mod doctor;
mod explain;
mod failure;
mod loopback;
mod output;
mod profile;
mod timestamp;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::Failure;

/// The time that is left for writes and requests in flight when the program is interrupted.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(45);

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.options.apply();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(format!("failed to start the runtime: {error}")).report(),
    };
    let exit = runtime.block_on(run(cli));
    // A read from the terminal cannot be cancelled, so do not wait for it.
    runtime.shutdown_background();
    exit
}

/// Runs the command until it completes or the user presses Ctrl-C. In both cases, the changes to
/// consents that are in flight are completed.
async fn run(cli: Cli) -> ExitCode {
    let context = Context::new(cli.options);
    let consequence = cli.command.interruption();
    let outcome = tokio::select! {
        outcome = cli.command.run(&context) => outcome,
        () = interrupted() => {
            if context.has_work() {
                output::note("completing the changes in flight; press Ctrl-C again to stop now");
            }
            Err(Failure::interrupted(consequence))
        }
    };
    tokio::spawn(async {
        interrupted().await;
        std::process::exit(Failure::interrupted(None).exit_code().into());
    });
    let outcome = match (outcome, context.shutdown(SHUTDOWN_LIMIT).await) {
        (Ok(()), Err(error)) => Err(error),
        (outcome, Err(error)) => {
            error.report();
            outcome
        }
        (outcome, Ok(())) => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Completes when the user presses Ctrl-C or another process asks this one to stop.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
