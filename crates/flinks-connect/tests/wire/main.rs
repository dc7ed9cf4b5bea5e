//! Tests `flinks-connect` against a raw TCP listener: the bytes that the client sends and the
//! result for each response.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // Test helpers may panic too.

mod errors;
#[allow(dead_code)] // Other crates use the rest of this module.
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
mod raw_server;
mod requests;
mod successes;
mod transport;

use flinks_connect::types::{
    AuthorizeRequest, AuthorizeResponse, AuthorizeToken, ErrorResponse, GenerateAuthorizeTokenResponse, SecretKey,
};
use flinks_connect::{Client, Error, ResponseValue, Uuid};
use raw_server::RawServer;

fn client(server: &RawServer) -> Client {
    Client::new(server.base_url.parse().unwrap()).unwrap()
}

async fn generate(server: &RawServer) -> Result<GenerateAuthorizeTokenResponse, Error<ErrorResponse>> {
    let customer_id = Uuid::from_u128(1);
    let response = client(server).generate_authorize_token(&customer_id, &SecretKey::new("key")).send().await;
    response.map(ResponseValue::into_inner)
}

async fn authorize(server: &RawServer) -> Result<AuthorizeResponse, Error<ErrorResponse>> {
    let customer_id = Uuid::from_u128(1);
    let body = AuthorizeRequest::new().login_id("login");
    let response = client(server).authorize(&customer_id, &AuthorizeToken::new("token"), &body).send().await;
    response.map(ResponseValue::into_inner)
}
