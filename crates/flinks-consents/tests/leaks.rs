//! Checks that secrets do not appear in any text about a consent. The test searches values, errors,
//! events and all files in the store except the record (A3).
//!
//! This test is a separate binary, because it captures the log of the whole process.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

#[path = "../../flinks/tests/shared/canaries.rs"]
#[allow(dead_code)] // shared with the facade's test
mod canaries;
#[path = "../../flinks/tests/shared/log.rs"]
mod log;
#[path = "../../flinks-core/tests/support/raw_server.rs"]
#[allow(dead_code)] // shared with the other tests
mod raw_server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks::{BaseUrl, Settings};
use flinks_consents::{AppTokenSource, BearerAuth, ConsentId, Consents, FileStore, TokenStore};

use crate::canaries::{Canaries, SHORT, responses};
use crate::log::Log;
use crate::raw_server::{RawResponse, RawServer};

async fn consents(canaries: &mut Canaries) {
    let good = format!(
        r#"{{"access_token":"{}","refresh_token":"{}","expires_in":299}}"#,
        canaries.plant("outbound TokenResponse.access_token"),
        canaries.plant("outbound TokenResponse.refresh_token"),
    );
    let secret = canaries.plant("outbound TokenRequest.client_secret");
    let credentials = ClientCredentials::new("dc-id", secret).unwrap();
    let refresh_token = RefreshToken::new(canaries.plant("outbound TokenRequest.refresh_token")).unwrap();
    let id: ConsentId = "user-7".parse().unwrap();
    for response in responses(&good) {
        let server = RawServer::start(response.clone()).await;
        let settings = match response {
            RawResponse::ThenSilence(_) => Settings::new().timeout(SHORT).bank_timeout(SHORT),
            _ => Settings::new().max_attempts(1),
        };
        let url: BaseUrl = server.base_url.parse().unwrap();
        let client = Client::builder(url.clone(), credentials.clone()).settings(&settings).build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let consents = Consents::builder(client.clone()).store(store.clone()).on_event({
            let events = Arc::clone(&events);
            move |_, event| events.lock().unwrap().push(format!("{event:?}"))
        });
        let consents = consents.build();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(29 * 24 * 60 * 60);
        let consent = consents.import(&id, refresh_token.clone(), long_ago).await.unwrap();
        canaries.print(&(&store, &consents, &consent));
        let token = consent.access_token().await;
        if let Ok(token) = &token {
            consent.invalidate(token);
        }
        canaries.print_outcome(token);
        canaries.print_outcome(store.load(&id).await);
        canaries.print_outcome(consent.idle_deadline().await);
        canaries.print_outcome(AppTokenSource::new(client, None).access_token().await);

        // Sends requests to an API that rejects every token.
        let sent = consent.send(async |header| format!("{header:?}"), |_| true).await;
        canaries.print_outcome(sent);
        let auth = BearerAuth::new(consent.clone(), &url);
        canaries.print(&auth);
        let http = reqwest::Client::builder().no_proxy().timeout(SHORT).build().unwrap();
        let http = reqwest_middleware::ClientBuilder::new(http).with(auth).build();
        canaries.print_outcome(http.get(url.as_str()).send().await);

        // Creates a damaged record, and an unfinished file such as a killed process leaves behind.
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(canaries.found(&path.to_string_lossy()).is_empty(), "a file name contains a secret");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(canaries.found(&text).is_empty() || path.extension().unwrap() == "json", "{}", path.display());
            if path.extension().unwrap() == "json" {
                std::fs::write(path.with_extension("new"), &text).unwrap();
                std::fs::write(&path, text.trim_end_matches('}')).unwrap();
            }
        }
        canaries.print_outcome(store.load(&id).await);
        canaries.print_outcome(consent.access_token().await);
        canaries.print_outcome(consents.import(&id, refresh_token.clone(), long_ago).await);
        for event in events.lock().unwrap().drain(..) {
            canaries.printed.push(event);
        }
    }
}

#[tokio::test]
async fn a3_no_secret_of_a_consent_is_in_any_text() {
    flinks::tls::install_default_crypto_provider();
    let log = Log::capture();
    let mut canaries = Canaries::default();
    // Only a client without a timeout would take that long.
    tokio::time::timeout(Duration::from_secs(60), consents(&mut canaries)).await.unwrap();

    let log = log.text();
    for event in ["about to idle out", "moved aside", "received a new access token"] {
        assert!(log.contains(event), "{event}");
    }
    canaries.assert_not_in(&log);
}
