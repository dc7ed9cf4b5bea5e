//! The `flinks-emulator` program. The first line of its output is the emulator's base URL.

#![allow(clippy::print_stderr)] // This is a command-line program.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use flinks_emulator::program::{self, Options};
use tracing_subscriber::EnvFilter;

/// A local emulator of Flinks Pay, Connect and Outbound for development and tests
///
/// The first line of the output is the base URL. The program then prints the credentials and a curl
/// command for each endpoint.
///
/// The program logs each request's operation and response status to standard error, but never any
/// values from the request. RUST_LOG sets the log filter, and RUST_LOG=off disables logging.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("flinks_emulator=info"));
    // The process that reads the log may close the pipe. The emulator must keep running, so ignore
    // errors.
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    let arguments = Arguments::parse();
    match program::run(&arguments.options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
