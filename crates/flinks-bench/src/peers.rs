//! The comparable crates that cache tokens.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use flinks_bench::claims::names;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::herd::{self, Callers};
use crate::read::Read;

/// Returns contenders that read a cached token.
pub fn reads(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Vec<(&'static str, Read)>> {
    let google = runtime.block_on(async { google(url) })?;
    let yup = runtime.block_on(yup(None))?;
    let headers = runtime.block_on(async { google_headers(url) })?;
    let (one, other, third) = (Arc::clone(runtime), Arc::clone(runtime), Arc::clone(runtime));
    Ok(vec![
        (
            "google-cloud-auth: headers",
            Box::new(move |reads| {
                third.block_on(async {
                    for _ in 0..reads {
                        black_box(headers.headers(http::Extensions::new()).await.expect("a token"));
                    }
                })
            }),
        ),
        (
            names::GOOGLE,
            Box::new(move |reads| {
                one.block_on(async {
                    for _ in 0..reads {
                        black_box(google.access_token().await.expect("a token"));
                    }
                })
            }),
        ),
        (
            "yup-oauth2",
            Box::new(move |reads| {
                other.block_on(async {
                    for _ in 0..reads {
                        black_box(yup.token(&["scope"]).await.expect("a token"));
                    }
                })
            }),
        ),
    ])
}

/// Returns contenders whose callers all need a token that is not cached.
pub fn callers() -> Vec<(&'static str, Callers)> {
    vec![(names::GOOGLE, google_callers)]
}

fn google_callers(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<JoinHandle<Instant>>> {
    let _entered = runtime.enter();
    Ok(herd::spawn(runtime, number, google(url)?, |google| async move { drop(google.access_token().await) }))
}

fn google(url: &str) -> anyhow::Result<google_cloud_auth::credentials::AccessTokenCredentials> {
    Ok(google_builder(url).build_access_token_credentials()?)
}

/// Returns credentials that create the headers of a request.
fn google_headers(url: &str) -> anyhow::Result<google_cloud_auth::credentials::Credentials> {
    Ok(google_builder(url).build()?)
}

fn google_builder(url: &str) -> google_cloud_auth::credentials::user_account::Builder {
    let user = serde_json::json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "secret", "refresh_token": "refresh",
    });
    google_cloud_auth::credentials::user_account::Builder::new(user).with_token_uri(format!("{url}/token"))
}

/// Creates an authenticator of yup-oauth2 with a cached token. With a token URL, the token has
/// expired and must be refreshed.
async fn yup(expired: Option<&str>) -> anyhow::Result<yup_oauth2::authenticator::DefaultAuthenticator> {
    let hours = if expired.is_some() { -10 } else { 10 };
    let until = time::OffsetDateTime::now_utc() + time::Duration::hours(hours);
    let token = serde_json::json!([{
        "scopes": ["scope"],
        "token": { "access_token": "token".repeat(20), "refresh_token": "refresh", "expires_at": until, "id_token": null },
    }]);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), serde_json::to_vec(&token)?)?;
    let token_uri = expired.map_or_else(String::new, |url| format!("{url}/token"));
    let secret = yup_oauth2::ApplicationSecret { token_uri, ..Default::default() };
    let method = yup_oauth2::InstalledFlowReturnMethod::Interactive;
    let builder = yup_oauth2::InstalledFlowAuthenticator::builder(secret, method);
    Ok(builder.persist_tokens_to_disk(file.path()).build().await?)
}
