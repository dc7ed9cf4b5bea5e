//! The bytes that `flinks-pay` sends to a raw TCP listener, and its result for each reply.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // shared with the other crates
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
mod raw_server;
mod replies;
mod requests;
mod transport;

use flinks_pay::types::{AuthorizeRequest, AuthorizeResponse, GrantType};
use flinks_pay::{Client, Error, ResponseValue, Secret};
use raw_server::Raw;

fn client(server: &Raw) -> Client {
    Client::new(server.base_url.parse().unwrap()).unwrap()
}

async fn authorize(server: &Raw) -> Result<AuthorizeResponse, Error<()>> {
    let body = AuthorizeRequest::new(GrantType::ClientCredentials, "user", Secret::new("password"));
    client(server).authorize(&body).send().await.map(ResponseValue::into_inner)
}
