//! A program of somebody who depends on this crate alone, with every operation, against a local Flinks.

#![allow(clippy::panic, clippy::unwrap_used)] // a test

use flinks_emulator::Emulator;
use flinks_emulator::credentials::{
    OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_CODE, OUTBOUND_REDIRECT_URI, OUTBOUND_REFRESH_TOKEN,
};
use flinks_outbound::types::{ErrorResponse, GrantType, TokenRequest, TokenResponse};
use flinks_outbound::{
    Authorization, BaseUrl, BuildError, Client, Error, ErrorKind, ExpiresIn, ResponseHead, ResponseValue, Secret,
    StatusCode, Transport, TransportBuilder, operation,
};

/// The crates that this one is made of, which its dependants do not see: under these names, they are not seen here either.
mod flinks_core {}
mod serde {}

fn client(emulator: &Emulator) -> Result<Client, BuildError> {
    let base_url: BaseUrl = emulator.base_url().parse().unwrap();
    let builder: TransportBuilder = Transport::builder(base_url.clone());
    let _with_limits: Client = Client::with_transport(builder.build()?);
    Client::new(base_url)
}

/// With the client's credentials as fields.
fn request(grant: GrantType) -> TokenRequest {
    TokenRequest::new(grant).client_id(OUTBOUND_CLIENT_ID).client_secret(OUTBOUND_CLIENT_SECRET)
}

async fn token(client: &Client, request: &TokenRequest) -> Result<ResponseValue<TokenResponse>, Error<ErrorResponse>> {
    let call: operation::Token<'_> = client.token(request);
    call.send().await
}

#[tokio::test]
async fn every_operation_needs_this_crate_alone() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator).unwrap();

    let reply = token(&client, &request(GrantType::ClientCredentials).scope("client:admin")).await.unwrap();
    let head: &ResponseHead = reply.head();
    assert_eq!(head.status(), StatusCode::OK);
    assert!(reply.expires_in.as_ref().and_then(|expires_in: &ExpiresIn| expires_in.lifetime()).is_some());

    let code = request(GrantType::AuthorizationCode).code(OUTBOUND_CODE).redirect_uri(OUTBOUND_REDIRECT_URI);
    let tokens: TokenResponse = token(&client, &code).await.unwrap().into_inner();
    assert!(tokens.refresh_token.is_some());
    let refresh = request(GrantType::RefreshToken).refresh_token(OUTBOUND_REFRESH_TOKEN);
    let access_token: Secret = token(&client, &refresh).await.unwrap().into_inner().access_token;

    // A code is exchanged once.
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
async fn http_basic_needs_this_crate_alone() {
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
