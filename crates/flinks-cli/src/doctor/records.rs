//! The records and consents in a store.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_consents::store::{Record, StoreError};
use tokio::time::timeout;

use super::report::{Outcome, Section};
use super::store_error::{self, Call};
use crate::context::ConsentStore;
use crate::failure::Exit;
use crate::profile::StoreKind;

/// The maximum number of records that are read. Reading a larger store would take too long.
const MAX_RECORDS: u64 = 100_000;
const PAGE: usize = 1000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before the idle deadline keep-alive refreshes a consent by default.
const DUE: Duration = DAY.saturating_mul(7);
/// How long before the idle deadline a consent counts as urgent. If keep-alive runs regularly, no
/// consent gets this close to its deadline.
const URGENT: Duration = DAY.saturating_mul(2);

/// The number of records in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    active: u64,
    /// Active consents that will idle out within seven days.
    due: u64,
    /// Active consents that will idle out within two days or have already idled out.
    urgent: u64,
    suspected: u64,
    ended: u64,
    unreadable: u64,
    /// Whether there are more records than were read.
    is_partial: bool,
}

/// Reads the records, and adds the outcomes of the last two checks.
pub(super) async fn check(
    store: &Arc<dyn ConsentStore>,
    kind: StoreKind,
    folder: Option<&Path>,
    limit: Duration,
    section: &mut Section<'_>,
) -> Option<()> {
    let tally = match scan(store, limit).await {
        Ok(tally) => tally,
        Err(error) => return section.record(store_error::outcome(&error, kind, Call::Read)),
    };
    let damaged = folder.map_or(0, damaged_files);
    // Report the readable consents even if others are unreadable.
    section.record(records_outcome(&tally, damaged, kind));
    section.record(consents_outcome(&tally))
}

/// Reads the records. The time limit applies to each page.
async fn scan(store: &Arc<dyn ConsentStore>, limit: Duration) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    let mut cursor: Option<String> = None;
    loop {
        let page = timeout(limit, store.scan(cursor.as_deref(), PAGE)).await;
        let page = page.unwrap_or(Err(StoreError::unavailable("did not respond in time")))?;
        tally.unreadable = tally.unreadable.saturating_add(page.unreadable);
        let now = SystemTime::now();
        for record in &page.records {
            tally.add(&Standing::of(record), now);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(tally);
        }
        if tally.read() >= MAX_RECORDS {
            tally.is_partial = true;
            return Ok(tally);
        }
    }
}

/// The state of a consent.
struct Standing {
    is_ended: bool,
    is_suspected: bool,
    idle_deadline: SystemTime,
}

impl Standing {
    fn of(record: &Record) -> Self {
        Self { is_ended: record.is_ended(), is_suspected: record.is_suspected(), idle_deadline: record.idle_deadline() }
    }
}

impl Tally {
    fn add(&mut self, standing: &Standing, now: SystemTime) {
        let increase = |count: &mut u64| *count = count.saturating_add(1);
        if standing.is_ended {
            return increase(&mut self.ended);
        }
        increase(&mut self.active);
        if standing.is_suspected {
            increase(&mut self.suspected);
        }
        let remaining = standing.idle_deadline.duration_since(now).unwrap_or_default();
        if remaining <= DUE {
            increase(&mut self.due);
        }
        if remaining <= URGENT {
            increase(&mut self.urgent);
        }
    }

    fn read(&self) -> u64 {
        self.active.saturating_add(self.ended).saturating_add(self.unreadable)
    }
}

/// Returns the number of damaged files that the store has moved aside.
fn damaged_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged")).count()
}

fn records_outcome(tally: &Tally, damaged: usize, kind: StoreKind) -> Outcome {
    if damaged > 0 {
        return Outcome::failed(
            Exit::Failed,
            format!("the store has moved aside {damaged} damaged files, whose names contain `.damaged`"),
            "restore each file from a backup under its name that ends in .json, or have its end user consent again \
             with `flinks login`; then move the damaged file elsewhere",
        );
    }
    if tally.unreadable == 0 {
        let more = if tally.is_partial { "; the others were not read" } else { "" };
        return Outcome::passed(format!("{} readable{more}", tally.read()));
    }
    let problem = format!("{} of {} records are unreadable", tally.unreadable, tally.read());
    match kind {
        StoreKind::File => Outcome::failed(
            Exit::Failed,
            problem,
            "restore the files from a backup, or have the end users consent again with `flinks login`",
        ),
        StoreKind::Redis | StoreKind::Postgres => Outcome::failed(
            Exit::Configuration,
            problem,
            "they may be encrypted with another key: add that key to the list with `flinks config set-secret store.keys`; if \
             the keys are right, the records are damaged, and must be restored from a backup",
        )
        .guess(),
    }
}

fn consents_outcome(tally: &Tally) -> Outcome {
    let counts = format!(
        "{} active, {} of them due within 7 days, {} with a refused refresh; {} ended",
        tally.active, tally.due, tally.suspected, tally.ended
    );
    if tally.urgent == 0 {
        return Outcome::passed(counts);
    }
    Outcome::warning(
        format!("{} consents idle out within 2 days or already have ({counts})", tally.urgent),
        "run `flinks keep-alive --once` now, and then once an hour, for example from cron",
    )
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn tally(standings: &[(bool, u32)]) -> Tally {
        let now = UNIX_EPOCH + DAY * 100;
        let mut tally = Tally::default();
        for (is_ended, day) in standings {
            let standing =
                Standing { is_ended: *is_ended, is_suspected: false, idle_deadline: UNIX_EPOCH + DAY * *day };
            tally.add(&standing, now);
        }
        tally
    }

    #[test]
    fn consents_are_counted_by_their_deadline() {
        let tally = tally(&[(false, 130), (false, 106), (false, 101), (false, 99), (true, 99)]);
        let expected = Tally { active: 4, due: 3, urgent: 2, ended: 1, ..Tally::default() };
        assert_eq!(tally, expected);
    }

    #[test]
    fn consents_that_idle_out_soon_are_a_warning() {
        assert!(matches!(consents_outcome(&tally(&[(false, 105), (true, 1)])), Outcome::Passed { .. }));
        assert!(matches!(consents_outcome(&tally(&[(false, 101)])), Outcome::Warning(_)));
    }

    #[test]
    fn unreadable_records_may_need_another_key() {
        let tally = Tally { active: 2, unreadable: 1, ..Tally::default() };
        let Outcome::Failed { finding, .. } = records_outcome(&tally, 0, StoreKind::Redis) else {
            panic!("no failure")
        };
        assert_eq!(finding.problem, "1 of 3 records are unreadable");
        assert!(finding.is_guess);
        assert!(finding.cure.contains("store.keys"));
        let Outcome::Failed { finding, .. } = records_outcome(&tally, 0, StoreKind::File) else { panic!("no failure") };
        assert!(!finding.is_guess);
    }

    #[test]
    fn damaged_files_are_a_failure() {
        let outcome = records_outcome(&Tally::default(), 1, StoreKind::File);
        let Outcome::Failed { finding, .. } = outcome else { panic!("no failure") };
        assert!(finding.cure.contains("backup"));
    }
}
