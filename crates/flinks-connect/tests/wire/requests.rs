//! Tests each operation's request: its method, path, headers and body.

use flinks_connect::types::{AuthorizeRequest, AuthorizeToken, Language, SecretKey};
use flinks_connect::{Client, ErrorKind, Secret, Uuid};

use crate::client;
use crate::raw_server::RawServer;

const CUSTOMER_ID: &str = "00000000-0000-4000-8000-000000000001";

#[tokio::test]
async fn c1_t02_t03_generate_authorize_token_sends_each_header_once() {
    let server = RawServer::responding("200 OK", "application/json", r#"{"HttpStatusCode":200,"Token":"t"}"#).await;
    let customer_id = CUSTOMER_ID.parse().unwrap();
    let key = SecretKey::new("the-secret-key");
    client(&server).generate_authorize_token(&customer_id, &key).send().await.unwrap();
    assert_eq!(
        server.only_request(),
        "\
POST /v3/00000000-0000-4000-8000-000000000001/BankingServices/GenerateAuthorizeToken HTTP/1.1
accept: application/json
content-type: application/json
user-agent: flinks-rust/0.1.0
host: [host]
flinks-auth-key: the-secret-key
content-length: 0

"
    );
}

#[tokio::test]
async fn c6_authorize_sends_the_token_and_every_field() {
    let server = RawServer::responding("200 OK", "application/json", "{}").await;
    let customer_id = CUSTOMER_ID.parse().unwrap();
    let token = AuthorizeToken::new("the-authorize-token");
    let body = AuthorizeRequest::new()
        .institution("FlinksCapital")
        .language(Language::Fr)
        .login_id("the-login-id")
        .most_recent_cached(false)
        .password("the-password")
        .request_id("the-request-id")
        .save(true)
        .security_responses([("Best country?".to_owned(), vec![Secret::new("Canada")])])
        .tag("tag")
        .username("the-username");
    client(&server).authorize(&customer_id, &token, &body).send().await.unwrap();
    assert_eq!(
        server.only_request(),
        "\
POST /v3/00000000-0000-4000-8000-000000000001/BankingServices/Authorize HTTP/1.1
accept: application/json
content-type: application/json
user-agent: flinks-rust/0.1.0
host: [host]
flinks-auth-key: the-authorize-token
content-length: 251

{\"Institution\":\"FlinksCapital\",\"Language\":\"fr\",\"LoginId\":\"the-login-id\",\"MostRecentCached\":false,\
\"Password\":\"the-password\",\"RequestId\":\"the-request-id\",\"Save\":true,\
\"SecurityResponses\":{\"Best country?\":[\"Canada\"]},\"Tag\":\"tag\",\"Username\":\"the-username\"}"
    );
}

#[tokio::test]
async fn a_path_prefix_is_kept_and_a_trailing_slash_is_removed() {
    let server = RawServer::responding("200 OK", "application/json", r#"{"Token":"t"}"#).await;
    let customer_id = CUSTOMER_ID.parse().unwrap();
    for (suffix, path) in [("/", "/v3/"), ("/flinks/", "/flinks/v3/")] {
        let client = Client::new(format!("{}{suffix}", server.base_url).parse().unwrap()).unwrap();
        client.generate_authorize_token(&customer_id, &SecretKey::new("k")).send().await.unwrap();
        let request = server.requests().pop().unwrap();
        assert!(request.starts_with(&format!("POST {path}{CUSTOMER_ID}/BankingServices/")), "{request}");
    }
}

#[tokio::test]
async fn an_invalid_header_value_is_rejected_before_sending() {
    let server = RawServer::responding("200 OK", "application/json", "{}").await;
    for key in ["", "key\n", "k\r\nx-injected: 1", "k\0", " key", "clé"] {
        let key = SecretKey::new(key);
        let error = client(&server).generate_authorize_token(&Uuid::nil(), &key).send().await.unwrap_err();
        let ErrorKind::InvalidRequest(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), "flinks-auth-key");
        assert!(!error.may_have_been_sent());
    }
    assert!(server.requests().is_empty());
}
