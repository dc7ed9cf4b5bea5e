//! google-cloud-auth with user credentials.

use std::sync::Arc;

use google_cloud_auth::credentials::{AccessTokenCredentials, user_account};
use tokio::runtime::Runtime;

use super::repeat;
use crate::herd::{self, Caller};
use crate::read::Read;

pub fn read(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Read> {
    let google = credentials(runtime, url)?;
    Ok(repeat(runtime, google, async |google| google.access_token().await.expect("a token")))
}

/// Returns a contender that reads the token as request headers.
pub fn headers(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Read> {
    let _entered = runtime.enter();
    let google = builder(url).build()?;
    Ok(repeat(runtime, google, async |google| google.headers(http::Extensions::new()).await.expect("a token")))
}

pub fn callers(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<Caller>> {
    let google = credentials(runtime, url)?;
    Ok(herd::spawn(runtime, number, google, |google| async move { google.access_token().await.is_ok() }))
}

fn credentials(runtime: &Runtime, url: &str) -> anyhow::Result<AccessTokenCredentials> {
    let _entered = runtime.enter();
    Ok(builder(url).build_access_token_credentials()?)
}

fn builder(url: &str) -> user_account::Builder {
    let user = serde_json::json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "secret", "refresh_token": "refresh",
    });
    user_account::Builder::new(user).with_token_uri(format!("{url}/token"))
}
