//! Flinks Outbound: consents for several banks, and calls to the Open Banking API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use flinks_consents::flinks::Started;
use flinks_consents::{Consent, ConsentError, ConsentId, OwnerId, Page, Replaced, Revoked};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::configuration::App;
use crate::error::{Failure, Reply};
use crate::sessions::{Pending, Session};

#[derive(Deserialize)]
pub(crate) struct Bank {
    bank: String,
}

/// Redirects the end user to Flinks, where they give consent for one bank.
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(Bank { bank }): Json<Bank>,
) -> Reply<impl IntoResponse> {
    let session = app.sessions.find_or_start(&headers);
    let redirect_url = app.redirect_url("/consents/callback")?;
    let request = app.consents.client().authorization(&bank, &redirect_url)?.scope(&["TRANSACTIONS"]);
    let Started { url, pending: authorization, .. } = request.start();
    app.sessions.keep(&session, Pending { bank, authorization });
    Ok((StatusCode::SEE_OTHER, [(LOCATION, url.expose_secret().to_owned()), (SET_COOKIE, session.cookie())]))
}

/// Handles the end user's callback and stores the consent.
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Reply<Json<Value>> {
    let session = app.sessions.find(&headers)?;
    let Pending { bank, authorization } = app.sessions.take(&session)?;
    let code = app.consents.client().verify(authorization, &query.unwrap_or_default())?;
    let new = app.consents.new_consent(&consent_id(&session, &bank)?).owner(owner(&session)?).label(bank.as_str());
    if let Replaced::Failed(error) = new.revoke_replaced().exchange_code(code).await?.replaced {
        tracing::warn!("the replaced consent's connection may still exist: {error}");
    }
    Ok(Json(json!({"connected": bank})))
}

/// Lists the end user's banks.
pub(crate) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Reply<Json<Value>> {
    let consents = app.consents.list(&owner(&app.sessions.find(&headers)?)?, &Page::first(100)).await?;
    let banks =
        consents.iter().map(|status| json!({"bank": status.label, "standing": format!("{:?}", status.standing)}));
    Ok(Json(banks.collect()))
}

/// Returns the end user's accounts at one bank, as listed by the Open Banking API.
pub(crate) async fn accounts(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(bank): Path<String>,
) -> Reply<Json<Value>> {
    let consent = consent(&app, &headers, &bank)?;
    let url = format!("{}/api/fdx/5/accounts", app.consents.client().base_url());
    // If the API rejects the token, the service invalidates it and retries once with a new token.
    for _ in 0..2 {
        let token = consent.access_token().await?;
        let response = app.http.get(&url).bearer_auth(token.expose_secret()).send().await.map_err(|_| UNAVAILABLE)?;
        match response.status() {
            StatusCode::UNAUTHORIZED => consent.invalidate(&token),
            status if status.is_success() => return response.json().await.map(Json).map_err(|_| UNAVAILABLE),
            _ => return Err(UNAVAILABLE),
        }
    }
    Err(Failure::new(StatusCode::CONFLICT, "consent again"))
}

const UNAVAILABLE: Failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "try again later");

/// Revokes the connection and removes the consent.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(bank): Path<String>,
) -> Reply<StatusCode> {
    match consent(&app, &headers, &bank)?.revoke().await? {
        Revoked::NotFound => Err(Failure::new(StatusCode::NOT_FOUND, "no consent for this bank")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

fn consent(app: &App, headers: &HeaderMap, bank: &str) -> Reply<Consent> {
    Ok(app.consents.consent(&consent_id(&app.sessions.find(headers)?, bank)?))
}

fn owner(session: &Session) -> Reply<OwnerId> {
    Ok(session.user.parse::<OwnerId>().map_err(ConsentError::from)?)
}

fn consent_id(session: &Session, bank: &str) -> Reply<ConsentId> {
    Ok(format!("{}/{bank}", session.user).parse::<ConsentId>().map_err(ConsentError::from)?)
}
