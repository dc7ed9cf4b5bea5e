//! The service, started with `cargo run -p flinks-demo`. README.md lists the service's environment
//! variables.

#![allow(clippy::print_stderr)] // a terminal program

use std::error::Error;
use std::process::ExitCode;

use flinks_consents::flinks::tls::install_default_crypto_provider;
use flinks_demo::{App, Flinks, Options, serve};
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
    // The service's HTTP client needs a default provider. The SDK's clients bring their own
    // provider.
    install_default_crypto_provider();
    // The emulator stops when this value is dropped.
    let flinks = Flinks::from_env().await?;
    let options = Options::from_env()?;
    let listener = TcpListener::bind(options.address).await?;
    let app = App::new(&flinks, options)?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    serve(listener, app, stopped()).await?;
    Ok(())
}

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
