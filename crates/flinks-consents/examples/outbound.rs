//! Runs through the life cycle of a consent against a local Flinks emulator. An end user authorizes
//! the application, the application uses and refreshes access tokens, and the connection is
//! revoked.

#![allow(clippy::print_stdout)] // this program prints to the terminal

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
    println!("send the end user to {url:?} and store {pending:?} in their session");

    // These lines stand in for an end user who gives consent: the emulator issues a code, and the
    // callback repeats the URL's `state`.
    let parameters = url.expose_secret().split(['?', '&']);
    let state =
        parameters.into_iter().find_map(|parameter| parameter.strip_prefix("state=")).ok_or("the URL has no state")?;
    let callback =
        format!("{}?code={}&state={state}", redirect_uri.as_str(), emulator.issue_code(redirect_uri.as_str()));

    // This example keeps the consents in memory. To store them in files, use
    // `Consents::builder(client).store(FileStore::open("consents")?).build()`.
    let consents = Consents::new(client.clone());
    let id: ConsentId = "end-user-7".parse()?;
    let consent = consents.exchange_code(&id, client.verify(pending, &callback)?).await?;
    let token = consent.access_token().await?;
    println!("received {token:?} with the claims {:?}", token.unverified_claims());

    // All callers share one refresh. Here, no refresh is needed, because the cached token is valid.
    let calls: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn({
                let consent = consent.clone();
                async move { consent.access_token().await }
            })
        })
        .collect();
    for call in calls {
        let _ = call.await??;
    }
    println!("requests sent for 101 calls: {}", emulator.count(Operation::OutboundToken));

    // If an API responds with 401, invalidate the token and request another one.
    consent.invalidate(&token);
    println!("received another token: {:?}", consent.access_token().await?);
    println!("the refresh token expires in {} unless it is used", in_days(consent.idle_deadline().await?)?);

    println!("revoked: {:?}", consent.revoke().await?);
    match consent.access_token().await {
        Err(error) if error.needs_consent() => println!("{error}"),
        other => println!("unexpected result: {other:?}"),
    }
    // Before the process exits, wait for refreshes in flight and store pending writes.
    consents.shutdown(Duration::from_secs(45)).await?;
    Ok(())
}

/// Returns the time from now until `time` in days, rounded up.
fn in_days(time: SystemTime) -> Result<String, SystemTimeError> {
    Ok(format!("{} days", time.duration_since(SystemTime::now())?.as_secs().div_ceil(24 * 60 * 60)))
}
