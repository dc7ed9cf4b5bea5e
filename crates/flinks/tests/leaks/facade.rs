//! Prints the facade's values and errors, so that the output can be searched for secrets.

use flinks::connect::StatePlacement;

use crate::canaries::{Canaries, SHORT, responses};
use crate::raw_server::{RawResponse, RawServer, http_response};

pub(crate) async fn facade(canaries: &mut Canaries) {
    let settings = |response: &RawResponse| {
        // An application may enable the HTTP client's log.
        let settings = flinks::Settings::new().http(|http| http.connection_verbose(true));
        match response {
            RawResponse::ThenSilence(_) => settings.timeout(SHORT).bank_timeout(SHORT),
            _ => settings.max_attempts(1),
        }
    };
    let token = canaries.plant("pay AuthorizeResponse.access_token");
    let session_id = canaries.plant("pay SessionResponse.sessionId");
    let password = canaries.plant("pay AuthorizeRequest.Password");
    let success = format!(r#"{{"access_token":"{token}","expires_in":299,"sessionId":"{session_id}"}}"#);
    let session = flinks::pay::NewSession::new(
        "r-1",
        flinks::pay::Cents(1050),
        flinks::pay::Customer { name: "A".to_owned(), email: "a@example.com".to_owned() },
    )
    .unwrap();
    canaries.print(&session);
    for response in responses(&success) {
        let issuing = RawServer::start(RawResponse::Bytes(http_response("200 OK", "", &success))).await;
        let responding = RawServer::start(response.clone()).await;
        let client = |server: &RawServer| {
            let credentials = flinks::pay::Credentials::new("user", password.clone()).unwrap();
            let settings = settings(&response);
            flinks::pay::Client::builder(server.base_url.parse().unwrap(), credentials)
                .settings(&settings)
                .build()
                .unwrap()
        };
        canaries.print(&client(&issuing));
        canaries.print_outcome(client(&responding).authorize().await);
        let token = client(&issuing).authorize().await.unwrap();
        canaries.print(&token);
        canaries.print_outcome(client(&responding).initiate_session(token, &session).await);
        let token = client(&issuing).authorize().await.unwrap();
        canaries.print_outcome(token.into_authorization());
    }

    let key = canaries.plant("connect generateAuthorizeToken header flinks-auth-key");
    let token = canaries.plant("connect GenerateAuthorizeTokenResponse.Token");
    let login_id = flinks::connect::LoginId::new(canaries.plant("connect AuthorizeRequest.LoginId")).unwrap();
    let request_id = canaries.plant("connect AuthorizeSession.RequestId");
    let success = format!(
        r#"{{"Token":"{token}","RequestId":"{request_id}","Login":{{"Id":"{}"}},"SecurityChallenges":[{{"Prompt":"{}"}}]}}"#,
        canaries.plant("connect Login.Id"),
        canaries.plant("connect Login.Username"),
    );
    let secret_key = flinks::connect::SecretKey::new(key).unwrap();
    let requests = [
        flinks::connect::Authorize::live(&login_id).tag("t"),
        flinks::connect::Authorize::with_bank_credentials(
            "bank",
            canaries.plant("connect AuthorizeRequest.Username"),
            canaries.plant("connect AuthorizeRequest.Password"),
        ),
    ];
    canaries.print(&(&secret_key, &login_id, &requests));
    let redirect_url = "https://app.example/".parse().unwrap();
    for response in responses(&success) {
        let issuing = RawServer::start(RawResponse::Bytes(http_response("200 OK", "", &success))).await;
        let responding = RawServer::start(response.clone()).await;
        let challenging = RawServer::start(RawResponse::Bytes(http_response("203 N", "", &success))).await;
        let client = |server: &RawServer| {
            let id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
            let url = server.base_url.parse::<flinks::BaseUrl>().unwrap();
            let settings = settings(&response);
            flinks::connect::Client::builder(url, id, secret_key.clone()).settings(&settings).build().unwrap()
        };
        let fresh = async || client(&issuing).generate_authorize_token().await.unwrap();
        canaries.print_outcome(client(&responding).generate_authorize_token().await);
        canaries.print(&fresh().await);
        canaries.print_outcome(fresh().await.into_header());
        for request in &requests {
            canaries.print_outcome(client(&responding).authorize(fresh().await, request).await);
        }
        let outcome = client(&challenging).authorize(fresh().await, &requests[0]).await.unwrap();
        canaries.print(&outcome);
        let flinks::connect::Outcome::Challenge(challenge) = outcome else { panic!() };
        let security_answer = canaries.plant("connect AuthorizeRequest.SecurityResponses");
        let answers = flinks::connect::Answers::new().to(&challenge.questions()[0], security_answer);
        canaries.print(&answers);
        canaries.print_outcome(client(&responding).answer(fresh().await, challenge, &answers).await);
        let widget = client(&issuing).widget(&redirect_url);
        canaries.print_outcome(widget.url(fresh().await));
        for placement in [StatePlacement::Query, StatePlacement::Path, StatePlacement::Session] {
            let started = widget.start(fresh().await, placement).unwrap();
            canaries.print(&started);
            let landing = format!("/?institution={0}&loginId={0}", login_id.expose_secret());
            canaries.print_outcome(client(&issuing).verify_landing(started.pending, &landing));
        }
        for step in ["REDIRECT", login_id.expose_secret()] {
            let data = format!(r#"{{"step":"{step}","institution":"{0}","url":"{0}"}}"#, login_id.expose_secret());
            canaries.print_outcome(widget.message(&widget.message_origin(), &data));
            canaries.print_outcome(widget.message(&data, &data));
        }
        canaries.print(&client(&issuing).custom_oauth(14, &redirect_url).unwrap().start());
    }

    let secret = canaries.plant("outbound TokenRequest.client_secret");
    let credentials = flinks::outbound::ClientCredentials::new("dc-id", secret).unwrap();
    let refresh_token =
        flinks::outbound::RefreshToken::new(canaries.plant("outbound TokenRequest.refresh_token")).unwrap();
    canaries.print(&(&credentials, &refresh_token));
    let success = format!(
        r#"{{"access_token":"{}","refresh_token":"{}","scope":"{}","expires_in":299}}"#,
        canaries.plant("outbound TokenResponse.access_token"),
        canaries.plant("outbound TokenResponse.refresh_token"),
        // Some servers repeat the request in the response.
        canaries.plant("outbound TokenRequest.client_secret"),
    );
    for response in responses(&success) {
        let issuing = RawServer::start(RawResponse::Bytes(http_response("200 OK", "", &success))).await;
        let responding = RawServer::start(response.clone()).await;
        let client = |server: &RawServer| {
            let url = server.base_url.parse().unwrap();
            let settings = settings(&response);
            let authentication = flinks::outbound::ClientAuthentication::Fields(credentials.clone());
            flinks::outbound::Client::builder(url, authentication).settings(&settings).build().unwrap()
        };
        canaries.print(&client(&issuing));
        canaries.print_outcome(client(&responding).client_credentials(None).await);
        canaries.print_outcome(client(&responding).refresh(&refresh_token).await);
        let tokens = client(&issuing).refresh(&refresh_token).await.unwrap();
        canaries.print(&tokens);
        canaries.print_outcome(client(&responding).revoke(&tokens.access_token).await);
        let flinks::Started { url, pending, .. } =
            client(&issuing).authorization("1000", &redirect_url).unwrap().start();
        canaries.print(&(&url, &pending));
        let url = url::Url::parse(url.expose_secret()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let code = canaries.plant("outbound TokenRequest.code");
        let code = client(&issuing).verify(pending, &format!("code={code}&state={state}")).unwrap();
        canaries.print(&code);
        canaries.print_outcome(client(&responding).exchange_code(code).await);
    }
}
