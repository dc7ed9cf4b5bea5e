//! A cached access token and the rules for refreshing it. (O4)

use std::time::{Duration, SystemTime};

use flinks::Clock;
use flinks::outbound::AccessToken;

use crate::jitter::jittered;
use crate::token_id::TokenId;

/// An access token, and when to refresh it.
#[derive(Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: AccessToken,
    pub(crate) id: TokenId,
    /// The grant of the consent that the token belongs to (see
    /// [`Record::grant`](crate::store::Record)). `None` for the application's own token.
    pub(crate) grant: Option<u64>,
    /// The remaining lifetime below which a refresh of the token is due.
    slack: Duration,
    /// When the refresh is due. `None` if the lifetime is unknown, because a refresh is then always
    /// due. (O3)
    stale_from: Option<StaleFrom>,
    /// Whether the next caller must start a fetch even if the token is valid. This is set while the
    /// consent has a pending write, because a fetch stores that write first.
    pub(crate) must_fetch: bool,
}

/// The time at which a refresh is due, on both clocks, in the form that [`Clock::is_before`]
/// expects.
#[derive(Clone, Copy)]
struct StaleFrom {
    monotonic: Duration,
    since_epoch: Duration,
}

/// The minimum remaining lifetime of a token that is returned while its refresh is in flight. For a
/// token with a short lifetime, the minimum is shorter.
const MARGIN: Duration = Duration::from_secs(10);

impl CachedToken {
    pub(crate) fn new(token: AccessToken, grant: Option<u64>, clock: &dyn Clock) -> Self {
        let slack = slack(token.lifetime().unwrap_or_default());
        let stale_from =
            token.remaining().and_then(|remaining| StaleFrom::after(remaining.saturating_sub(slack), clock));
        let id = TokenId::from_token(&token);
        Self { token, id, grant, slack, stale_from, must_fetch: false }
    }

    /// Returns `true` if no refresh is due yet.
    pub(crate) fn is_fresh(&self, clock: &dyn Clock) -> bool {
        let is_early = |from: StaleFrom| clock.is_before(from.monotonic, from.since_epoch);
        !self.must_fetch && self.stale_from.is_some_and(is_early)
    }

    /// Returns whether the token remains valid long enough to be used in a call.
    pub(crate) fn outlives_a_call(&self) -> bool {
        self.token.remaining().unwrap_or_default() > MARGIN.min(self.slack.mul_f64(0.25))
    }
}

impl StaleFrom {
    /// Returns the time `duration` from now. Returns `None` if the wall clock cannot represent that
    /// time, or if that time is before the Unix epoch.
    fn after(duration: Duration, clock: &dyn Clock) -> Option<Self> {
        let wall = clock.wall().checked_add(duration)?;
        let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self { monotonic: clock.monotonic().saturating_add(duration), since_epoch })
    }
}

/// Returns how long before expiry a token is refreshed: between a tenth and a fifth of its
/// lifetime, but never more than 5 minutes. The duration is random so that processes started
/// together do not refresh at the same time.
fn slack(lifetime: Duration) -> Duration {
    const MAX: Duration = Duration::from_secs(300);
    jittered(lifetime.mul_f64(0.2).min(MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    proptest! {
        /// Tests that fifty processes started in the same second refresh at different times.
        #[test]
        fn a4_early_refreshes_are_spread_at_random(lifetime in 1..=DAY) {
            let whole = Duration::from_secs(lifetime);
            let mut slacks: Vec<_> = (0..50).map(|_| slack(whole)).collect();
            slacks.sort();
            let (first, last) = (slacks[0], slacks[49]);
            let longest = (whole / 5).min(Duration::from_secs(300));
            prop_assert!(first >= longest / 2);
            prop_assert!(last <= longest);
            prop_assert!(last < whole);
            // The refreshes are spread over at least a quarter of the longest slack. The
            // probability of a narrower spread is 10^-14.
            prop_assert!(last - first >= longest / 4);
        }
    }
}
