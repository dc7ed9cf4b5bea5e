//! yup-oauth2 with a user's tokens in a file.

use std::sync::Arc;

use tokio::runtime::Runtime;
use yup_oauth2::authenticator::DefaultAuthenticator;
use yup_oauth2::{ApplicationSecret, InstalledFlowAuthenticator, InstalledFlowReturnMethod};

use super::repeat;
use crate::herd::{self, Caller};
use crate::read::Read;

const SCOPES: &[&str] = &["scope"];

pub fn read(runtime: &Arc<Runtime>) -> anyhow::Result<Read> {
    let until = time::OffsetDateTime::now_utc() + time::Duration::hours(10);
    let yup = runtime.block_on(authenticator(until, String::new()))?;
    Ok(repeat(runtime, yup, async |yup| yup.token(SCOPES).await.expect("a token")))
}

pub fn callers(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<Caller>> {
    let until = time::OffsetDateTime::now_utc() - time::Duration::hours(10);
    let yup = runtime.block_on(authenticator(until, format!("{url}/token")))?;
    Ok(herd::spawn(runtime, number, yup, |yup| async move { yup.token(SCOPES).await.is_ok() }))
}

/// Creates an authenticator whose token expires at `expires_at`.
async fn authenticator(expires_at: time::OffsetDateTime, token_uri: String) -> anyhow::Result<DefaultAuthenticator> {
    let token = serde_json::json!([{
        "scopes": SCOPES,
        "token": {
            "access_token": "token".repeat(20), "refresh_token": "refresh", "expires_at": expires_at, "id_token": null,
        },
    }]);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), serde_json::to_vec(&token)?)?;
    let secret = ApplicationSecret { token_uri, ..Default::default() };
    let builder = InstalledFlowAuthenticator::builder(secret, InstalledFlowReturnMethod::Interactive);
    Ok(builder.persist_tokens_to_disk(file.path()).build().await?)
}
