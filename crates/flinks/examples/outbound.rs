//! Flinks Outbound against a local Flinks: a code for tokens, and a refresh token for the next access token.

#![allow(clippy::print_stdout)] // a terminal program

use std::error::Error;

use flinks::outbound::Client;
use flinks::outbound::types::{GrantType, TokenRequest};
use flinks_emulator::{Emulator, credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let client = Client::new(emulator.base_url().parse()?)?;
    let request = |grant_type| {
        TokenRequest::new(grant_type)
            .client_id(credentials::OUTBOUND_CLIENT_ID)
            .client_secret(credentials::OUTBOUND_CLIENT_SECRET)
    };

    let redirect_uri = "https://app.example/callback";
    let code = request(GrantType::AuthorizationCode).code(emulator.issue_code(redirect_uri)).redirect_uri(redirect_uri);
    let reply = client.token(&code).send().await?.into_inner();
    println!("a code became {:?} and {:?}", reply.access_token, reply.refresh_token);

    let refresh_token = reply.refresh_token.ok_or("no refresh token")?;
    let reply = client.token(&request(GrantType::RefreshToken).refresh_token(refresh_token)).send().await?;
    println!("the refresh token became {:?}, and is still good", reply.access_token);
    Ok(())
}
