//! Starts and controls the Flinks emulator.

use flinks_consents::flinks::outbound::{AuthorizationCode, Client, ClientCredentials, RefreshToken};
use flinks_consents::flinks::{RedirectUrl, Settings};
use flinks_emulator::credentials::{OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_PROVIDER_ID};
use flinks_emulator::{Emulator, Operation, When};

/// An emulator for one test.
pub struct Flinks(Emulator);

/// Starts an emulator.
pub async fn emulator() -> Flinks {
    Flinks(Emulator::start().await.unwrap())
}

/// Creates a client for the emulator at `address`.
pub fn client_of(address: &str, settings: &Settings) -> Client {
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
    Client::builder(address.parse().unwrap(), credentials).settings(settings).build().unwrap()
}

impl Flinks {
    /// Returns the emulator's URL.
    pub fn address(&self) -> &str {
        self.0.base_url()
    }

    /// Creates a client with the default settings.
    pub fn client(&self) -> Client {
        client_of(self.address(), &Settings::new())
    }

    /// Configures the emulator so that each refresh returns a new refresh token and invalidates the
    /// old token.
    pub fn rotate_refresh_tokens(&self) {
        self.0.configure(|config| config.outbound.rotate_refresh_tokens = true);
    }

    /// Creates a consent and returns its refresh token.
    pub async fn new_refresh_token(&self) -> RefreshToken {
        let client = self.client();
        let code = self.new_code(&client);
        client.exchange_code(code).await.unwrap().refresh_token.unwrap()
    }

    /// Creates a consent and returns the authorization code that the callback would contain.
    pub fn new_code(&self, client: &Client) -> AuthorizationCode {
        let redirect: RedirectUrl = "https://app.example/".parse().unwrap();
        let flinks_consents::flinks::Started { url, pending, .. } =
            client.authorization(OUTBOUND_PROVIDER_ID, &redirect).unwrap().start();
        let state = url.expose_secret().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let code = self.0.issue_code(redirect.as_str());
        client.verify(pending, &format!("?code={code}&state={state}")).unwrap()
    }

    /// Sets the body of the next token response.
    pub fn respond_next_with(&self, body: String) {
        self.0.fail_next(Operation::OutboundToken, flinks_emulator::Fault::reply(200, body));
    }

    /// Returns the number of revocation requests.
    pub fn revocations(&self) -> u64 {
        self.0.count(Operation::OutboundRevoke)
    }

    /// Sets whether each token request fails with status 503.
    pub fn set_failing(&self, fails: bool) {
        if fails {
            self.0.fail_always(
                Operation::OutboundToken,
                flinks_emulator::Fault::Reply { status: 503, headers: vec![], body: String::new() },
            );
        } else {
            self.0.clear_faults();
        }
    }

    /// Sets whether each token request receives an empty 403 response, such as a gateway would
    /// send.
    pub fn set_gateway_refusing(&self, refuses: bool) {
        self.0.clear_faults();
        if refuses {
            self.0.fail_always(
                Operation::OutboundToken,
                flinks_emulator::Fault::Reply { status: 403, headers: vec![], body: String::new() },
            );
        }
    }

    /// Holds back the next `responses` token responses until [`release_held`](Self::release_held)
    /// is called.
    pub fn hold_next(&self, responses: u64) {
        self.0.fail_times(Operation::OutboundToken, flinks_emulator::Fault::Hold { when: When::After }, responses);
    }

    /// Releases the held responses.
    pub fn release_held(&self) {
        self.0.release();
    }

    /// Returns the number of token requests.
    pub fn refreshes(&self) -> u64 {
        self.0.count(Operation::OutboundToken)
    }
}
