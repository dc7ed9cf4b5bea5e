//! Tests `flinks-outbound` against a raw TCP listener: the bytes that the client sends and the
//! result for each response.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // Test helpers may panic too.

mod errors;
#[allow(dead_code)] // Other crates use the rest of this module.
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
mod raw_server;
mod requests;
mod successes;

use flinks_outbound::types::{ErrorResponse, GrantType, TokenRequest, TokenResponse};
use flinks_outbound::{Client, Error, ResponseValue};
use raw_server::RawServer;

fn client(server: &RawServer) -> Client {
    Client::new(server.base_url.parse().unwrap()).unwrap()
}

async fn refresh(server: &RawServer) -> Result<TokenResponse, Error<ErrorResponse>> {
    let body = TokenRequest::new(GrantType::RefreshToken).refresh_token("refresh");
    client(server).token(&body).send().await.map(ResponseValue::into_inner)
}
