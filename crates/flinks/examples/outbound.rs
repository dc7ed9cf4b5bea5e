//! Flinks Outbound against a local Flinks: an end user consents, a code becomes tokens, and the connection ends.

#![allow(clippy::print_stdout)] // a terminal program

use std::error::Error;

use flinks::outbound::{Client, ClientCredentials};
use flinks_emulator::{Emulator, credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let credentials = ClientCredentials::new(credentials::OUTBOUND_CLIENT_ID, credentials::OUTBOUND_CLIENT_SECRET)?;
    let client = Client::new(emulator.base_url().parse()?, credentials)?;

    let redirect_uri: flinks::RedirectUrl = "https://app.example/callback".parse()?;
    let request = client.authorization(credentials::OUTBOUND_PROVIDER_ID, &redirect_uri)?;
    let (url, pending) = request.scope(&["TRANSACTIONS"]).start();
    println!("send the end user to {url:?}, and keep {pending:?} in their session");

    // The end user agrees on the page, which sends them back with a code and with the state of the address.
    let url = url::Url::parse(url.expose_secret())?;
    let state = url.query_pairs().find(|(name, _)| name == "state").ok_or("no state")?.1.into_owned();
    let back = format!("{}?code={}&state={state}", redirect_uri.as_str(), emulator.issue_code(redirect_uri.as_str()));

    let code = client.verify(pending, &back)?;
    let tokens = client.exchange_code(code).await?;
    println!("{:?} of {:?}", tokens.access_token, tokens.access_token.unverified_claims());

    let refresh_token = tokens.refresh_token.ok_or("no refresh token")?;
    let tokens = client.refresh(&refresh_token).await?;
    println!("{:?}, and {refresh_token:?} is still good: {}", tokens.access_token, tokens.refresh_token.is_none());

    client.revoke(&tokens.access_token).await?;
    match client.refresh(&refresh_token).await {
        Err(error) if error.needs_consent() => println!("failed to {error}: ask the end user again"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}
