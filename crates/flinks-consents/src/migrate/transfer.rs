//! Moves one record from the old store to the new one.

use super::marks::{self, EndReport, Mark};
use crate::store::{ConsentId, Record, ScanRecords, StoreError, TokenStore};

/// The result of [`move_record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This call moved the record.
    Moved,
    /// The old store no longer has a record of the consent.
    Absent,
    /// Both stores have an authoritative record of the consent, so nothing was changed.
    Conflict,
    /// Other tasks kept changing the record.
    Busy,
}

/// What to do after one step.
enum Step<T> {
    Continue(T),
    Done(Outcome),
    /// The record has changed. The value is the newest known record.
    Again(Record),
}

/// The maximum number of times that a move is attempted if the record keeps changing.
const MAX_ATTEMPTS: u32 = 20;

/// Moves the record of a consent. `seen` is the record that was last loaded from the old store.
///
/// # Cancel safety
///
/// If the future is dropped, the record is in either the old store or the new one, and a later call
/// completes the move.
pub(super) async fn move_record<O, N>(old: &O, new: &N, seen: Record) -> Result<Outcome, StoreError>
where
    O: ScanRecords + ?Sized,
    N: TokenStore + ?Sized,
{
    let mut seen = seen;
    for _ in 0..MAX_ATTEMPTS {
        let copy = match copy(old, new, seen).await? {
            Step::Continue(copy) => copy,
            Step::Done(outcome) => return Ok(outcome),
            Step::Again(record) => {
                seen = record;
                tokio::task::yield_now().await;
                continue;
            }
        };
        match commit(old, new, &copy).await? {
            Step::Continue(()) => return Ok(Outcome::Moved),
            Step::Done(outcome) => return Ok(outcome),
            Step::Again(record) => seen = record,
        }
        tokio::task::yield_now().await;
    }
    Ok(Outcome::Busy)
}

/// Writes a copy of the record to the new store, or finds one that another task has written.
async fn copy<O, N>(old: &O, new: &N, seen: Record) -> Result<Step<Record>, StoreError>
where
    O: ScanRecords + ?Sized,
    N: TokenStore + ?Sized,
{
    let id = seen.id.clone();
    let is_unreported = seen.is_ended() && old.is_end_unreported(&id).await?;
    let report = if is_unreported { EndReport::Pending } else { EndReport::NotNeeded };
    let reservation = marks::reservation(&seen, report);
    if !new.compare_and_swap(None, &reservation).await? {
        let Some(found) = new.load(&id).await? else { return Ok(Step::Again(seen)) };
        // The old store must be read after the new one: if `found` is a copy of a generation other
        // than the current one, the record in the old store has changed since, so no task can
        // commit that copy.
        let Some(current) = load_old(old, &id).await? else {
            settle(new, found).await?;
            return Ok(Step::Done(Outcome::Absent));
        };
        match Mark::of(&found) {
            Mark::None => return Ok(Step::Done(Outcome::Conflict)),
            Mark::Copy if found.generation == current.generation => {
                return Ok(Step::Continue(marks::copy_of(&current)));
            }
            Mark::Copy | Mark::Reservation => {
                if !new.compare_and_swap(Some(found.generation), &reservation).await? {
                    return Ok(Step::Again(current));
                }
            }
        }
    }
    // The record must be loaded after the reservation has been written: a copy may replace the
    // reservation only if the old store still had the record at that time.
    let Some(current) = load_old(old, &id).await? else {
        new.remove(&id, reservation.generation).await?;
        return Ok(Step::Done(Outcome::Absent));
    };
    // If the consent has ended since `seen` was loaded, the reservation may be wrong.
    if current.is_ended() && current.generation != seen.generation {
        return Ok(Step::Again(current));
    }
    let copy = marks::copy_of(&current);
    if !new.compare_and_swap(Some(reservation.generation), &copy).await? {
        return Ok(Step::Again(current));
    }
    Ok(Step::Continue(copy))
}

/// Verifies the copy and removes the record from the old store.
async fn commit<O, N>(old: &O, new: &N, copy: &Record) -> Result<Step<()>, StoreError>
where
    O: ScanRecords + ?Sized,
    N: TokenStore + ?Sized,
{
    let id = copy.id();
    let expected = marks::unmarked(copy.clone());
    let stored = new.load(id).await?.filter(|stored| Mark::of(stored) == Mark::Copy);
    let Some(stored) = stored.filter(|stored| stored.generation == copy.generation) else {
        return Ok(Step::Again(expected));
    };
    if !is_equal(marks::unmarked(stored), &expected)? {
        return Err(StoreError::damaged("returned a record that differs from the one that was copied"));
    }
    // This removal is the commit. The removal fails if the record has changed since it was copied.
    if old.remove(id, copy.generation).await? {
        settle(new, copy.clone()).await?;
        return Ok(Step::Continue(()));
    }
    match load_old(old, id).await? {
        Some(changed) => Ok(Step::Again(changed)),
        None => {
            settle(new, copy.clone()).await?;
            Ok(Step::Done(Outcome::Absent))
        }
    }
}

/// If the old store has no record of the consent, settles the marked record that was found in the
/// new store. Such a record is left behind if a process stops between two steps.
pub(super) async fn settle_if_moved<O, N>(old: &O, new: &N, found: Record) -> Result<(), StoreError>
where
    O: TokenStore + ?Sized,
    N: TokenStore + ?Sized,
{
    if Mark::of(&found) != Mark::None && load_old(old, &found.id).await?.is_none() {
        settle(new, found).await?;
    }
    Ok(())
}

/// Removes the mark from a committed copy, or removes a reservation that is no longer needed.
/// `found` was loaded from the new store, and the old store has no record of the consent. Changes
/// nothing if `found` is out of date.
async fn settle<N: TokenStore + ?Sized>(new: &N, found: Record) -> Result<(), StoreError> {
    let generation = found.generation;
    match Mark::of(&found) {
        Mark::None => {}
        Mark::Reservation => drop(new.remove(&found.id, generation).await?),
        Mark::Copy => drop(new.compare_and_swap(Some(generation), &marks::unmarked(found)).await?),
    }
    Ok(())
}

/// Loads the record from the old store. A mark in the old store is left over from an earlier
/// migration to that store.
pub(super) async fn load_old<O: TokenStore + ?Sized>(old: &O, id: &ConsentId) -> Result<Option<Record>, StoreError> {
    let found = old.load(id).await?;
    Ok(found.filter(|record| Mark::of(record) != Mark::Reservation).map(marks::unmarked))
}

/// Returns whether two records have the same content.
fn is_equal(one: Record, other: &Record) -> Result<bool, StoreError> {
    Ok(one.encode()?.expose_secret() == other.encode()?.expose_secret())
}
