//! Flinks Outbound against a local Flinks: an end user consents, the consent is looked after, and the connection ends.

#![allow(clippy::print_stdout)] // a terminal program

use std::error::Error;
use std::time::{Duration, SystemTime, SystemTimeError};

use flinks_consents::flinks::outbound::{Client, ClientCredentials};
use flinks_consents::flinks::{RedirectUrl, Started};
use flinks_consents::{ConsentId, Consents};
use flinks_emulator::{Emulator, Operation, credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let credentials = ClientCredentials::new(credentials::OUTBOUND_CLIENT_ID, credentials::OUTBOUND_CLIENT_SECRET)?;
    let client = Client::builder(emulator.base_url().parse()?, credentials).build()?;

    let redirect_uri: RedirectUrl = "https://app.example/callback".parse()?;
    let request = client.authorization(credentials::OUTBOUND_PROVIDER_ID, &redirect_uri)?;
    let Started { url, pending, .. } = request.scope(&["TRANSACTIONS"]).start();
    println!("send the end user to {url:?}, and keep {pending:?} in their session");

    // The end user agrees on the page, which sends them back with a code and with the state of the address.
    let parameters = url.expose_secret().split(['?', '&']);
    let state = parameters.filter_map(|parameter| parameter.strip_prefix("state=")).next().ok_or("no state")?;
    let back = format!("{}?code={}&state={state}", redirect_uri.as_str(), emulator.issue_code(redirect_uri.as_str()));

    // In memory. `Consents::builder(client).store(FileStore::open("consents")?)` outlives the process.
    let consents = Consents::new(client.clone());
    let id: ConsentId = "end-user-7".parse()?;
    let consent = consents.exchange_code(&id, client.verify(pending, &back)?).await?;
    let token = consent.access_token().await?;
    println!("{token:?} of {:?}", token.unverified_claims());

    // However many ask, there is one exchange: here none, for the token is good.
    let all: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn({
                let consent = consent.clone();
                async move { consent.access_token().await }
            })
        })
        .collect();
    for one in all {
        let _ = one.await??;
    }
    println!("requests for 101 tokens: {}", emulator.count(Operation::OutboundToken));

    // The API refused it with 401: tell, and ask again.
    consent.invalidate(&token);
    println!("another: {:?}", consent.access_token().await?);
    println!("exchange it once more within {}", in_days(consent.idle_deadline().await?)?);

    println!("revoked: {:?}", consent.revoke().await?);
    match consent.access_token().await {
        Err(error) if error.needs_consent() => println!("{error}: ask the end user again"),
        other => println!("unexpected: {other:?}"),
    }
    // At the end of a process: waits for refreshes that are under way, and stores what is not stored yet.
    consents.shutdown(Duration::from_secs(45)).await?;
    Ok(())
}

/// From now.
fn in_days(time: SystemTime) -> Result<String, SystemTimeError> {
    Ok(format!("{} days", time.duration_since(SystemTime::now())?.as_secs().div_ceil(24 * 60 * 60)))
}
