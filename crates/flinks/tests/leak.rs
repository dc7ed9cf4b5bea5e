//! A canary in every secret: none is in any text, in success and in failure (A3, T4).
//!
//! In a binary of its own, because it listens to the logs of the whole process.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flinks_connect::types::{AuthorizeToken, SecretKey};
use flinks_outbound::Authorization;
use flinks_pay::{Secret, Transport};
use {flinks_connect as connect, flinks_outbound as outbound, flinks_pay as pay};

#[path = "../../flinks-core/tests/support/raw_server.rs"]
#[allow(dead_code)] // shared with the other tests
mod raw_server;

use raw_server::{Answer, Raw, reply};

#[path = "shared/log.rs"]
mod log;

use log::Log;

/// One canary for each mark of the overlays, and what was printed.
#[derive(Default)]
struct Canaries {
    planted: BTreeMap<String, String>,
    printed: Vec<String>,
    successes: usize,
}

impl Canaries {
    /// The canary for a mark, such as `pay AuthorizeRequest.Password`.
    fn plant(&mut self, mark: &str) -> String {
        let canary = || format!("canary-{}", uuid::Uuid::new_v4());
        self.planted.entry(mark.to_owned()).or_insert_with(canary).clone()
    }

    fn print(&mut self, value: &dyn Debug) {
        self.printed.push(format!("{value:?}\n{value:#?}"));
    }

    fn print_outcome<T: Debug, E: Error>(&mut self, outcome: Result<T, E>) {
        match outcome {
            Ok(value) => {
                self.successes += 1;
                self.print(&value);
            }
            Err(error) => {
                self.printed.push(format!("{error}\n{error:#}\n{error:?}\n{error:#?}"));
                let mut source = error.source();
                while let Some(error) = source {
                    self.printed.push(format!("{error}\n{error:?}"));
                    source = error.source();
                }
            }
        }
    }

    /// Where each canary is in a text.
    fn found<'a>(&'a self, text: &str) -> Vec<&'a str> {
        let found = self.planted.iter().filter(|(_, canary)| text.contains(canary.as_str()));
        found.map(|(mark, _)| mark.as_str()).collect()
    }
}

/// All that a server may do, with the replies of success for each operation.
fn answers(success: &str) -> Vec<Answer> {
    let json = "content-type: application/json\r\n";
    let mut cut = reply("200 OK", json, success);
    cut.truncate(cut.len() - 2);
    vec![
        Answer::Bytes(reply("200 OK", json, success)),
        Answer::Bytes(reply("203 N", json, success)),
        Answer::Bytes(reply("200 OK", json, &success.replacen(':', ":7,", 1))),
        Answer::Bytes(reply("200 OK", json, &format!("{success}{success}"))),
        Answer::Bytes(cut.clone()),
        Answer::ThenSilence(cut),
        Answer::Bytes(Vec::new()),
        Answer::Bytes(success.as_bytes().to_vec()),
        Answer::Echo("200 OK"),
        Answer::Echo("302 Found"),
        Answer::Echo("400 Bad Request"),
        Answer::Echo("401 Unauthorized"),
        Answer::Echo("418 T"),
        Answer::Echo("502 Bad Gateway"),
    ]
}

/// How long a call to a server that is silent on purpose may take.
const SHORT: Duration = Duration::from_millis(200);

/// Waits as long as a call may take, but for a server that is silent on purpose.
fn transport(server: &Raw, answer: &Answer) -> Transport {
    let builder = Transport::builder(server.base_url.parse().unwrap());
    match answer {
        Answer::ThenSilence(_) => builder.timeout(SHORT).long_timeout(SHORT).build().unwrap(),
        _ => builder.build().unwrap(),
    }
}

/// The one place of each canary in the request: this header, or the body.
fn check_request(canaries: &Canaries, server: &Raw, header: &str) {
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let (head, _body) = requests[0].split_once("\r\n\r\n").unwrap();
    for line in head.lines().filter(|line| !line.starts_with(&format!("{header}: "))) {
        assert!(canaries.found(line).is_empty(), "{line}");
    }
}

async fn pay(canaries: &mut Canaries) {
    let password = canaries.plant("pay AuthorizeRequest.Password");
    let token = canaries.plant("pay AuthorizeResponse.access_token");
    let body =
        pay::types::AuthorizeRequest::new(pay::types::GrantType::ClientCredentials, "user", Secret::new(password));
    canaries.print(&body);
    for answer in answers(&format!(r#"{{"access_token":"{token}","token_type":"{token}","expires_in":299}}"#)) {
        let server = Raw::start(answer.clone()).await;
        let client = pay::Client::with_transport(transport(&server, &answer));
        canaries.print(&client);
        canaries.print_outcome(client.authorize(&body).send().await);
        check_request(canaries, &server, "none");
    }
}

async fn pay_session(canaries: &mut Canaries) {
    let token = Authorization::bearer(&Secret::new(canaries.plant("pay initiateSession header Authorization")));
    let body = pay::types::SessionRequest::new("r-1", 10.5, "A", "a@example.com");
    canaries.print(&token);
    canaries.print(&body);
    let session_id = canaries.plant("pay SessionResponse.sessionId");
    for answer in answers(&format!(r#"{{"sessionId":"{session_id}","referenceId":"{session_id}"}}"#)) {
        let server = Raw::start(answer.clone()).await;
        let client = pay::Client::with_transport(transport(&server, &answer));
        canaries.print_outcome(client.initiate_session(&token, &body).send().await);
        check_request(canaries, &server, "authorization");
    }
}

async fn connect_generate(canaries: &mut Canaries) {
    let key = SecretKey::new(canaries.plant("connect generateAuthorizeToken header flinks-auth-key"));
    let token = canaries.plant("connect GenerateAuthorizeTokenResponse.Token");
    let customer_id = connect::Uuid::from_u128(1);
    canaries.print(&key);
    for answer in answers(&format!(r#"{{"HttpStatusCode":200,"Token":"{token}"}}"#)) {
        let server = Raw::start(answer.clone()).await;
        let client = connect::Client::with_transport(transport(&server, &answer));
        canaries.print(&client);
        canaries.print_outcome(client.generate_authorize_token(&customer_id, &key).send().await);
        check_request(canaries, &server, "flinks-auth-key");
    }
    // Refused before it is sent.
    let bad = SecretKey::new(format!("{}\n", canaries.plant("connect generateAuthorizeToken header flinks-auth-key")));
    let server = Raw::start(Answer::Echo("200 OK")).await;
    let client = connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    canaries.print_outcome(client.generate_authorize_token(&customer_id, &bad).send().await);
    assert!(server.requests().is_empty());
}

async fn connect_authorize(canaries: &mut Canaries) {
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
        // One reply is read as a session and as a challenge, by its status.
        canaries.plant("connect AuthorizeSession.RequestId"),
        canaries.plant("connect Login.Id"),
        canaries.plant("connect Login.Username"),
        canaries.plant("connect AuthorizeChallenge.RequestId"),
    );
    let customer_id = connect::Uuid::from_u128(1);
    for answer in answers(&success) {
        let server = Raw::start(answer.clone()).await;
        let client = connect::Client::with_transport(transport(&server, &answer));
        canaries.print_outcome(client.authorize(&customer_id, &token, &body).send().await);
        check_request(canaries, &server, "flinks-auth-key");
    }
}

async fn outbound(canaries: &mut Canaries) {
    let mut request = |field: &str| canaries.plant(&format!("outbound TokenRequest.{field}"));
    let body = outbound::types::TokenRequest::new(outbound::types::GrantType::AuthorizationCode)
        .client_id("dc-id")
        .client_secret(request("client_secret"))
        .code(request("code"))
        .refresh_token(request("refresh_token"));
    let token = Secret::new(canaries.plant("outbound token header Authorization"));
    let basic = Authorization::basic("dc-id", &token);
    // What a reader of a log would decode.
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
    for (authorization, answer) in
        answers(&success).into_iter().flat_map(|answer| [(&basic, answer.clone()), (&bearer, answer)])
    {
        let server = Raw::start(answer.clone()).await;
        let client = outbound::Client::with_transport(transport(&server, &answer));
        canaries.print_outcome(client.token(&body).authorization(authorization).send().await);
        check_request(canaries, &server, "authorization");
    }
}

async fn outbound_revoke(canaries: &mut Canaries) {
    let token = Authorization::bearer(&Secret::new(canaries.plant("outbound revoke header Authorization")));
    for answer in answers("{}") {
        let server = Raw::start(answer.clone()).await;
        let client = outbound::Client::with_transport(transport(&server, &answer));
        let outcome = client.revoke(&token).send().await;
        // A success has nothing to show.
        match outcome {
            Ok(reply) => canaries.print(&reply),
            Err(error) => canaries.print_outcome(Err::<(), _>(error)),
        }
        check_request(canaries, &server, "authorization");
    }
}

/// What the facade shows of the same secrets: its values, errors, spans and events.
async fn facade(canaries: &mut Canaries) {
    let settings = |answer: &Answer| {
        // Whoever adjusts the HTTP client may want to see what it does.
        let settings = flinks::Settings::new().http(|http| http.connection_verbose(true));
        match answer {
            Answer::ThenSilence(_) => settings.timeout(SHORT).bank_timeout(SHORT),
            _ => settings.max_attempts(1),
        }
    };
    let token = canaries.plant("pay AuthorizeResponse.access_token");
    let session_id = canaries.plant("pay SessionResponse.sessionId");
    let password = canaries.plant("pay AuthorizeRequest.Password");
    let good = format!(r#"{{"access_token":"{token}","expires_in":299,"sessionId":"{session_id}"}}"#);
    let session = flinks::pay::NewSession::new("r-1", 1050, "A", "a@example.com").unwrap();
    canaries.print(&session);
    for answer in answers(&good) {
        let (minting, spending) =
            (Raw::start(Answer::Bytes(reply("200 OK", "", &good))).await, Raw::start(answer.clone()).await);
        let client = |server: &Raw| {
            let credentials = flinks::pay::Credentials::new("user", password.clone()).unwrap();
            let settings = settings(&answer);
            flinks::pay::Client::with_settings(server.base_url.parse().unwrap(), credentials, &settings).unwrap()
        };
        canaries.print(&client(&minting));
        canaries.print_outcome(client(&spending).authorize().await);
        let token = client(&minting).authorize().await.unwrap();
        canaries.print(&token);
        canaries.print_outcome(client(&spending).initiate_session(token, &session).await);
        let token = client(&minting).authorize().await.unwrap();
        canaries.print_outcome(token.into_authorization());
    }

    let key = canaries.plant("connect generateAuthorizeToken header flinks-auth-key");
    let token = canaries.plant("connect GenerateAuthorizeTokenResponse.Token");
    let login_id = flinks::connect::LoginId::new(canaries.plant("connect AuthorizeRequest.LoginId")).unwrap();
    let request_id = canaries.plant("connect AuthorizeSession.RequestId");
    let good = format!(
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
    for answer in answers(&good) {
        let (minting, spending) =
            (Raw::start(Answer::Bytes(reply("200 OK", "", &good))).await, Raw::start(answer.clone()).await);
        let asking = Raw::start(Answer::Bytes(reply("203 N", "", &good))).await;
        let client = |server: &Raw| {
            let id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
            let (url, settings) = (server.base_url.parse::<flinks::BaseUrl>().unwrap(), settings(&answer));
            flinks::connect::Client::with_settings(url, id, secret_key.clone(), &settings).unwrap()
        };
        let fresh = async || client(&minting).generate_authorize_token().await.unwrap();
        canaries.print_outcome(client(&spending).generate_authorize_token().await);
        canaries.print(&fresh().await);
        for request in &requests {
            canaries.print_outcome(client(&spending).authorize(fresh().await, request).await);
        }
        let asked = client(&asking).authorize(fresh().await, &requests[0]).await.unwrap();
        canaries.print(&asked);
        let flinks::connect::Outcome::Challenge(challenge) = asked else { panic!() };
        let answer = canaries.plant("connect AuthorizeRequest.SecurityResponses");
        let answers = flinks::connect::Answers::new().to(&challenge.questions()[0], answer);
        canaries.print(&answers);
        canaries.print_outcome(client(&spending).answer(fresh().await, challenge, &answers).await);
        let widget = client(&minting).widget(&redirect_url);
        canaries.print_outcome(widget.url(fresh().await));
        canaries.print(&client(&minting).custom_oauth(14, &redirect_url).unwrap().start());
    }

    let secret = canaries.plant("outbound TokenRequest.client_secret");
    let credentials = flinks::outbound::ClientCredentials::new("dc-id", secret).unwrap();
    let refresh_token =
        flinks::outbound::RefreshToken::new(canaries.plant("outbound TokenRequest.refresh_token")).unwrap();
    canaries.print(&(&credentials, &refresh_token));
    let good = format!(
        r#"{{"access_token":"{}","refresh_token":"{}","scope":"{}","expires_in":299}}"#,
        canaries.plant("outbound TokenResponse.access_token"),
        canaries.plant("outbound TokenResponse.refresh_token"),
        // A server that repeats what it was sent.
        canaries.plant("outbound TokenRequest.client_secret"),
    );
    for answer in answers(&good) {
        let minting = Raw::start(Answer::Bytes(reply("200 OK", "", &good))).await;
        let spending = Raw::start(answer.clone()).await;
        let client = |server: &Raw| {
            let (url, settings) = (server.base_url.parse().unwrap(), settings(&answer));
            let authentication = flinks::outbound::ClientAuthentication::Fields(credentials.clone());
            flinks::outbound::Client::with_settings(url, authentication, &settings).unwrap()
        };
        canaries.print(&client(&minting));
        canaries.print_outcome(client(&spending).client_credentials(None).await);
        canaries.print_outcome(client(&spending).refresh(&refresh_token).await);
        let tokens = client(&minting).refresh(&refresh_token).await.unwrap();
        canaries.print(&tokens);
        canaries.print_outcome(client(&spending).revoke(&tokens.access_token).await);
        let (url, pending) = client(&minting).authorization("1000", &redirect_url).unwrap().start();
        canaries.print(&(&url, &pending));
        let url = url::Url::parse(url.expose_secret()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let code = canaries.plant("outbound TokenRequest.code");
        let code = client(&minting).verify(pending, &format!("code={code}&state={state}")).unwrap();
        canaries.print(&code);
        canaries.print_outcome(client(&spending).exchange_code(code).await);
    }
}

/// What looking after a consent shows: its values, errors and events, and the files beside the records.
async fn consents(canaries: &mut Canaries) {
    use flinks::outbound::{AppTokenSource, Client, ConsentId, Consents, FileStore, RefreshToken, TokenStore};
    let good = format!(
        r#"{{"access_token":"{}","refresh_token":"{}","expires_in":299}}"#,
        canaries.plant("outbound TokenResponse.access_token"),
        canaries.plant("outbound TokenResponse.refresh_token"),
    );
    let secret = canaries.plant("outbound TokenRequest.client_secret");
    let credentials = flinks::outbound::ClientCredentials::new("dc-id", secret).unwrap();
    let refresh_token = RefreshToken::new(canaries.plant("outbound TokenRequest.refresh_token")).unwrap();
    let id: ConsentId = "user-7".parse().unwrap();
    for answer in answers(&good) {
        let server = Raw::start(answer.clone()).await;
        let settings = match answer {
            Answer::ThenSilence(_) => flinks::Settings::new().timeout(SHORT).bank_timeout(SHORT),
            _ => flinks::Settings::new().max_attempts(1),
        };
        let url = server.base_url.parse().unwrap();
        let client = Client::with_settings(url, credentials.clone(), &settings).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let consents = Consents::builder(client.clone()).store(store.clone()).on_event({
            let events = Arc::clone(&events);
            move |_, event| events.lock().unwrap().push(format!("{event:?}"))
        });
        let consents = consents.build();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(29 * 24 * 60 * 60);
        let consent = consents.insert(&id, refresh_token.clone(), long_ago).await.unwrap();
        canaries.print(&(&store, &consents, &consent));
        let token = consent.access_token().await;
        if let Ok(token) = &token {
            consent.reject(token);
        }
        canaries.print_outcome(token);
        canaries.print_outcome(store.load(&id).await);
        canaries.print_outcome(consent.idle_deadline().await);
        canaries.print_outcome(AppTokenSource::new(client, None).access_token().await);

        // A record that is damaged, and what a killed process left.
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(canaries.found(&text).is_empty() || path.extension().unwrap() == "json", "{}", path.display());
            if path.extension().unwrap() == "json" {
                std::fs::write(path.with_extension("new"), &text).unwrap();
                std::fs::write(&path, text.trim_end_matches('}')).unwrap();
            }
        }
        canaries.print_outcome(store.load(&id).await);
        canaries.print_outcome(consent.access_token().await);
        canaries.print_outcome(consents.insert(&id, refresh_token.clone(), long_ago).await);
        for event in events.lock().unwrap().drain(..) {
            canaries.printed.push(event);
        }
    }
}

#[tokio::test]
async fn a3_t04_no_secret_is_in_any_text() {
    let log = Log::capture();
    let mut canaries = Canaries::default();
    let all = async {
        pay(&mut canaries).await;
        pay_session(&mut canaries).await;
        connect_generate(&mut canaries).await;
        connect_authorize(&mut canaries).await;
        outbound(&mut canaries).await;
        outbound_revoke(&mut canaries).await;
        // 200 and 203 are successes of each operation, and of `token` with both of its credentials. An echo fails: it has an
        // error code.
        assert_eq!(canaries.successes, 12);
        facade(&mut canaries).await;
        consents(&mut canaries).await;
    };
    // Only a client without a time limit takes that long.
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();

    let log = log.text();
    assert!(log.contains("127.0.0.1:"), "the log of the HTTP client was captured");
    assert!(
        log.contains("operation=\"generateAuthorizeToken\"") && log.contains("failed attempt=1"),
        "and the facade's"
    );
    for event in ["about to idle out", "moved aside", "received a new access token"] {
        assert!(log.contains(event), "{event}");
    }
    assert_eq!(canaries.found(&log), Vec::<&str>::new());
    assert!(canaries.printed.len() > 50);
    for text in &canaries.printed {
        assert_eq!(canaries.found(text), Vec::<&str>::new(), "{text}");
    }

    // Every mark has its canary, and every canary its mark.
    let marks = [("pay", pay::SECRETS), ("connect", connect::SECRETS), ("outbound", outbound::SECRETS)];
    let marks = marks.iter().flat_map(|(product, marks)| marks.iter().map(move |mark| format!("{product} {mark}")));
    let planted = canaries.planted.into_keys().filter(|mark| !mark.ends_with("encoded"));
    assert_eq!(planted.collect::<BTreeSet<_>>(), marks.collect::<BTreeSet<_>>());
}
