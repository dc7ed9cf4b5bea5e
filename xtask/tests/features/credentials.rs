//! Operations that accept several kinds of credentials.

use flinks_core::{Authorization, Secret};

use super::generated::SECRETS;
use super::generated::credentials::{ApiKeyAndSignatureOrBearer, ApiKeyOrBearer, BasicOrBearer};
use super::generated::types::Consent;
use super::server::{Server, json, response};

#[tokio::test]
async fn only_the_header_of_the_chosen_credentials_is_sent() {
    let server = Server::start().await;
    let client = server.client();
    let key = Secret::new("k-canary");
    let bearer = Authorization::bearer(&Secret::new("t-canary"));

    let call = client.list_accounts(ApiKeyOrBearer::ApiKey(&key)).send();
    let (request, outcome) = server.exchange(&json("[]"), call).await;
    assert_eq!(request.line, "GET /accounts HTTP/1.1");
    assert_eq!(request.header_names(), ["x-api-key"]);
    assert_eq!(request.header("x-api-key"), ["k-canary"]);
    assert!(outcome.unwrap().0.is_empty());

    let call = client.list_accounts(ApiKeyOrBearer::Bearer(&bearer)).send();
    let (request, _) = server.exchange(&json("[]"), call).await;
    assert_eq!(request.header_names(), ["authorization"]);
    assert_eq!(request.header("authorization"), ["Bearer t-canary"]);
}

#[tokio::test]
async fn the_type_of_a_credential_selects_the_variant() {
    let server = Server::start().await;
    let client = server.client();
    let key = Secret::new("k");
    let bearer = Authorization::bearer(&Secret::new("t"));
    let (request, _) = server.exchange(&json("[]"), client.list_accounts((&key).into()).send()).await;
    assert_eq!(request.header_names(), ["x-api-key"]);
    let (request, _) = server.exchange(&json("[]"), client.list_accounts((&bearer).into()).send()).await;
    assert_eq!(request.header_names(), ["authorization"]);
}

#[tokio::test]
async fn an_optional_choice_can_be_left_out() {
    let server = Server::start().await;
    let client = server.client();
    let empty = response(204, "", "");
    let (request, outcome) = server.exchange(&empty, client.get_status().send()).await;
    assert_eq!(request.line, "GET /status HTTP/1.1");
    assert_eq!(request.header_names(), Vec::<&str>::new());
    outcome.unwrap();

    let key = Secret::new("k");
    let (request, _) = server.exchange(&empty, client.get_status().credentials((&key).into()).send()).await;
    assert_eq!(request.header_names(), ["x-api-key"]);
}

#[tokio::test]
async fn two_credentials_are_sent_together() {
    let server = Server::start().await;
    let client = server.client();
    let (key, signature) = (Secret::new("k"), Secret::new("s"));
    let bearer = Authorization::bearer(&Secret::new("t"));
    let body = Consent::new("budgeting");
    let empty = response(204, "", "");

    let both = ApiKeyAndSignatureOrBearer::ApiKeyAndSignature(&key, &signature);
    let (request, _) = server.exchange(&empty, client.create_consent(both, &body).send()).await;
    assert_eq!(request.header_names(), ["x-api-key", "x-signature"]);
    assert_eq!(request.header("x-api-key"), ["k"]);
    assert_eq!(request.header("x-signature"), ["s"]);
    assert_eq!(request.text(), r#"{"purpose":"budgeting"}"#);

    let (request, _) = server.exchange(&empty, client.create_consent((&bearer).into(), &body).send()).await;
    assert_eq!(request.header_names(), ["authorization"]);
}

#[tokio::test]
async fn two_schemes_of_one_header_are_separate_variants() {
    let server = Server::start().await;
    let client = server.client();
    let basic = Authorization::basic("me", &Secret::new("pw"));
    let empty = response(204, "", "");
    let call = client.revoke_consent("a/b", BasicOrBearer::Basic(&basic)).send();
    let (request, _) = server.exchange(&empty, call).await;
    assert_eq!(request.line, "DELETE /consents/a%2Fb HTTP/1.1");
    assert_eq!(request.header("authorization"), ["Basic bWU6cHc="]);
}

#[tokio::test]
async fn an_invalid_credential_is_not_sent_and_not_printed() {
    let server = Server::start().await;
    let client = server.client();
    let key = Secret::new("canary\n");
    let error = client.list_accounts((&key).into()).send().await.unwrap_err();
    assert!(error.to_string().contains("X-API-Key"), "{error}");
    let text = format!("{error} {error:?} {:?}", ApiKeyOrBearer::ApiKey(&key));
    assert!(!text.contains("canary"), "{text}");
    server.assert_idle();
}

/// The value of each header comes from `header_value`, which marks it as sensitive. A server cannot
/// see the mark.
#[test]
fn the_headers_of_all_credentials_are_listed_as_secrets() {
    for place in
        ["listAccounts header X-API-Key", "listAccounts header Authorization", "createConsent header X-Signature"]
    {
        assert!(SECRETS.contains(&place), "{place}");
    }
    let code = include_str!("generated.rs");
    let module = code.split("pub mod credentials").nth(1).unwrap().split("pub mod operation").next().unwrap();
    assert_eq!(module.matches("HeaderName::from_static").count(), module.matches(".header_value(").count());
}
