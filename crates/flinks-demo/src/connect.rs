//! Flinks Connect: the widget in an iframe and the widget's landing page.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::Html;
use flinks_consents::flinks::connect::{Authorize, LoginId, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::configuration::App;
use crate::error::Reply;

/// Returns the page with the widget. Each page view spends a token.
pub(crate) async fn widget(State(app): State<Arc<App>>) -> Reply<Html<String>> {
    let widget = app.connect.widget(&app.redirect_url("/banks/landing")?).demo(true);
    let url = widget.url(app.connect.generate_authorize_token().await?)?;
    Ok(Html(format!("<!doctype html><title>Connect</title><iframe src=\"{}\"></iframe>", url.to_html_attribute())))
}

#[derive(Deserialize)]
pub(crate) struct Landing {
    #[serde(rename = "loginId")]
    login_id: String,
}

/// Handles the widget's landing page. The browser could have sent any login id, so a call to
/// `/Authorize` checks that Flinks knows the id.
pub(crate) async fn landing(State(app): State<Arc<App>>, Query(landing): Query<Landing>) -> Reply<Json<Value>> {
    let login_id = LoginId::new(landing.login_id)?;
    let token = app.connect.generate_authorize_token().await?;
    Ok(Json(match app.connect.authorize(token, &Authorize::cached(&login_id)).await? {
        Outcome::Complete(session) => json!({"institution": session.institution()}),
        Outcome::Challenge(challenge) => json!({"questions": challenge.questions().len()}),
    }))
}
