//! Scenarios for the Connect client.

use flinks::connect::{Answers, Authorize, AuthorizeToken, Client, LoginId, Outcome, SecretKey};
use flinks::{Settings, SpendError};
use flinks_emulator::Operation;
use flinks_emulator::credentials::*;

use crate::{Duration, MINUTE, Setup};

fn client_with(setup: &Setup, settings: &Settings) -> Client {
    let (customer_id, secret_key) = (CONNECT_CUSTOMER_ID.parse().unwrap(), SecretKey::new(CONNECT_SECRET_KEY).unwrap());
    Client::builder(setup.base_url(), customer_id, secret_key).settings(settings).build().unwrap()
}

fn client(setup: &Setup) -> Client {
    client_with(setup, &setup.settings())
}

fn login_id() -> LoginId {
    LoginId::new(CONNECT_LOGIN_ID).unwrap()
}

async fn authorize(client: &Client, request: &Authorize) -> Result<Outcome, SpendError<AuthorizeToken>> {
    client.authorize(client.generate_authorize_token().await.unwrap(), request).await
}

#[tokio::test]
async fn mfa_needs_an_answer_to_each_of_three_questions() {
    let setup = Setup::with("mfa").await;
    let client = client(&setup);
    let request = Authorize::with_bank_credentials(BANK, BANK_USER, BANK_PASSWORD).save(true);
    let mut outcome = authorize(&client, &request).await.unwrap();
    let mut prompts = Vec::new();
    for answer in ["Montreal", "Canada", "Triangle"] {
        let Outcome::Challenge(challenge) = outcome else { panic!("no question before {answer}") };
        let question = &challenge.questions()[0];
        prompts.push(question.prompt().to_owned());
        assert_eq!(question.choices().is_empty(), answer != "Triangle", "{answer}");
        let answers = Answers::new().to(question, answer);
        let token = client.generate_authorize_token().await.unwrap();
        outcome = client.answer(token, challenge, &answers).await.unwrap();
    }
    assert_eq!(prompts.len(), 3);
    let Outcome::Complete(session) = outcome else { panic!("a fourth question") };

    // The new login works without questions as long as the bank need not be contacted.
    let login_id = session.login_id().unwrap().clone();
    assert!(matches!(authorize(&client, &Authorize::cached(&login_id)).await, Ok(Outcome::Complete(_))));
    assert!(matches!(authorize(&client, &Authorize::live(&login_id)).await, Ok(Outcome::Challenge(_))));
}

#[tokio::test]
async fn rate_limit_refuses_the_fourth_request_in_a_minute() {
    let setup = Setup::with("rate-limit").await;
    let client = client(&setup);
    let cached = Authorize::cached(&login_id());
    for _ in 0..3 {
        assert!(authorize(&client, &cached).await.is_ok());
    }
    let error = authorize(&client, &cached).await.unwrap_err().into_error();
    assert!(error.is_rate_limited(), "{error}");
    assert!(error.is_transient(), "{error}");
    // After waiting, the client is accepted again.
    setup.advance(MINUTE);
    assert!(authorize(&client, &cached).await.is_ok());
}

#[tokio::test]
async fn bank_outage_ends_after_ten_minutes() {
    let setup = Setup::with("bank-outage").await;
    let client = client(&setup);
    let live = Authorize::live(&login_id());
    for _ in 0..2 {
        let error = authorize(&client, &live).await.unwrap_err().into_error();
        assert!(error.is_transient(), "{error}");
        assert!(!error.needs_user(), "{error}");
        // Cached data does not need the bank.
        assert!(authorize(&client, &Authorize::cached(&login_id())).await.is_ok());
        setup.advance(4 * MINUTE + Duration::from_secs(59));
    }
    setup.advance(Duration::from_secs(2));
    assert!(authorize(&client, &live).await.is_ok());
}

#[tokio::test]
async fn slow_authorize_takes_210_seconds_if_it_is_live() {
    let setup = Setup::with("slow-authorize").await;
    let client = client(&setup);
    assert!(authorize(&client, &Authorize::cached(&login_id())).await.is_ok());

    let call = tokio::spawn({
        let client = client.clone();
        async move { authorize(&client, &Authorize::live(&login_id())).await }
    });
    setup.emulator.received(Operation::ConnectAuthorize, 2).await;
    setup.advance(Duration::from_secs(209));
    // The server has one thread, so it has done everything that it can for the live request before it
    // responds to the next one.
    let _ = client.generate_authorize_token().await.unwrap();
    assert_eq!(setup.emulator.requests_of(Operation::ConnectAuthorize)[1].status, None, "no response was sent");
    setup.advance(Duration::from_secs(1));
    assert!(matches!(call.await.unwrap(), Ok(Outcome::Complete(_))));

    // A client that waits for less than 210 seconds cannot know whether its token is spent.
    let impatient = client_with(&setup, &setup.settings().bank_timeout(MINUTE));
    let token = impatient.generate_authorize_token().await.unwrap();
    let call = tokio::spawn(async move { impatient.authorize(token, &Authorize::live(&login_id())).await });
    setup.emulator.received(Operation::ConnectAuthorize, 3).await;
    setup.clock.advance(MINUTE);
    assert!(matches!(call.await.unwrap(), Err(SpendError::Unknown(_))));
}
