//! A program that depends only on this crate and calls each of the crate's operations against the
//! emulator.

#![allow(clippy::panic, clippy::unwrap_used)] // Tests may panic.

use std::collections::HashMap;

use flinks_connect::types::{
    AuthorizeChallenge, AuthorizeRequest, AuthorizeResponse, AuthorizeSession, AuthorizeToken, ErrorResponse,
    GenerateAuthorizeTokenResponse, Language, SecretKey, SecurityChallenge,
};
use flinks_connect::{
    BaseUrl, BuildError, Client, Error, ErrorKind, ResponseHead, ResponseValue, Secret, StatusCode, Transport,
    TransportBuilder, Uuid, operation,
};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::{
    BANK, BANK_PASSWORD, BANK_USER, CONNECT_CUSTOMER_ID, CONNECT_LOGIN_ID, CONNECT_SECRET_KEY,
};

// A user's program cannot name this crate's dependencies. These modules shadow the dependencies, so
// this program cannot name them either.
mod flinks_core {}
mod serde {}
mod uuid {}

fn client(emulator: &Emulator) -> Result<Client, BuildError> {
    let base_url: BaseUrl = emulator.base_url().parse().unwrap();
    let builder: TransportBuilder = Transport::builder(base_url.clone());
    let _with_limits: Client = Client::with_transport(builder.build()?);
    Client::new(base_url)
}

fn customer_id() -> Uuid {
    CONNECT_CUSTOMER_ID.parse().unwrap()
}

async fn generate(
    client: &Client,
    secret_key: &SecretKey,
) -> Result<ResponseValue<GenerateAuthorizeTokenResponse>, Error<ErrorResponse>> {
    let customer_id = customer_id();
    let call: operation::GenerateAuthorizeToken<'_> = client.generate_authorize_token(&customer_id, secret_key);
    call.send().await
}

async fn authorize(client: &Client, request: &AuthorizeRequest) -> Result<AuthorizeResponse, Error<ErrorResponse>> {
    let token: AuthorizeToken = generate(client, &SecretKey::new(CONNECT_SECRET_KEY)).await?.into_inner().token;
    let customer_id = customer_id();
    let call: operation::Authorize<'_> = client.authorize(&customer_id, &token, request);
    call.send().await.map(ResponseValue::into_inner)
}

#[tokio::test]
async fn every_operation_can_be_called_with_this_crate_alone() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator).unwrap();

    let response = generate(&client, &SecretKey::new(CONNECT_SECRET_KEY)).await.unwrap();
    let head: &ResponseHead = response.head();
    assert_eq!(head.status(), StatusCode::OK);
    let refused = generate(&client, &SecretKey::new("wrong")).await.unwrap_err();
    match refused.kind() {
        ErrorKind::ErrorResponse(ErrorResponse { flinks_code, .. }) => {
            assert_eq!(flinks_code.as_deref(), Some("UNAUTHORIZED"));
        }
        kind => panic!("{kind:?}"),
    }

    let known = AuthorizeRequest::new().login_id(CONNECT_LOGIN_ID).most_recent_cached(true);
    match authorize(&client, &known).await.unwrap() {
        AuthorizeResponse::Session(AuthorizeSession { request_id, .. }) => {
            let request_id: Option<Secret> = request_id;
            assert!(request_id.is_some());
        }
        other => panic!("{other:?}"),
    }

    // The bank asks security questions, and the program answers each question.
    let live = AuthorizeRequest::new()
        .institution(BANK)
        .username(BANK_USER)
        .password(BANK_PASSWORD)
        .language(Language::En)
        .most_recent_cached(false)
        .save(true);
    let AuthorizeResponse::Challenge(AuthorizeChallenge { request_id, security_challenges, .. }) =
        authorize(&client, &live).await.unwrap()
    else {
        panic!("no challenge");
    };
    let mut answers: HashMap<String, Vec<Secret>> = HashMap::new();
    for SecurityChallenge { prompt, .. } in security_challenges.unwrap() {
        answers.insert(prompt.unwrap(), vec![Secret::new("wrong")]);
    }
    let answer = AuthorizeRequest::new().request_id(request_id.unwrap()).security_responses(answers);
    let refused = authorize(&client, &answer).await.unwrap_err();
    assert!(refused.body().is_some(), "{refused}");
}

#[cfg(feature = "rustls")]
#[test]
fn the_default_crypto_provider_can_be_installed() {
    let _: flinks_connect::tls::DefaultCryptoProvider = flinks_connect::tls::install_default_crypto_provider();
}
