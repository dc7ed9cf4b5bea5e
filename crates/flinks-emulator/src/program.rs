//! The command-line program, for use in another program that adds its own options.
//!
//! The `flinks-emulator` program consists of [`Options`] and [`run`].

#[cfg(feature = "tls")]
mod tls;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::{Config, Emulator, Scenario};

/// The options of the `flinks-emulator` program.
#[derive(Args)]
pub struct Options {
    /// Loopback address and port, such as 127.0.0.1:8080; port 0 selects a free port
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", value_parser = parse_address)]
    listen: SocketAddr,
    /// TOML file with settings; omitted settings have their default values
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of a built-in scenario, or TOML file with a scenario; the scenario's settings override
    /// those from --config
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,
    /// Print the default configuration as TOML and exit
    #[arg(long)]
    print_config: bool,
    /// Allow a non-loopback address; the credentials are public, and without --tls, traffic is not encrypted
    #[arg(long)]
    dangerously_listen_anywhere: bool,
    /// Open the dashboard in the default browser
    #[arg(long)]
    open: bool,
    /// Record requests and responses in a HAR file, with credentials and tokens redacted
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Accept this host name for the dashboard and the control API; requests must then carry the
    /// printed access token
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Store requests as they were received, including values that the emulator does not know
    #[arg(long)]
    keep_values: bool,
    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: tls::TlsOptions,
}

fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:8080")
}

fn print_config() -> Result<(), String> {
    let text = toml::to_string(&Config::default()).unwrap_or_default();
    io::stdout().write_all(text.as_bytes()).map_err(|error| format!("failed to write the configuration: {error}"))
}

/// Runs the emulator until the process receives a stop signal.
///
/// The first line of the output is the emulator's base URL. It is followed by the credentials and by
/// commands to try.
///
/// # Errors
///
/// Returns an error message for the user if an option is invalid, or if the emulator cannot start.
pub async fn run(options: &Options) -> Result<(), String> {
    if options.print_config {
        return print_config();
    }
    let scenario = options.scenario.as_deref().map(find_scenario).transpose()?;
    let config = match &options.config {
        Some(path) => read_config(path)?,
        None => Config::default(),
    };
    // Install the signal handlers before the first line is printed, because the process that reads
    // the line may stop the program immediately.
    let stop = stop_signal().map_err(|error| format!("failed to install the signal handlers: {error}"))?;
    let emulator = start(options, config).await?;
    prepare(&emulator, options, scenario.as_ref())?;
    let dashboard = emulator.dashboard_url();
    let output = emulator.guide();
    #[cfg(feature = "tls")]
    let output = output + &tls::guide(&emulator);
    // The parent process may close the pipe after it has read the first line. The emulator must
    // then keep running.
    let _ = io::stdout().write_all(format!("{output}\ndashboard {dashboard}\n").as_bytes());
    if options.open {
        open_browser(&dashboard);
    }
    stop.await;
    Ok(())
}

/// Applies the options that are not part of the configuration.
fn prepare(emulator: &Emulator, options: &Options, scenario: Option<&Scenario>) -> Result<(), String> {
    if !options.keep_values {
        emulator.hide_unknown_values();
    }
    for name in &options.allow_host {
        emulator.allow_host(name);
    }
    if let Some(file) = &options.record {
        emulator
            .record(file)
            .map_err(|error| format!("failed to create the recording `{}`: {error}", file.display()))?;
    }
    if let Some(scenario) = scenario {
        emulator.load_scenario(scenario).map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn start(options: &Options, config: Config) -> Result<Emulator, String> {
    let Options { listen, dangerously_listen_anywhere, .. } = options;
    let explain = |error| {
        let hint = if listen.ip().is_loopback() || *dangerously_listen_anywhere {
            ""
        } else {
            "; pass --dangerously-listen-anywhere to use the address anyway"
        };
        format!("failed to start the emulator on {listen}: {error}{hint}")
    };
    #[cfg(feature = "tls")]
    if let Some(tls) = options.tls.create()? {
        let started = if *dangerously_listen_anywhere {
            tls.dangerously_listen_anywhere(*listen, config).await
        } else {
            tls.listen(*listen, config).await
        };
        return started.map_err(explain);
    }
    let started = if *dangerously_listen_anywhere {
        Emulator::dangerously_listen_anywhere(*listen, config).await
    } else {
        Emulator::listen(*listen, config).await
    };
    started.map_err(explain)
}

/// Opens the dashboard in the default browser. The access token is omitted, because other users of
/// the machine can see the arguments of a process.
fn open_browser(dashboard: &str) {
    let address = dashboard.split('#').next().unwrap_or(dashboard);
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        Command::new("explorer")
    } else {
        Command::new("xdg-open")
    };
    // The browser must not write to the pipe from which a parent process reads the first line.
    let command = command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        // Waiting removes the process from the process table.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => tracing::warn!(%error, "failed to open a browser"),
    }
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

/// Returns the built-in scenario with this name, or reads a scenario file.
fn find_scenario(name: &str) -> Result<Scenario, String> {
    if let Ok(scenario) = Scenario::built_in(name) {
        return Ok(scenario);
    }
    let text = std::fs::read_to_string(name).map_err(|error| {
        let names: Vec<&str> = Scenario::built_in_names().collect();
        let names = names.join(", ");
        format!("`{name}` is neither a scenario file ({error}) nor one of the built-in scenarios: {names}")
    })?;
    Scenario::parse(&text).map_err(|error| format!("{name}: {error}"))
}

fn read_config(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read the configuration file `{}`: {error}", path.display()))?;
    Config::from_toml(&text).map_err(|error| format!("{}: {error}", path.display()))
}
