//! The code that an application must add around the SDK: clients, routes, errors and shutdown. The
//! pages are in the `pages` module, and the users and their sessions are in `visitor`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use flinks_consents::flinks::connect::{self, LoginId, Outcome, StatePlacement};
use flinks_consents::flinks::pay::{self, Cents, Customer, NewSession};
use flinks_consents::flinks::{Started, outbound};
use flinks_consents::keep_alive::WorkLeases;
use flinks_consents::{Consent, ConsentError, ConsentId, Consents, KeepAlive, OwnerId, Replaced};
use futures_util::FutureExt as _;
use maud::Markup;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::pages;
use crate::visitor::{UNAVAILABLE, Visitor};

// ANCHOR: app
/// The clients for Pay, Connect and Outbound.
pub type Clients = (pay::Client, connect::Client, outbound::Client);

/// The state that all requests share.
pub struct App {
    pub(crate) pay: pay::Client,
    pub(crate) connect: connect::Client,
    pub(crate) consents: Consents,
    keep_alive: KeepAlive,
    pub(crate) public_url: String,
    /// The confirmed bank logins. A real application encrypts them and stores them in its database.
    pub(crate) logins: Mutex<Vec<(String, LoginId)>>,
}

type Shared = State<Arc<App>>;
type Reply<T> = Result<T, Failure>;

impl App {
    /// Creates the state. `public_url` is the URL at which browsers reach the application.
    pub fn new(clients: Clients, store: impl WorkLeases + Clone, public_url: String) -> Self {
        let (pay, connect, outbound) = clients;
        let consents = Consents::builder(outbound).store(store.clone()).build();
        let keep_alive = KeepAlive::new(consents.clone(), store)
            .on_ended(|id| tracing::warn!("the end user of {} must consent again", id.as_str()));
        Self { pay, connect, consents, keep_alive, public_url, logins: Mutex::default() }
    }

    fn consent(&self, visitor: &Visitor, bank: &str) -> Reply<Consent> {
        Ok(self.consents.consent(&format!("{}/{bank}", visitor.user).parse::<ConsentId>()?))
    }
}
// ANCHOR_END: app

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/payments", post(start_payment))
        .route("/banks/connect", get(show_widget))
        .route("/banks/finish", get(finish_widget))
        .route("/consents/{bank}", post(start_consent))
        .route("/consents/callback", get(finish_consent))
        .route("/consents/{bank}/accounts", get(show_accounts))
        .route("/consents/{bank}/revoke", post(revoke_consent))
}

// ANCHOR: payment
/// The form that starts a payment. A real application takes the reference and the amount from a
/// stored order, not from a form.
#[derive(Deserialize)]
struct Payment {
    reference: String,
    cents: u64,
    name: String,
    email: String,
}

async fn start_payment(State(app): Shared, Form(payment): Form<Payment>) -> Reply<Markup> {
    let customer = Customer { name: payment.name, email: payment.email };
    let session = NewSession::new(&payment.reference, Cents(payment.cents), customer)?;
    let session = app.pay.initiate_session(app.pay.authorize().await?, &session).await?;
    Ok(pages::payment_started(&payment.reference, app.pay.app_url(&session).expose_secret()))
}
// ANCHOR_END: payment

// ANCHOR: widget
async fn show_widget(State(app): Shared, visitor: Visitor) -> Reply<Markup> {
    let widget = app.connect.widget(&format!("{}/banks/landing", app.public_url).parse()?).demo(true);
    let started = widget.start(app.connect.generate_authorize_token().await?, StatePlacement::Query)?;
    visitor.keep("landing", &started.pending).await?;
    Ok(pages::widget(&started.url))
}

/// Stores the bank login whose id is in the query. `verify_landing` rejects the query if this
/// session did not open the widget, and `/Authorize` confirms the login id.
async fn finish_widget(State(app): Shared, visitor: Visitor, RawQuery(query): RawQuery) -> Reply<Redirect> {
    let pending = visitor.take("landing").await?;
    let landing = app.connect.verify_landing(pending, &query.unwrap_or_default())?;
    let token = app.connect.generate_authorize_token().await?;
    let Outcome::Complete(bank) = app.connect.authorize(token, &landing.login_id.authorize()).await? else {
        return Err(Failure(StatusCode::CONFLICT, "Please log in to your bank again.", None));
    };
    let login_id = landing.login_id.confirm(&bank)?;
    let mut logins = app.logins.lock().unwrap_or_else(PoisonError::into_inner);
    match logins.iter().find(|(_, known)| *known == login_id) {
        Some((user, _)) if *user != visitor.user => {
            return Err(Failure(StatusCode::FORBIDDEN, "This bank login belongs to another user.", None));
        }
        Some(_) => {}
        None => logins.push((visitor.user, login_id)),
    }
    Ok(Redirect::to("/"))
}
// ANCHOR_END: widget

// ANCHOR: consent
async fn start_consent(State(app): Shared, visitor: Visitor, Path(bank): Path<String>) -> Reply<Redirect> {
    let request =
        app.consents.client().authorization(&bank, &format!("{}/consents/callback", app.public_url).parse()?)?;
    let Started { url, pending, .. } = request.scope(&["TRANSACTIONS"]).start();
    visitor.keep("consent", &(bank, pending)).await?;
    Ok(Redirect::to(url.expose_secret()))
}

async fn finish_consent(State(app): Shared, visitor: Visitor, RawQuery(query): RawQuery) -> Reply<Redirect> {
    let (bank, pending): (String, outbound::PendingAuthorization) = visitor.take("consent").await?;
    let code = app.consents.client().verify(pending, &query.unwrap_or_default())?;
    let consent = app.consent(&visitor, &bank)?;
    let new = app.consents.new_consent(consent.id()).owner(visitor.user.parse::<OwnerId>()?).label(&*bank);
    if let Replaced::Failed(error) = new.revoke_replaced().exchange_code(code).await?.replaced {
        tracing::warn!("failed to revoke the replaced consent, so its connection may still exist: {error}");
    }
    Ok(Redirect::to("/"))
}
// ANCHOR_END: consent

// ANCHOR: accounts
async fn show_accounts(State(app): Shared, visitor: Visitor, Path(bank): Path<String>) -> Reply<Markup> {
    let client = app.consents.client();
    let url = format!("{}/api/fdx/5/accounts?resultType=details", client.base_url());
    // This HTTP client sends the access token as the crate's own calls do: with the same proxy and
    // certificates, and without following redirects.
    let request = |authorization| {
        let request = client.http_client().get(&url).timeout(Duration::from_secs(30));
        request.header("Authorization", authorization).send()
    };
    let consent = app.consent(&visitor, &bank)?;
    let response =
        consent.send(request, |response| matches!(response, Ok(response) if response.status() == 401)).await?;
    let response = response.and_then(reqwest::Response::error_for_status).map_err(data_error)?;
    Ok(pages::accounts(&bank, &response.json().await.map_err(data_error)?))
}

/// Logs an error from a call to the Open Banking API, without the URL.
fn data_error(error: reqwest::Error) -> Failure {
    tracing::warn!("{}", error.without_url());
    UNAVAILABLE
}
// ANCHOR_END: accounts

// ANCHOR: revoke
async fn revoke_consent(State(app): Shared, visitor: Visitor, Path(bank): Path<String>) -> Reply<Redirect> {
    let _ = app.consent(&visitor, &bank)?.revoke().await?;
    Ok(Redirect::to("/"))
}
// ANCHOR_END: revoke

// ANCHOR: failure
/// A page that shows an error and what the user can do about it.
pub(crate) struct Failure(pub(crate) StatusCode, pub(crate) &'static str, pub(crate) Option<Duration>);

/// Derives the status and the text of the response from the error's advice.
impl<E: Into<ConsentError>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        // The message contains no secret. Flinks' support needs the correlation id.
        tracing::warn!(correlation_id = error.correlation_id(), "{error}");
        let advice = error.advice();
        Self(advice.http_status(), pages::text(advice), error.retry_after())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(status, text, wait) = self;
        let retry_after = wait.map(|wait| [("Retry-After", wait.as_secs().max(1).to_string())]);
        (status, retry_after, pages::failure(text)).into_response()
    }
}
// ANCHOR_END: failure

// ANCHOR: serve
/// Serves requests until `stop` completes. Then waits up to 10 seconds for in-flight requests
/// and up to 45 seconds for in-flight refreshes and pending writes.
///
/// # Errors
///
/// Returns an error if the listener fails.
pub async fn serve<S>(listener: TcpListener, app: Arc<App>, router: Router, stop: S) -> std::io::Result<()>
where
    S: Future<Output = ()> + Send + 'static,
{
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.map(|()| drop(stopping)));
    let served = tokio::select! {
        served = server.into_future() => served,
        never = app.keep_alive.run_every(Duration::from_secs(60 * 60)) => match never {},
        // A client that sends slowly must not prevent the shutdown.
        () = stopped.then(|_| tokio::time::sleep(Duration::from_secs(10))) => Ok(()),
    };
    // This limit is longer than one call to Flinks and two calls to the store can take.
    if let Err(unfinished) = app.consents.shutdown(Duration::from_secs(45)).await {
        tracing::error!("{unfinished}");
    }
    served
}
// ANCHOR_END: serve
