//! A run of a worker: which shards and consents it goes through, in which order, and under whose lease.
//!
//! A run has three phases, each of which goes through the shards:
//!
//! 1. refresh the due consents that are not suspected;
//! 2. refresh those that are suspected (O6);
//! 3. report the consents that have ended, unless the run was stopped.
//!
//! A run that was stopped, or dropped, leaves a [`Plan`]: the next one starts with the shards that are
//! left, and after a stop with a single consent as a probe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::{ConsentId, DueWindow, StoreError};
use futures_util::StreamExt as _;

use super::leases::{Lookup, WorkItem};
use super::summary::{StopReason, Summary};
use super::tally::{Outcome, Tally};
use super::worker::{Turn, Worker};

/// The state that a run leaves for the next one.
#[derive(Default)]
pub(super) struct Plan {
    /// The shards that the run has not finished, the next one first. Empty if it finished all of them.
    unfinished: Vec<u16>,
    /// Whether one consent must be refreshed before others are tried, because the run was stopped.
    must_probe: bool,
    /// The consents that ended in this process and were not reported. Used only if the store keeps no
    /// list of them.
    unreported: Vec<ConsentId>,
}

pub(super) struct Run<'a> {
    worker: &'a Worker,
    plan: &'a Mutex<Plan>,
    window: DueWindow,
    /// The owner of the leases. Two runs of one worker are two owners.
    owner: String,
    /// When the lease was taken, on the monotonic clock.
    leased_at: Duration,
    tally: Tally,
    must_probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Refresh(Turn),
    Report,
}

/// The outcome of a phase in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    /// There was nothing to do.
    Empty,
    LeasedElsewhere,
    /// The work was done. Some consents may be left for the turn of those that are suspected.
    Done {
        has_deferred: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    Held,
    Lost,
}

/// How long a worker has a shard. If the worker crashes, the others wait no longer than this.
const LEASE_DURATION: Duration = Duration::from_secs(120);
/// How old a lease may be before it is extended. A call takes half a minute at most, and its retries
/// no longer than a minute more.
const RENEW_AFTER: Duration = Duration::from_secs(20);

impl<'a> Run<'a> {
    pub(super) fn new(worker: &'a Worker, plan: &'a Mutex<Plan>) -> Self {
        Self {
            worker,
            plan,
            window: DueWindow::new(worker.consents.clock().wall(), worker.within),
            owner: new_owner(),
            leased_at: Duration::ZERO,
            tally: Tally::default(),
            must_probe: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<Summary, StoreError> {
        let shards = self.start();
        let mut with_suspected = Vec::new();
        for (index, shard) in shards.iter().enumerate() {
            match self.visit(*shard, Phase::Refresh(Turn::NotSuspected)).await? {
                Visit::Empty | Visit::Done { has_deferred: false } => {}
                Visit::Done { has_deferred: true } => with_suspected.push(*shard),
                Visit::LeasedElsewhere => {
                    let elsewhere = &mut self.tally.progress.summary.shards_leased_elsewhere;
                    *elsewhere = elsewhere.saturating_add(1);
                }
            }
            self.tally.progress.shards = self.tally.progress.shards.saturating_add(1);
            self.worker.report_progress(&self.tally.progress);
            // The shard in which the run was stopped is not finished.
            let finished = if self.tally.is_stopped() { index } else { index.saturating_add(1) };
            self.leave(shards.get(finished..).unwrap_or_default());
            if self.tally.is_stopped() {
                return Ok(self.tally.progress.summary);
            }
        }
        for shard in with_suspected {
            self.visit(shard, Phase::Refresh(Turn::Suspected)).await?;
            self.leave(&[]);
            if self.tally.is_stopped() {
                return Ok(self.tally.progress.summary);
            }
        }
        for shard in shards {
            self.visit(shard, Phase::Report).await?;
        }
        Ok(self.tally.progress.summary)
    }

    /// Returns the shards in their order: first those that an earlier run has not finished, and then the
    /// others at random, so that two workers rarely need the same shard.
    fn start(&mut self) -> Vec<u16> {
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

    /// Records where the next run starts.
    fn leave(&self, unfinished: &[u16]) {
        let mut plan = self.plan();
        plan.unfinished = unfinished.to_vec();
        plan.must_probe = self.must_probe || self.tally.is_stopped();
    }

    fn plan(&self) -> MutexGuard<'a, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work of one phase in one shard, under the lease of the shard.
    async fn visit(&mut self, shard: u16, phase: Phase) -> Result<Visit, StoreError> {
        // Most shards need no lease: there is nothing to do in them.
        if self.is_empty(shard, phase).await? {
            return Ok(Visit::Empty);
        }
        if self.acquire(shard).await? == Lease::Lost {
            return Ok(Visit::LeasedElsewhere);
        }
        let deferred_before = self.tally.deferred;
        let result = match phase {
            Phase::Refresh(turn) => self.refresh_shard(shard, turn).await,
            Phase::Report => self.report_shard(shard).await,
        };
        // If this fails, the lease expires.
        let _ = self.worker.store.release(shard, &self.owner).await;
        result?;
        Ok(Visit::Done { has_deferred: self.tally.deferred > deferred_before })
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

    /// Refreshes the due consents of a shard.
    async fn refresh_shard(&mut self, shard: u16, turn: Turn) -> Result<(), StoreError> {
        // Listed once, so that consents that become due during the run cannot make it longer.
        let items = self.worker.store.due_in(shard, self.window, usize::MAX).await?;
        if turn == Turn::NotSuspected {
            let due = &mut self.tally.progress.due;
            *due = due.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
        }
        let mut items = items.into_iter();
        while self.must_probe && !self.tally.is_stopped() {
            let Some(item) = items.next() else { return Ok(()) };
            self.probe(&item, turn).await?;
        }
        if self.tally.is_stopped() {
            return Ok(());
        }
        self.refresh_all(shard, items, turn).await
    }

    /// After a run that was stopped, tries a single consent. A refresh or a final refusal shows that
    /// Flinks replies again; another failure stops this run, too.
    async fn probe(&mut self, item: &WorkItem, turn: Turn) -> Result<(), StoreError> {
        let outcome = self.worker.refresh(item, self.window, turn, &AtomicBool::new(false)).await?;
        match &outcome {
            Outcome::Refreshed | Outcome::Ended(_) => self.must_probe = false,
            Outcome::Suspected(error) => self.tally.stop(StopReason::Suspected(error.clone())),
            Outcome::Failed(error) => self.tally.stop(StopReason::Failed(error.clone())),
            // They say nothing about the server.
            Outcome::NotTried
            | Outcome::Skipped
            | Outcome::Deferred
            | Outcome::Unreadable
            | Outcome::RefreshedElsewhere => {}
        }
        self.record(outcome);
        Ok(())
    }

    /// Refreshes several consents at a time.
    async fn refresh_all(
        &mut self,
        shard: u16,
        items: impl Iterator<Item = WorkItem>,
        turn: Turn,
    ) -> Result<(), StoreError> {
        let Self { worker, window, .. } = *self;
        let stop = AtomicBool::new(false);
        let refresh = |item: WorkItem| {
            let stop = &stop;
            async move { worker.refresh(&item, window, turn, stop).await }
        };
        let mut outcomes = futures_util::stream::iter(items).map(refresh).buffer_unordered(worker.max_concurrency);
        let mut failure = None;
        // Also after a stop, refreshes that were started complete, so that their results are stored.
        while let Some(outcome) = outcomes.next().await {
            let lease = match outcome {
                Ok(outcome) => {
                    self.record(outcome);
                    if stop.load(Ordering::Relaxed) { Ok(Lease::Held) } else { self.renew(shard).await }
                }
                Err(error) => Err(error),
            };
            // Another worker does the rest if the lease is lost.
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

    /// Reports the consents of a shard that have ended. Each is removed from the list after its report,
    /// so that a worker that crashes loses none.
    async fn report_shard(&mut self, shard: u16) -> Result<(), StoreError> {
        let Some(items) = self.list_ended(shard, usize::MAX).await? else {
            return self.report_own().await;
        };
        for item in items {
            // Another worker has the shard, and reports the others.
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
            // The store keeps the list, so this process needs none.
            self.plan().unreported.clear();
        }
        Ok(ended)
    }

    async fn report(&mut self, item: &WorkItem) -> Result<(), StoreError> {
        let store = &self.worker.store;
        // The end user may have consented again since, or another worker may have reported the end.
        let Lookup::Record(record) = store.look_up(item).await? else { return Ok(()) };
        if !store.is_unreported(item).await? {
            return Ok(());
        }
        self.worker.report_ended(record.id());
        store.mark_reported(item).await?;
        self.count_report();
        Ok(())
    }

    /// Reports the consents that have ended in this process, for a store that keeps no list of them.
    async fn report_own(&mut self) -> Result<(), StoreError> {
        let unreported = self.plan().unreported.clone();
        for id in unreported {
            // The end user may have consented again since.
            if self.worker.store.load(&id).await?.is_some_and(|record| record.is_ended()) {
                self.worker.report_ended(&id);
                self.count_report();
            }
            self.plan().unreported.retain(|other| *other != id);
        }
        Ok(())
    }

    fn count_report(&mut self) {
        let needing_consent = &mut self.tally.progress.summary.needing_consent;
        *needing_consent = needing_consent.saturating_add(1);
    }

    async fn acquire(&mut self, shard: u16) -> Result<Lease, StoreError> {
        let now = self.worker.consents.clock().monotonic();
        if !self.worker.store.acquire(shard, &self.owner, LEASE_DURATION).await? {
            return Ok(Lease::Lost);
        }
        self.leased_at = now;
        Ok(Lease::Held)
    }

    /// Extends the lease once it is [`RENEW_AFTER`] old.
    async fn renew(&mut self, shard: u16) -> Result<Lease, StoreError> {
        let age = self.worker.consents.clock().monotonic().saturating_sub(self.leased_at);
        if age < RENEW_AFTER { Ok(Lease::Held) } else { self.acquire(shard).await }
    }
}

/// Returns a random name. It differs in each run, also in processes that come from one `fork`.
fn new_owner() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("{:032x}", u128::from_le_bytes(bytes)),
        Err(_) => format!("{:032x}", fastrand::u128(..)),
    }
}
