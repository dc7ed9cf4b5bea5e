//! azure_identity with a client secret.

use std::sync::Arc;

use azure_core::credentials::TokenCredential as _;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, Transport, Url, new_http_client};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use tokio::runtime::Runtime;

use super::repeat;
use crate::herd::{self, Caller};
use crate::read::Read;

const SCOPES: &[&str] = &["scope"];

pub fn read(runtime: &Arc<Runtime>, url: &str) -> anyhow::Result<Read> {
    let azure = credential(url)?;
    Ok(repeat(runtime, azure, async |azure| azure.get_token(SCOPES, None).await.expect("a token")))
}

pub fn callers(runtime: &Runtime, number: usize, url: &str) -> anyhow::Result<Vec<Caller>> {
    let azure = credential(url)?;
    Ok(herd::spawn(runtime, number, azure, |azure| async move { azure.get_token(SCOPES, None).await.is_ok() }))
}

fn credential(url: &str) -> anyhow::Result<Arc<ClientSecretCredential>> {
    let transport = Loopback { client: new_http_client(None), server: url.parse()? };
    let client_options = ClientOptions { transport: Some(Transport::new(Arc::new(transport))), ..Default::default() };
    let options = ClientSecretCredentialOptions { client_options };
    Ok(ClientSecretCredential::new("tenant", "id".to_owned(), "secret".into(), Some(options))?)
}

/// A wrapper around the default HTTP client that sends all requests to the benchmark server. The
/// wrapper is needed because azure_identity accepts only `https` hosts.
#[derive(Debug)]
struct Loopback {
    client: Arc<dyn HttpClient>,
    server: Url,
}

#[async_trait::async_trait]
impl HttpClient for Loopback {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        let path = request.url().path().to_owned();
        *request.url_mut() = self.server.clone();
        request.url_mut().set_path(&path);
        self.client.execute_request(&request).await
    }
}
