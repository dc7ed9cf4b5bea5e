//! A program that depends only on this crate and calls each of the crate's operations against the
//! emulator.

#![allow(clippy::panic, clippy::unwrap_used)] // Tests may panic.

use flinks_emulator::Emulator;
use flinks_emulator::credentials::{
    OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_CODE, OUTBOUND_REDIRECT_URI, OUTBOUND_REFRESH_TOKEN,
};
use flinks_outbound::types::{ErrorResponse, GrantType, TokenRequest, TokenResponse};
use flinks_outbound::{
    Authorization, BaseUrl, BuildError, Client, Error, ErrorKind, ExpiresIn, ResponseHead, ResponseValue, Secret,
    StatusCode, Transport, TransportBuilder, operation,
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

/// Creates a request with the client credentials as body fields.
fn request(grant: GrantType) -> TokenRequest {
    TokenRequest::new(grant).client_id(OUTBOUND_CLIENT_ID).client_secret(OUTBOUND_CLIENT_SECRET)
}

async fn token(client: &Client, request: &TokenRequest) -> Result<ResponseValue<TokenResponse>, Error<ErrorResponse>> {
    let call: operation::Token<'_> = client.token(request);
    call.send().await
}

#[tokio::test]
async fn every_operation_can_be_called_with_this_crate_alone() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator).unwrap();

    let response = token(&client, &request(GrantType::ClientCredentials).scope("client:admin")).await.unwrap();
    let head: &ResponseHead = response.head();
    assert_eq!(head.status(), StatusCode::OK);
    assert!(response.expires_in.as_ref().and_then(|expires_in: &ExpiresIn| expires_in.lifetime()).is_some());

    let code = request(GrantType::AuthorizationCode).code(OUTBOUND_CODE).redirect_uri(OUTBOUND_REDIRECT_URI);
    let tokens: TokenResponse = token(&client, &code).await.unwrap().into_inner();
    assert!(tokens.refresh_token.is_some());
    let refresh = request(GrantType::RefreshToken).refresh_token(OUTBOUND_REFRESH_TOKEN);
    let access_token: Secret = token(&client, &refresh).await.unwrap().into_inner().access_token;

    // The code can be exchanged only once, so it is now spent.
    match token(&client, &code).await.unwrap_err().kind() {
        ErrorKind::ErrorResponse(ErrorResponse { error, .. }) => assert_eq!(error.as_deref(), Some("invalid_grant")),
        kind => panic!("{kind:?}"),
    }

    let bearer: Authorization = Authorization::bearer(&access_token);
    let revoke: operation::Revoke<'_> = client.revoke(&bearer);
    let revoked: Result<ResponseValue<()>, Error<ErrorResponse>> = revoke.send().await;
    assert!(revoked.is_ok());
}

#[tokio::test]
async fn http_basic_can_be_used_with_this_crate_alone() {
    let emulator = Emulator::start().await.unwrap();
    emulator.configure(|config| config.outbound.client_authentication = flinks_emulator::ClientAuthentication::Basic);
    let basic: Authorization = Authorization::basic(OUTBOUND_CLIENT_ID, &Secret::new(OUTBOUND_CLIENT_SECRET));
    let request = TokenRequest::new(GrantType::ClientCredentials);
    let client = client(&emulator).unwrap();
    let call: operation::Token<'_> = client.token(&request).authorization(&basic);
    assert!(call.send().await.is_ok());
}

#[cfg(feature = "rustls")]
#[test]
fn the_default_crypto_provider_can_be_installed() {
    let _: flinks_outbound::tls::DefaultCryptoProvider = flinks_outbound::tls::install_default_crypto_provider();
}
