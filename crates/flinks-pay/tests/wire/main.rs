//! Tests `flinks-pay` against a raw TCP listener: the bytes that the client sends and the result
//! for each response.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // Test helpers may panic too.

#[allow(dead_code)] // Other crates use the rest of this module.
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
mod raw_server;
mod replies;
mod requests;
mod transport;

use flinks_pay::types::{AuthorizeRequest, AuthorizeResponse, GrantType};
use flinks_pay::{Client, Error, ResponseValue, Secret};
use raw_server::RawServer;

fn client(server: &RawServer) -> Client {
    Client::new(server.base_url.parse().unwrap()).unwrap()
}

async fn authorize(server: &RawServer) -> Result<AuthorizeResponse, Error<()>> {
    let body = AuthorizeRequest::new(GrantType::ClientCredentials, "user", Secret::new("password"));
    client(server).authorize(&body).send().await.map(ResponseValue::into_inner)
}
