//! Moves all consents from one store to another.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flinks::{Clock, SystemClock};
use futures_util::StreamExt as _;

use super::marks::{self, Mark};
use super::transfer::{Outcome, move_record, settle_if_moved};
use crate::store::{ConsentId, Record, ScanPage, ScanRecords, StoreError};

/// Moves all consents from an old store to a new one while the application uses both stores through
/// a [`MigratingStore`](super::MigratingStore).
///
/// Each record is copied, read back and compared with the original before it is removed from the
/// old store. A migration can be stopped at any time and run again: it then moves the records that
/// are still in the old store. Several migrations can run at the same time.
#[must_use = "a migration does nothing until `run` is called"]
pub struct Migration<Old, New> {
    old: Old,
    new: New,
    rate: Option<u32>,
    max_concurrency: usize,
    on_progress: Box<dyn Fn(&MigrationProgress) + Send + Sync>,
    on_conflict: Box<dyn Fn(&ConsentId) + Send + Sync>,
    clock: Arc<dyn Clock>,
    /// The earliest monotonic time at which the next move may start.
    next_start: Mutex<Duration>,
}

/// The result of a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationSummary {
    /// The number of consents that were moved. Each record was read back from the new store and
    /// compared with the original before it was removed from the old store.
    pub moved: u64,
    /// The number of consents that could not be moved, or whose move could not be completed, because
    /// other processes kept changing or locking them. Run the migration again.
    pub busy: u64,
    /// The number of records that could not be read or did not pass the comparison. They stay in
    /// the old store.
    pub unreadable: u64,
    /// The number of consents for which both stores have a record, for example because a backup of
    /// the old store was restored. Neither record was changed, and the one in the new store is
    /// used. The callback set with [`Migration::on_conflict`] receives the ids of these consents.
    pub conflicts: u64,
}

impl MigrationSummary {
    /// Returns whether every consent is in the new store.
    pub fn is_complete(&self) -> bool {
        self.busy == 0 && self.unreadable == 0 && self.conflicts == 0
    }
}

/// Writes the counts on one line.
impl fmt::Display for MigrationSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moved, busy, unreadable, conflicts } = self;
        write!(f, "{moved} moved, {busy} busy, {unreadable} unreadable, {conflicts} in both stores")
    }
}

/// The progress of a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationProgress {
    /// The counts so far.
    pub summary: MigrationSummary,
    /// The number of records in the old store when the migration started. `None` if the store does
    /// not [count](ScanRecords::count) its records.
    pub total: Option<u64>,
}

/// The number of records per page of a scan.
const PAGE: usize = 1000;
/// The maximum number of scans of the old store in a run. A scan is repeated only if consents were
/// busy.
const MAX_PASSES: u32 = 3;
/// The timeout for listing a page, or moving or settling a record.
const TIMEOUT: Duration = Duration::from_secs(60);
const TIMED_OUT: StoreError = StoreError::unavailable("did not respond in time");

impl<Old: ScanRecords, New: ScanRecords> Migration<Old, New> {
    /// Creates a migration from `old` to `new`.
    pub fn new(old: Old, new: New) -> Self {
        Self {
            old,
            new,
            rate: None,
            max_concurrency: 16,
            on_progress: Box::new(|_| {}),
            on_conflict: Box::new(|_| {}),
            clock: Arc::new(SystemClock),
            next_start: Mutex::default(),
        }
    }

    /// Sets the maximum number of consents that are moved each second. Default: unlimited. The
    /// minimum is 1.
    pub fn rate(mut self, per_second: u32) -> Self {
        self.rate = Some(per_second.max(1));
        self
    }

    /// Sets the maximum number of consents that are moved at the same time. Default: 16. The
    /// minimum is 1.
    pub fn max_concurrency(mut self, moves: usize) -> Self {
        self.max_concurrency = moves.max(1);
        self
    }

    /// Sets a callback that is called after each consent has been processed, and for each page that
    /// contains unreadable records.
    pub fn on_progress(mut self, callback: impl Fn(&MigrationProgress) + Send + Sync + 'static) -> Self {
        self.on_progress = Box::new(callback);
        self
    }

    /// Sets a callback that is called with the id of each consent for which both stores have a
    /// record. The callback may be called several times for the same consent.
    pub fn on_conflict(mut self, callback: impl Fn(&ConsentId) + Send + Sync + 'static) -> Self {
        self.on_conflict = Box::new(callback);
        self
    }

    /// Sets the clock for the rate limit and the timeouts. Default: this machine's clocks.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Moves all consents that are in the old store. Then scans the new store to complete any moves
    /// left unfinished by processes that have stopped.
    ///
    /// The old store must be the real one. If it only seems to be empty, for example because a volume
    /// is not mounted, copies that were not committed become authoritative.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if a store fails. The consents that have already been moved stay in
    /// the new store. Run the migration again to move the others.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no consent is lost, and the migration can be run again.
    pub async fn run(&self) -> Result<MigrationSummary, StoreError> {
        let total = self.with_timeout(self.old.count()).await?;
        let mut progress = MigrationProgress { total, ..MigrationProgress::default() };
        for _ in 0..MAX_PASSES {
            // Each pass counts the consents that it leaves in the old store.
            progress.summary = MigrationSummary { moved: progress.summary.moved, ..MigrationSummary::default() };
            self.move_all(&mut progress).await?;
            if progress.summary.busy == 0 {
                break;
            }
        }
        self.settle_all(&mut progress.summary).await?;
        let MigrationSummary { moved, busy, unreadable, conflicts } = progress.summary;
        tracing::info!(moved, busy, unreadable, conflicts, "moved consents to another store");
        Ok(progress.summary)
    }

    /// Scans the old store once and moves its records.
    async fn move_all(&self, progress: &mut MigrationProgress) -> Result<(), StoreError> {
        let mut cursor: Option<String> = None;
        loop {
            let ScanPage { records, unreadable, next } =
                self.with_timeout(self.old.scan(cursor.as_deref(), PAGE)).await?;
            if unreadable > 0 {
                progress.summary.unreadable = progress.summary.unreadable.saturating_add(unreadable);
                (self.on_progress)(progress);
            }
            let moves = futures_util::stream::iter(records).map(|record| self.move_one(record));
            let mut moves = moves.buffer_unordered(self.max_concurrency);
            while let Some(outcome) = moves.next().await {
                progress.summary.add(outcome)?;
                (self.on_progress)(progress);
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Scans the new store once and settles what stopped processes have left there. Counts what cannot
    /// be settled, because the new store must not be used alone while a mark is left in it.
    async fn settle_all(&self, summary: &mut MigrationSummary) -> Result<(), StoreError> {
        let mut cursor: Option<String> = None;
        loop {
            let page = self.with_timeout(self.new.scan(cursor.as_deref(), PAGE)).await?;
            summary.unreadable = summary.unreadable.saturating_add(page.unreadable);
            for record in page.records {
                match self.with_timeout(settle_if_moved(&self.old, &self.new, record)).await {
                    Ok(()) => {}
                    Err(StoreError::Busy(_)) => summary.busy = summary.busy.saturating_add(1),
                    Err(error @ (StoreError::Damaged(_) | StoreError::Misconfigured(_))) => {
                        tracing::warn!("cannot complete the move of a consent: {error}");
                        summary.unreadable = summary.unreadable.saturating_add(1);
                    }
                    Err(error) => return Err(error),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn move_one(&self, record: Record) -> Result<Outcome, StoreError> {
        // This reservation is left over from an earlier migration to the old store.
        if Mark::of(&record) == Mark::Reservation {
            return Ok(Outcome::Absent);
        }
        self.pace().await;
        let record = marks::unmarked(record);
        let id = record.id.clone();
        let outcome = self.with_timeout(move_record(&self.old, &self.new, record)).await?;
        if outcome == Outcome::Conflict {
            (self.on_conflict)(&id);
        }
        Ok(outcome)
    }

    /// Waits until the rate limit allows the next move.
    async fn pace(&self) {
        let Some(rate) = self.rate else { return };
        let step = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        let wait = {
            let mut next_start = self.next_start.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.monotonic();
            let start = now.max(*next_start);
            *next_start = start.saturating_add(step);
            start.saturating_sub(now)
        };
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
    }

    async fn with_timeout<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            result = call => result,
            () = self.clock.sleep(TIMEOUT) => Err(TIMED_OUT),
        }
    }
}

impl MigrationSummary {
    /// Counts an outcome, or returns an error that must stop the migration.
    fn add(&mut self, outcome: Result<Outcome, StoreError>) -> Result<(), StoreError> {
        let count = match outcome {
            Ok(Outcome::Moved) => &mut self.moved,
            Ok(Outcome::Absent) => return Ok(()),
            Ok(Outcome::Conflict) => {
                tracing::warn!("both stores have a record of the same consent");
                &mut self.conflicts
            }
            Ok(Outcome::Busy) | Err(StoreError::Busy(_)) => &mut self.busy,
            Err(error @ StoreError::Damaged(_)) => {
                tracing::warn!("cannot move a consent: {error}");
                &mut self.unreadable
            }
            Err(error) => return Err(error),
        };
        *count = count.saturating_add(1);
        Ok(())
    }
}

/// Shows only the settings.
impl<Old, New> fmt::Debug for Migration<Old, New> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("rate", &self.rate)
            .field("max_concurrency", &self.max_concurrency)
            .finish_non_exhaustive()
    }
}
