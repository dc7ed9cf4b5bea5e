//! Starts the Flinks emulator and creates consents.

use flinks_consents::flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks_consents::flinks::{RedirectUrl, Started};
use flinks_emulator::credentials::{OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_PROVIDER_ID};
use flinks_emulator::{Emulator, Operation};

/// An emulator for one test.
pub(crate) struct Flinks(Emulator);

impl Flinks {
    pub(crate) async fn start() -> Self {
        Self(Emulator::start().await.unwrap())
    }

    pub(crate) fn client(&self) -> Client {
        let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
        Client::builder(self.0.base_url().parse().unwrap(), credentials).build().unwrap()
    }

    /// Creates a consent and returns its refresh token.
    pub(crate) async fn new_refresh_token(&self) -> RefreshToken {
        let client = self.client();
        let redirect: RedirectUrl = "https://app.example/".parse().unwrap();
        let Started { url, pending, .. } = client.authorization(OUTBOUND_PROVIDER_ID, &redirect).unwrap().start();
        let state = url.expose_secret().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let code = self.0.issue_code(redirect.as_str());
        let code = client.verify(pending, &format!("?code={code}&state={state}")).unwrap();
        client.exchange_code(code).await.unwrap().refresh_token.unwrap()
    }

    /// Returns the number of token requests.
    pub(crate) fn refreshes(&self) -> u64 {
        self.0.count(Operation::OutboundToken)
    }
}
