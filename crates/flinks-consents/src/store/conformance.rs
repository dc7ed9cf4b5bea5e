//! What any store must do, as a test that any store can run. The page of [`store`](super) has an example.

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

/// What a store does not do as it must. Each text is a sentence about the store.
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
        Self("it fails")
    }
}

/// Checks a store. `open` is called several times, and gives the same store each time: at best in the way in which another
/// process would open it. It needs no other clock than that of the machine, and leaves no record behind if all is well.
///
/// # Errors
///
/// The first [`Violation`] that was found.
pub async fn check<S: TokenStore>(open: impl Fn() -> S) -> Result<(), Violation> {
    records_are_kept_whole(&open).await?;
    a_swap_needs_the_generation(&open).await?;
    a_removal_needs_the_generation(&open).await?;
    ids_are_kept_apart(&open).await?;
    the_due_are_listed(&open).await?;
    the_records_of_an_owner_are_listed(&open).await?;
    one_of_many_swaps_succeeds(&open).await
}

async fn records_are_kept_whole<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let now = SystemTime::now();
    let plain = record("conformance: whole", now)?;
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
    ensure(open().load(plain.id()).await?.is_none(), "it loads a record that nobody stored")?;
    ensure(open().compare_and_swap(None, &plain).await?, "it does not store a record in an empty place")?;
    ensure(is_there(&open(), &plain).await?, "it does not load what was stored")?;
    ensure(open().compare_and_swap(Some(plain.generation()), &full).await?, "it does not replace a record")?;
    ensure(is_there(&open(), &full).await?, "it changes what it stores")?;
    ensure(open().remove(full.id(), full.generation()).await?, "it does not remove a record")?;
    ensure(open().load(full.id()).await?.is_none(), "it loads what was removed")
}

async fn a_swap_needs_the_generation<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let first = record("conformance: swap", SystemTime::now())?;
    let (id, generation) = (first.id().clone(), first.generation());
    let second = first.clone().after(generation);
    let wrong = "it swaps a record of another generation";
    ensure(!store.compare_and_swap(Some(generation), &first).await?, "it replaces a record that is not there")?;
    ensure(store.load(&id).await?.is_none(), "it stores a record although it says that it did not")?;
    ensure(store.compare_and_swap(None, &first).await?, "it does not store a record in an empty place")?;
    ensure(!store.compare_and_swap(None, &second).await?, "it stores a record in a place that is taken")?;
    ensure(!store.compare_and_swap(Some(second.generation()), &second).await?, wrong)?;
    ensure(!store.compare_and_swap(Some(generation.wrapping_sub(1)), &second).await?, wrong)?;
    ensure(is_there(&store, &first).await?, "it changes a record although it says that it did not")?;
    ensure(store.compare_and_swap(Some(generation), &second).await?, "it does not replace a record")?;
    ensure(!store.compare_and_swap(Some(generation), &second).await?, wrong)?;
    ensure(store.remove(&id, second.generation()).await?, "it does not remove a record")
}

async fn a_removal_needs_the_generation<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let first = record("conformance: removal", SystemTime::now())?;
    let (id, generation) = (first.id().clone(), first.generation());
    ensure(!store.remove(&id, generation).await?, "it removes a record that is not there")?;
    ensure(store.compare_and_swap(None, &first).await?, "it does not store a record in an empty place")?;
    ensure(!store.remove(&id, generation.wrapping_add(1)).await?, "it removes a record of another generation")?;
    ensure(is_there(&store, &first).await?, "it removes a record although it says that it did not")?;
    ensure(store.remove(&id, generation).await?, "it does not remove a record")?;
    ensure(!store.compare_and_swap(Some(generation), &first).await?, "it replaces a record that was removed")?;
    ensure(store.load(&id).await?.is_none(), "it loads what was removed")
}

async fn ids_are_kept_apart<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let longest = "x".repeat(ConsentId::MAX_BYTES);
    let texts = ["a", "A", "a ", "a/b", "a\\b", "../a", "a:b", "{a}", "é", "e\u{301}", "%61", "a*", "日本", &longest];
    let mut records = Vec::new();
    for text in texts {
        let record = record(text, SystemTime::now())?;
        ensure(store.compare_and_swap(None, &record).await?, "it takes one id for another, or refuses one")?;
        records.push(record);
    }
    for record in &records {
        ensure(is_there(&store, record).await?, "it takes one id for another")?;
    }
    for record in &records {
        ensure(store.remove(record.id(), record.generation()).await?, "it takes one id for another")?;
    }
    Ok(())
}

async fn the_due_are_listed<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let store = open();
    let now = SystemTime::now();
    let ago = |days: u32| now.checked_sub(DAY.saturating_mul(days)).unwrap_or(now);
    // Older than whatever a store in use may hold.
    let (oldest, older, recent) = (
        record("conformance: oldest", ago(9000))?,
        record("conformance: older", ago(8000))?,
        record("conformance: recent", now)?,
    );
    let over = Record { standing: Standing::Ended(None), ..record("conformance: over", ago(9999))? };
    let suspicion = Suspicion { status: 403, code: None, first_seen: now, last_seen: now };
    let suspected = Record { standing: Standing::Suspected(suspicion), ..record("conformance: suspected", ago(9990))? };
    // Written by a machine whose clock was ahead by twenty years, which is more than that of any machine in use.
    let ahead = now.checked_add(DAY.saturating_mul(7300)).unwrap_or(now);
    let from_the_future = record("conformance: from the future", ahead)?;
    let stored = [&recent, &older, &over, &suspected, &from_the_future, &oldest];
    for record in stored {
        ensure(store.compare_and_swap(None, record).await?, "it does not store a record in an empty place")?;
    }
    let window = DueWindow { before: ago(7000), beyond: now.checked_add(DAY.saturating_mul(7000)).unwrap_or(now) };
    let in_order = [&from_the_future, &oldest, &older, &suspected].map(|record| record.id().clone());
    ensure(
        store.due(window, 10).await? == in_order,
        "it does not list the due in order: those with a deadline beyond the window, then the earliest, then the suspected",
    )?;
    let some = in_order.get(..2).unwrap_or_default();
    ensure(store.due(window, 2).await? == some, "it does not keep the limit, or the order")?;
    ensure(store.due(window, 0).await?.is_empty(), "it does not keep the limit")?;
    // An exchange takes it from the list.
    let exchanged = record("conformance: oldest", now)?.after(oldest.generation());
    ensure(store.compare_and_swap(Some(oldest.generation()), &exchanged).await?, "it does not replace a record")?;
    let in_order = [&from_the_future, &older, &suspected].map(|record| record.id().clone());
    ensure(store.due(window, 10).await? == in_order, "it lists by a record that was replaced")?;
    for record in [&recent, &older, &over, &suspected, &from_the_future, &exchanged] {
        ensure(store.remove(record.id(), record.generation()).await?, "it does not remove a record")?;
    }
    ensure(store.due(window, 10).await?.is_empty(), "it lists what was removed")
}

async fn the_records_of_an_owner_are_listed<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    let store = open();
    let owner = |text: &str| OwnerId::new(text).map_err(|_| Violation("no store: the owner of the check is wrong"));
    let (one, other) = (owner("conformance: owner")?, owner("conformance: Owner")?);
    let owned = |id: &str, owner: &OwnerId| {
        let record = record(id, SystemTime::now())?;
        Ok::<_, Violation>(Record { owner: Some(owner.clone()), label: Some("a label".into()), ..record })
    };
    let mut stored = Vec::new();
    for number in 0..5 {
        stored.push(owned(&format!("conformance: owned {number}"), &one)?);
    }
    let of_another = owned("conformance: of another", &other)?;
    let of_nobody = record("conformance: of nobody", SystemTime::now())?;
    for record in stored.iter().chain([&of_another, &of_nobody]) {
        ensure(store.compare_and_swap(None, record).await?, "it does not store a record in an empty place")?;
    }
    let all = store.list(&one, &Page::first(10)).await?;
    ensure(all.len() == stored.len(), "it does not list the records of an owner, or lists others")?;
    for record in &stored {
        let found = all.iter().find(|found| found.id() == record.id());
        let is_same = found.is_some_and(|found| found.label == record.label && found.owner == record.owner);
        ensure(is_same, "it does not list the records of an owner, or lists others")?;
    }
    // In pages, each once and in the same order.
    let mut paged = Vec::new();
    loop {
        let page = match paged.last() {
            None => Page::first(2),
            Some(last) => Page::after(Record::id(last).clone(), 2),
        };
        let records = open().list(&one, &page).await?;
        ensure(records.len() <= 2, "it does not keep the limit of a page")?;
        let is_last = records.len() < 2;
        paged.extend(records);
        if is_last {
            break;
        }
    }
    let ids = |records: &[Record]| records.iter().map(|record| record.id().clone()).collect::<Vec<_>>();
    ensure(ids(&paged) == ids(&all), "its pages are not the list")?;
    ensure(store.list(&one, &Page::first(0)).await?.is_empty(), "it does not keep the limit of a page")?;
    // A refresh keeps the owner, and a record that moves to another owner leaves this one.
    let [first, second, ..] = stored.as_slice() else { return Ok(()) };
    let refreshed = Record { is_owner_new: false, ..first.clone() }.after(first.generation());
    let moved = Record { owner: Some(other.clone()), ..second.clone() }.after(second.generation());
    for (old, new) in [(first, &refreshed), (second, &moved)] {
        ensure(store.compare_and_swap(Some(old.generation()), new).await?, "it does not replace a record")?;
    }
    let of_one = ids(&store.list(&one, &Page::first(10)).await?);
    ensure(of_one.contains(first.id()), "it no longer lists a record that was refreshed")?;
    ensure(!of_one.contains(second.id()), "it lists a record that belongs to another owner by now")?;
    ensure(ids(&store.list(&other, &Page::first(10)).await?).contains(second.id()), "it does not list a new owner")?;
    let rest = stored.get(2..).unwrap_or_default();
    for record in [&refreshed, &moved, &of_another, &of_nobody].into_iter().chain(rest) {
        ensure(store.remove(record.id(), record.generation()).await?, "it does not remove a record")?;
    }
    ensure(store.list(&one, &Page::first(10)).await?.is_empty(), "it lists what was removed")
}

async fn one_of_many_swaps_succeeds<S: TokenStore>(open: &impl Fn() -> S) -> Result<(), Violation> {
    const MANY: usize = 32;
    let first = record("conformance: many", SystemTime::now())?;
    ensure(open().compare_and_swap(None, &first).await?, "it does not store a record in an empty place")?;
    let start = Arc::new(tokio::sync::Barrier::new(MANY));
    let mut tasks = Vec::new();
    for number in 0..MANY {
        let (store, start) = (open(), Arc::clone(&start));
        let lease = Lease { owner: number.to_string(), expires_at: SystemTime::UNIX_EPOCH, duration: Duration::ZERO };
        let expected = first.generation();
        let next = Record { lease: Some(Box::new(lease)), ..first.clone() }.after(expected);
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            let is_done = store.compare_and_swap(Some(expected), &next).await?;
            Ok::<_, StoreError>(is_done.then_some(next))
        }));
    }
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.map_err(|_| Violation("it panics"))??);
    }
    match winners.as_slice() {
        [winner] => {
            ensure(is_there(&open(), winner).await?, "it stores another record than that of who succeeded")?;
            ensure(open().remove(winner.id(), winner.generation()).await?, "it does not remove a record")
        }
        _ => Err(Violation("it lets more or less than one of many swaps succeed")),
    }
}

fn ensure(is_so: bool, otherwise: &'static str) -> Result<(), Violation> {
    if is_so { Ok(()) } else { Err(Violation(otherwise)) }
}

async fn is_there<S: TokenStore>(store: &S, record: &Record) -> Result<bool, Violation> {
    match store.load(record.id()).await? {
        Some(found) => Ok(found.encode()?.expose_secret() == record.encode()?.expose_secret()),
        None => Ok(false),
    }
}

fn record(id: &str, last_refreshed_at: SystemTime) -> Result<Record, Violation> {
    let id = ConsentId::new(id).map_err(|_| Violation("no store: the id of the check is wrong"))?;
    Ok(Record::new(id, refresh_token("refresh token")?, last_refreshed_at, last_refreshed_at))
}

fn refresh_token(text: &str) -> Result<RefreshToken, Violation> {
    RefreshToken::new(text).map_err(|_| Violation("no store: the token of the check is wrong"))
}
