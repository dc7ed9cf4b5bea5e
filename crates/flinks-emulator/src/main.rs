//! A local Flinks on a port of its own. The first line that it prints is its base URL.

#![allow(clippy::print_stderr)] // a terminal program

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

/// A local Flinks for first runs and tests. The first line that it prints is its base URL.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A loopback address and port, such as 127.0.0.1:8080; port 0 is any free port
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    match run(listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot listen on {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(listen: SocketAddr) -> io::Result<()> {
    let emulator = Emulator::listen(listen).await?;
    let text = format!(
        "{}\n\
         pay       user name {PAY_USERNAME}, password {PAY_PASSWORD}\n\
         connect   customer id {CONNECT_CUSTOMER_ID}, secret key {CONNECT_SECRET_KEY}\n\
         outbound  client id {OUTBOUND_CLIENT_ID}, client secret {OUTBOUND_CLIENT_SECRET}\n",
        emulator.base_url(),
    );
    // Who started it may read the first line and close the pipe: that does not end it.
    let _ = io::stdout().write_all(text.as_bytes());
    tokio::signal::ctrl_c().await
}
