//! A client of the emulator's Outbound on a clock that tests move, and what its calls need.

use std::time::Duration;

use flinks::outbound::{AuthorizationCode, Client, ClientAuthentication, ClientCredentials, RefreshToken};
use flinks::{ManualClock, RedirectUrl, Secret, Settings};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

/// Far more than the waits of any call, so that a call times out only if a test advances the clock
/// so far.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1000);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// With a non-default port, an escape and a query, which must be sent as they are.
pub(crate) const REDIRECT_URI: &str = "https://App.example:443/%7ecallback/?a=1";

/// A clock on which waits between attempts take no real time, and deadlines do not expire by
/// themselves.
pub(crate) fn auto_advancing_clock() -> ManualClock {
    ManualClock::auto_advancing(LONGEST_WAIT)
}

/// The waits that began since the last call, without the deadlines of calls.
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

/// The refresh token that the emulator knows from the start.
pub(crate) fn refresh_token() -> RefreshToken {
    RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap()
}

/// A code, as an end user brings it back.
pub(crate) fn code(emulator: &Emulator, client: &Client) -> AuthorizationCode {
    let redirect_uri: RedirectUrl = REDIRECT_URI.parse().unwrap();
    let flinks::Started { url, pending, .. } =
        client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let redirect_uri = parameter(&url, "redirect_uri");
    assert_eq!(redirect_uri, REDIRECT_URI, "byte for byte");
    let state = parameter(&url, "state");
    let code = emulator.issue_code(&redirect_uri);
    client.verify(pending, &format!("/callback?a=1&code={code}&state={state}")).unwrap()
}

/// A parameter of a URL.
pub(crate) fn parameter(url: &Secret, wanted: &str) -> String {
    let url = url::Url::parse(url.expose_secret()).unwrap();
    url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned()
}
