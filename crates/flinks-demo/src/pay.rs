//! Flinks Pay: starts payment sessions, each with its own session token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flinks_consents::flinks::Error;
use flinks_consents::flinks::pay::{Cents, Customer, NewSession};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::configuration::App;
use crate::error::{Failure, Reply};

#[derive(Deserialize)]
pub(crate) struct Payment {
    order: String,
    cents: u64,
    name: String,
    email: String,
}

/// Starts a payment session and returns the URL where the payer continues.
pub(crate) async fn start(State(app): State<Arc<App>>, Json(payment): Json<Payment>) -> Reply<Json<Value>> {
    let customer = Customer { name: payment.name, email: payment.email };
    let session = NewSession::new(payment.order, Cents(payment.cents), customer)?;
    // The call runs in a separate task, so its result is recorded even if the browser disconnects.
    let started = tokio::spawn(async move {
        let token = app.pay.authorize().await?;
        let session = app.pay.initiate_session(token, &session).await?;
        Ok::<_, Error>(app.pay.app_url(&session))
    });
    let url = started.await.map_err(|_| Failure::new(axum::http::StatusCode::BAD_GATEWAY, "tell us"))??;
    Ok(Json(json!({"url": url.expose_secret()})))
}
