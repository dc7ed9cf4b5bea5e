//! Prints the values and errors of the generated crates, so that their text can be searched for
//! secrets.

use flinks_connect::types::{AuthorizeToken, SecretKey};
use flinks_outbound::Authorization;
use flinks_pay::{Secret, Transport};
use {flinks_connect as connect, flinks_outbound as outbound, flinks_pay as pay};

use crate::canaries::{Canaries, SHORT, responses};
use crate::raw_server::{RawResponse, RawServer};

/// Creates a transport. Its timeouts are short if the server never completes its response.
fn transport(server: &RawServer, response: &RawResponse) -> Transport {
    let builder = Transport::builder(server.base_url.parse().unwrap());
    match response {
        RawResponse::ThenSilence(_) => builder.timeout(SHORT).long_timeout(SHORT).build().unwrap(),
        _ => builder.build().unwrap(),
    }
}

/// Asserts that the server received one request, and that only `header` or the body contains a
/// canary.
fn check_request(canaries: &Canaries, server: &RawServer, header: &str) {
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let (head, _body) = requests[0].split_once("\r\n\r\n").unwrap();
    for line in head.lines().filter(|line| !line.starts_with(&format!("{header}: "))) {
        assert!(canaries.found(line).is_empty(), "{line}");
    }
}

pub(crate) async fn pay(canaries: &mut Canaries) {
    let password = canaries.plant("pay AuthorizeRequest.Password");
    let token = canaries.plant("pay AuthorizeResponse.access_token");
    let body =
        pay::types::AuthorizeRequest::new(pay::types::GrantType::ClientCredentials, "user", Secret::new(password));
    canaries.print(&body);
    for response in responses(&format!(r#"{{"access_token":"{token}","token_type":"{token}","expires_in":299}}"#)) {
        let server = RawServer::start(response.clone()).await;
        let client = pay::Client::with_transport(transport(&server, &response));
        canaries.print(&client);
        canaries.print_outcome(client.authorize(&body).send().await);
        check_request(canaries, &server, "none");
    }
}

pub(crate) async fn pay_session(canaries: &mut Canaries) {
    let token = Authorization::bearer(&Secret::new(canaries.plant("pay initiateSession header Authorization")));
    let body = pay::types::SessionRequest::new("r-1", 10.5, "A", "a@example.com");
    canaries.print(&token);
    canaries.print(&body);
    let session_id = canaries.plant("pay SessionResponse.sessionId");
    for response in responses(&format!(r#"{{"sessionId":"{session_id}","referenceId":"{session_id}"}}"#)) {
        let server = RawServer::start(response.clone()).await;
        let client = pay::Client::with_transport(transport(&server, &response));
        canaries.print_outcome(client.initiate_session(&token, &body).send().await);
        check_request(canaries, &server, "authorization");
    }
}

pub(crate) async fn connect_generate(canaries: &mut Canaries) {
    let key = SecretKey::new(canaries.plant("connect generateAuthorizeToken header flinks-auth-key"));
    let token = canaries.plant("connect GenerateAuthorizeTokenResponse.Token");
    let customer_id = connect::Uuid::from_u128(1);
    canaries.print(&key);
    for response in responses(&format!(r#"{{"HttpStatusCode":200,"Token":"{token}"}}"#)) {
        let server = RawServer::start(response.clone()).await;
        let client = connect::Client::with_transport(transport(&server, &response));
        canaries.print(&client);
        canaries.print_outcome(client.generate_authorize_token(&customer_id, &key).send().await);
        check_request(canaries, &server, "flinks-auth-key");
    }
    // A header cannot contain this key, so the call fails before it sends a request.
    let bad = SecretKey::new(format!("{}\n", canaries.plant("connect generateAuthorizeToken header flinks-auth-key")));
    let server = RawServer::start(RawResponse::Echo("200 OK")).await;
    let client = connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    canaries.print_outcome(client.generate_authorize_token(&customer_id, &bad).send().await);
    assert!(server.requests().is_empty());
}

pub(crate) async fn connect_authorize(canaries: &mut Canaries) {
    let token = AuthorizeToken::new(canaries.plant("connect authorize header flinks-auth-key"));
    let mut request = |field: &str| canaries.plant(&format!("connect AuthorizeRequest.{field}"));
    let body = connect::types::AuthorizeRequest::new()
        .login_id(request("LoginId"))
        .password(request("Password"))
        .request_id(request("RequestId"))
        .security_responses([("prompt".to_owned(), vec![Secret::new(request("SecurityResponses"))])])
        .username(request("Username"));
    canaries.print(&token);
    canaries.print(&body);
    let success = format!(
        r#"{{"RequestId":"{}","Login":{{"Id":"{}","Username":"{}"}},"Institution":"{}","SecurityChallenges":[]}}"#,
        // The same body is decoded as a session or as a challenge, depending on the status.
        canaries.plant("connect AuthorizeSession.RequestId"),
        canaries.plant("connect Login.Id"),
        canaries.plant("connect Login.Username"),
        canaries.plant("connect AuthorizeChallenge.RequestId"),
    );
    let customer_id = connect::Uuid::from_u128(1);
    for response in responses(&success) {
        let server = RawServer::start(response.clone()).await;
        let client = connect::Client::with_transport(transport(&server, &response));
        canaries.print_outcome(client.authorize(&customer_id, &token, &body).send().await);
        check_request(canaries, &server, "flinks-auth-key");
    }
}

pub(crate) async fn outbound(canaries: &mut Canaries) {
    let mut request = |field: &str| canaries.plant(&format!("outbound TokenRequest.{field}"));
    let body = outbound::types::TokenRequest::new(outbound::types::GrantType::AuthorizationCode)
        .client_id("dc-id")
        .client_secret(request("client_secret"))
        .code(request("code"))
        .refresh_token(request("refresh_token"));
    let token = Secret::new(canaries.plant("outbound token header Authorization"));
    let basic = Authorization::basic("dc-id", &token);
    // Anyone who reads a log could decode this value, so the log must not contain it either.
    let encoded = "ZGMtaWQ6Y2FuYXJ5"; // base64 of `dc-id:canary`
    canaries.planted.insert("outbound token header Authorization, encoded".into(), encoded.into());
    let bearer = Authorization::bearer(&token);
    for value in [&basic, &bearer] {
        canaries.print(value);
    }
    canaries.print(&body);
    let success = format!(
        r#"{{"access_token":"{}","refresh_token":"{}","token_type":"Bearer","expires_in":299,"scope":"s"}}"#,
        canaries.plant("outbound TokenResponse.access_token"),
        canaries.plant("outbound TokenResponse.refresh_token"),
    );
    for (authorization, response) in
        responses(&success).into_iter().flat_map(|response| [(&basic, response.clone()), (&bearer, response)])
    {
        let server = RawServer::start(response.clone()).await;
        let client = outbound::Client::with_transport(transport(&server, &response));
        canaries.print_outcome(client.token(&body).authorization(authorization).send().await);
        check_request(canaries, &server, "authorization");
    }
}

pub(crate) async fn outbound_revoke(canaries: &mut Canaries) {
    let token = Authorization::bearer(&Secret::new(canaries.plant("outbound revoke header Authorization")));
    for response in responses("{}") {
        let server = RawServer::start(response.clone()).await;
        let client = outbound::Client::with_transport(transport(&server, &response));
        let outcome = client.revoke(&token).send().await;
        // This operation returns no value on success, so there is nothing to print.
        match outcome {
            Ok(response) => canaries.print(&response),
            Err(error) => canaries.print_outcome(Err::<(), _>(error)),
        }
        check_request(canaries, &server, "authorization");
    }
}
