#![doc = include_str!("../README.md")]

mod emulated;
mod pages;
mod service;
mod visitor;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use flinks_consents::{OwnerId, Page};
use maud::Markup;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tower_sessions::cookie::SameSite;
use tower_sessions::{MemoryStore, SessionManagerLayer};
use uuid::Uuid;

pub use crate::emulated::Emulated;
pub use crate::service::{App, Clients, serve};

use crate::service::Failure;
use crate::visitor::Visitor;

/// Returns the routes for the service and for all other pages. If `emulated` is set, the routes
/// include those that show the emulator's tokens and advance its clock. `metrics` renders the
/// metrics.
pub fn router(app: Arc<App>, emulated: Option<Arc<Emulated>>, metrics: PrometheusHandle) -> Router {
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        .with_name("session")
        .with_same_site(SameSite::Lax)
        .with_secure(app.public_url.starts_with("https:"));
    Router::new()
        .merge(service::routes())
        .route("/", get(overview))
        .route("/payments", get(async || pages::new_payment(&Uuid::new_v4().to_string())))
        .route("/banks/landing", get(async || pages::landing()))
        .route("/tokens", get(tokens))
        .route("/time", post(advance_time))
        .layer(Extension(emulated))
        .layer(sessions)
        .route("/metrics", get(async move || render(&metrics)))
        .merge(pages::assets())
        .layer(map_response(secure))
        .with_state(app)
}

async fn overview(
    State(app): State<Arc<App>>,
    Extension(emulated): Extension<Option<Arc<Emulated>>>,
    visitor: Visitor,
) -> Result<Markup, Failure> {
    let consents = app.consents.list(&visitor.user.parse::<OwnerId>()?, &Page::first(100)).await?;
    let logins = app.logins.lock().unwrap_or_else(PoisonError::into_inner);
    let logins = logins.iter().filter(|(user, _)| *user == visitor.user).count();
    Ok(pages::overview(logins, &consents, emulated.as_deref()))
}

async fn tokens(Extension(emulated): Extension<Option<Arc<Emulated>>>) -> Result<Markup, StatusCode> {
    let emulated = emulated.ok_or(StatusCode::NOT_FOUND)?;
    Ok(pages::tokens(&emulated))
}

#[derive(Deserialize)]
struct Step {
    seconds: u64,
}

async fn advance_time(
    Extension(emulated): Extension<Option<Arc<Emulated>>>,
    Form(step): Form<Step>,
) -> Result<Redirect, StatusCode> {
    const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
    emulated.ok_or(StatusCode::NOT_FOUND)?.advance(Duration::from_secs(step.seconds).min(LONGEST));
    Ok(Redirect::to("/"))
}

/// Installs the metrics recorder. Call this function before the first client is built.
///
/// # Errors
///
/// Returns an error if another recorder is already installed.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    const SECONDS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0];
    let durations = Matcher::Suffix("_duration_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(durations, &SECONDS)?.install_recorder()
}

/// Renders the metrics, and frees the memory that old samples use.
fn render(metrics: &PrometheusHandle) -> String {
    metrics.run_upkeep();
    metrics.render()
}

// ANCHOR: secure
/// Adds headers that keep codes and login ids out of `Referer` headers and caches.
async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        "content-security-policy",
        HeaderValue::from_static(
            "default-src 'self'; frame-src http: https:; img-src data:; base-uri 'none'; frame-ancestors 'self'",
        ),
    );
    response
}
// ANCHOR_END: secure
