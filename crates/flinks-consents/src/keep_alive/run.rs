//! The shard leases of a keep-alive run, and the order in which the run processes shards and
//! consents.
//!
//! A run has three phases, each of which processes the shards one after another:
//!
//! 1. Refresh the due consents that are not suspected.
//! 2. Refresh the suspected consents. (O6)
//! 3. Report the consents that have ended, unless the run has stopped early.
//!
//! A run that stops early or is dropped leaves a [`Plan`] for the next run. The next run of the
//! same worker starts with the unfinished shards. If the last run stopped early, the next one first
//! refreshes a single consent as a probe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics;
use crate::store::{ConsentId, DueWindow, StoreError};
use futures_util::StreamExt as _;

use super::leases::{Lookup, WorkItem};
use super::summary::{StopReason, Summary};
use super::tally::{Outcome, Tally};
use super::worker::{Selection, Worker};

/// The state that a run leaves behind for the next run of the same worker.
#[derive(Default)]
pub(super) struct Plan {
    /// The shards that the last run did not finish, in that run's order.
    unfinished: Vec<u16>,
    /// `true` if the last run stopped early, which means that the next run must first refresh a
    /// single consent.
    must_probe: bool,
    /// The ended consents that this worker has detected but not yet reported. This is used only if
    /// the store does not keep its own list of unreported consents.
    unreported: Vec<ConsentId>,
}

pub(super) struct Run<'a> {
    worker: &'a Worker,
    plan: &'a Mutex<Plan>,
    window: DueWindow,
    /// The name under which this run holds leases. Each run uses a different name.
    holder: String,
    /// The monotonic time at which the current lease was acquired or extended.
    leased_at: Duration,
    tally: Tally,
    must_probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Refresh(Selection),
    Report,
}

/// The outcome of one phase in one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShardOutcome {
    /// The shard had no work in this phase.
    Empty,
    /// Another worker holds the lease.
    LeasedElsewhere,
    /// The phase is complete.
    Done {
        /// Whether the shard has suspected consents, which the next phase refreshes.
        has_deferred: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    Held,
    Lost,
}

/// The duration of a lease. If the lease holder crashes, other workers skip the shard until the
/// lease expires.
const LEASE_DURATION: Duration = Duration::from_secs(120);
/// The age after which a lease is extended. A lease that is younger than this outlasts the longest
/// possible refresh: half a minute for the first attempt and another minute for the retries.
const RENEW_AFTER: Duration = Duration::from_secs(20);

impl<'a> Run<'a> {
    pub(super) fn new(worker: &'a Worker, plan: &'a Mutex<Plan>) -> Self {
        Self {
            worker,
            plan,
            window: DueWindow::new(worker.consents.clock().wall(), worker.within),
            holder: new_holder(),
            leased_at: Duration::ZERO,
            tally: Tally::default(),
            must_probe: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<Summary, StoreError> {
        let result = self.process_shards().await;
        let progress = self.tally.progress;
        metrics::count_run(&progress);
        result?;
        if progress.summary.stopped.is_none() {
            metrics::record_complete_run(progress.due, self.worker.consents.clock().wall());
        }
        Ok(progress.summary)
    }

    /// Runs the three phases, but skips the remaining ones if the run stops early.
    async fn process_shards(&mut self) -> Result<(), StoreError> {
        let shards = self.order_shards();
        let mut with_suspected = Vec::new();
        for (index, shard) in shards.iter().enumerate() {
            match self.process_shard(*shard, Phase::Refresh(Selection::NotSuspected)).await? {
                ShardOutcome::Empty | ShardOutcome::Done { has_deferred: false } => {}
                ShardOutcome::Done { has_deferred: true } => with_suspected.push(*shard),
                ShardOutcome::LeasedElsewhere => {
                    let leased_elsewhere = &mut self.tally.progress.summary.shards_leased_elsewhere;
                    *leased_elsewhere = leased_elsewhere.saturating_add(1);
                }
            }
            self.tally.progress.shards = self.tally.progress.shards.saturating_add(1);
            self.worker.report_progress(&self.tally.progress);
            // If the run has stopped, the current shard is not finished.
            let finished = if self.tally.is_stopped() { index } else { index.saturating_add(1) };
            self.save_plan(shards.get(finished..).unwrap_or_default());
            if self.tally.is_stopped() {
                return Ok(());
            }
        }
        for shard in with_suspected {
            self.process_shard(shard, Phase::Refresh(Selection::Suspected)).await?;
            self.save_plan(&[]);
            if self.tally.is_stopped() {
                return Ok(());
            }
        }
        for shard in shards {
            self.process_shard(shard, Phase::Report).await?;
        }
        Ok(())
    }

    /// Returns all shards in the order in which this run processes them. The shards that the last
    /// run did not finish come first. The others follow in random order, so that two workers rarely
    /// try to process the same shard at the same time.
    fn order_shards(&mut self) -> Vec<u16> {
        let plan = self.plan();
        let must_probe = plan.must_probe;
        let mut shards = plan.unfinished.clone();
        drop(plan);
        self.must_probe = must_probe;
        let mut others: Vec<u16> = (0..self.worker.store.shards()).filter(|shard| !shards.contains(shard)).collect();
        fastrand::shuffle(&mut others);
        shards.extend(others);
        shards
    }

    /// Saves the plan for the next run.
    fn save_plan(&self, unfinished: &[u16]) {
        let mut plan = self.plan();
        plan.unfinished = unfinished.to_vec();
        plan.must_probe = self.must_probe || self.tally.is_stopped();
    }

    fn plan(&self) -> MutexGuard<'a, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one phase in one shard while holding the shard's lease.
    async fn process_shard(&mut self, shard: u16, phase: Phase) -> Result<ShardOutcome, StoreError> {
        // Most shards have no work in this phase, so they need no lease.
        if self.is_empty(shard, phase).await? {
            return Ok(ShardOutcome::Empty);
        }
        if self.acquire(shard).await? == Lease::Lost {
            return Ok(ShardOutcome::LeasedElsewhere);
        }
        let deferred_before = self.tally.deferred;
        let result = match phase {
            Phase::Refresh(selection) => self.refresh_shard(shard, selection).await,
            Phase::Report => self.report_shard(shard).await,
        };
        // An error is ignored, because the lease expires anyway.
        let _ = self.worker.store.release(shard, &self.holder).await;
        result?;
        Ok(ShardOutcome::Done { has_deferred: self.tally.deferred > deferred_before })
    }

    async fn is_empty(&self, shard: u16, phase: Phase) -> Result<bool, StoreError> {
        let store = &self.worker.store;
        match phase {
            Phase::Refresh(_) => Ok(store.due_in(shard, self.window, 1).await?.is_empty()),
            Phase::Report => Ok(match self.list_ended(shard, 1).await? {
                Some(ended) => ended.is_empty(),
                None => self.plan().unreported.is_empty(),
            }),
        }
    }

    /// Refreshes the due consents in a shard.
    async fn refresh_shard(&mut self, shard: u16, selection: Selection) -> Result<(), StoreError> {
        // The shard is listed only once, so that consents that become due in the meantime do not
        // prolong the run.
        let items = self.worker.store.due_in(shard, self.window, usize::MAX).await?;
        if selection == Selection::NotSuspected {
            let due = &mut self.tally.progress.due;
            *due = due.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
        }
        let mut items = items.into_iter();
        while self.must_probe && !self.tally.is_stopped() {
            let Some(item) = items.next() else { return Ok(()) };
            self.probe(&item, selection).await?;
        }
        if self.tally.is_stopped() {
            return Ok(());
        }
        self.refresh_all(shard, items, selection).await
    }

    /// Refreshes a single consent after a run that stopped early. A successful refresh or a final
    /// refusal shows that Flinks is responding again. If the refresh fails for any other reason,
    /// the run stops.
    async fn probe(&mut self, item: &WorkItem, selection: Selection) -> Result<(), StoreError> {
        let outcome = self.worker.refresh(item, self.window, selection, &AtomicBool::new(false)).await?;
        match &outcome {
            Outcome::Refreshed | Outcome::Ended(_) => self.must_probe = false,
            Outcome::Suspected(error) => self.tally.stop(StopReason::Suspected(error.clone())),
            Outcome::Failed(error) => self.tally.stop(StopReason::Failed(error.clone())),
            // These outcomes do not show whether Flinks responds.
            Outcome::NotTried
            | Outcome::Skipped
            | Outcome::Deferred
            | Outcome::Unreadable
            | Outcome::RefreshedElsewhere => {}
        }
        self.record(outcome);
        Ok(())
    }

    /// Refreshes the listed consents, several at a time.
    async fn refresh_all(
        &mut self,
        shard: u16,
        items: impl Iterator<Item = WorkItem>,
        selection: Selection,
    ) -> Result<(), StoreError> {
        let Self { worker, window, .. } = *self;
        let stop = AtomicBool::new(false);
        let refresh = |item: WorkItem| {
            let stop = &stop;
            async move { worker.refresh(&item, window, selection, stop).await }
        };
        let mut outcomes = futures_util::stream::iter(items).map(refresh).buffer_unordered(worker.max_concurrency);
        let mut failure = None;
        // After a stop, the in-flight refreshes still complete, so that their results are stored.
        while let Some(outcome) = outcomes.next().await {
            let lease = match outcome {
                Ok(outcome) => {
                    self.record(outcome);
                    if stop.load(Ordering::Relaxed) { Ok(Lease::Held) } else { self.renew(shard).await }
                }
                Err(error) => Err(error),
            };
            // If the lease is lost, another worker refreshes the remaining consents.
            if self.tally.is_stopped() || lease != Ok(Lease::Held) {
                stop.store(true, Ordering::Relaxed);
            }
            if let Err(error) = lease {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn record(&mut self, outcome: Outcome) {
        self.tally.add(&outcome);
        if let Outcome::Ended(id) = outcome {
            self.plan().unreported.push(id);
        }
        self.worker.report_progress(&self.tally.progress);
    }

    /// Reports the ended consents in a shard. Each is removed from the list only after it has been
    /// reported, so that no report is lost if the worker crashes.
    async fn report_shard(&mut self, shard: u16) -> Result<(), StoreError> {
        let Some(items) = self.list_ended(shard, usize::MAX).await? else {
            return self.report_detected().await;
        };
        for item in items {
            // If the lease is lost, another worker reports the remaining consents.
            if self.renew(shard).await? == Lease::Lost {
                break;
            }
            self.report(&item).await?;
        }
        Ok(())
    }

    async fn list_ended(&self, shard: u16, limit: usize) -> Result<Option<Vec<WorkItem>>, StoreError> {
        let ended = self.worker.store.ended_in(shard, limit).await?;
        if ended.is_some() {
            // The store keeps the list, so this process does not need to keep one.
            self.plan().unreported.clear();
        }
        Ok(ended)
    }

    async fn report(&mut self, item: &WorkItem) -> Result<(), StoreError> {
        let store = &self.worker.store;
        // In the meantime, the end user may have consented again, or another worker may have
        // reported the end.
        let Lookup::Record(record) = store.look_up(item).await? else { return Ok(()) };
        if !store.is_unreported(item).await? {
            return Ok(());
        }
        self.worker.report_ended(record.id());
        store.mark_reported(item).await?;
        self.count_report();
        Ok(())
    }

    /// Reports the ended consents that this worker has detected. Used only if the store keeps no
    /// list of ended consents.
    async fn report_detected(&mut self) -> Result<(), StoreError> {
        let unreported = self.plan().unreported.clone();
        for id in unreported {
            // The end user may have consented again in the meantime.
            if self.worker.store.load(&id).await?.is_some_and(|record| record.is_ended()) {
                self.worker.report_ended(&id);
                self.count_report();
            }
            self.plan().unreported.retain(|other| *other != id);
        }
        Ok(())
    }

    fn count_report(&mut self) {
        let ended = &mut self.tally.progress.summary.ended;
        *ended = ended.saturating_add(1);
    }

    async fn acquire(&mut self, shard: u16) -> Result<Lease, StoreError> {
        let now = self.worker.consents.clock().monotonic();
        if !self.worker.store.acquire(shard, &self.holder, LEASE_DURATION).await? {
            return Ok(Lease::Lost);
        }
        self.leased_at = now;
        Ok(Lease::Held)
    }

    /// Extends the lease if it is older than [`RENEW_AFTER`].
    async fn renew(&mut self, shard: u16) -> Result<Lease, StoreError> {
        let age = self.worker.consents.clock().monotonic().saturating_sub(self.leased_at);
        if age < RENEW_AFTER { Ok(Lease::Held) } else { self.acquire(shard).await }
    }
}

/// Returns a random name for a lease holder. The randomness comes from the operating system, so
/// that two processes have different names even after a `fork`.
fn new_holder() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("{:032x}", u128::from_le_bytes(bytes)),
        Err(_) => format!("{:032x}", fastrand::u128(..)),
    }
}
