//! Helpers for Outbound tests: a client for the emulator, a clock that tests advance, and arguments
//! for the client's calls.

use std::time::Duration;

use flinks::outbound::{AuthorizationCode, Client, ClientAuthentication, ClientCredentials, RefreshToken};
use flinks::{ManualClock, RedirectUrl, Secret, Settings};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

/// A timeout that is much longer than all waits in a call combined. A call with this timeout times
/// out only if a test advances the clock.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1000);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A redirect URI with an upper-case letter, an explicit port, an escape sequence and a query. The
/// client must send this URI unchanged.
pub(crate) const REDIRECT_URI: &str = "https://App.example:443/%7ecallback/?a=1";

/// Creates a clock that completes waits between attempts immediately. Deadlines on this clock do
/// not expire automatically.
pub(crate) fn auto_advancing_clock() -> ManualClock {
    ManualClock::auto_advancing(LONGEST_WAIT)
}

/// Returns the waits between attempts since this function was last called, excluding call
/// deadlines.
pub(crate) fn waits(clock: &ManualClock) -> Vec<Duration> {
    let mut waits = clock.take_sleeps();
    waits.retain(|wait| *wait <= LONGEST_WAIT);
    waits
}

pub(crate) fn client_at(
    emulator: &Emulator,
    clock: &ManualClock,
    authentication: impl Into<ClientAuthentication>,
) -> Client {
    let settings = Settings::new().clock(clock.clone()).timeout(TIMEOUT);
    Client::builder(emulator.base_url().parse().unwrap(), authentication).settings(&settings).build().unwrap()
}

pub(crate) fn credentials() -> ClientCredentials {
    ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap()
}

/// Returns the refresh token that every new emulator accepts.
pub(crate) fn refresh_token() -> RefreshToken {
    RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap()
}

/// Simulates an end user's consent and returns the authorization code.
pub(crate) fn code(emulator: &Emulator, client: &Client) -> AuthorizationCode {
    let redirect_uri: RedirectUrl = REDIRECT_URI.parse().unwrap();
    let flinks::Started { url, pending, .. } =
        client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let redirect_uri = parameter(&url, "redirect_uri");
    assert_eq!(redirect_uri, REDIRECT_URI, "the redirect URI was changed");
    let state = parameter(&url, "state");
    let code = emulator.issue_code(&redirect_uri);
    client.verify(pending, &format!("/callback?a=1&code={code}&state={state}")).unwrap()
}

/// Returns a query parameter of a URL.
pub(crate) fn parameter(url: &Secret, wanted: &str) -> String {
    let url = url::Url::parse(url.expose_secret()).unwrap();
    url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned()
}
