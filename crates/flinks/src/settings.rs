//! What all clients can be told.

use std::sync::Arc;
use std::time::Duration;

use flinks_core::{BaseUrl, Clock, DEFAULT_CONNECT_TIMEOUT, Transport};

use crate::error::Error;
use crate::recent::RecentSecrets;
use crate::retry::Caller;

/// Limits, clock and HTTP client of a product's client. The default does for production.
///
/// ```
/// use std::time::Duration;
///
/// let settings = flinks::Settings::new().timeout(Duration::from_secs(10)).max_attempts(2);
/// ```
#[derive(Clone, Default, derive_more::Debug)]
#[debug("Settings {{ timeout: {:?}, max_attempts: {}, .. }}", caller.timeout, caller.max_attempts)]
#[must_use]
pub struct Settings {
    caller: Caller,
    bank_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    http: Option<HttpHook>,
    repeated_tokens: RepeatedTokens,
}

/// The policy for a one-time token that came in an earlier reply, too.
#[derive(Clone, Copy, Default)]
enum RepeatedTokens {
    #[default]
    Refused,
    Accepted,
}

type HttpHook = Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

impl Settings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a call may take, all its tries and the waits between them included. Connect's `/Authorize` has a
    /// [`bank_timeout`](Self::bank_timeout) instead. Default: 30 seconds. Less than a millisecond counts as one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.caller.timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// How long Connect's `/Authorize` may take, in which a bank responds. Default: 240 seconds, because a live call may take
    /// 210. Less than a millisecond counts as one.
    pub fn bank_timeout(mut self, timeout: Duration) -> Self {
        self.bank_timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// How long making a connection may take, and at most half of the [`timeout`](Self::timeout) and of the
    /// [`bank_timeout`](Self::bank_timeout). Default: 10 seconds. Less than a millisecond counts as one.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The most requests of one call, from 1 to 3; other numbers count as the nearest of these. Default: 3. A call that
    /// spends a token makes one, whatever is set (A5).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.caller.max_attempts = attempts.clamp(1, 3);
        self
    }

    /// A clock of one's own, for tests. Default: [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.caller.clock = Arc::new(clock);
        self
    }

    /// Adjusts the HTTP client before this crate's own settings are applied: a proxy, a resolver, a local address. What is
    /// promised here cannot be undone there, such as redirects, retries, limits, TLS library and versions. Certificates of
    /// one's own are ignored with rustls, which trusts what the platform trusts.
    ///
    /// This is the one place of the facade where another crate shows: `reqwest` 0.13.
    pub fn http(
        mut self,
        adjust: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = Some(Arc::new(adjust));
        self
    }

    /// Accepts a one-time token of Pay or Connect that this client has handed out before.
    ///
    /// By default such a token is refused as malformed: a cache on the way has repeated a reply, and the token is spent already.
    /// The newest 16,384 tokens of a client and its clones are remembered, as keyed hashes. Call this if your Flinks lets one
    /// Pay token serve several calls and returns it again (P5, C3).
    pub fn accept_repeated_tokens(mut self) -> Self {
        self.repeated_tokens = RepeatedTokens::Accepted;
        self
    }

    /// The one-time tokens that a client will have handed out, if it remembers them.
    pub(crate) fn handed_out(&self) -> Option<Arc<RecentSecrets>> {
        match self.repeated_tokens {
            // Without a limit in time: an old reply may come again at any time.
            RepeatedTokens::Refused => Some(Arc::new(RecentSecrets::new(Duration::MAX))),
            RepeatedTokens::Accepted => None,
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller { connect_timeout: self.effective_connect_timeout(), ..self.caller.clone() }
    }

    /// For the calls in which a bank responds.
    #[cfg(feature = "connect")]
    pub(crate) fn bank_caller(&self) -> Caller {
        Caller { timeout: self.bank_timeout, ..self.caller() }
    }

    /// Within the whole time, or what was never sent would look as if it may have been.
    fn effective_connect_timeout(&self) -> Duration {
        let half = |timeout: Option<Duration>| timeout.map_or(Duration::MAX, |timeout| timeout.mul_f64(0.5));
        let longest = half(self.caller.timeout).min(half(self.bank_timeout));
        self.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT).min(longest)
    }

    pub(crate) fn transport(&self, base_url: BaseUrl) -> Result<Transport, Error> {
        let mut builder = Transport::builder(base_url);
        // The deadline of a call is the clock's; this one holds where that stands still, as in a test.
        if let Some(timeout) = self.caller.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(timeout) = self.bank_timeout {
            builder = builder.long_timeout(timeout);
        }
        builder = builder.connect_timeout(self.effective_connect_timeout());
        if let Some(adjust) = self.http.clone() {
            builder = builder.http(move |http| adjust(http));
        }
        builder.build().map_err(|error| Error::configuration("base URL", error.reason()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_must_be_made_within_half_of_the_time() {
        let seconds = |settings: Settings| settings.caller().connect_timeout.as_secs();
        assert_eq!(seconds(Settings::new()), 10);
        assert_eq!(seconds(Settings::new().connect_timeout(Duration::from_secs(3))), 3);
        assert_eq!(seconds(Settings::new().timeout(Duration::from_secs(8))), 4);
        assert_eq!(seconds(Settings::new().bank_timeout(Duration::from_secs(6))), 3);
        assert_eq!(seconds(Settings::new().bank_timeout(Duration::from_secs(6)).timeout(Duration::from_secs(4))), 2);
    }
}
