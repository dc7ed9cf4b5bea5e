//! Starts a payment session with a local Flinks emulator, and shows how a token's fate is reported
//! if the response is lost.

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
    println!("started a session for {:?}", started.reference_id());

    // The server starts the session, but its response is lost.
    emulator.fail_next(Operation::PayInitiateSession, Fault::Reset { when: When::After });
    let token = client.authorize().await?;
    match client.initiate_session(token, &session).await {
        Err(SpendError::Unknown(error)) => {
            println!("before you repeat the call, check whether the session started: {error}");
        }
        other => println!("unexpected outcome: {other:?}"),
    }
    Ok(())
}
