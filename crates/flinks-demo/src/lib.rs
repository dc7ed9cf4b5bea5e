#![doc = include_str!("../README.md")]

mod configuration;
mod connect;
mod error;
mod outbound;
mod pay;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;

pub use configuration::{App, Flinks, Options};

/// The time limit for refreshes at shutdown. It is longer than one call to Flinks and two calls to
/// the store.
const SHUTDOWN: Duration = Duration::from_secs(45);

/// Returns the service's routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/health", get(async || "ok"))
        .route("/payments", post(pay::start))
        .route("/banks/connect", get(connect::widget))
        .route("/banks/landing", get(connect::landing))
        .route("/consents", get(outbound::list).post(outbound::start))
        .route("/consents/callback", get(outbound::callback))
        .route("/consents/{bank}/accounts", get(outbound::accounts))
        .route("/consents/{bank}", axum::routing::delete(outbound::revoke))
        .with_state(Arc::new(app))
}

/// Serves until `stop` completes and every request in flight has its response. Then waits for
/// refreshes in flight and writes pending records to the store. Without this wait, the runtime
/// could cancel a refresh and lose a refresh token.
///
/// # Errors
///
/// Returns an error if the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let consents = app.consents.clone();
    axum::serve(listener, router(app)).with_graceful_shutdown(stop).await?;
    if let Err(unfinished) = consents.shutdown(SHUTDOWN).await {
        tracing::error!("{unfinished}");
    }
    Ok(())
}
