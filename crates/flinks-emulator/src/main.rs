//! A local Flinks on a port of its own. The first line that it prints is its base URL.

#![allow(clippy::print_stderr)] // a terminal program

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use flinks_emulator::{Emulator, credentials};

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
    let mut out = io::stdout().lock();
    writeln!(out, "{}", emulator.base_url())?;
    writeln!(out, "pay       user name {}, password {}", credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?;
    writeln!(
        out,
        "connect   customer id {}, secret key {}",
        credentials::CONNECT_CUSTOMER_ID,
        credentials::CONNECT_SECRET_KEY
    )?;
    writeln!(
        out,
        "outbound  client id {}, client secret {}",
        credentials::OUTBOUND_CLIENT_ID,
        credentials::OUTBOUND_CLIENT_SECRET
    )?;
    out.flush()?;
    drop(out);
    tokio::signal::ctrl_c().await
}
