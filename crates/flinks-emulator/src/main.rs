//! A local Flinks on a port of its own. The first line that it prints is its base URL.

#![allow(clippy::print_stderr)] // a terminal program

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use flinks_emulator::{Config, Emulator};
use tracing_subscriber::EnvFilter;

/// A local Flinks for first runs and tests. The first line that it prints is its base URL.
///
/// Each request is logged to standard error, without a value of it. RUST_LOG sets what is logged; `off` is silence.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A loopback address and port, such as 127.0.0.1:8080 or localhost:8080; port 0 is any free port
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", value_parser = address)]
    listen: SocketAddr,
    /// A TOML file with credentials and switches: what is not in it has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the defaults as such a file, and end
    #[arg(long)]
    print_config: bool,
    /// Listen on an address that others reach, who know its credentials and see what you send
    #[arg(long)]
    dangerously_listen_anywhere: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("flinks_emulator=info"));
    // Who reads the log may go away: that ends nothing.
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    let arguments = Arguments::parse();
    if arguments.print_config {
        return print_config();
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:8080")
}

fn print_config() -> ExitCode {
    let text = toml::to_string(&Config::default()).unwrap_or_default();
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { listen, config, dangerously_listen_anywhere, .. } = arguments;
    let config = match config {
        Some(path) => read_config(&path)?,
        None => Config::default(),
    };
    // Asked for before the first line is printed: whoever reads that line may stop it at once.
    let stop = stop().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let emulator = if dangerously_listen_anywhere {
        Emulator::dangerously_listen_anywhere(listen, config).await
    } else {
        Emulator::listen(listen, config).await
    };
    let emulator = emulator.map_err(|error| {
        let hint = if listen.ip().is_loopback() || dangerously_listen_anywhere {
            ""
        } else {
            " (see --dangerously-listen-anywhere)"
        };
        format!("cannot listen on {listen}: {error}{hint}")
    })?;
    // Who started it may read the first line and close the pipe: that does not end it.
    let _ = io::stdout().write_all(emulator.guide().as_bytes());
    stop.await;
    Ok(())
}

/// Completes when the program is told to end.
fn stop() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// The message tells the place and what is wrong there, but not the text, which may be a credential.
fn read_config(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let what = error.message().split(['`', '"']).next().unwrap_or_default().trim_end_matches([' ', ',']);
        let expected = error
            .message()
            .split_once(", expected ")
            .map_or_else(String::new, |(_, expected)| format!(", expected {expected}"));
        format!("{}, line {line}: {what}{expected}", path.display())
    })
}
