//! Uses a local Flinks emulator to build a Flinks Connect widget URL and to authorize an end user
//! whose bank asks security questions.

#![allow(clippy::print_stdout)] // a terminal program

use std::error::Error;

use flinks::Language;
use flinks::connect::{Answers, Authorize, Client, Outcome, SecretKey, StatePlacement};
use flinks_emulator::{Emulator, credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let base_url: flinks::BaseUrl = emulator.base_url().parse()?;
    let secret_key = SecretKey::new(credentials::CONNECT_SECRET_KEY)?;
    let client = Client::builder(base_url, credentials::CONNECT_CUSTOMER_ID.parse()?, secret_key).build()?;

    let widget = client.widget(&"https://app.example/done".parse()?).language(Language::French);
    let started = widget.start(client.generate_authorize_token().await?, StatePlacement::Query)?;
    println!("load {:?} in an iframe and trust only messages from {}", started.url, widget.message_origin());
    println!("keep {:?} in the end user's session for `verify_landing`", started.pending);

    // Uses the bank's test user. Each answer needs a new token.
    let request =
        Authorize::with_bank_credentials(credentials::BANK, credentials::BANK_USER, credentials::BANK_PASSWORD);
    let mut outcome = client.authorize(client.generate_authorize_token().await?, &request).await?;
    for answer in ["Montreal", "Canada", "Triangle"] {
        let Outcome::Challenge(challenge) = outcome else { break };
        let mut answers = Answers::new();
        for question in challenge.questions() {
            println!("the bank asks: {}", question.prompt());
            answers = answers.to(question, answer);
        }
        outcome = client.answer(client.generate_authorize_token().await?, challenge, &answers).await?;
    }
    if let Outcome::Complete(session) = outcome {
        println!("connected to {:?}; store the login id {:?}", session.institution(), session.login_id());
    }
    Ok(())
}
