//! A program that depends only on this crate and calls each of the crate's operations against the
//! emulator.

#![allow(clippy::panic, clippy::unwrap_used)] // Tests may panic.

use flinks_emulator::Emulator;
use flinks_emulator::credentials::{PAY_PASSWORD, PAY_USERNAME};
use flinks_pay::types::{
    AuthorizeRequest, AuthorizeResponse, GrantType, SessionError, SessionRequest, SessionResponse,
};
use flinks_pay::{
    Authorization, BaseUrl, BuildError, Client, Error, ErrorKind, ExpiresIn, InvalidRequest, InvalidResponse,
    ResponseHead, ResponseValue, Secret, StatusCode, Transport, TransportBuilder, TransportError, operation,
};

// A user's program cannot name this crate's dependencies. These modules shadow the dependencies, so
// this program cannot name them either.
mod flinks_core {}
mod serde {}

fn client(emulator: &Emulator) -> Result<Client, BuildError> {
    let base_url: BaseUrl = emulator.base_url().parse().unwrap();
    let builder: TransportBuilder = Transport::builder(base_url.clone());
    let _with_limits: Client = Client::with_transport(builder.build()?);
    Client::new(base_url)
}

async fn authorize(client: &Client, password: &str) -> Result<ResponseValue<AuthorizeResponse>, Error<()>> {
    let request = AuthorizeRequest::new(GrantType::ClientCredentials, PAY_USERNAME, Secret::new(password));
    let call: operation::Authorize<'_> = client.authorize(&request);
    call.send().await
}

async fn initiate_session(
    client: &Client,
    token: &Secret,
) -> Result<ResponseValue<SessionResponse>, Error<SessionError>> {
    let authorization: Authorization = Authorization::bearer(token);
    let request = SessionRequest::new("order-7", 10.5, "Ada", "ada@example.com");
    let call: operation::InitiateSession<'_> = client.initiate_session(&authorization, &request);
    call.send().await
}

#[tokio::test]
async fn every_operation_can_be_called_with_this_crate_alone() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator).unwrap();

    let response = authorize(&client, PAY_PASSWORD).await.unwrap();
    let head: &ResponseHead = response.head();
    assert_eq!(head.status(), StatusCode::OK);
    assert!(response.expires_in.as_ref().and_then(|expires_in: &ExpiresIn| expires_in.lifetime()).is_some());
    let token: Secret = response.into_inner().access_token;
    let session: SessionResponse = initiate_session(&client, &token).await.unwrap().into_inner();
    assert_eq!(session.reference_id.as_deref(), Some("order-7"));

    let refused = authorize(&client, "wrong").await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::ErrorResponse(())));
    // A token starts only one session, so it is now spent.
    let spent = initiate_session(&client, &token).await.unwrap_err();
    match spent.kind() {
        ErrorKind::ErrorResponse(SessionError { .. }) => {}
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn every_error_type_is_exported() {
    fn _parts<E>(kind: &ErrorKind<E>) -> (Option<&InvalidRequest>, Option<&TransportError>, Option<&InvalidResponse>) {
        match kind {
            ErrorKind::InvalidRequest(error) => (Some(error), None, None),
            ErrorKind::Transport(error) => (None, Some(error), None),
            ErrorKind::InvalidResponse(error) => (None, None, Some(error)),
            _ => (None, None, None),
        }
    }
}

#[cfg(feature = "rustls")]
#[test]
fn the_default_crypto_provider_can_be_installed() {
    let _: flinks_pay::tls::DefaultCryptoProvider = flinks_pay::tls::install_default_crypto_provider();
}
