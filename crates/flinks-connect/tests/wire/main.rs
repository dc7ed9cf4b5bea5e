//! The bytes that `flinks-connect` sends to a raw TCP listener, and its result for each reply.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod errors;
#[allow(dead_code)] // shared with the other crates
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
mod raw_server;
mod requests;
mod successes;
mod transport;

use flinks_connect::types::{
    AuthorizeRequest, AuthorizeResponse, AuthorizeToken, ErrorResponse, GenerateAuthorizeTokenResponse, SecretKey,
};
use flinks_connect::{Client, Error, ResponseValue, Uuid};
use raw_server::Raw;

fn client(server: &Raw) -> Client {
    Client::new(server.base_url.parse().unwrap()).unwrap()
}

async fn generate(server: &Raw) -> Result<GenerateAuthorizeTokenResponse, Error<ErrorResponse>> {
    let customer_id = Uuid::from_u128(1);
    let reply = client(server).generate_authorize_token(&customer_id, &SecretKey::new("key")).send().await;
    reply.map(ResponseValue::into_inner)
}

async fn authorize(server: &Raw) -> Result<AuthorizeResponse, Error<ErrorResponse>> {
    let customer_id = Uuid::from_u128(1);
    let body = AuthorizeRequest::new().login_id("login");
    let reply = client(server).authorize(&customer_id, &AuthorizeToken::new("token"), &body).send().await;
    reply.map(ResponseValue::into_inner)
}
