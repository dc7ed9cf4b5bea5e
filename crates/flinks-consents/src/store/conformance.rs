//! A conformance test for custom stores. The documentation of the [`store`](super) module contains
//! an example.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks::Secret;
use flinks::outbound::RefreshToken;

use super::due::DueWindow;
use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::record::{Lease, Record, Standing, StoredToken, Suspicion, whole_milliseconds};
use super::token_store::{Page, TokenStore};

/// A requirement that a store violates. `Display` and `Debug` describe the violation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Violation(&'static str);

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Violation {}

impl From<StoreError> for Violation {
    fn from(_: StoreError) -> Self {
        Self("an operation returned an error")
    }
}

/// Checks whether a store meets the requirements of [`TokenStore`].
///
/// The check calls `open` several times. Each call must open the same store, preferably as another
/// process would open it. The check uses the system clock and, if it succeeds, removes all the
/// records that it created.
///
/// # Errors
///
/// Returns the first [`Violation`] that the check finds.
pub async fn check<S: TokenStore>(open: impl Fn() -> S) -> Result<(), Violation> {
    check_round_trip(&open).await?;
    check_swap(&open).await?;
    check_removal(&open).await?;
    check_similar_ids(&open).await?;
    check_due(&open).await?;
    check_list(&open).await?;
    check_concurrent_swaps(&open).await
}

async fn check_round_trip<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let now = SystemTime::now();
    let plain = record("conformance: round trip", now)?;
    let full = Record {
        refresh_token: refresh_token("a \"refresh\\token\" é/+=")?,
        has_rotated: true,
        standing: Standing::Suspected(Suspicion {
            status: 403,
            code: Some(u64::MAX),
            first_seen: whole_milliseconds(now),
            last_seen: whole_milliseconds(now),
        }),
        access_token: Some(Box::new(StoredToken {
            secret: Secret::new("access.token-_~+/=".repeat(100)),
            issued_at: whole_milliseconds(now),
            lifetime: Duration::from_millis(299_001),
        })),
        lease: Some(Box::new(Lease {
            owner: "owner".to_owned(),
            expires_at: whole_milliseconds(now),
            duration: Duration::from_secs(45),
        })),
        ..plain.clone().after(plain.generation())
    };
    ensure(open().load(plain.id()).await?.is_none(), "`load` returned a record that was never stored")?;
    ensure(open().compare_and_swap(None, &plain).await?, "`compare_and_swap` did not store a new record")?;
    ensure(contains(&open(), &plain).await?, "`load` did not return the record that was stored")?;
    ensure(
        open().compare_and_swap(Some(plain.generation()), &full).await?,
        "`compare_and_swap` did not replace a record whose generation matched",
    )?;
    ensure(contains(&open(), &full).await?, "`load` did not return the record exactly as it was stored")?;
    ensure(
        open().remove(full.id(), full.generation()).await?,
        "`remove` did not remove a record whose generation matched",
    )?;
    ensure(open().load(full.id()).await?.is_none(), "`load` returned a removed record")
}

async fn check_swap<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let first = record("conformance: swap", SystemTime::now())?;
    let (id, generation) = (first.id().clone(), first.generation());
    let second = first.clone().after(generation);
    let wrong = "`compare_and_swap` replaced a record whose generation did not match";
    ensure(
        !store.compare_and_swap(Some(generation), &first).await?,
        "`compare_and_swap` with an expected generation succeeded although there was no record",
    )?;
    ensure(store.load(&id).await?.is_none(), "`compare_and_swap` returned `false` but stored the record")?;
    ensure(store.compare_and_swap(None, &first).await?, "`compare_and_swap` did not store a new record")?;
    ensure(
        !store.compare_and_swap(None, &second).await?,
        "`compare_and_swap` without an expected generation replaced an existing record",
    )?;
    ensure(!store.compare_and_swap(Some(second.generation()), &second).await?, wrong)?;
    ensure(!store.compare_and_swap(Some(generation.wrapping_sub(1)), &second).await?, wrong)?;
    ensure(contains(&store, &first).await?, "`compare_and_swap` returned `false` but changed the record")?;
    ensure(
        store.compare_and_swap(Some(generation), &second).await?,
        "`compare_and_swap` did not replace a record whose generation matched",
    )?;
    ensure(!store.compare_and_swap(Some(generation), &second).await?, wrong)?;
    ensure(store.remove(&id, second.generation()).await?, "`remove` did not remove a record whose generation matched")
}

async fn check_removal<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let first = record("conformance: removal", SystemTime::now())?;
    let (id, generation) = (first.id().clone(), first.generation());
    ensure(!store.remove(&id, generation).await?, "`remove` returned `true` for a record that was never stored")?;
    ensure(store.compare_and_swap(None, &first).await?, "`compare_and_swap` did not store a new record")?;
    ensure(
        !store.remove(&id, generation.wrapping_add(1)).await?,
        "`remove` returned `true` for a record with a different generation",
    )?;
    ensure(contains(&store, &first).await?, "`remove` returned `false` but removed or changed the record")?;
    ensure(store.remove(&id, generation).await?, "`remove` did not remove a record whose generation matched")?;
    ensure(
        !store.compare_and_swap(Some(generation), &first).await?,
        "`compare_and_swap` succeeded with the generation of a removed record",
    )?;
    ensure(store.load(&id).await?.is_none(), "`load` returned a removed record")
}

async fn check_similar_ids<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let longest = "x".repeat(ConsentId::MAX_BYTES);
    let texts = ["a", "A", "a ", "a/b", "a\\b", "../a", "a:b", "{a}", "é", "e\u{301}", "%61", "a*", "日本", &longest];
    let mut records = Vec::new();
    for text in texts {
        let record = record(text, SystemTime::now())?;
        ensure(
            store.compare_and_swap(None, &record).await?,
            "the store rejects a valid id or treats two different ids as equal",
        )?;
        records.push(record);
    }
    for record in &records {
        ensure(contains(&store, record).await?, "the store treats two different ids as equal")?;
    }
    for record in &records {
        ensure(store.remove(record.id(), record.generation()).await?, "the store treats two different ids as equal")?;
    }
    Ok(())
}

async fn check_due<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let store = open();
    let now = SystemTime::now();
    let ago = |days: u32| now.checked_sub(DAY.saturating_mul(days)).unwrap_or(now);
    // These records are older than any real record, so a store that is already in use can be
    // checked.
    let oldest = record("conformance: oldest", ago(9000))?;
    let older = record("conformance: older", ago(8000))?;
    let recent = record("conformance: recent", now)?;
    let ended = Record { standing: Standing::Ended(None), ..record("conformance: ended", ago(9999))? };
    let suspicion = Suspicion { status: 403, code: None, first_seen: now, last_seen: now };
    let suspected = Record { standing: Standing::Suspected(suspicion), ..record("conformance: suspected", ago(9990))? };
    // This record looks as if it had been written by a machine whose clock was twenty years ahead.
    // No real clock is that far ahead.
    let ahead = now.checked_add(DAY.saturating_mul(7300)).unwrap_or(now);
    let from_the_future = record("conformance: from the future", ahead)?;
    for record in [&recent, &older, &ended, &suspected, &from_the_future, &oldest] {
        ensure(store.compare_and_swap(None, record).await?, "`compare_and_swap` did not store a new record")?;
    }
    let window = DueWindow { before: ago(7000), beyond: now.checked_add(DAY.saturating_mul(7000)).unwrap_or(now) };
    let in_order = [&from_the_future, &oldest, &older, &suspected].map(|record| record.id().clone());
    ensure(
        store.due(window, 10).await? == in_order,
        "`due` did not list exactly the due consents in the required order: implausibly late deadlines first, then the earliest deadlines, then suspected consents",
    )?;
    let some = in_order.get(..2).unwrap_or_default();
    ensure(
        store.due(window, 2).await? == some,
        "`due` with a smaller limit did not return the start of the full list",
    )?;
    ensure(store.due(window, 0).await?.is_empty(), "`due` returned more consents than the limit")?;
    // After a refresh, the consent is no longer due.
    let refreshed = record("conformance: oldest", now)?.after(oldest.generation());
    ensure(
        store.compare_and_swap(Some(oldest.generation()), &refreshed).await?,
        "`compare_and_swap` did not replace a record whose generation matched",
    )?;
    let in_order = [&from_the_future, &older, &suspected].map(|record| record.id().clone());
    ensure(store.due(window, 10).await? == in_order, "`due` still lists a consent that was refreshed")?;
    for record in [&recent, &older, &ended, &suspected, &from_the_future, &refreshed] {
        ensure(
            store.remove(record.id(), record.generation()).await?,
            "`remove` did not remove a record whose generation matched",
        )?;
    }
    ensure(store.due(window, 10).await?.is_empty(), "`due` lists a removed record")
}

async fn check_list<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let owner = |text: &str| OwnerId::new(text).map_err(|_| Violation("the conformance test uses an invalid owner id"));
    let one = owner("conformance: owner")?;
    let other = owner("conformance: Owner")?;
    let owned = |id: &str, owner: &OwnerId| {
        let record = record(id, SystemTime::now())?;
        Ok::<_, Violation>(Record { owner: Some(owner.clone()), label: Some("a label".into()), ..record })
    };
    let mut stored = Vec::new();
    for number in 0..5 {
        stored.push(owned(&format!("conformance: owned {number}"), &one)?);
    }
    let of_other = owned("conformance: other owner", &other)?;
    let without_owner = record("conformance: no owner", SystemTime::now())?;
    for record in stored.iter().chain([&of_other, &without_owner]) {
        ensure(store.compare_and_swap(None, record).await?, "`compare_and_swap` did not store a new record")?;
    }
    let all = store.list(&one, &Page::first(10)).await?;
    ensure(all.len() == stored.len(), "`list` did not return exactly the records of the owner")?;
    for record in &stored {
        let found = all.iter().find(|found| found.id() == record.id());
        let is_same = found.is_some_and(|found| found.label == record.label && found.owner == record.owner);
        ensure(is_same, "`list` did not return a record of the owner, or changed its owner or label")?;
    }
    // When read page by page, the list contains each record once and in the same order.
    let mut paged = Vec::new();
    loop {
        let page = match paged.last() {
            None => Page::first(2),
            Some(last) => Page::after(Record::id(last).clone(), 2),
        };
        let records = open().list(&one, &page).await?;
        ensure(records.len() <= 2, "`list` returned more records than the limit")?;
        let is_last = records.len() < 2;
        paged.extend(records);
        if is_last {
            break;
        }
    }
    let ids = |records: &[Record]| records.iter().map(|record| record.id().clone()).collect::<Vec<_>>();
    ensure(ids(&paged) == ids(&all), "the concatenated pages of `list` differ from the complete list")?;
    ensure(store.list(&one, &Page::first(0)).await?.is_empty(), "`list` returned more records than the limit")?;
    // After a refresh, a consent is still listed. A consent with a new owner is listed only for
    // that owner.
    let [first, second, ..] = stored.as_slice() else { return Ok(()) };
    let refreshed = Record { is_owner_new: false, ..first.clone() }.after(first.generation());
    let moved = Record { owner: Some(other.clone()), ..second.clone() }.after(second.generation());
    for (old, new) in [(first, &refreshed), (second, &moved)] {
        ensure(
            store.compare_and_swap(Some(old.generation()), new).await?,
            "`compare_and_swap` did not replace a record whose generation matched",
        )?;
    }
    let of_one = ids(&store.list(&one, &Page::first(10)).await?);
    ensure(of_one.contains(first.id()), "`list` no longer returns a consent that was refreshed")?;
    ensure(!of_one.contains(second.id()), "`list` returns a record for its previous owner")?;
    ensure(
        ids(&store.list(&other, &Page::first(10)).await?).contains(second.id()),
        "`list` does not return a record for its new owner",
    )?;
    let unchanged = stored.get(2..).unwrap_or_default();
    for record in [&refreshed, &moved, &of_other, &without_owner].into_iter().chain(unchanged) {
        ensure(
            store.remove(record.id(), record.generation()).await?,
            "`remove` did not remove a record whose generation matched",
        )?;
    }
    ensure(store.list(&one, &Page::first(10)).await?.is_empty(), "`list` returns a removed record")
}

async fn check_concurrent_swaps<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    const SWAPS: usize = 32;
    let first = record("conformance: concurrent swaps", SystemTime::now())?;
    ensure(open().compare_and_swap(None, &first).await?, "`compare_and_swap` did not store a new record")?;
    let start = Arc::new(tokio::sync::Barrier::new(SWAPS));
    let mut tasks = Vec::new();
    for number in 0..SWAPS {
        let (store, start) = (open(), Arc::clone(&start));
        let lease = Lease { owner: number.to_string(), expires_at: SystemTime::UNIX_EPOCH, duration: Duration::ZERO };
        let expected = first.generation();
        let next = Record { lease: Some(Box::new(lease)), ..first.clone() }.after(expected);
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            let is_stored = store.compare_and_swap(Some(expected), &next).await?;
            Ok::<_, StoreError>(is_stored.then_some(next))
        }));
    }
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.map_err(|_| Violation("`compare_and_swap` panicked"))??);
    }
    match winners.as_slice() {
        [winner] => {
            ensure(
                contains(&open(), winner).await?,
                "one of several concurrent swaps succeeded, but the store contains a different record",
            )?;
            ensure(
                open().remove(winner.id(), winner.generation()).await?,
                "`remove` did not remove a record whose generation matched",
            )
        }
        [] => Err(Violation("none of several concurrent swaps succeeded")),
        _ => Err(Violation("more than one of several concurrent swaps succeeded")),
    }
}

/// Returns the violation as an error unless the condition is true.
fn ensure(condition: bool, violation: &'static str) -> Result<(), Violation> {
    if condition { Ok(()) } else { Err(Violation(violation)) }
}

/// Returns whether the store contains a record that is identical to `record`.
async fn contains<S: TokenStore>(store: &S, record: &Record) -> Result<bool, Violation> {
    match store.load(record.id()).await? {
        Some(found) => Ok(found.encode()?.expose_secret() == record.encode()?.expose_secret()),
        None => Ok(false),
    }
}

fn record(id: &str, last_refreshed_at: SystemTime) -> Result<Record, Violation> {
    let id = ConsentId::new(id).map_err(|_| Violation("the conformance test uses an invalid consent id"))?;
    Ok(Record::new(id, refresh_token("refresh token")?, last_refreshed_at, last_refreshed_at))
}

fn refresh_token(text: &str) -> Result<RefreshToken, Violation> {
    RefreshToken::new(text).map_err(|_| Violation("the conformance test uses an invalid refresh token"))
}
