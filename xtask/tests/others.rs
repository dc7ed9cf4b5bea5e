//! Small documents modelled on well-known APIs for tokens and payments. Each document produces
//! either code that compiles or an error that names the place and the fix.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

mod support;

use std::path::{Path, PathBuf};

use xtask::generate::output::Header;
use xtask::generate::{Generated, SecretNames, generate as generate_code};
use xtask::spec::read::yaml;

fn generate(name: &str) -> xtask::Result<Generated> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/others")).join(name).with_extension("yaml");
    let document = yaml(&std::fs::read(path).unwrap()).unwrap();
    generate_code(
        document,
        &Header { document: PathBuf::from("d.yaml"), overlay: PathBuf::from("o.yaml"), sha256: "0" },
        SecretNames::Checked,
    )
}

/// The supported documents, each with lines that its public API must contain.
const SUPPORTED: [(&str, &[&str]); 7] = [
    (
        "link-token",
        &[
            "field types::LinkTokenCreateRequest.secret: Option<flinks_core::Secret>",
            "field types::Error.display_message: Option<String>",
            "fn types::LinkTokenCreateRequestUser::new(client_user_id: impl Into<String>) -> Self",
        ],
    ),
    (
        "wallet-oauth",
        &[
            "fn Client::oauth2_token<'a>(&'a self, authorization: &'a flinks_core::Authorization, body: &'a types::Oauth2TokenRequest) -> operation::Oauth2Token<'a>",
            "field types::Oauth2TokenResponse.expires_in: Option<flinks_core::ExpiresIn>",
            "async fn operation::OrdersCapture<'a>::send(self) -> Result<ResponseValue<types::Order>, Error<types::Error>>",
        ],
    ),
    (
        "open-banking-consent",
        &[
            "fn Client::delete_account_access_consents_consent_id<'a>(&'a self, consent_id: &'a str, authorization: &'a flinks_core::Authorization) -> operation::DeleteAccountAccessConsentsConsentId<'a>",
            "field types::ObReadConsentResponse1.links: Option<std::collections::HashMap<String, String>>",
        ],
    ),
    (
        "card-sessions",
        &[
            "fn Client::post_sessions<'a>(&'a self, x_api_key: &'a flinks_core::Secret, body: &'a types::PostSessionsRequest) -> operation::PostSessions<'a>",
            "variant types::PostSessionsRequestPaymentMethod::Card: (Card)",
            "field types::Card.cvc: flinks_core::Secret",
        ],
    ),
    (
        "device-flow",
        &[
            "fn operation::Introspect<'a>::authorization(self, authorization: &'a flinks_core::Authorization) -> Self",
            "async fn operation::Revoke<'a>::send(self) -> Result<ResponseValue<()>, Error<()>>",
        ],
    ),
    (
        "payment-status",
        &[
            "async fn operation::GetPayment<'a>::send(self) -> Result<ResponseValue<types::GetPaymentResponse>, Error<()>>",
            "variant types::GetPaymentResponse::Authorized: (Box<Authorized>)",
            "variant types::GetPaymentResponse::Other: (flinks_core::RawJson)",
        ],
    ),
    (
        "aggregator-paths",
        &[
            "const SERVERS: &[&str]",
            "fn Client::create_user<'a>(&'a self, credentials: credentials::BasicOrBearer<'a>) -> operation::CreateUser<'a>",
        ],
    ),
];

#[test]
fn the_code_for_supported_documents_compiles() {
    let mut modules = Vec::new();
    for (name, lines) in SUPPORTED {
        let generated = generate(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let interface = generated.public_api.to_string();
        for line in lines {
            assert!(interface.lines().any(|other| other == *line), "{name}: {line}\n{interface}");
        }
        modules.push((name.replace('-', "_"), generated.text));
    }
    support::compile("others", &modules);
}

#[test]
fn an_unsupported_document_is_a_located_error_with_help() {
    for (name, parts) in [(
        "card-forms",
        ["`metadata` is neither a scalar", "operation: PostPaymentIntents", "requestBody", "overlay action"],
    )] {
        let error = generate(name).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{name}: {part}: {error}");
        }
    }
}
