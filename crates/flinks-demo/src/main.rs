//! The application: `cargo run -p flinks-demo`. README.md lists its variables.

#![allow(clippy::print_stderr)] // a terminal program

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use flinks_consents::flinks::tls::install_default_crypto_provider;
use flinks_consents::flinks::{connect, outbound, pay};
use flinks_consents::{FileStore, MemoryStore};
use flinks_demo::{App, Emulated, install_metrics, router, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    // This provider is for HTTP clients that the application builds itself. The SDK's clients have
    // their own.
    install_default_crypto_provider();
    let metrics = install_metrics()?;
    let address: SocketAddr = variable("DEMO_ADDRESS", "127.0.0.1:8000")?
        .parse()
        .map_err(|_| "invalid `DEMO_ADDRESS`: expected an address such as `127.0.0.1:8000`")?;
    let listener = TcpListener::bind(address).await?;
    let public_url = variable("DEMO_PUBLIC_URL", &format!("http://{}", listener.local_addr()?))?;
    let (app, emulated) = if env::var_os("FLINKS_OUTBOUND_URL").is_some() {
        let clients = (pay::Client::from_env()?, connect::Client::from_env()?, outbound::Client::from_env()?);
        let store = FileStore::open(variable("DEMO_STORE", "demo-consents")?)?;
        (App::new(clients, store, public_url.clone()), None)
    } else {
        let emulated = Emulated::start().await?;
        (App::new(emulated.clients()?, MemoryStore::new(), public_url.clone()), Some(Arc::new(emulated)))
    };
    let app = Arc::new(app);
    eprintln!("open {public_url}");
    serve(listener, Arc::clone(&app), router(app, emulated, metrics), stopped()).await?;
    Ok(())
}

/// Returns the value of an environment variable, or `default` if the variable is not set.
fn variable(name: &str, default: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(text) => Ok(text),
        Err(env::VarError::NotPresent) => Ok(default.to_owned()),
        Err(env::VarError::NotUnicode(_)) => Err(format!("invalid `{name}`: must be UTF-8")),
    }
}

// ANCHOR: stopped
/// Waits for Ctrl-C or for SIGTERM, the signal that stops a container.
async fn stopped() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
// ANCHOR_END: stopped
