//! Flinks Pay, from a token to a session, against a local Flinks; and what becomes of a token when things go wrong.

#![allow(clippy::print_stdout)] // a terminal program

use std::error::Error;

use flinks::SpendError;
use flinks::pay::{Cents, Client, Credentials, Customer, NewSession};
use flinks_emulator::{Emulator, Fault, Operation, When, credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let credentials = Credentials::new(credentials::PAY_USERNAME, credentials::PAY_PASSWORD)?;
    let client = Client::builder(emulator.base_url().parse()?, credentials).build()?;
    let customer = Customer { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let session = NewSession::new("order-7", Cents(10_50), customer)?;

    let token = client.authorize().await?;
    let started = client.initiate_session(token, &session).await?;
    println!("a session has started for {:?}", started.reference_id());

    // The reply is lost after the server has done its work.
    emulator.fail_next(Operation::PayInitiateSession, Fault::Reset { when: When::After });
    let token = client.authorize().await?;
    match client.initiate_session(token, &session).await {
        Err(SpendError::Unknown(error)) => println!("{error}: so ask before you start it again"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}
