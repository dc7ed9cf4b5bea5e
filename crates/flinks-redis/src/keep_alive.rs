//! Keeping consents alive: a refresh token that nobody exchanges for 30 days is dead (O5).

mod pass;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flinks::Error;
use flinks::outbound::store::{DueWindow, StoreError};
use flinks::outbound::{ConsentId, Consents};
use tokio::sync::Mutex;

use self::pass::{GIVE_UP, Pass, Plan};
use crate::names::SHARDS;
use crate::store::RedisStore;

/// A worker that exchanges what is near its idle deadline, early. Any number of them share the work: each takes a part of the
/// consents for itself, for a while, and of what two take at once, one finds that it was done. It can be dropped at any point: what it
/// began goes on to its end, as long as the runtime does, and the next pass does the rest.
///
/// ```no_run
/// # use flinks::outbound::Consents;
/// # use flinks_redis::{KeepAlive, RedisStore};
/// # async fn run(consents: Consents, store: RedisStore) -> Result<(), Box<dyn std::error::Error>> {
/// let worker = KeepAlive::new(consents, store)
///     .rate(20)
///     .on_needs_consent(|id| println!("ask {} again", id.as_str()));
/// println!("{}", worker.pass().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeepAlive {
    consents: Consents,
    store: RedisStore,
    within: Duration,
    rate: u32,
    at_once: usize,
    on_needs_consent: Arc<dyn Fn(&ConsentId) + Send + Sync>,
    on_progress: Arc<dyn Fn(&Progress) + Send + Sync>,
    /// When the next exchange may begin, on the monotonic clock.
    next: Arc<Mutex<Duration>>,
    /// Where the next pass begins.
    plan: Arc<Mutex<Plan>>,
}

/// How far a pass is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// How many consents were due when their part was begun.
    pub due: u64,
    /// What came of those that were looked at.
    pub summary: Summary,
    /// How many of the 256 parts are done.
    pub parts: u16,
    looked_at: u64,
}

impl Progress {
    /// How many of those that are due were looked at.
    pub fn looked_at(&self) -> u64 {
        self.looked_at
    }
}

/// What came of a pass.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Exchanged: good for another 30 days.
    pub kept: u64,
    /// Exchanged, ended or forgotten by somebody else meanwhile.
    pub by_others: u64,
    /// Over: the end user must consent again (O6), whoever found out. Each was told to [`KeepAlive::on_needs_consent`].
    pub needing_consent: u64,
    /// Refused in a way that a gateway may have caused ([`Refusal::Suspected`](flinks::Refusal::Suspected)). No end user is
    /// reported for them: a later pass finds out whether the consent has ended.
    pub suspected: u64,
    /// Not exchanged now. They are due in the next pass, too.
    pub failed: u64,
    /// Due, and not readable: damaged, or written with keys that this worker does not have. The log names each.
    pub unreadable: u64,
    /// Why something could not be stored, which is in this process only: [`Consents::flush`] may store it later.
    pub unstored: Option<Error>,
    /// Parts that another worker is at.
    pub parts_of_others: u16,
    /// Why the pass stopped before its end. `None` if it went through all that was due.
    pub stopped: Option<Stopped>,
}

/// A pass that stopped before its end, because the refreshes failed for a reason that lies outside of the consents. It has reported
/// no end user. The next pass tries a single consent first. If that one can be refreshed, the pass continues where this one stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// Why it stopped.
    pub reason: StopReason,
}

/// Why a pass stopped, with the last error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// Twenty exchanges failed one after the other, so the server is left alone.
    Failed(Error),
    /// Twenty refusals in a row, or more than a tenth of the pass and at least twenty, may have been sent by a gateway (O6).
    Suspected(Error),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                write!(f, "refreshes failed {GIVE_UP} times in a row, the last one with: {error}")
            }
            Self::Suspected(error) => {
                write!(f, "a gateway seems to refuse the refreshes, the last one with: {error}")
            }
        }
    }
}

/// A quarter of the 30 days: time for a week of outage, and for the end user to be asked.
const WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
impl KeepAlive {
    /// A worker for the consents of a store, which those [`Consents`] must be built on.
    pub fn new(consents: Consents, store: RedisStore) -> Self {
        Self {
            consents,
            store,
            within: WITHIN,
            rate: 10,
            at_once: 8,
            on_needs_consent: Arc::new(|_| {}),
            on_progress: Arc::new(|_| {}),
            next: Arc::default(),
            plan: Arc::default(),
        }
    }

    /// How near the idle deadline must be: seven days, if nothing else is said; at most 29.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within.min(Duration::from_secs(29 * 24 * 60 * 60));
        self
    }

    /// How many exchanges of this worker begin in a second, on average: ten, if nothing else is said; at least one. Several
    /// workers do as many each.
    #[must_use]
    pub fn rate(mut self, rate: u32) -> Self {
        self.rate = rate.max(1);
        self
    }

    /// How many exchanges are under way at once: eight, if nothing else is said; at least one.
    #[must_use]
    pub fn at_once(mut self, at_once: usize) -> Self {
        self.at_once = at_once.max(1);
        self
    }

    /// Called with each consent that is over (O6), whoever found out: once, by one of the workers, with its next pass at the
    /// latest. A worker that dies in the midst of that leaves it to the next one, which may tell the same consent again. A panic
    /// of it is caught, and counts as told.
    #[must_use]
    pub fn on_needs_consent(mut self, callback: impl Fn(&ConsentId) + Send + Sync + 'static) -> Self {
        self.on_needs_consent = Arc::new(callback);
        self
    }

    /// Called after each exchange.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Arc::new(callback);
        self
    }

    /// Goes once through all that is due and that no other worker is at. Once an hour is often enough. What the store could not
    /// take before is stored first, and at the end: nothing is in this process only, but for [`Summary::unstored`].
    ///
    /// Consents that a refusal has made suspected (O6) are tried after all others. The pass [stops](Summary::stopped) if a
    /// gateway seems to refuse the refreshes, or if the server fails; then it reports no end user.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] where the store fails. What was exchanged stays exchanged;
    /// [`Consents::flush`] stores what is not.
    ///
    /// # Cancel safety
    ///
    /// Refreshes that are under way complete and are stored; the next pass does the rest.
    pub async fn pass(&self) -> Result<Summary, StoreError> {
        // A consent that cannot be stored does not keep the others from being kept alive. If the store is unavailable, the pass fails
        // with its first call.
        let _ = self.consents.flush().await;
        let window = DueWindow::new(self.consents.clock().wall(), self.within);
        let summary = Pass::new(self, window).run().await?;
        let unstored = self.consents.flush().await.err();
        Ok(Summary { unstored, ..summary })
    }

    /// Waits until the next exchange may begin: on average a second divided by the rate after the last one, by chance, so that
    /// workers that began together do not stay so.
    async fn pace(&self) {
        let clock = self.consents.clock();
        let step = Duration::from_secs(1).div_f64(self.rate.into()).mul_f64(0.5 + fastrand::f64());
        let wait = {
            let mut next = self.next.lock().await;
            let now = clock.monotonic();
            let begins = now.max(*next);
            *next = begins.saturating_add(step);
            begins.saturating_sub(now)
        };
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").field("within", &self.within).field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kept,
            by_others,
            needing_consent,
            suspected,
            failed,
            unreadable,
            unstored,
            parts_of_others,
            stopped,
        } = self;
        write!(f, "{kept} kept, {by_others} kept by others, {needing_consent} need their end user, {failed} failed")?;
        if *suspected > 0 {
            write!(f, "; {suspected} were refused, perhaps by a gateway")?;
        }
        if *unreadable > 0 {
            write!(f, "; {unreadable} cannot be read: the log names them")?;
        }
        if let Some(error) = unstored {
            write!(f, "; failed to {error}: a refresh token is in this process only")?;
        }
        if *parts_of_others > 0 {
            write!(f, "; others are at {parts_of_others} of {SHARDS} parts")?;
        }
        match stopped {
            Some(Stopped { reason }) => write!(f, "; stopped: {reason}; the next pass tries one consent first"),
            None if *failed > 0 => write!(f, "; what failed is due in the next pass"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::SystemTime;

    use flinks::outbound::{Client, ClientAuthentication};
    use flinks::{Clock, Settings, Sleep};
    use tokio::time::Instant;

    use super::*;
    use crate::{EncryptionKeys, Key};

    /// The time of a runtime that is paused.
    struct Paused(Instant);

    impl Clock for Paused {
        fn monotonic(&self) -> Duration {
            self.0.elapsed()
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + self.monotonic()
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            Box::pin(tokio::time::sleep(duration))
        }
    }

    pub(super) fn worker() -> KeepAlive {
        let nowhere = "http://127.0.0.1:9".parse().unwrap();
        let authentication = ClientAuthentication::None { client_id: "a".to_owned() };
        let settings = Settings::new().clock(Paused(Instant::now()));
        let client = Client::with_settings(nowhere, authentication, &settings).unwrap();
        let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
        let store = RedisStore::builder("redis://127.0.0.1:9", keys).build().unwrap();
        KeepAlive::new(Consents::builder(client).store(store.clone()).build(), store).rate(10)
    }

    #[tokio::test(start_paused = true)]
    async fn exchanges_begin_at_the_rate_and_not_together() {
        let worker = worker();
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..200 {
            let before = Instant::now();
            worker.pace().await;
            waits.push(before.elapsed());
        }
        let took = start.elapsed();
        assert!(took > Duration::from_secs(17) && took < Duration::from_secs(23), "{took:?}");
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 50, "by chance: {}", waits.len());
    }
}
