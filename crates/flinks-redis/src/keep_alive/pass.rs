//! A pass of a worker: which consents it tries, in which order, and when it stops.
//!
//! A pass has three phases, each of which goes through the parts: consents that are not suspected; those that are (O6); and,
//! if it was not stopped, the report of those that have ended. A pass that was stopped leaves a [`Plan`], so that the next one
//! begins with one consent as a probe, and goes on where this one stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flinks::outbound::ConsentId;
use flinks::outbound::store::{DueWindow, StoreError};
use flinks::{Error, Refusal};
use futures_util::StreamExt as _;

use super::{KeepAlive, Progress, StopReason, Stopped, Summary};
use crate::index::{Entry, Found};
use crate::names::SHARDS;

/// Where the next pass begins.
#[derive(Default)]
pub(super) struct Plan {
    /// The parts that the pass has not finished, the next one first. Empty if it finished all of them.
    rest: Vec<u16>,
    /// Whether one consent must be refreshed before others are tried, because the pass was stopped.
    must_probe: bool,
}

/// A pass of a worker.
pub(super) struct Pass<'a> {
    worker: &'a KeepAlive,
    window: DueWindow,
    /// Whose the leases are: two passes of one worker are two.
    owner: String,
    /// When the lease was taken, on the monotonic clock.
    leased_at: Duration,
    progress: Progress,
    must_probe: bool,
    /// How many exchanges in a row were refused by what may be a gateway, or failed.
    in_a_row: u64,
}

/// Which consents of a part are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    NotSuspected,
    Suspected,
}

/// Whether a worker goes on with a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lease {
    Held,
    Lost,
}

/// The result of trying a consent.
enum Outcome {
    /// The pass is about to end, and this one was not looked at.
    Left,
    Unreadable,
    Kept,
    ByAnother,
    Over,
    Suspected(Error),
    Failed(Error),
}

/// So many failures or suspected refusals one after the other are not the consents' fault.
pub(super) const GIVE_UP: u64 = 20;
/// How long a worker has a part for itself. If the worker dies, others wait no longer than this.
const LEASE: Duration = Duration::from_secs(120);
/// After how long it is taken again: a call takes half a minute at most, and its tries no longer than a minute more.
const RENEW: Duration = Duration::from_secs(20);
/// Of how many the ids are read at once.
const PAGE: usize = 256;

impl<'a> Pass<'a> {
    pub(super) fn new(worker: &'a KeepAlive, window: DueWindow) -> Self {
        Self {
            worker,
            window,
            owner: new_owner(),
            leased_at: Duration::ZERO,
            progress: Progress::default(),
            must_probe: false,
            in_a_row: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<Summary, StoreError> {
        let parts = self.parts().await;
        let mut of_suspected = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            // Most parts need no lease: nothing is due in them.
            if self.worker.store.list_due(*part, self.window, 1).await?.is_empty() {
                self.progress.parts = self.progress.parts.saturating_add(1);
                continue;
            }
            if self.lease(*part).await? == Lease::Held {
                let kept = self.keep(*part, Turn::NotSuspected).await;
                self.release(*part).await;
                if kept? > 0 {
                    of_suspected.push(*part);
                }
            } else {
                let others = &mut self.progress.summary.parts_of_others;
                *others = others.saturating_add(1);
            }
            self.progress.parts = self.progress.parts.saturating_add(1);
            self.tell();
            // A part in which it was stopped is not finished.
            let finished = if self.is_stopped() { index } else { index.saturating_add(1) };
            self.remember(parts.get(finished..).unwrap_or_default()).await;
            if self.is_stopped() {
                return Ok(self.progress.summary);
            }
        }
        for part in of_suspected {
            if self.lease(part).await? == Lease::Held {
                let kept = self.keep(part, Turn::Suspected).await;
                self.release(part).await;
                kept?;
            }
            if self.is_stopped() {
                self.remember(&[]).await;
                return Ok(self.progress.summary);
            }
        }
        self.remember(&[]).await;
        for part in parts {
            if self.worker.store.list_ended(part, 1).await?.is_empty() {
                continue;
            }
            if self.lease(part).await? == Lease::Held {
                let told = self.tell_over(part).await;
                self.release(part).await;
                told?;
            }
        }
        Ok(self.progress.summary)
    }

    /// The parts in their order: those that an earlier pass has not finished, and then the others in a random order, so that
    /// two workers rarely want the same part.
    async fn parts(&mut self) -> Vec<u16> {
        let plan = self.worker.plan.lock().await;
        self.must_probe = plan.must_probe;
        let mut parts = plan.rest.clone();
        let mut others: Vec<u16> = (0..SHARDS).filter(|part| !parts.contains(part)).collect();
        fastrand::shuffle(&mut others);
        parts.extend(others);
        parts
    }

    async fn remember(&self, rest: &[u16]) {
        let must_probe = self.must_probe || self.is_stopped();
        *self.worker.plan.lock().await = Plan { rest: rest.to_vec(), must_probe };
    }

    /// Exchanges what is due in a part, and returns how many consents it left for their turn.
    async fn keep(&mut self, part: u16, turn: Turn) -> Result<u64, StoreError> {
        let worker = self.worker;
        let mut left = 0_u64;
        // Listed once, so that consents that become due during the pass cannot make it longer.
        let found = worker.store.list_due(part, self.window, usize::MAX).await?;
        if turn == Turn::NotSuspected {
            self.progress.due = self.progress.due.saturating_add(u64::try_from(found.len()).unwrap_or(u64::MAX));
        }
        for some in found.chunks(PAGE) {
            let mut ids = Vec::new();
            for found in
                futures_util::future::try_join_all(some.iter().map(|entry| worker.store.look_up(entry))).await?
            {
                match (found, turn) {
                    (Found::Record(record), Turn::NotSuspected) if record.is_suspected() => {
                        left = left.saturating_add(1);
                    }
                    (Found::Record(record), Turn::Suspected) if !record.is_suspected() => {}
                    (Found::Record(record), _) => ids.push(record.id().clone()),
                    (Found::Unreadable, Turn::NotSuspected) => self.count(Outcome::Unreadable),
                    (Found::Gone, Turn::NotSuspected) => self.count(Outcome::ByAnother),
                    (Found::Unreadable | Found::Gone, Turn::Suspected) => {}
                }
            }
            let ids = self.probe(ids).await;
            if self.is_stopped() || self.keep_all(part, ids).await? == Lease::Lost || self.is_stopped() {
                break;
            }
        }
        Ok(left)
    }

    /// After a pass that was stopped, tries one consent after the other until one is refreshed or refused, and returns the rest.
    async fn probe(&mut self, ids: Vec<ConsentId>) -> Vec<ConsentId> {
        let stop = AtomicBool::new(false);
        let mut ids = ids.into_iter();
        while self.must_probe {
            let Some(id) = ids.next() else { break };
            let outcome = self.worker.keep(&id, self.window, &stop).await;
            match &outcome {
                Outcome::Kept | Outcome::Over => self.must_probe = false,
                Outcome::Suspected(error) => self.stop(StopReason::Suspected(error.clone())),
                Outcome::Failed(error) => self.stop(StopReason::Failed(error.clone())),
                // They tell nothing of the server.
                Outcome::Left | Outcome::Unreadable | Outcome::ByAnother => {}
            }
            self.count(outcome);
            self.tell();
            if self.is_stopped() {
                break;
            }
        }
        ids.collect()
    }

    /// Exchanges several at once.
    async fn keep_all(&mut self, part: u16, ids: Vec<ConsentId>) -> Result<Lease, StoreError> {
        let Self { worker, window, .. } = *self;
        let stop = AtomicBool::new(false);
        let mut renewal = Ok(Lease::Held);
        let keep = |id: ConsentId| {
            let stop = &stop;
            async move { worker.keep(&id, window, stop).await }
        };
        let mut outcomes = futures_util::stream::iter(ids).map(keep).buffer_unordered(worker.at_once);
        // To its end, also where the rest is left: what was sent must be stored.
        while let Some(outcome) = outcomes.next().await {
            self.count(outcome);
            if self.is_stopped() {
                stop.store(true, Ordering::Relaxed);
            }
            self.tell();
            match self.renew(part).await {
                Ok(Lease::Held) => {}
                // Another does the rest.
                lost => {
                    stop.store(true, Ordering::Relaxed);
                    renewal = lost;
                }
            }
        }
        renewal
    }

    /// Reports which consents of a part have ended. Each is removed from the list after its report, so that a worker that dies
    /// loses none.
    async fn tell_over(&mut self, part: u16) -> Result<(), StoreError> {
        let worker = self.worker;
        for entry in worker.store.list_ended(part, usize::MAX).await? {
            // Another worker has the part, and reports them.
            if self.renew(part).await? == Lease::Lost {
                break;
            }
            self.tell_if_over(&entry).await?;
        }
        Ok(())
    }

    async fn tell_if_over(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let worker = self.worker;
        // Its end user may have consented again since, or another worker may have told it.
        let Found::Record(record) = worker.store.look_up(entry).await? else { return Ok(()) };
        if !worker.store.is_unreported(entry).await? {
            return Ok(());
        }
        quietly(|| (worker.on_needs_consent)(record.id()));
        worker.store.remove_reported(entry).await?;
        let needing_consent = &mut self.progress.summary.needing_consent;
        *needing_consent = needing_consent.saturating_add(1);
        Ok(())
    }

    async fn lease(&mut self, part: u16) -> Result<Lease, StoreError> {
        let now = self.worker.consents.clock().monotonic();
        if !self.worker.store.acquire_shard(part, &self.owner, LEASE).await? {
            return Ok(Lease::Lost);
        }
        self.leased_at = now;
        Ok(Lease::Held)
    }

    async fn release(&self, part: u16) {
        // Where this fails, the lease ends by itself.
        let _ = self.worker.store.release_shard(part, &self.owner).await;
    }

    /// Takes the lease again, once in a while.
    async fn renew(&mut self, part: u16) -> Result<Lease, StoreError> {
        if self.worker.consents.clock().monotonic().saturating_sub(self.leased_at) < RENEW {
            return Ok(Lease::Held);
        }
        self.lease(part).await
    }

    fn count(&mut self, outcome: Outcome) {
        let Progress { looked_at, summary, .. } = &mut self.progress;
        let add = |count: &mut u64| *count = count.saturating_add(1);
        if !matches!(outcome, Outcome::Left) {
            add(looked_at);
        }
        match outcome {
            Outcome::Left => {}
            Outcome::Unreadable => add(&mut summary.unreadable),
            // Nothing was sent, so it tells nothing of the server.
            Outcome::ByAnother => add(&mut summary.by_others),
            Outcome::Kept => {
                add(&mut summary.kept);
                self.in_a_row = 0;
            }
            // The summary counts it when it is reported.
            Outcome::Over => self.in_a_row = 0,
            Outcome::Failed(error) => {
                add(&mut summary.failed);
                add(&mut self.in_a_row);
                if self.in_a_row >= GIVE_UP {
                    self.stop(StopReason::Failed(error));
                }
            }
            Outcome::Suspected(error) => {
                add(&mut summary.suspected);
                add(&mut self.in_a_row);
                let suspected = summary.suspected;
                let is_more_than_a_tenth = suspected >= GIVE_UP && suspected.saturating_mul(10) > *looked_at;
                if self.in_a_row >= GIVE_UP || is_more_than_a_tenth {
                    self.stop(StopReason::Suspected(error));
                }
            }
        }
    }

    fn stop(&mut self, reason: StopReason) {
        self.progress.summary.stopped.get_or_insert(Stopped { reason });
    }

    fn is_stopped(&self) -> bool {
        self.progress.summary.stopped.is_some()
    }

    fn tell(&self) {
        quietly(|| (self.worker.on_progress)(&self.progress));
    }
}

impl KeepAlive {
    async fn keep(&self, id: &ConsentId, window: DueWindow, stop: &AtomicBool) -> Outcome {
        if stop.load(Ordering::Relaxed) {
            return Outcome::Left;
        }
        self.pace().await;
        if stop.load(Ordering::Relaxed) {
            return Outcome::Left;
        }
        let consent = self.consents.consent(id);
        match consent.idle_deadline().await {
            Ok(deadline) if deadline >= window.before() => return Outcome::ByAnother,
            Ok(_) => {}
            Err(error) if error.needs_consent() => return Outcome::ByAnother,
            Err(error) => return Outcome::Failed(error),
        }
        let error = match consent.exchange_now().await {
            Ok(_) => return Outcome::Kept,
            Err(error) => error,
        };
        match error.refusal() {
            Some(Refusal::Suspected { .. }) => Outcome::Suspected(error),
            _ if error.needs_consent() => Outcome::Over,
            _ => Outcome::Failed(error),
        }
    }
}

/// A random name, which differs in each pass, also in processes that come from one `fork`.
fn new_owner() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("{:032x}", u128::from_le_bytes(bytes)),
        Err(_) => format!("{:032x}", fastrand::u128(..)),
    }
}

/// A callback that panics stops nothing: who waits for the rest has not asked for it.
fn quietly(callback: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(callback)).is_err() {
        tracing::error!("a callback of the worker panicked");
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::tests::worker;
    use super::*;

    fn failed() -> Outcome {
        Outcome::Failed("".parse::<ConsentId>().unwrap_err())
    }

    fn suspected() -> Outcome {
        Outcome::Suspected("".parse::<ConsentId>().unwrap_err())
    }

    fn counted(outcomes: impl IntoIterator<Item = Outcome>) -> Summary {
        let worker = worker();
        let mut pass = Pass::new(&worker, DueWindow::new(SystemTime::now(), Duration::ZERO));
        for outcome in outcomes {
            pass.count(outcome);
        }
        pass.progress.summary
    }

    fn several(count: usize, outcome: fn() -> Outcome) -> impl Iterator<Item = Outcome> {
        std::iter::repeat_with(outcome).take(count)
    }

    #[test]
    fn twenty_failures_in_a_row_stop_a_pass() {
        let with_success = several(19, failed).chain([Outcome::Kept]).chain(several(19, failed));
        let summary = counted(with_success);
        assert!(summary.stopped.is_none());
        assert_eq!(summary.failed, 38);
        let stopped = counted(several(20, failed)).stopped.unwrap();
        assert!(matches!(stopped.reason, StopReason::Failed(_)));
    }

    #[test]
    fn o6_twenty_suspected_refusals_in_a_row_stop_a_pass() {
        let many_kept = || several(1000, || Outcome::Kept);
        assert!(counted(many_kept().chain(several(19, suspected))).stopped.is_none());
        let stopped = counted(many_kept().chain(several(20, suspected))).stopped.unwrap();
        assert!(matches!(stopped.reason, StopReason::Suspected(_)));
        // What is done by others tells nothing of the server.
        let with_others = several(10, suspected).chain([Outcome::ByAnother]).chain(several(10, suspected));
        assert!(counted(many_kept().chain(with_others)).stopped.is_some());
    }

    #[test]
    fn o6_a_tenth_of_suspected_refusals_stops_a_pass() {
        let one_in = |count: usize| {
            let round = move || several(count - 1, || Outcome::Kept).chain([suspected()]);
            std::iter::repeat_with(round).take(30).flatten()
        };
        assert!(counted(one_in(10)).stopped.is_none());
        assert!(counted(one_in(9)).stopped.is_some());
        // Fewer than twenty are not enough.
        assert!(counted(one_in(2).take(38)).stopped.is_none());
    }

    #[test]
    fn o6_consents_that_have_ended_do_not_stop_a_pass() {
        let summary = counted(several(1000, || Outcome::Over));
        assert!(summary.stopped.is_none());
    }
}
