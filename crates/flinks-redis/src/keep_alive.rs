//! Keeping consents alive: a refresh token that nobody exchanges for 30 days is dead (O5).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use flinks::Error;
use flinks::outbound::store::StoreError;
use flinks::outbound::{ConsentId, Consents};
use futures_util::StreamExt as _;
use tokio::sync::Mutex;

use crate::store::{Found, RedisStore};
use crate::value::{PARTS, Set};

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
    /// Not exchanged now. They are due in the next pass, too.
    pub failed: u64,
    /// Due, and not readable: damaged, or written with keys that this worker does not have. The log names each.
    pub unreadable: u64,
    /// Why something could not be stored, which is in this process only: [`Consents::flush`] may store it later.
    pub unstored: Option<Error>,
    /// Parts that another worker is at.
    pub parts_of_others: u16,
    /// Why the pass ended before its end: so many exchanges failed one after the other that the server is left alone.
    pub stopped: Option<Error>,
}

/// What came of one.
enum Outcome {
    /// The pass is about to end, and this one was not looked at.
    Left,
    Unreadable,
    Kept,
    ByAnother,
    Over,
    Failed(Error),
}

/// A quarter of the 30 days: time for a week of outage, and for the end user to be asked.
const WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many failures one after the other are the server's.
const GIVE_UP: u64 = 20;
/// How long a part is a worker's own. Who comes to it after the worker died waits no longer.
const LEASE: Duration = Duration::from_secs(120);
/// After how long it is taken again: a call takes half a minute at most, and its tries no longer than a minute more.
const RENEW: Duration = Duration::from_secs(20);
/// Of how many the ids are read at once.
const PAGE: usize = 256;

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
    /// # Errors
    ///
    /// A [`StoreError`] where the store fails. What was exchanged stays exchanged;
    /// [`Consents::flush`] stores what is not.
    pub async fn pass(&self) -> Result<Summary, StoreError> {
        // What is damaged is one consent, and the others are kept alive.
        if self.consents.flush().await.is_err_and(|error| error.is_transient()) {
            return Err(StoreError::unavailable("does not take what it did not take before"));
        }
        let now = self.consents.clock().wall();
        let before = now.checked_add(self.within).unwrap_or(now);
        // In another order for each worker, so that they meet seldom.
        let mut parts: Vec<u16> = (0..PARTS).collect();
        fastrand::shuffle(&mut parts);
        let mut pass = Pass {
            worker: self,
            before,
            owner: format!("{:032x}", fastrand::u128(..)),
            leased_at: Duration::ZERO,
            progress: Progress::default(),
            in_a_row: 0,
        };
        for part in parts {
            if pass.lease(part).await? {
                let done = match pass.keep(part).await {
                    Ok(()) => pass.tell_over(part).await,
                    failed => failed,
                };
                // Where this fails, the lease ends by itself.
                let _ = self.store.release(part, &pass.owner).await;
                done?;
            } else {
                pass.progress.summary.parts_of_others = pass.progress.summary.parts_of_others.saturating_add(1);
            }
            pass.progress.parts = pass.progress.parts.saturating_add(1);
            pass.tell();
            if pass.progress.summary.stopped.is_some() {
                break;
            }
        }
        let unstored = self.consents.flush().await.err();
        Ok(Summary { unstored, ..pass.progress.summary })
    }

    async fn keep(&self, id: &ConsentId, before: SystemTime, stop: &AtomicBool) -> Outcome {
        if stop.load(Ordering::Relaxed) {
            return Outcome::Left;
        }
        self.pace().await;
        if stop.load(Ordering::Relaxed) {
            return Outcome::Left;
        }
        let consent = self.consents.consent(id);
        match consent.idle_deadline().await {
            Ok(deadline) if deadline >= before => return Outcome::ByAnother,
            Ok(_) => {}
            Err(error) if error.needs_consent() => return Outcome::ByAnother,
            Err(error) => return Outcome::Failed(error),
        }
        match consent.exchange_now().await {
            Ok(_) => Outcome::Kept,
            Err(error) if error.needs_consent() => Outcome::Over,
            Err(error) => Outcome::Failed(error),
        }
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

/// One pass of a worker.
struct Pass<'a> {
    worker: &'a KeepAlive,
    before: SystemTime,
    /// Whose the leases are: two passes of one worker are two.
    owner: String,
    /// When the lease was taken, on the monotonic clock.
    leased_at: Duration,
    progress: Progress,
    in_a_row: u64,
}

impl Pass<'_> {
    /// Exchanges what is due in a part.
    async fn keep(&mut self, part: u16) -> Result<(), StoreError> {
        let Self { worker, before, .. } = *self;
        // All of it, once: what is done meanwhile, here or elsewhere, cannot make it longer.
        let found = worker.store.listed(part, Set::Due, Some(before), usize::MAX).await?;
        self.progress.due = self.progress.due.saturating_add(u64::try_from(found.len()).unwrap_or(u64::MAX));
        for some in found.chunks(PAGE) {
            let mut ids = Vec::new();
            for found in worker.store.found(some).await? {
                match found {
                    Found::Record(record) => ids.push(record.id().clone()),
                    Found::Unreadable => self.count(Outcome::Unreadable),
                    Found::Gone => self.count(Outcome::ByAnother),
                }
            }
            let stop = AtomicBool::new(false);
            let mut renewal = Ok(true);
            let keep = |id: ConsentId| {
                let stop = &stop;
                async move { worker.keep(&id, before, stop).await }
            };
            let mut outcomes = futures_util::stream::iter(ids).map(keep).buffer_unordered(worker.at_once);
            // To its end, also where the rest is left: what was sent must be stored.
            while let Some(outcome) = outcomes.next().await {
                self.count(outcome);
                if self.progress.summary.stopped.is_some() {
                    stop.store(true, Ordering::Relaxed);
                }
                self.tell();
                match self.renew(part).await {
                    Ok(true) => {}
                    // Another does the rest.
                    lost => {
                        stop.store(true, Ordering::Relaxed);
                        renewal = lost;
                    }
                }
            }
            if !renewal? || self.progress.summary.stopped.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Tells which consents of a part are over. It is taken from the list after that, so that no death of a worker loses it.
    async fn tell_over(&mut self, part: u16) -> Result<(), StoreError> {
        let Self { worker, .. } = *self;
        for entry in worker.store.listed(part, Set::Over, None, usize::MAX).await? {
            // Another that took the part tells them.
            if !self.renew(part).await? {
                break;
            }
            // Its end user may have consented again since, or another worker may have told it.
            if let Found::Record(record) = worker.store.found_one(&entry).await?
                && worker.store.is_listed(&entry).await?
            {
                quietly(|| (worker.on_needs_consent)(record.id()));
                worker.store.told(&entry).await?;
                let summary = &mut self.progress.summary;
                summary.needing_consent = summary.needing_consent.saturating_add(1);
            }
        }
        Ok(())
    }

    async fn lease(&mut self, part: u16) -> Result<bool, StoreError> {
        let now = self.worker.consents.clock().monotonic();
        let is_taken = self.worker.store.lease(part, &self.owner, LEASE).await?;
        if is_taken {
            self.leased_at = now;
        }
        Ok(is_taken)
    }

    /// Takes the lease again, once in a while. `false` where another has it by now.
    async fn renew(&mut self, part: u16) -> Result<bool, StoreError> {
        match self.worker.consents.clock().monotonic().saturating_sub(self.leased_at) >= RENEW {
            true => self.lease(part).await,
            false => Ok(true),
        }
    }

    fn count(&mut self, outcome: Outcome) {
        let Progress { looked_at, summary, .. } = &mut self.progress;
        let add = |count: &mut u64| *count = count.saturating_add(1);
        match outcome {
            Outcome::Left => return,
            Outcome::Unreadable => add(&mut summary.unreadable),
            Outcome::Failed(error) => {
                add(&mut summary.failed);
                add(&mut self.in_a_row);
                if self.in_a_row >= GIVE_UP {
                    summary.stopped.get_or_insert(error);
                }
            }
            Outcome::Kept => {
                add(&mut summary.kept);
                self.in_a_row = 0;
            }
            Outcome::ByAnother => {
                add(&mut summary.by_others);
                self.in_a_row = 0;
            }
            // It is in the summary when it is told.
            Outcome::Over => self.in_a_row = 0,
        }
        add(looked_at);
    }

    fn tell(&self) {
        quietly(|| (self.worker.on_progress)(&self.progress));
    }
}

/// A callback that panics stops nothing: who waits for the rest has not asked for it.
fn quietly(callback: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(callback)).is_err() {
        tracing::error!("a callback of the worker panicked");
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").field("within", &self.within).field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, by_others, needing_consent, failed, unreadable, unstored, parts_of_others, stopped } = self;
        write!(f, "{kept} kept, {by_others} kept by others, {needing_consent} need their end user, {failed} failed")?;
        if *unreadable > 0 {
            write!(f, "; {unreadable} cannot be read: the log names them")?;
        }
        if let Some(error) = unstored {
            write!(f, "; failed to {error}: a refresh token is in this process only")?;
        }
        if *parts_of_others > 0 {
            write!(f, "; others are at {parts_of_others} of {PARTS} parts")?;
        }
        match stopped {
            Some(error) => {
                write!(f, "; stopped, for it failed to {error} {GIVE_UP} times in a row: the next pass goes on")
            }
            None if *failed > 0 => write!(f, "; what failed is due in the next pass"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use flinks::outbound::{Client, ClientAuthentication};
    use flinks::{Clock, Settings, Sleep};
    use tokio::time::Instant;

    use super::*;
    use crate::{Key, Keys};

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

    fn worker() -> KeepAlive {
        let nowhere = "http://127.0.0.1:9".parse().unwrap();
        let authentication = ClientAuthentication::None { client_id: "a".to_owned() };
        let settings = Settings::new().clock(Paused(Instant::now()));
        let client = Client::with_settings(nowhere, authentication, &settings).unwrap();
        let keys = Keys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
        let store = RedisStore::builder("redis://127.0.0.1:9", keys).build().unwrap();
        KeepAlive::new(Consents::builder(client).store(store.clone()).build(), store).rate(10)
    }

    #[test]
    fn failures_that_are_not_in_a_row_are_the_consents() {
        let worker = worker();
        let (before, progress) = (SystemTime::now(), Progress::default());
        let leased_at = Duration::ZERO;
        let mut pass = Pass { worker: &worker, before, owner: String::new(), leased_at, progress, in_a_row: 0 };
        let failed = || Outcome::Failed("".parse::<ConsentId>().unwrap_err());
        for _ in 0..3 {
            (1..GIVE_UP).for_each(|_| pass.count(failed()));
            pass.count(Outcome::Kept);
        }
        assert!(pass.progress.summary.stopped.is_none() && pass.progress.summary.failed == 3 * (GIVE_UP - 1));
        (0..GIVE_UP).for_each(|_| pass.count(failed()));
        assert!(pass.progress.summary.stopped.is_some());
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
