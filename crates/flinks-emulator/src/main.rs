//! The `flinks-emulator` program. The first line of its output is the emulator's base URL.

#![allow(clippy::print_stderr)] // This is a command-line program.

#[cfg(feature = "tls")]
mod program {
    pub(crate) mod tls;
}

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use flinks_emulator::{Config, Emulator};
use tracing_subscriber::EnvFilter;

/// A local emulator of Flinks Pay, Connect and Outbound for development and tests
///
/// The first line of the output is the base URL. The program then prints the credentials and a curl
/// command for each endpoint.
///
/// The program logs each request's operation and status to standard error, but never any values
/// from the request. RUST_LOG sets the log filter, and RUST_LOG=off disables logging.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Loopback address and port, such as 127.0.0.1:8080; port 0 selects a free port
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", value_parser = parse_address)]
    listen: SocketAddr,
    /// TOML file with settings; omitted settings have their default values
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the default configuration as TOML and exit
    #[arg(long)]
    print_config: bool,
    /// Allow a non-loopback address; the credentials are public, and traffic is not encrypted
    #[arg(long)]
    dangerously_listen_anywhere: bool,
    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: program::tls::TlsOptions,
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

fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
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
    let config = match &arguments.config {
        Some(path) => read_config(path)?,
        None => Config::default(),
    };
    // Install the signal handlers before the first line is printed, because the process that reads
    // the line may stop the program immediately.
    let stop = stop_signal().map_err(|error| format!("failed to install the signal handlers: {error}"))?;
    let emulator = start(arguments, config).await?;
    // The parent process may close the pipe after it has read the first line. The emulator must
    // keep running.
    let _ = io::stdout().write_all(emulator.guide().as_bytes());
    #[cfg(feature = "tls")]
    let _ = io::stdout().write_all(program::tls::guide(&emulator).as_bytes());
    stop.await;
    Ok(())
}

async fn start(arguments: Arguments, config: Config) -> Result<Emulator, String> {
    let Arguments { listen, dangerously_listen_anywhere, .. } = arguments;
    let explain = |error| {
        let hint = if listen.ip().is_loopback() || dangerously_listen_anywhere {
            ""
        } else {
            "; pass --dangerously-listen-anywhere to use the address anyway"
        };
        format!("failed to start the emulator on {listen}: {error}{hint}")
    };
    #[cfg(feature = "tls")]
    if let Some(tls) = arguments.tls.create()? {
        let started = if dangerously_listen_anywhere {
            tls.dangerously_listen_anywhere(listen, config).await
        } else {
            tls.listen(listen, config).await
        };
        return started.map_err(explain);
    }
    let started = if dangerously_listen_anywhere {
        Emulator::dangerously_listen_anywhere(listen, config).await
    } else {
        Emulator::listen(listen, config).await
    };
    started.map_err(explain)
}

/// Returns a future that completes when the process receives a stop signal.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
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

/// Reads a configuration file. An error message contains the line number and the problem, but no
/// text from the file, because it may be a credential.
fn read_config(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read the configuration file `{}`: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let what = error.message().split(['`', '"']).next().unwrap_or_default().trim_end_matches([' ', ',']);
        let expected = error
            .message()
            .split_once(", expected ")
            .map_or_else(String::new, |(_, expected)| format!(", expected {expected}"));
        format!("invalid configuration: {}, line {line}: {what}{expected}", path.display())
    })
}
