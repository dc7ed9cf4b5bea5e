//! An access token in the cache, and when to replace it (O4).

use std::time::{Duration, SystemTime};

use flinks::Clock;
use flinks::outbound::AccessToken;

use crate::jitter::jittered;
use crate::token_id::TokenId;

/// An access token with the policy of the cache.
#[derive(Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: AccessToken,
    pub(crate) id: TokenId,
    /// The consent that the token belongs to: [`Record::grant`](crate::store::Record). `None` for the application's own token.
    pub(crate) grant: Option<u64>,
    /// The token is replaced when no more than this is left.
    slack: Duration,
    /// When that is, on both clocks. `None` if the lifetime is unknown: then there is always a reason (O3).
    stale_from: Option<(Duration, SystemTime)>,
    /// Whether the source has something to do although the token is valid, such as a write that the store has not taken.
    pub(crate) must_ask_source: bool,
}

/// The time that a call may take with a token that is about to expire.
const MARGIN: Duration = Duration::from_secs(10);

impl CachedToken {
    pub(crate) fn new(token: AccessToken, grant: Option<u64>, clock: &dyn Clock) -> Self {
        let slack = slack(token.lifetime().unwrap_or_default());
        let stale_from = token.remaining().and_then(|remaining| {
            let fresh_for = remaining.saturating_sub(slack);
            // Without an end on the wall clock there is no time at which the token is fresh.
            Some((clock.monotonic().saturating_add(fresh_for), clock.wall().checked_add(fresh_for)?))
        });
        let id = TokenId::of(&token);
        Self { token, id, grant, slack, stale_from, must_ask_source: false }
    }

    /// Returns whether it is too early to get another token.
    pub(crate) fn is_fresh(&self, clock: &dyn Clock) -> bool {
        match self.stale_from {
            Some((monotonic, wall)) => !self.must_ask_source && clock.monotonic() < monotonic && clock.wall() < wall,
            None => false,
        }
    }

    /// Returns whether the token is valid for long enough to begin a call with it.
    pub(crate) fn outlives_a_call(&self) -> bool {
        self.token.remaining().unwrap_or_default() > MARGIN.min(self.slack.mul_f64(0.25))
    }
}

/// Returns how long before its end a token is replaced: a tenth to a fifth of its lifetime, at most five minutes. The random part
/// keeps processes that started together from refreshing together.
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
        /// 50 processes that started in the same second do not refresh in the same second.
        #[test]
        fn a4_chance_spreads_early_refreshes(lifetime in 1..=DAY) {
            let whole = Duration::from_secs(lifetime);
            let mut slacks: Vec<_> = (0..50).map(|_| slack(whole)).collect();
            slacks.sort();
            let (first, last) = (slacks[0], slacks[49]);
            let longest = (whole / 5).min(Duration::from_secs(300));
            prop_assert!(first >= longest / 2);
            prop_assert!(last <= longest);
            prop_assert!(last < whole);
            // Over at least a quarter of the longest. By pure chance, less would be seen once in 10^14 times.
            prop_assert!(last - first >= longest / 4);
        }
    }
}
