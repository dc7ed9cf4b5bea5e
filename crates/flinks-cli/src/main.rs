//! The `flinks` program: requests tokens, manages consents, and diagnoses problems.
//!
//! | module | content |
//! | --- | --- |
//! | `cli` | the program's arguments |
//! | `commands` | one module for each command |
//! | `profile` | the configuration file and the secrets |
//! | `context` | the clients and the store for the selected profile |
//! | `doctor` | the checks of `flinks doctor` |
//! | `explain` | the codes and messages that `flinks explain` knows |
//! | `loopback` | the web server that receives a callback |
//! | `failure` | the errors and exit codes |
//! | `input` | secrets and other text from standard input |
//! | `output` | text, tables and JSON |
//! | `signals` | Ctrl-C and other requests to stop |

// The program's future contains the futures of all commands and clients.
#![recursion_limit = "256"]
#![allow(clippy::print_stdout, clippy::print_stderr)] // This is a command-line program.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod cli;
mod commands;
mod context;
mod doctor;
mod explain;
mod failure;
mod input;
mod loopback;
mod output;
mod profile;
mod shell;
mod signals;
mod timestamp;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::signals::Signals;

fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    options.apply(&command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(format!("failed to start the runtime: {error}")).report(),
    };
    let exit = runtime.block_on(async {
        let (command, context) = (Arc::new(command), Arc::new(Context::new(options)));
        let outcome = match *command {
            // The emulator handles signals itself.
            Command::Emulator(_) => command.run(context).await,
            _ => run(command, context).await,
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    });
    // A thread that reads standard input cannot be stopped, so do not wait for it.
    runtime.shutdown_background();
    exit
}

/// Runs a command until it completes or a signal stops it. In both cases, in-flight changes to
/// consents are completed, unless a second signal arrives.
async fn run(command: Arc<Command>, context: Arc<Context>) -> Result<(), Failure> {
    let mut signals = Signals::install()?;
    let outcome = tokio::select! {
        outcome = Arc::clone(&command).run(Arc::clone(&context)) => outcome,
        () = signals.next() => {
            signals.restore_terminal();
            if context.has_consents() {
                output::note("completing the changes in flight; press Ctrl-C again to stop now");
            }
            command.interruption()
        }
    };
    let mut shutdown = std::pin::pin!(context.shutdown());
    let mut is_interrupted = matches!(&outcome, Err(failure) if failure.is_interruption());
    let completed = loop {
        tokio::select! {
            completed = &mut shutdown => break completed,
            () = signals.next() => {
                if is_interrupted {
                    return Err(Failure::interrupted("changes to consents may be lost"));
                }
                is_interrupted = true;
                output::note("completing the changes in flight; press Ctrl-C again to stop now");
            }
        }
    };
    match (outcome, completed) {
        (outcome, Ok(())) => outcome,
        (Ok(()), Err(failure)) => Err(failure),
        (outcome, Err(failure)) => {
            failure.report();
            outcome
        }
    }
}
