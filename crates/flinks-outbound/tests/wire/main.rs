//! The bytes that `flinks-outbound` sends to a raw TCP listener, and its result for each reply.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod errors;
#[allow(dead_code)] // shared with the other crates
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
mod raw_server;
mod requests;
mod successes;

use flinks_outbound::types::{ErrorResponse, GrantType, TokenRequest, TokenResponse};
use flinks_outbound::{Client, Error, ResponseValue};
use raw_server::Raw;

fn client(server: &Raw) -> Client {
    Client::new(server.base_url.parse().unwrap()).unwrap()
}

async fn refresh(server: &Raw) -> Result<TokenResponse, Error<ErrorResponse>> {
    let body = TokenRequest::new(GrantType::RefreshToken).refresh_token("refresh");
    client(server).token(&body).send().await.map(ResponseValue::into_inner)
}
